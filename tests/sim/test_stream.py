"""Streams: worked out by hand, the same in any company, and with the shares they promise."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.streams.drift import Drift, Every, NoDrift, Plan, SuddenDrift
from sim.streams.stream import GroupedImages, Stream
from sim.streams.subset import ClassWeights, Dirichlet, SubsetSampler, Uniform, Zipf

CLASSES, PER_CLASS = 12, 30
SUPERCLASS = np.arange(CLASSES) // 3
LABELS = np.tile(np.arange(CLASSES), PER_CLASS)


def stream(
    drift: Drift | None = None,
    steps: int = 60,
    size: int | tuple[int, int] | None = None,
    law: Uniform | Zipf | Dirichlet | None = None,
    reserve_ratio: float = 1.0,
    replacement: bool = False,
    run_length: float = 1.0,
    seed: int = 5,
) -> Stream:
    images = GroupedImages.of(LABELS, CLASSES)
    return Stream(
        seed,
        steps,
        drift or NoDrift(),
        SubsetSampler(seed, SUPERCLASS, (size, size) if isinstance(size, int) else size),
        ClassWeights(seed, law or Uniform(), reserve_ratio, np.full(CLASSES, 1 / CLASSES)),
        images,
        replacement,
        run_length,
    )


def drawn(source: Stream, clients: NDArray[np.int64], length: int = 7) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    chunks = list(source.chunks(clients, length))
    return np.concatenate([c.images for c in chunks], axis=1), np.concatenate([c.labels for c in chunks], axis=1)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("drift", [NoDrift(), SuddenDrift(Every(5, 20, staggered=True), 0.3)], ids=["none", "sudden"])
def test_a_client_sees_the_same_in_any_company(drift: Drift, replacement: bool) -> None:
    source = stream(drift, replacement=replacement)
    cohort_64, _ = drawn(source, np.arange(64))
    cohort_7, _ = drawn(source, np.arange(20, 27), length=60)
    alone, _ = drawn(source, np.array([23]), length=1)
    assert np.array_equal(cohort_64[20:27], cohort_7)
    assert np.array_equal(cohort_64[23:24], alone)


def test_images_are_of_their_labels() -> None:
    images, labels = drawn(stream(SuddenDrift(Every(5, 20))), np.arange(16))
    assert np.array_equal(LABELS[images], labels)


def test_six_steps_by_hand() -> None:
    """Two classes, a drift at step 3, no choice left but the order of images: classes 0 0 0 1 1 1."""

    class ByHand:
        def plan(self, clients: NDArray[np.integer], steps: int, subsets: object, weights: object) -> Plan:
            k = len(clients)
            priors = np.zeros((k, 2, 2))
            priors[:, 0, 0] = priors[:, 1, 1] = 1.0
            return Plan.of_segments(np.tile([0, 3], (k, 1)), priors, np.tile([0.0, 1.0], (k, 1)))

    images = GroupedImages.of(np.array([1, 0, 1, 0, 1, 0]), 2)
    weights = ClassWeights(0, Uniform(), 1.0, np.array([0.5, 0.5]))
    source = Stream(0, 6, ByHand(), SubsetSampler(0, np.array([0, 1]), None), weights, images)
    seen, labels = drawn(source, np.arange(50), length=4)
    assert labels.tolist() == [[0, 0, 0, 1, 1, 1]] * 50
    assert all(sorted(row[:3]) == [1, 3, 5] and sorted(row[3:]) == [0, 2, 4] for row in seen.tolist())


def test_without_replacement_no_image_comes_twice() -> None:
    images, _ = drawn(stream(SuddenDrift(Every(5, 20))), np.arange(40))
    assert all(len(set(row)) == len(row) for row in images.tolist())


def test_every_order_is_equally_likely() -> None:
    """Four images, 24 orders, 24,000 clients: a chi-square test that fails one seed in a million."""
    images = GroupedImages.of(np.zeros(4, dtype=np.int64), 1)
    weights = ClassWeights(1, Uniform(), 1.0, np.array([1.0]))
    source = Stream(1, 4, NoDrift(), SubsetSampler(1, np.array([0]), None), weights, images)
    seen, _ = drawn(source, np.arange(24_000), length=3)
    counts = Counter(map(tuple, seen.tolist()))
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 1e-6


@pytest.mark.parametrize(
    ("law", "reserve_ratio", "size"),
    [
        (Uniform(), 1.0, None), (Zipf(1.0), 1.0, 4), (Uniform(), 0.5, 3), (Zipf(1.2), 0.7, None), (Dirichlet(0.5), 1.0, 4),
        (Dirichlet(3.0), 0.9, (2, 6)),
    ],
)  # fmt: skip
def test_drawn_shares_match_the_prior(
    law: Uniform | Zipf | Dirichlet, reserve_ratio: float, size: int | tuple[int, int] | None
) -> None:
    """Chi-square of 60,000 draws against each client's prior, pooled; fails one seed in a million."""
    source = stream(None, 60, size, law, reserve_ratio, replacement=True)
    clients = np.arange(1000)
    prior = source.plan(clients).priors[:, 0]
    _, labels = drawn(source, clients, length=60)
    # compare by rank within a client's prior, so that clients pool although their subsets differ
    order = np.argsort(-prior, axis=1, kind="stable")
    expected = np.take_along_axis(prior, order, axis=1).sum(axis=0) * 60
    ranks = np.argsort(order, axis=1)[np.arange(1000)[:, None], labels]
    observed = np.bincount(ranks.ravel(), minlength=CLASSES)
    assert observed[expected == 0].sum() == 0
    kept = expected > 0
    assert stats.chisquare(observed[kept], expected[kept]).pvalue > 1e-6


