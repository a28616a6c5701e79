"""Streams: worked out by hand, the same in any company, and with the shares they promise."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sim.drift import Drift, NoDrift, Plan, SuddenDrift
from sim.stream import ImagesByClass, Stream
from sim.subset import ClassWeights, SubsetSampler

CLASSES, PER_CLASS = 12, 30
SUPERCLASS = np.arange(CLASSES) // 3
LABELS = np.tile(np.arange(CLASSES), PER_CLASS)


def stream(
    drift: Drift | None = None,
    steps: int = 60,
    size: int | None = None,
    exponent: float = 0.0,
    reserve_ratio: float = 1.0,
    replacement: bool = False,
    seed: int = 5,
) -> Stream:
    images = ImagesByClass.of(LABELS, CLASSES)
    return Stream(
        seed,
        steps,
        drift or NoDrift(),
        SubsetSampler(seed, SUPERCLASS, size),
        ClassWeights(seed, exponent, reserve_ratio, np.full(CLASSES, 1 / CLASSES)),
        images,
        replacement,
    )


def drawn(source: Stream, clients: NDArray[np.int64], length: int = 7) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    chunks = list(source.chunks(clients, length))
    return np.concatenate([c.images for c in chunks], axis=1), np.concatenate([c.labels for c in chunks], axis=1)


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("drift", [NoDrift(), SuddenDrift(5, 20, 0.3, stagger=True)], ids=["none", "sudden"])
def test_a_client_sees_the_same_in_any_company(drift: Drift, replacement: bool) -> None:
    source = stream(drift, replacement=replacement)
    cohort_64, _ = drawn(source, np.arange(64))
    cohort_7, _ = drawn(source, np.arange(20, 27), length=60)
    alone, _ = drawn(source, np.array([23]), length=1)
    assert np.array_equal(cohort_64[20:27], cohort_7)
    assert np.array_equal(cohort_64[23:24], alone)


def test_images_are_of_their_labels() -> None:
    images, labels = drawn(stream(SuddenDrift(5, 20)), np.arange(16))
    assert np.array_equal(LABELS[images], labels)


def test_six_steps_by_hand() -> None:
    """Two classes, a drift at step 3, no choice left but the order of images: classes 0 0 0 1 1 1."""

    class ByHand:
        def plan(self, clients: NDArray[np.integer], steps: int, subsets: object, weights: object) -> Plan:
            k = len(clients)
            priors = np.zeros((k, 2, 2))
            priors[:, 0, 0] = priors[:, 1, 1] = 1.0
            return Plan(np.tile([0, 3], (k, 1)), priors, np.tile([0.0, 1.0], (k, 1)), np.full((k, 2), -1))

    images = ImagesByClass.of(np.array([1, 0, 1, 0, 1, 0]), 2)
    weights = ClassWeights(0, 0.0, 1.0, np.array([0.5, 0.5]))
    source = Stream(0, 6, ByHand(), SubsetSampler(0, np.array([0, 1]), None), weights, images)
    seen, labels = drawn(source, np.arange(50), length=4)
    assert labels.tolist() == [[0, 0, 0, 1, 1, 1]] * 50
    assert all(sorted(row[:3]) == [1, 3, 5] and sorted(row[3:]) == [0, 2, 4] for row in seen.tolist())


def test_without_replacement_no_image_comes_twice() -> None:
    images, _ = drawn(stream(SuddenDrift(5, 20)), np.arange(40))
    assert all(len(set(row)) == len(row) for row in images.tolist())


def test_every_order_is_equally_likely() -> None:
    """Four images, 24 orders, 24,000 clients: a chi-square test that fails one seed in a million."""
    images = ImagesByClass.of(np.zeros(4, dtype=np.int64), 1)
    weights = ClassWeights(1, 0.0, 1.0, np.array([1.0]))
    source = Stream(1, 4, NoDrift(), SubsetSampler(1, np.array([0]), None), weights, images)
    seen, _ = drawn(source, np.arange(24_000), length=3)
    counts = Counter(map(tuple, seen.tolist()))
    assert len(counts) == 24
    assert stats.chisquare(list(counts.values())).pvalue > 1e-6


@pytest.mark.parametrize(
    ("exponent", "reserve_ratio", "size"), [(0.0, 1.0, None), (1.0, 1.0, 4), (0.0, 0.5, 3), (1.2, 0.7, None)]
)
def test_drawn_shares_match_the_prior(exponent: float, reserve_ratio: float, size: int | None) -> None:
    """Chi-square of 60,000 draws against each client's prior, pooled; fails one seed in a million."""
    source = stream(None, 60, size, exponent, reserve_ratio, replacement=True)
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
    prior = stream(exponent=1.0, size=3).plan(np.arange(5)).priors
    np.testing.assert_allclose(prior.sum(axis=2), 1.0)
    weights = np.array([1, 1 / 2, 1 / 3]) / (1 + 1 / 2 + 1 / 3)
    np.testing.assert_allclose(np.sort(prior[0, 0])[::-1][:3], weights)


def test_reserve_ratio_mixes_with_everybody() -> None:
    prior = stream(reserve_ratio=0.25).plan(np.array([0])).priors[0, 0]
    np.testing.assert_allclose(sorted(set(prior.round(9))), [0.75 / 12, 0.25 / 3 + 0.75 / 12])


def test_sudden_drift_at_once() -> None:
    plan = stream(SuddenDrift(5, 25)).plan(np.arange(8))
    assert plan.starts.tolist() == [[0, 25, 50]] * 8
    assert (plan.severity == [[0.0, 1.0, 1.0]] * 8).all()
    assert (plan.superclass[:, 1:] != plan.superclass[:, :-1]).all()


def test_a_drift_on_the_last_step_is_one_and_beyond_it_none() -> None:
    assert stream(SuddenDrift(5, 59)).plan(np.arange(1)).starts.tolist() == [[0, 59]]
    assert stream(SuddenDrift(5, 60)).plan(np.arange(1)).starts.tolist() == [[0]]


def test_staggered_drifts_begin_uniformly() -> None:
    """First drifts of 5,000 clients over 20 places; fails one seed in a million. Later ones follow every 20 images."""
    plan = stream(SuddenDrift(5, 20, stagger=True)).plan(np.arange(5000))
    first = np.bincount(plan.starts[:, 1], minlength=21)[1:]
    assert len(first) == 20
    assert stats.chisquare(first).pvalue > 1e-6
    real = (plan.starts[:, 2:] < 60) & (plan.starts[:, 1:-1] < 60)
    assert set((plan.starts[:, 2:] - plan.starts[:, 1:-1])[real].tolist()) == {20}


@pytest.mark.parametrize(("overlap", "kept"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)])
def test_overlap_keeps_its_share_of_classes(overlap: float, kept: int) -> None:
    plan = stream(SuddenDrift(5, 20, overlap), size=4).plan(np.arange(200))
    members = plan.priors > 0
    assert (members.sum(axis=2) == 4).all()
    assert ((members[:, 1:] & members[:, :-1]).sum(axis=2) == kept).all()
    np.testing.assert_allclose(plan.severity[:, 1:], 1 - kept / 4)


def test_overlap_of_superclasses_stays_beside_the_new_one() -> None:
    plan = stream(SuddenDrift(5, 20, 1 / 3)).plan(np.arange(50))
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
