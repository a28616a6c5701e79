"""The paper's protocols beside the stream: for each image, which other images of its client it is predicted with.

Neither has time, so nothing of them may be mixed with figures of a stream. With a bank of capacity N:

- `paper_batch`: a client's images are cut, in order, into sets of N + 1 that all see each other. What is left over at the end is a
  smaller set.
- `leave_one_out`: every image is predicted with the first N other images of its client.

An adapter is given the others as its past, in their order, and the image last. For the set context that is what the paper does: a
set has no order. Every other adapter remembers as it does on a stream: the stream context computes keys and values when an
image arrives, from what came before, so that with several layers it is not symmetric. An adapter without a bank sees the image
alone.

Source: Yan et al., arXiv 2211.06276: `paper_batch` with N = 15 is the protocol of its tables, `leave_one_out` that of its curve
over historical images.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters import Adapter, Chunk

Sets = Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Rows of the clients that a set counts for, int64 [R], and its images' places in the stream of every client, int64 [K, n]."""


class PredictionFailedAt(Exception):
    """An adapter failed.

    Args:
        step: The first image, by its place in the stream, of the set that it fails on; of `leave_one_out` the target.
        cause: What it raised.
    """

    def __init__(self, step: int, cause: Exception) -> None:
        super().__init__(step, cause)
        self.step, self.cause = step, cause


def steps_together(protocol: str, chunk: int, lengths: NDArray[np.int64]) -> int:
    """Steps whose features and scores are in memory together: a chunk of a stream, or whole streams of the given lengths."""
    return chunk if protocol == "stream" else int(lengths.max())


def predict_sets(
    protocol: str,
    adapter: Adapter,
    clients: NDArray[np.int64],
    seed: int,
    chunk: Chunk,
    lengths: NDArray[np.int64],
) -> Tensor:
    """Predicts every image by one of the paper's protocols.

    All products have one row for each client, in its place, and as many columns as the set has images: a float product's last bits
    depend on its shape, which must not depend on the lengths of the other clients' streams.

    Args:
        protocol: `paper_batch` or `leave_one_out`.
        adapter: Who predicts.
        clients: Client numbers, [K].
        seed: The scenario's seed.
        chunk: Their whole streams, [K, T].
        lengths: Images in each, [K]; what lies beyond does not count.

    Returns:
        Scores [K, T, C]; zeros beyond a stream's end.

    Raises:
        PredictionFailedAt: The adapter raised an error, or gave scores that are not numbers.
    """
    whole = protocol == "paper_batch"
    cut = _cut_into_sets if whole else _leave_one_out
    scores = torch.zeros_like(chunk.logits)
    for rows, places in cut(lengths, adapter.capacity or 0):
        targets = places[rows] if whole else places[rows, -1:]
        part = chunk.at(np.minimum(places, chunk.logits.shape[1] - 1))
        try:
            found = (adapter.predict_set if whole else adapter.predict_last)(clients, seed, part)[rows]
            if found.isnan().any():
                raise ValueError("scores that are not numbers")
        except Exception as error:
            raise PredictionFailedAt(int(targets[0, 0]), error) from error
        scores[torch.from_numpy(rows)[:, None], torch.from_numpy(targets)] = found.view(*targets.shape, -1)
    return scores


def _cut_into_sets(lengths: NDArray[np.int64], capacity: int) -> Sets:
    """Consecutive sets of N + 1 images, then what is left over, all clients of whom equally many are left at once."""
    size = capacity + 1
    for start in range(0, int(lengths.max()) // size * size, size):
        places = np.broadcast_to(start + np.arange(size), (len(lengths), size))
        yield np.flatnonzero(lengths >= start + size), places
    left = lengths % size
    for count in np.unique(left[left > 0]).tolist():
        yield np.flatnonzero(left == count), (lengths - left)[:, None] + np.arange(count)


def _leave_one_out(lengths: NDArray[np.int64], capacity: int) -> Sets:
    """The first N others, or all others of a client that has fewer, and the target."""
    others = np.minimum(capacity, lengths - 1)
    for count in np.unique(others).tolist():
        rows = np.flatnonzero(others == count)
        first = np.arange(count)
        for target in range(int(lengths[rows].max())):
            places = np.append(first + (first >= target), target)
            yield rows[lengths[rows] > target], np.broadcast_to(places, (len(lengths), count + 1))
