"""Drift: every kind keeps what the shipped checks demand, falls where it should, and moves the prior as it says."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.streams.drift import (
    At,
    Drift,
    Dwell,
    Every,
    GradualDrift,
    IncrementalDrift,
    MatrixDrift,
    NoDrift,
    Plan,
    PriorDrift,
    RecurringDrift,
    SuddenDrift,
    load_process,
)
from sim.streams.stream import GroupedImages, Stream
from sim.streams.subset import ClassWeights, SubsetSampler, Uniform, Zipf
from sim.testing import check_drift

CLASSES = 24
SUPERCLASS = np.arange(CLASSES) // 4
STEPS = 120

KINDS: dict[str, Callable[[int], Drift]] = {
    "none": lambda seed: NoDrift(),
    "sudden": lambda seed: SuddenDrift(Every(seed, 30, staggered=True), 0.25),
    "sudden at": lambda seed: SuddenDrift(At((10, 70))),
    "poisson": lambda seed: SuddenDrift(Dwell(seed, 30, "poisson")),
    "geometric": lambda seed: SuddenDrift(Dwell(seed, 30, "geometric"), 0.5),
    "geometric together": lambda seed: SuddenDrift(Dwell(seed, 30, "geometric", together=True)),
    "gradual": lambda seed: GradualDrift(Every(seed, 40, staggered=True), 20, 0.25),
    "incremental": lambda seed: IncrementalDrift(seed, Dwell(seed, 40, "poisson", shortest=20), 20, 0.25),
    "recurring": lambda seed: RecurringDrift(seed, Every(seed, 20), 3),
    "recurring random": lambda seed: RecurringDrift(seed, Dwell(seed, 20, "geometric"), 4, "random", 5),
    "matrix": lambda seed: MatrixDrift(((0, 1, 2), (0, 2, 1), (3, 2, 0)), 40, 10),
    "sine": lambda seed: PriorDrift(seed, "sine", 50, staggered=True),
    "monotone": lambda seed: PriorDrift(seed, "monotone"),
}


def plan_of(
    drift: Drift, clients: int = 64, steps: int = STEPS, seed: int = 4, sizes: tuple[int, int] | None = None
) -> Plan:
    weights = ClassWeights(seed, Zipf(0.5), 1.0, np.full(CLASSES, 1 / CLASSES))
    return drift.plan(np.arange(clients), steps, SubsetSampler(seed, SUPERCLASS, sizes), weights)


def labels_of(drift: Drift, clients: int, steps: int = STEPS, run_length: float = 1.0) -> NDArray[np.int64]:
    images = GroupedImages.of(np.arange(CLASSES), CLASSES)
    weights = ClassWeights(4, Zipf(0.5), 1.0, np.full(CLASSES, 1 / CLASSES))
    stream = Stream(4, steps, drift, SubsetSampler(4, SUPERCLASS, None), weights, images, True, run_length)
    return np.concatenate([chunk.labels for chunk in stream.chunks(np.arange(clients), 50)], axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_passes_the_shipped_checks(kind: str) -> None:
    check_drift(KINDS[kind], STEPS)


@pytest.mark.parametrize("run_length", [1.0, 6.0])
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_classes_follow_the_prior_of_every_step(kind: str, run_length: float) -> None:
    """Each of 10 steps is judged alone, over 2,000 independent clients. A client's two likeliest classes against all others give
    one Bernoulli draw of known probability; the sum is compared by its normal deviate. 260 tests of two sides at 6.2 deviations
    fail together for less than one seed in a million."""
    drift = KINDS[kind](4)
    plan = plan_of(drift, 2000)
    labels = labels_of(drift, 2000, run_length=run_length)
    for step in range(5, STEPS, 12):
        prior = plan.at(step, plan.segment(step, step + 1))[:, 0].astype(np.float64)
        first = np.argsort(np.argsort(-prior, axis=1, kind="stable"), axis=1) < 2
        probability = (prior * first).sum(axis=1)
        hit = first[np.arange(2000), labels[:, step]]
        deviation = np.sqrt((probability * (1 - probability)).sum())
        assert abs(hit.sum() - probability.sum()) < 6.2 * deviation
        assert (prior[np.arange(2000), labels[:, step]] > 0).all()


# --- where ---


def test_given_steps() -> None:
    assert plan_of(SuddenDrift(At((3, 50, 200)))).starts[0].tolist() == [0, 3, 50, STEPS]


@pytest.mark.parametrize(("law", "shortest"), [("geometric", 1), ("poisson", 1), ("geometric", 5), ("poisson", 5)])
def test_dwell_times_have_their_distribution(law: str, shortest: int) -> None:
    """The first dwell time of 20,000 clients, by chi-square over its commonest values; fails one seed in a million."""
    dwell = Dwell(3, 12, law, shortest=shortest)  # type: ignore[arg-type]
    first = dwell.changes(np.arange(20_000), 1000)[:, 0]
    assert first.min() >= shortest
    values = np.arange(shortest, 31)
    if law == "geometric":
        share = stats.geom.pmf(values - shortest + 1, 1 / (12 - shortest + 1))
    else:
        share = stats.poisson.pmf(values - shortest, 12 - shortest)
    counts = np.array([(first == value).sum() for value in values])
    kept = share * 20_000 > 10
    observed = np.append(counts[kept], 20_000 - counts[kept].sum())
    assert stats.chisquare(observed, np.append(share[kept], 1 - share[kept].sum()) * 20_000).pvalue > 1e-6


def test_random_drifts_are_each_clients_own_or_everybodys() -> None:
    own = Dwell(3, 20, "geometric").changes(np.arange(50), 200)
    assert len({tuple(row) for row in own.tolist()}) == 50
    together = Dwell(3, 20, "geometric", together=True).changes(np.arange(50), 200)
    assert len({tuple(row) for row in together.tolist()}) == 1
    assert (np.diff(own, axis=1) >= 0).all()


def test_a_mean_of_one_drifts_at_every_step() -> None:
    assert Dwell(3, 1, "poisson").changes(np.arange(2), 5).tolist() == [[1, 2, 3, 4]] * 2


# --- gradual ---


def test_gradual_weights_by_hand() -> None:
    """Two classes, a window of 3 from step 2: weights of the new class 0 0 1/4 2/4 3/4 1 1."""
    priors = np.eye(2)[None]
    plan = Plan.of_segments(np.array([[0, 2]]), priors, np.array([[0.0, 1.0]])).blended(3, 7)
    shares = plan.at(0, plan.segment(0, 7))[0, :, 1]
    assert shares.tolist() == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize("run_length", [1.0, 15.0])
def test_nothing_leaks_past_a_gradual_window(run_length: float) -> None:
    """MOA's sigmoid is at 0.88 at the end of its window. Here not one of 3,000 clients meets the old subset after it, nor
    the new one before it, even in runs; with MOA's weights, 12 % would on the next image alone."""
    drift = GradualDrift(At((40,)), 20)
    labels, plan = labels_of(drift, 3000, run_length=run_length), plan_of(drift, 3000)
    of = SUPERCLASS[labels]
    assert (of[:, :40] == plan.superclass[:, :1]).all()
    assert (of[:, 60:] == plan.superclass[:, 1:]).all()
    assert 0 < (of[:, 40] == plan.superclass[:, 1]).mean() < 0.15
    assert 0 < (of[:, 59] == plan.superclass[:, 0]).mean() < 0.15