def test_priors_sum_to_one_and_zipf_has_its_weights() -> None:
    prior = stream(law=Zipf(1.0), size=3).plan(np.arange(5)).priors
    np.testing.assert_allclose(prior.sum(axis=2), 1.0)
    weights = np.array([1, 1 / 2, 1 / 3]) / (1 + 1 / 2 + 1 / 3)
    np.testing.assert_allclose(np.sort(prior[0, 0])[::-1][:3], weights)


def test_reserve_ratio_mixes_with_everybody() -> None:
    prior = stream(reserve_ratio=0.25).plan(np.array([0])).priors[0, 0]
    np.testing.assert_allclose(sorted(set(prior.round(9))), [0.75 / 12, 0.25 / 3 + 0.75 / 12])


def test_sudden_drift_at_once() -> None:
    plan = stream(SuddenDrift(Every(5, 25))).plan(np.arange(8))
    assert plan.starts.tolist() == [[0, 25, 50]] * 8
    assert (plan.severity == [[0.0, 1.0, 1.0]] * 8).all()
    assert (plan.superclass[:, 1:] != plan.superclass[:, :-1]).all()


def test_a_drift_on_the_last_step_is_one_and_beyond_it_none() -> None:
    assert stream(SuddenDrift(Every(5, 59))).plan(np.arange(1)).starts.tolist() == [[0, 59]]
    assert stream(SuddenDrift(Every(5, 60))).plan(np.arange(1)).starts.tolist() == [[0]]


def test_staggered_drifts_begin_uniformly() -> None:
    """First drifts of 5,000 clients over 20 places; fails one seed in a million. Later ones follow every 20 images."""
    plan = stream(SuddenDrift(Every(5, 20, staggered=True))).plan(np.arange(5000))
    first = np.bincount(plan.starts[:, 1], minlength=21)[1:]
    assert len(first) == 20
    assert stats.chisquare(first).pvalue > 1e-6
    real = (plan.starts[:, 2:] < 60) & (plan.starts[:, 1:-1] < 60)
    assert set((plan.starts[:, 2:] - plan.starts[:, 1:-1])[real].tolist()) == {20}


@pytest.mark.parametrize(("overlap", "kept"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)])
def test_overlap_keeps_its_share_of_classes(overlap: float, kept: int) -> None:
    plan = stream(SuddenDrift(Every(5, 20), overlap), size=4).plan(np.arange(200))
    members = plan.priors > 0
    assert (members.sum(axis=2) == 4).all()
    assert ((members[:, 1:] & members[:, :-1]).sum(axis=2) == kept).all()
    np.testing.assert_allclose(plan.severity[:, 1:], 1 - kept / 4)


