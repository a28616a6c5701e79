"""Checks that a drift process keeps what `sim.drift.Drift` promises: run on ours, and on one of the user's own before it runs."""

import pickle
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.streams.drift import Drift, Plan
from sim.streams.subset import ClassWeights, SubsetSampler, Zipf

CLASSES = 24
SUPERCLASS = np.arange(CLASSES) // 4
SEED = 11


def check_drift(make: Callable[[int], Drift], steps: int = 200) -> None:
    """Checks that a drift process keeps what `sim.drift.Drift` promises.

    Shapes and order of the plan, priors that sum to one at every step, equal plans for equal seeds and after pickling, and for
    one client alone, among seven, and among 64 in another order. The classes are 24, in six superclasses; each subset is one of
    them, with Zipf weights.

    Args:
        make: Makes the process for a seed.
        steps: Images in a stream.

    Raises:
        AssertionError: A promise is broken; the message says which, and for which client.
    """
    process = make(SEED)
    everyone = np.arange(64)
    whole = _plan(process, everyone, steps)
    _check_shapes(whole, len(everyone), steps)
    prior = _priors(whole, steps)
    for client, step in np.argwhere(~(np.abs(prior.sum(axis=2) - 1.0) < 1e-5))[:1]:
        raise AssertionError(f"gives client {client} at step {step} a prior that sums to {prior[client, step].sum():g}")
    if prior.min() < 0.0:
        raise AssertionError("gives a class a negative probability")
    for what, other in (
        ("made again with the same seed", make(SEED)),
        ("pickled and unpickled", pickled(process)),
        ("asked a second time", process),
    ):
        _compare(whole, _plan(other, everyone, steps), everyone, steps, f"differs when {what}")
    for what, clients in (
        ("alone", np.array([23])),
        ("among seven clients", np.arange(20, 27)),
        ("among the same clients in another order", everyone[::-1].copy()),
    ):
        _compare(whole, _plan(process, clients, steps), clients, steps, f"differs {what}")


def pickled(process: Drift) -> Drift:
    """The process as it arrives in another process.

    Raises:
        AssertionError: It cannot be pickled.
    """
    try:
        copied: Drift = pickle.loads(pickle.dumps(process))
    except Exception as error:
        raise AssertionError(f"cannot be pickled: {error}") from error
    return copied


def _plan(process: Drift, clients: NDArray[np.int64], steps: int) -> Plan:
    subsets = SubsetSampler(SEED, SUPERCLASS, None)
    weights = ClassWeights(SEED, Zipf(1.0), 1.0, np.full(CLASSES, 1 / CLASSES))
    try:
        plan = process.plan(clients, steps, subsets, weights)
    except Exception as error:
        raise AssertionError(f"fails for {len(clients)} clients: {type(error).__name__}: {error}") from error
    if not isinstance(plan, Plan):
        raise AssertionError(f"gives {type(plan).__name__}, not a Plan")
    return plan


def _check_shapes(plan: Plan, clients: int, steps: int) -> None:
    segments = plan.starts.shape[1]
    wanted: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("starts", "concept", "previous", "severity", "superclass"), (clients, segments)
    )
    wanted["priors"] = (clients, plan.priors.shape[1], CLASSES)
    if plan.weight is not None:
        wanted["weight"] = (clients, steps)
    for name, shape in wanted.items():
        if getattr(plan, name).shape != shape:
            raise AssertionError(f"gives {name} of shape {list(getattr(plan, name).shape)}; expected {list(shape)}")
    if (plan.starts[:, 0] != 0).any() or (np.diff(plan.starts, axis=1) < 0).any() or (plan.starts > steps).any():
        raise AssertionError("gives starts that are not ascending from 0 to the length of the stream")
    if (plan.severity < 0).any() or (plan.severity > 1).any() or (plan.severity[:, 0] != 0).any():
        raise AssertionError("gives a severity outside 0 to 1, or above 0 in segment 0")
    if plan.weight is not None and ((plan.weight < 0) | (plan.weight > 1)).any():
        raise AssertionError("gives a weight outside 0 to 1")
    for name in ("concept", "previous"):
        value = getattr(plan, name)
        if value.min() < 0 or value.max() >= plan.priors.shape[1]:
            raise AssertionError(f"gives a {name} without a prior")


def _priors(plan: Plan, steps: int) -> NDArray[np.float32]:
    return plan.at(0, plan.segment(0, steps))


def _drifts(plan: Plan, row: int, steps: int) -> list[tuple[int, float]]:
    real = (plan.severity[row] > 0) & (plan.starts[row] < steps)
    return list(zip(plan.starts[row][real].tolist(), plan.severity[row][real].tolist(), strict=True))


def _compare(whole: Plan, other: Plan, clients: NDArray[np.int64], steps: int, fault: str) -> None:
    """Compares a client's priors and drifts, not its numbers of segments, which may depend on the company."""
    expected, found = _priors(whole, steps), _priors(other, steps)
    for place, client in enumerate(clients):
        same = np.array_equal(expected[client], found[place])
        if not same or _drifts(whole, int(client), steps) != _drifts(other, place, steps):
            raise AssertionError(f"{fault}: client {client} has another plan")
