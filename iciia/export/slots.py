"""The slots of a bank under fifo, told from the images seen alone: image t lies in slot t mod N."""

import torch
from torch import Tensor

from iciia.export.step import Named
from iciia.policies.plan import FifoKeeper

SEEN = Named("seen", torch.zeros((), dtype=torch.int64))
"""Images seen so far, int64."""


def ages(seen: Tensor, capacity: int) -> Tensor:
    """How many images ago each slot's image arrived, int64 [N], the latest 1; more than `seen` where the slot is free."""
    keeper = FifoKeeper(capacity, seen)  # type: ignore[arg-type]  # a tensor counts as well as an int
    return seen - keeper.steps()


def held(seen: Tensor, capacity: int) -> Tensor:
    """Which slots hold an image, bool [N]."""
    return torch.arange(capacity) < seen


def put(bank: Tensor, arrived: Tensor, seen: Tensor) -> Tensor:
    """The bank after an image.

    Args:
        bank: [..., N].
        arrived: What is kept of the image, [..., 1].
        seen: Images seen before it.
    """
    slot = (seen % bank.shape[-1]).expand(arrived.shape)
    return bank.scatter(-1, slot, arrived)
