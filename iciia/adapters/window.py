"""A window: what is kept of a client's latest images, oldest first."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Rows of numbers of the latest images of K clients that have all seen the same number.

    Args:
        rows: [K, n, W], n up to the capacity.
        capacity: N, the most images it keeps.
    """

    rows: Tensor
    capacity: int

    @staticmethod
    def empty(clients: int, capacity: int, width: int, dtype: torch.dtype = torch.float32) -> "Window":
        """A window of nothing."""
        return Window(torch.zeros(clients, 0, width, dtype=dtype), capacity)

    def join(self, arriving: Tensor) -> tuple[Tensor, "Window"]:
        """The kept and the arriving rows, [K, n + T, W], and the window after them."""
        rows = torch.cat([self.rows, arriving.to(self.rows.dtype)], dim=1)
        kept = rows[:, max(0, rows.shape[1] - self.capacity) :]
        return rows, Window(kept.clone(), self.capacity)  # a view would keep the whole chunk in memory

    def visible(self, targets: int) -> Tensor:
        """Which rows each arriving image is predicted with: the N before it and itself, bool [T, n + T]."""
        held = self.rows.shape[1]
        age = held + torch.arange(targets).unsqueeze(1) - torch.arange(held + targets)
        return (age >= 0) & (age <= self.capacity)


def window_means(rows: Tensor, visible: Tensor) -> Tensor:
    """Mean of the visible rows at each step, [K, T, W], of rows, [K, S, W], float64: sums of many small numbers."""
    share = visible.double()
    return (share / share.sum(dim=1, keepdim=True)) @ rows.double()