# --- incremental ---


def test_incremental_swaps_one_class_at_a_time() -> None:
    plan = plan_of(IncrementalDrift(4, At((40,)), 20), sizes=(5, 5))
    members = plan.at(0, plan.segment(0, STEPS)) > 0  # [K, T, C]
    assert (members.sum(axis=2) == 5).all()
    common = (members & members[:, :1]).sum(axis=2)
    assert (common[:, :40] == 5).all()
    assert (common[:, 40:60] == np.repeat([4, 3, 2, 1, 0], 4)).all()
    assert (common[:, 60:] == 0).all()
    np.testing.assert_allclose(plan.severity.sum(axis=1), 1.0)


def test_incremental_ends_at_the_new_prior() -> None:
    positions = At((40,))
    swapped, sudden = plan_of(IncrementalDrift(4, positions, 20, 0.25)), plan_of(SuddenDrift(positions, 0.25))
    for step in (39, 60):
        one, other = (plan.at(step, plan.segment(step, step + 1)) for plan in (swapped, sudden))
        np.testing.assert_allclose(one, other, rtol=1e-6)


# --- recurring ---


def test_a_cycle_returns() -> None:
    plan = plan_of(RecurringDrift(4, Every(4, 20), 3))
    prior = plan.at(0, plan.segment(0, STEPS))
    assert np.array_equal(prior[:, 0], prior[:, 60])
    assert ((prior[:, 0] > 0) & (prior[:, 20] > 0)).sum() == 0
    assert ((prior[:, 20] > 0) & (prior[:, 40] > 0)).sum() == 0


