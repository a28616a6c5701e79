"""Threads of torch, on whose number results depend in the last bits."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Runs torch on so many CPU threads: simulations on one, training on what `cloud.threads` says."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
