"""The stream context: causal; every layer's keys and values are computed once, when an image arrives, and kept in the bank."""

from collections.abc import Iterable

import torch
from torch import Tensor

from iciia.banks.bank import FeatureBank, through_storage
from iciia.contexts.encoder import EncoderLayer
from iciia.policies.plan import Plan


def through_stream(
    layers: Iterable[EncoderLayer],
    x: Tensor,
    bank: FeatureBank,
    plan: Plan,
    some: slice,
    attention: list[Tensor] | None,
) -> Tensor:
    """Takes some clients' targets through the layers, and writes into their banks what stays of them.

    Args:
        layers: The encoder's layers.
        x: Targets, [D, K, T].
        bank: The clients' banks; written in place.
        plan: Which of the bank's images and of the chunk's each target sees.
        some: Which clients.
        attention: Takes the weights [K, T, N + T], means over heads and layers.

    Returns:
        [D, K, T].
    """
    visible = plan.of(some)
    watched: list[Tensor] | None = None if attention is None else []
    for number, layer in enumerate(layers):
        q, k, v = layer.project(x)
        (k, kept_k), (v, kept_v) = (through_storage(part, bank.storage) for part in (k, v))
        if bank.capacity:
            past_k, past_v = (bank.past(2 * number + i, some, x.dtype) for i in (0, 1))
            x = layer(x, q, [past_k, k], [past_v, v], visible, watched)
            bank.write(2 * number, some, kept_k, plan)
            bank.write(2 * number + 1, some, kept_v, plan)
        else:
            x = layer(x, q, [k], [v], visible, watched)
    if attention is not None and watched:
        attention.append(torch.stack(watched).mean(dim=0))
    return x