def test_a_random_order_goes_anywhere_else() -> None:
    """Each move of 2,000 clients in a pool of 4 goes to one of the three others; fails one seed in a million."""
    plan = plan_of(RecurringDrift(4, At((60,)), 4, "random"), 2000)
    assert (plan.concept[:, 0] == 0).all()
    assert stats.chisquare(np.bincount(plan.concept[:, 1], minlength=4)[1:]).pvalue > 1e-6


def test_pools_have_no_class_in_common() -> None:
    subsets = SubsetSampler(1, SUPERCLASS, (2, 4)).pool(np.arange(100), 6)
    members = np.stack([subset.members for subset in subsets])
    assert members.sum(axis=0).max() == 1
    assert set(members.sum(axis=2).ravel().tolist()) == {2, 3, 4}


def test_a_matrix_is_followed_and_shared() -> None:
    matrix = ((0, 1), (0, 0), (1, 0))
    plan = plan_of(MatrixDrift(matrix, 40), 4)
    prior = plan.at(0, plan.segment(0, STEPS))
    assert np.array_equal(prior[0, 0], prior[1, 40])  # concept 0, another client, another time
    assert np.array_equal(prior[0], prior[2])  # client 2 has column 0 again
    assert np.array_equal(prior[0, 39], prior[0, 40])
    assert plan.severity[:2].tolist() == [[0, 0, 1], [0, 1, 0]]


# --- prior ---


def test_a_sine_goes_to_the_other_weights_and_back() -> None:
    plan = plan_of(PriorDrift(4, "sine", 40))
    prior = plan.at(0, plan.segment(0, STEPS))
    np.testing.assert_allclose(prior[:, 0], prior[:, 40], atol=1e-7)
    np.testing.assert_allclose(prior[:, 20], plan.priors[:, 1], rtol=1e-6)
    np.testing.assert_allclose(prior[:, 10], plan.priors.mean(axis=1), rtol=1e-5)
    assert ((prior > 0) == (prior[:, :1] > 0)).all()


def test_a_monotone_drift_takes_the_whole_stream() -> None:
    plan = plan_of(PriorDrift(4, "monotone"))
    prior = plan.at(0, plan.segment(0, STEPS))
    np.testing.assert_allclose(prior[:, 0], plan.priors[:, 0], rtol=1e-6)
    np.testing.assert_allclose(prior[:, -1], plan.priors[:, 1], rtol=1e-6)


# --- the shipped checks find what is wrong ---


@dataclass(frozen=True)
class _Broken:
    """A sound process, and one thing done wrong with its plan."""

    seed: int
    fault: str

    def plan(self, clients: NDArray[np.integer], steps: int, subsets: SubsetSampler, weights: ClassWeights) -> Plan:
        plan = SuddenDrift(Every(self.seed, 30)).plan(clients, steps, subsets, weights)
        if self.fault == "sum":
            return replace(plan, priors=plan.priors * 0.9)
        if self.fault == "company":
            return SuddenDrift(Every(self.seed, 30)).plan(np.arange(len(clients)), steps, subsets, weights)
        if self.fault == "starts":
            return replace(plan, starts=plan.starts + 1)
        if self.fault == "random":
            return replace(plan, priors=np.random.default_rng().permuted(plan.priors, axis=2))
        if self.fault == "weight":
            return replace(plan, weight=np.full((len(clients), steps), 1.5))
        if self.fault == "shape":
            return replace(plan, severity=plan.severity[:, 1:])
        return plan


