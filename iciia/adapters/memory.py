"""Which images an adapter remembers of one client, and by what they count: to be looked at, never for predicting."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.attention import IciiaAdapter
from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.icrm import Context
from iciia.adapters.majority_label import MajorityLabelAdapter
from iciia.adapters.window import Window
from iciia.contexts.priors import ClientPriors
from iciia.contexts.weights import weigh

Weights = Literal["attention", "prior"]


@dataclass(frozen=True)
class Memory:
    """What an adapter remembers when an image arrives.

    Args:
        steps: Steps at which the images that it remembers arrived, int64 [n], ascending.
        weights: How much each counts for the image, float32 [n]; None if that cannot be told. See `iciia.contexts.weights.weigh`.
        scores: The scores that come with these weights, [C]; None without weights.
    """

    steps: NDArray[np.int64]
    weights: NDArray[np.float32] | None = None
    scores: Tensor | None = None


def weights_of(adapter: Adapter) -> Weights | None:
    """What kind of weights an adapter can tell; None if none."""
    if not isinstance(adapter, IciiaAdapter):
        return None
    return "prior" if isinstance(adapter.module, ClientPriors) else "attention"


@torch.inference_mode()
def memory_of(adapter: Adapter, state: Any, chunk: Chunk, step: int) -> Memory | None:
    """What an adapter remembers of one client.

    Args:
        adapter: The adapter.
        state: Its state of one client before the image.
        chunk: The image, [1, 1].
        step: Its step in the stream.

    Returns:
        None if the adapter keeps no single images: sums, prototypes, nothing, or what is not known here.
    """
    if isinstance(adapter, IciiaAdapter):
        found = weigh(adapter.module, chunk.features, chunk.logits, state)
        weights = None if found.weights is None else found.weights.numpy()
        return Memory(found.steps.numpy(), weights, found.logits)
    count = _latest(state)
    if count is None:
        return None
    if isinstance(adapter, MajorityLabelAdapter):  # it is told an image's label one image later
        count = min(count + 1, step)
    return Memory(np.arange(step - count, step))


def _latest(state: Any) -> int | None:
    """How many of the latest images a state holds; None if it holds something else."""
    if isinstance(state, tuple) and state:
        return _latest(state[0])
    if isinstance(state, Context):  # half of a full one is read again
        return state.inputs_held if state.held == state.keys.shape[2] else state.held
    window = getattr(state, "window", state)
    return window.rows.shape[1] if isinstance(window, Window) else None
