"""The set context, the paper's: target and bank attend to each other, all to all, computed anew for each target."""

from collections.abc import Sequence

import torch
from torch import Tensor

from iciia.banks.bank import FeatureBank, through_storage
from iciia.contexts.encoder import EncoderLayer
from iciia.policies.plan import Plan

COLUMNS = 256
"""Vectors that go through the layers of a stream together; more would not stay in a core's cache."""


def through_set(layers: Sequence[EncoderLayer], x: Tensor, bank: FeatureBank, plan: Plan, some: slice) -> Tensor:
    """One set of the bank and the target for each target; the target is its last member.

    Args:
        layers: The encoder's layers, two or more.
        x: Targets, [D, K, T].
        bank: The clients' banks; written in place.
        plan: Which of the bank's images and of the chunk's each target sees.
        some: Which clients.

    Returns:
        [D, K, T].
    """
    _, clients, targets = x.shape
    first, *middle, last = layers
    arrived = [through_storage(part, bank.storage) for part in (x.transpose(0, 1), *first.project(x))]
    images = torch.stack([part for part, _ in arrived])  # [4, K, D, T]
    if bank.capacity:
        images = torch.cat([torch.stack([bank.past(g, some, x.dtype) for g in range(4)]), images], dim=3)
    member, used = _members(plan.of(some).expand(clients, -1, -1), bank.capacity)
    # an image's four vectors in one row, so that gathering a set copies whole rows: [K * (N + T), 4, D]
    rows = images.permute(1, 3, 0, 2).flatten(0, 1)
    first_row = torch.arange(clients, device=x.device).repeat_interleave(targets) * images.shape[3]
    member = member + first_row.unsqueeze(1)
    calibrated = []
    together = max(1, 8 * COLUMNS // member.shape[1])
    for start in range(0, clients * targets, together):
        part = slice(start, start + together)
        h, q, k, v = rows[member[part]].permute(2, 0, 3, 1)  # [B, n, 4, D] -> [4, B, D, n]
        h = h.transpose(0, 1).contiguous()
        h = first(h, q, [k], [v], used[part])
        for layer in middle:
            h = all_to_all(layer, h, used[part])
        calibrated.append(all_to_last(last, h, used[part]))
    if bank.capacity:
        for vector, (_, kept) in enumerate(arrived):
            bank.write(vector, some, kept, plan)
    return torch.cat(calibrated, dim=1).view(-1, clients, targets)


def all_to_all(layer: EncoderLayer, x: Tensor, visible: Tensor) -> Tensor:
    """Every image of each set through a layer, [D, B, n]."""
    q, k, v = layer.project(x)
    return layer(x, q, [k], [v], visible)


def all_to_last(layer: EncoderLayer, x: Tensor, visible: Tensor) -> Tensor:
    """The last image of each set alone, [D, B, n] -> [D, B, 1]."""
    target = x[:, :, -1:].contiguous()
    (query,) = layer.project(target, 0, 1)
    key, value = layer.project(x, 1, 3)
    return layer(target, query, [key], [value], visible)


def _members(visible: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """The images of each target's set.

    Args:
        visible: bool [K, T, N + T].
        capacity: N.

    Returns:
        Their numbers, int64 [K * T, N + 1], the target last, and whether each is one, bool [K * T, 1, N + 1].
    """
    clients, targets, _ = visible.shape
    itself = torch.arange(targets, device=visible.device) + capacity
    others = visible.scatter(2, itself.view(1, -1, 1).expand(clients, -1, -1), False)
    found = others.to(torch.int8).topk(capacity, dim=2)
    member = torch.cat([found.indices, itself.view(1, -1, 1).expand(clients, -1, 1)], dim=2)
    used = torch.nn.functional.pad(found.values.bool(), (0, 1), value=True)
    return member.flatten(0, 1), used.flatten(0, 1).unsqueeze(1)
