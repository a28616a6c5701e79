"""The real backbone in the loop: images are read, corrupted as their client's camera does it, and run through one model.

A cohort's images go through in batches of one fixed, padded shape, so that the features do not depend on who else is
simulated; the next batch is read while the model computes.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.cloud.backbone import Backbone
from iciia.cloud.images import ImageSource, in_batches
from sim.cloud.corruption import Corruption

Corrupt = Callable[[Tensor, NDArray[np.int64]], Tensor]
"""(images, their places in the chunk) -> images."""

BATCH = 64
"""Images that go through the model together; fewer where they are large, or clips."""


@dataclass
class LiveStore:
    """A store without features: it runs the backbone over the images that it is asked for.

    Weights travel as NumPy arrays, which Ray shares between the workers of a node without a copy.

    Args:
        source: The images that clients see.
        backbone: The backbone, its weights taken out.
        weights: Its weights by name.
        classes: C.
        corruption: What clients' cameras do; None for nothing.
    """

    source: ImageSource
    backbone: Backbone
    weights: dict[str, NDArray[Any]]
    classes: int
    corruption: Corruption | None = None
    _ready: Backbone | None = field(default=None, repr=False)

    @staticmethod
    def of(source: ImageSource, backbone: Backbone, corruption: Corruption | None) -> "LiveStore":
        """A store that runs the given backbone."""
        weights = {name: _array(tensor) for name, tensor in _tensors(backbone.model)}
        hollow = copy.copy(backbone)
        hollow.model = copy.deepcopy(backbone.model).to("meta")
        return LiveStore(source, hollow, weights, backbone.classes, corruption)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ready": None}

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.source.labels

    @property
    def feature_dim(self) -> int:
        return self.backbone.feature_dim

    def gather(self, images: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Features and logits of images as they are, [K, T]: nobody's camera."""
        return self._run(images, None)

    def look_up(self, images: NDArray[np.int64], clients: NDArray[np.int64], first_step: int) -> tuple[Tensor, Tensor]:
        """Features [K, T, D] and logits [K, T, C] of a chunk.

        Args:
            images: Image numbers, [K, T].
            clients: Client numbers, [K].
            first_step: The stream step of the first column.
        """
        steps = np.broadcast_to(first_step + np.arange(images.shape[1]), images.shape).ravel()
        owners = np.broadcast_to(clients[:, None], images.shape).ravel()

        def corrupt(pixels: Tensor, batch: NDArray[np.int64]) -> Tensor:
            return pixels if self.corruption is None else self.corruption.apply(pixels, owners[batch], steps[batch])

        return self._run(images, corrupt)

    def _run(self, images: NDArray[np.int64], corrupt: Corrupt | None) -> tuple[Tensor, Tensor]:
        model, flat = self._model(), images.ravel()

        def read(batch: NDArray[np.int64]) -> Tensor:
            pixels = self.source.read(flat[batch])
            return pixels if corrupt is None else corrupt(pixels, batch)

        features, logits = [], []
        with torch.inference_mode(), ThreadPoolExecutor(1) as reader:
            first, *rest = in_batches(np.arange(images.size), min(BATCH, self.backbone.batch))
            waiting = reader.submit(read, first)
            for batch in (*rest, None):
                pixels = waiting.result()
                if batch is not None:  # read while the model computes
                    waiting = reader.submit(read, batch)
                f, z = model.forward(pixels)
                features.append(f.float().cpu())
                logits.append(z.float().cpu())
        f, z = (torch.cat(part)[: images.size].unflatten(0, images.shape) for part in (features, logits))
        return f, z

    def _model(self) -> Backbone:
        """The backbone with its weights, put together once a process."""
        if self._ready is None:
            model = copy.deepcopy(self.backbone.model)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
                weights = {name: torch.from_numpy(array) for name, array in self.weights.items()}
            for name, hollow in list(_tensors(model)):
                _replace(model, name, weights[name].to(self.backbone.device, hollow.dtype))
            self._ready = copy.copy(self.backbone)
            self._ready.model = model.eval()
            self._ready.classifier = model.get_classifier()
        return self._ready


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:
    """All parameters and buffers, also those that a state dict leaves out."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _array(tensor: Tensor) -> NDArray[Any]:
    """A tensor's numbers; NumPy knows no bfloat16."""
    found: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().cpu().numpy()
    return found


def _replace(model: Any, name: str, tensor: Tensor) -> None:
    *path, last = name.split(".")
    owner = model.get_submodule(".".join(path))
    if last in owner._parameters:
        owner._parameters[last] = torch.nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[last] = tensor