def test_overlap_of_superclasses_stays_beside_the_new_one() -> None:
    plan = stream(SuddenDrift(Every(5, 20), 1 / 3)).plan(np.arange(50))
    members = plan.priors > 0
    for client in range(50):
        new = set(np.flatnonzero(members[client, 1]).tolist())
        whole = set(np.flatnonzero(plan.superclass[client, 1] == SUPERCLASS).tolist())
        old = set(np.flatnonzero(members[client, 0]).tolist())
        assert whole <= new
        assert len(new - whole) == 1
        assert new - whole <= old


def test_shortage_is_counted() -> None:
    source = stream(size=1, steps=25)
    most = source.most_of_a_class(np.arange(30))
    assert set(most.tolist()) <= {0, 25}
    assert most.max() == 25


# --- runs, ranges, Dirichlet ---


def test_runs_keep_the_prior_and_last_as_long_as_they_should() -> None:
    """Runs of 4 draws on average. Every image is judged at one step of its client, so that the 4,000 judged are independent: a
    chi-square test that fails one seed in a million. A class of share p is met again after a run with probability p, so runs of
    one class last 4 / (1 - sum p^2) images: 6 with three equal classes; the mean of some 90,000 runs is within 0.15, more than
    seven of its standard errors."""
    source = stream(steps=150, run_length=4.0, replacement=True)
    clients = np.arange(4000)
    members = source.plan(clients).priors[:, 0] > 0
    _, labels = drawn(source, clients, length=50)
    place = (np.cumsum(members, axis=1) - 1)[np.arange(4000), labels[:, 77]]
    assert stats.chisquare(np.bincount(place, minlength=3)).pvalue > 1e-6
    ends = (labels[:, 1:] != labels[:, :-1]).mean()
    assert 1 / ends == pytest.approx(6.0, abs=0.15)


def test_runs_keep_the_prior_also_where_it_moves() -> None:
    """Long runs over a sudden drift: right after it no image is of the old subset."""
    source = stream(SuddenDrift(Every(5, 25)), run_length=20.0, replacement=True)
    plan = source.plan(np.arange(500))
    _, labels = drawn(source, np.arange(500))
    segments = plan.segment(0, 60)
    assert (plan.priors[np.arange(500)[:, None], segments, labels] > 0).all()


def test_a_range_of_sizes_is_drawn_evenly() -> None:
    """3,000 subsets of 2 to 5 classes; fails one seed in a million."""
    sizes = (stream(size=(2, 5)).plan(np.arange(3000)).priors[:, 0] > 0).sum(axis=1)
    counts = np.bincount(sizes, minlength=6)
    assert counts[:2].sum() == 0
    assert stats.chisquare(counts[2:6]).pvalue > 1e-6


@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_dirichlet_shares_have_their_distribution(alpha: float) -> None:
    """One share of a symmetric Dirichlet over 4 classes is Beta(alpha, 3 alpha): Kolmogorov-Smirnov over 2,000 clients, which
    fails one seed in a million."""
    members = np.zeros((2000, 6), dtype=bool)
    members[:, 1:5] = True
    weights = ClassWeights(3, Dirichlet(alpha), 1.0, np.full(6, 1 / 6))
    share = weights.inside(np.arange(2000), 0, members)
    assert (share[:, [0, 5]] == 0).all()
    assert stats.kstest(share[:, 2], stats.beta(alpha, 3 * alpha).cdf).pvalue > 1e-6


def test_a_tiny_dirichlet_leaves_one_class_and_no_nan() -> None:
    weights = ClassWeights(3, Dirichlet(1e-4), 1.0, np.full(6, 1 / 6))
    share = weights.inside(np.arange(100), 0, np.ones((100, 6), dtype=bool))
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    assert (share.max(axis=1) > 0.99).mean() > 0.9


def test_wrapping_around_is_a_new_shuffle_each_time() -> None:
    images = GroupedImages.of(np.zeros(4, dtype=np.int64), 1)
    weights = ClassWeights(1, Uniform(), 1.0, np.array([1.0]))
    source = Stream(1, 12, NoDrift(), SubsetSampler(1, np.array([0]), None), weights, images)
    seen, _ = drawn(source, np.arange(20), length=5)
    for row in seen.tolist():
        assert sorted(row[:4]) == [0, 1, 2, 3] == sorted(row[4:8]) == sorted(row[8:])
    assert not np.array_equal(seen[:, :4], seen[:, 4:8])
