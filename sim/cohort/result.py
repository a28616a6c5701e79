"""What happened to the clients of a cohort."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.streams.drift import Plan


@dataclass(frozen=True)
class Fleet:
    """The devices of a cohort's clients.

    Args:
        names: All devices.
        device: Number of each client's in `names`, int64 [K].
        fitted: Bank capacity that each client has, int64 [K], of adapters that are fitted to devices, by name.
    """

    names: Sequence[str]
    device: NDArray[np.int64]
    fitted: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class CohortResult:
    """What happened to the clients of one cohort; clients that only pad it are left out.

    Streams may be of different lengths; T is that of the longest or more, and what lies beyond a stream's end does not count.

    Args:
        cohort: Its number.
        clients: Client numbers, int64 [K].
        owners: Natural client that each is, int64 [K]; None if streams are drawn.
        fleet: Their devices; None if they have none.
        lengths: Images in their streams, int64 [K].
        protocol: By which they were predicted.
        plan: Their class priors.
        staleness: What attention used, float32 [3, K, T], of adapters with diagnostics by name; see `sim.cohort.staleness`.
        alarms: At which images it said that the classes had changed, bool [K, T], of adapters that detect drifts by name.
        segments: Segment of the plan at each step, int64 [K, T].
        images: Image seen at each step, int64 [K, T].
        labels: Its class, int64 [K, T], or whether each attribute is there, int64 [K, T, C].
        predictions: What each adapter predicts, int32 [A, K, T] or [A, K, T, C].
        confidences: Probability that it gives to that, float32, likewise.
        losses: Negative log-likelihood of the label, a mean over attributes, nats, float32 [A, K, T].
        ranks: Classes that each adapter ranks before the label, int32 [A, K, T].

    What an adapter's scores do not tell (`Adapter.gives`) is NaN in confidences and losses, and -1 in ranks.
    """

    cohort: int
    clients: NDArray[np.int64]
    owners: NDArray[np.int64] | None
    fleet: Fleet | None
    lengths: NDArray[np.int64]
    protocol: str
    plan: Plan
    staleness: Mapping[str, NDArray[np.float32]]
    alarms: Mapping[str, NDArray[np.bool_]]
    segments: NDArray[np.int64]
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    predictions: NDArray[np.int32]
    confidences: NDArray[np.float32]
    losses: NDArray[np.float32]
    ranks: NDArray[np.int32]

    @property
    def within(self) -> NDArray[np.bool_]:
        """Whether each step is within its client's stream, bool [K, T]."""
        return np.arange(self.labels.shape[1]) < self.lengths[:, None]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each prediction is right, bool [A, K, T] or [A, K, T, C]."""
        return self.predictions == self.labels

    @property
    def correct(self) -> NDArray[np.bool_] | NDArray[np.float64]:
        """Whether each image counts and is predicted right, bool [A, K, T]; of attributes the share that is, float64."""
        if self.labels.ndim == 2:
            return self.right & self.within
        return self.right.mean(axis=-1) * self.within