class _Unpicklable(_Broken):
    def __reduce__(self) -> str:
        raise TypeError("holds an open file")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("sum", "gives client 0 at step 0 a prior that sums to 0.9"),
        ("company", "differs alone: client 23 has another plan"),
        ("starts", "gives starts that are not ascending from 0"),
        ("random", "differs when made again with the same seed: client 0 has another plan"),
        ("weight", "gives a weight outside 0 to 1"),
        ("shape", r"gives severity of shape \[64, 6\]; expected \[64, 7\]"),
    ],
)
def test_a_broken_process_is_found(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_drift(lambda seed: _Broken(seed, fault))
    check_drift(lambda seed: _Broken(seed, ""))


def test_a_process_that_cannot_be_pickled_is_found() -> None:
    with pytest.raises(AssertionError, match="cannot be pickled: holds an open file"):
        check_drift(lambda seed: _Unpicklable(seed, ""))


def test_subsets_are_uniform_over_the_classes() -> None:
    """5 of 24 classes for 5,000 clients; the counts are negatively correlated within a client, which only makes this test milder:
    it fails less than one seed in a million."""
    weights = ClassWeights(4, Uniform(), 1.0, np.full(CLASSES, 1 / CLASSES))
    plan = SuddenDrift(At((10,))).plan(np.arange(5000), 20, SubsetSampler(4, SUPERCLASS, (5, 5)), weights)
    for concept in (0, 1):
        assert stats.chisquare((plan.priors[:, concept] > 0).sum(axis=0)).pvalue > 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_sees_the_same_images_in_any_company(kind: str) -> None:
    """Alone, among 7 and among 64, in chunks of any length, with runs of one class."""
    images = GroupedImages.of(np.tile(np.arange(CLASSES), 20), CLASSES)
    weights = ClassWeights(4, Zipf(0.5), 0.9, np.full(CLASSES, 1 / CLASSES))
    source = Stream(4, STEPS, KINDS[kind](4), SubsetSampler(4, SUPERCLASS, (2, 5)), weights, images, run_length=3.0)

    def seen(clients: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        return np.concatenate([chunk.images for chunk in source.chunks(clients, length)], axis=1)

    cohort_64 = seen(np.arange(64), 50)
    assert np.array_equal(cohort_64[20:27], seen(np.arange(20, 27), STEPS))
    assert np.array_equal(cohort_64[23:24], seen(np.array([23]), 1))


def test_the_process_in_the_documentation_is_sound(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_drift.py").write_text(code)
    check_drift(lambda seed: load_process(f"{tmp_path / 'my_drift.py'}:MyDrift", seed, {}))


def test_six_steps_by_hand() -> None:
    """Two classes and a window of 2 that opens at step 2: classes 0 0, then either, then 1 1, whatever the seed."""
    images = GroupedImages.of(np.repeat([0, 1], 6), 2)
    weights = ClassWeights(0, Uniform(), 1.0, np.full(2, 0.5))
    source = Stream(0, 6, GradualDrift(At((2,)), 2), SubsetSampler(0, np.array([0, 1]), (1, 1)), weights, images)
    (chunk,) = source.chunks(np.arange(400), 6)
    old = chunk.labels[:, :1]
    assert (chunk.labels[:, :2] == old).all()
    assert (chunk.labels[:, 4:] == 1 - old).all()
    # weights of the new class: 1/3 and 2/3; 400 clients are within 6 standard errors of 0.0236 but for one seed in a million
    fresh = (chunk.labels[:, 2:4] != old).mean(axis=0)
    np.testing.assert_allclose(fresh, [1 / 3, 2 / 3], atol=6 * 0.0236)
