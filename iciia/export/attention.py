"""ICIIA's step: the stream, the set and no context, the replaced and the residual head."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from iciia.banks.bank import through_storage
from iciia.banks.storage import decode
from iciia.contexts.encoder import EncoderLayer
from iciia.contexts.iciia import ICIIA
from iciia.contexts.set import all_to_all, all_to_last
from iciia.export.slots import SEEN, held, put
from iciia.export.step import Named, Step, of_backbone
from iciia.heads.replaced import replace
from iciia.heads.residual import correct

Kept = list[tuple[Tensor, Tensor | None]]
"""What a bank keeps of each of the image's G vectors: numbers [1, D, 1], and their scale [1, 1] if the storage has one."""


class AttentionStep(Step):
    """One image of a session of ICIIA under fifo.

    States: `seen`; `bank`, [G, D, N] in the storage's dtype; `scales`, float32 [G, N], if the storage has scales. Nothing without
    a context.

    Args:
        module: The trained module.
        capacity: N, 1 or more.
        storage: How the bank keeps its numbers.
    """

    def __init__(self, module: ICIIA, capacity: int, storage: torch.dtype) -> None:
        bank = module.empty_bank(1, capacity, storage)
        states = [SEEN, Named("bank", bank.entries[:, 0], ("vector", "feature", "slot"))]
        if bank.scales is not None:
            states.append(Named("scales", bank.scales[:, 0], ("vector", "slot")))
        inputs = of_backbone(module.settings["features"], module.settings["classes"])
        super().__init__(inputs, () if module.context == "none" else tuple(states))
        self.module, self.capacity, self.storage = module.eval(), capacity, storage

    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        x, logits = read["feature"].view(-1, 1, 1), read["backbone_logits"].view(1, 1, -1)
        layers = cast(Sequence[EncoderLayer], self.module.layers)
        if self.module.context == "none":
            for layer in layers:
                x = layer.feed_forward(x)
            return self._classify(x, logits, torch.zeros(1, 1, dtype=torch.bool)), {}
        seen = read["seen"]
        past = decode(read["bank"], read.get("scales"), x.dtype).unsqueeze(1)  # [G, 1, D, N]
        visible = torch.cat([held(seen, self.capacity), torch.ones(1, dtype=torch.bool)]).view(1, 1, -1)
        through = _stream if self.module.context == "stream" or len(layers) == 1 else _set
        x, kept = through(layers, x, past, visible, self.storage)
        after = {"seen": seen + 1, "bank": put(read["bank"], torch.cat([numbers for numbers, _ in kept]), seen)}
        if "scales" in read:
            after["scales"] = put(read["scales"], torch.cat([scale for _, scale in kept if scale is not None]), seen)
        return self._classify(x, logits, (seen == 0).view(1, 1)), after

    def _classify(self, x: Tensor, backbone_logits: Tensor, alone: Tensor) -> Tensor:
        y = torch.relu(x).view(1, -1)
        if self.module.head == "replaced":
            return replace(self.module.classifier, y, backbone_logits).view(-1)
        return correct(self.module.classifier, y, backbone_logits, alone, self.module.shortlist).view(-1)


def _stream(
    layers: Sequence[EncoderLayer], x: Tensor, past: Tensor, visible: Tensor, storage: torch.dtype
) -> tuple[Tensor, Kept]:
    """The target through the layers, [D, 1, 1], each attending to its own keys and values."""
    kept: Kept = []
    for layer, past_key, past_value in zip(layers, past[::2], past[1::2], strict=True):
        q, k, v = layer.project(x)
        (k, kept_k), (v, kept_v) = (through_storage(part, storage) for part in (k, v))
        x = layer(x, q, [past_key, k], [past_value, v], visible)
        kept += [kept_k, kept_v]
    return x, kept


def _set(
    layers: Sequence[EncoderLayer], x: Tensor, past: Tensor, visible: Tensor, storage: torch.dtype
) -> tuple[Tensor, Kept]:
    """The whole set through the layers, the target last, and of the last layer the target alone, [D, 1, 1]."""
    first, *middle, last = layers
    arrived = [through_storage(part, storage) for part in (x.transpose(0, 1), *first.project(x))]
    images, q, k, v = torch.cat([past, torch.stack([part for part, _ in arrived])], dim=3)  # each [1, D, N + 1]
    h = first(images.transpose(0, 1), q, [k], [v], visible)
    for layer in middle:
        h = all_to_all(layer, h, visible)
    return all_to_last(last, h, visible), [kept for _, kept in arrived]
