"""Bank policies: the shipped checks on every one, and what each keeps, worked out by hand or tested against its law."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from iciia import ICIIA
from iciia.banks.storage import STORAGES
from iciia.policies import POLICIES, Arrival, Decay, DriftReset, Evidence, Fifo, Policy, Slots, make_policy
from iciia.policies.plan import FifoKeeper, PolicyKeeper
from iciia.testing import check_bank, check_policy

every_policy = pytest.mark.parametrize("name", list(POLICIES))


class Newest(Policy):
    """A policy of one's own: keeps the first N - 1 images and the newest."""

    name = "newest"

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return np.full(len(slots.step), slots.step.shape[1] - 1)


class Sociable(Fifo):
    """Looks at how many neighbours there are."""

    name = "sociable"

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return np.full(len(slots.step), len(slots.step) // 2 % slots.step.shape[1])


class Clairvoyant(Fifo):
    """Looks at the last image of its chunk."""

    name = "clairvoyant"

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return arrival.evidence.predicted[:, -1].astype(np.int64) % slots.step.shape[1]


class Forgetful(Fifo):
    """Goes by the place in the chunk instead of the step."""

    name = "forgetful"

    def evict(self, slots: Slots, arrival: Arrival) -> NDArray[np.integer]:
        return np.full(len(slots.step), arrival.position % slots.step.shape[1])


def follow(policy: Policy, capacity: int, logits: list[list[float]], features: Any = None, clients: int = 1) -> Slots:
    """The banks after a stream that is the same for all clients."""
    x = torch.tensor(logits).expand(clients, -1, -1)
    z = torch.zeros(clients, len(logits), 2) if features is None else torch.tensor(features).expand(clients, -1, -1)
    slots = policy.start(clients, capacity, z.shape[2], x.shape[2])
    _, keeper = PolicyKeeper(policy, slots, np.arange(clients), 0).plan(Evidence(z, x))
    return keeper.slots


def of_class(*classes: int, surety: float = 5.0) -> list[list[float]]:
    return [[surety * (c == other) for other in range(4)] for c in classes]


def steps(slots: Slots) -> list[int]:
    return sorted(slots.step[0].tolist())


@every_policy
def test_every_policy_passes_the_shipped_checks(name: str) -> None:
    check_policy(make_policy(name))


@pytest.mark.parametrize(
    "policy", [Decay(window=5), DriftReset(recent=4, threshold=0.5), Newest()], ids=lambda p: p.name
)
def test_policies_with_arguments_pass_too(policy: Policy) -> None:
    check_policy(policy)


@pytest.mark.parametrize("context", ["stream", "set"])
@pytest.mark.parametrize("storage", list(STORAGES))
@every_policy
def test_every_policy_in_every_storage(name: str, storage: str, context: str) -> None:
    torch.manual_seed(0)
    head = "residual" if context == "stream" else "replaced"
    module = ICIIA(12, 6, layers=2, heads=2, partitions=2, context=context, head=head)  # type: ignore[arg-type]
    torch.nn.init.normal_(module.classifier.weight)
    for capacity in (0, 3):
        check_bank(module, capacity, STORAGES[storage], make_policy(name))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Sociable(), "sociable at capacity 3: a client's bank depends on its cohort"),
        (Clairvoyant(), "clairvoyant: in a chunk, target . sees other images than its bank holds"),
        (Forgetful(), "forgetful: in a chunk, target . sees other images than its bank holds"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_checks_find_bad_policies(policy: Policy, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_policy(policy, capacities=(3,))


@pytest.mark.parametrize("capacity", [1, 3, 20])
def test_the_fast_fifo_is_the_general_one(capacity: int) -> None:
    evidence = Evidence(torch.zeros(2, 9, 2), torch.zeros(2, 9, 3))
    fast: Any = FifoKeeper(capacity)
    general: Any = PolicyKeeper(Fifo(), Fifo().start(2, capacity, 2, 3), np.arange(2), 0)
    for _ in range(3):
        (plan, fast), (other, general) = fast.plan(evidence), general.plan(evidence)
        assert torch.equal(plan.visible.expand(2, -1, -1), other.visible)
        steps_there = general.steps()
        assert torch.equal(torch.where(fast.steps() >= 0, fast.steps(), -1).expand(2, -1), steps_there)


def test_a_reservoir_is_a_uniform_sample() -> None:
    """4,000 clients, 5 of 20: each image is kept with probability 1/4. Chi-square with 19 degrees of freedom (sampling without
    replacement only narrows it); fails once in a million if all is right."""
    slots = follow(make_policy("reservoir"), 5, of_class(*[0] * 20), clients=4000)
    count = np.bincount(slots.step.ravel(), minlength=20)
    assert count.sum() == 20_000
    assert ((count - 1000) ** 2 / 1000).sum() < stats.chi2.isf(1e-6, 19)


def test_class_balanced_takes_from_the_largest_class() -> None:
    slots = follow(make_policy("class_balanced"), 4, of_class(0, 1, 0, 0, 2, 3))
    assert sorted(slots.records["predicted"][0].tolist()) == [0, 1, 2, 3]


def test_class_balanced_takes_at_random_inside_it() -> None:
    """Images 0 to 3 are alike; the fifth takes the place of each equally often: chi-square, one in a million."""
    slots = follow(make_policy("class_balanced"), 4, of_class(0, 0, 0, 0, 1), clients=4000)
    gone = 4000 - np.bincount(slots.step.ravel(), minlength=5)[:4]
    assert gone.sum() == 4000
    assert ((gone - 1000) ** 2 / 1000).sum() < stats.chi2.isf(1e-6, 3)


def test_confident_keeps_the_surest() -> None:
    stream = [[s, 0.0, 0.0, 0.0] for s in (1.0, 4.0, 2.0, 5.0, 3.0)]
    assert steps(follow(make_policy("confident"), 2, stream)) == [1, 3]


def test_diverse_keeps_the_outlier() -> None:
    crowd, outlier = [1.0, 0.05], [-1.0, 0.3]
    features = [crowd, outlier, crowd, crowd, crowd]
    assert steps(follow(make_policy("diverse"), 2, of_class(0, 0, 0, 0, 0), features)) == [1, 4]


def test_cstu_gives_every_class_its_room() -> None:
    """Two classes, room for two each: the fifth image, of the full class 0, competes there, where the oldest loses."""
    slots = follow(make_policy("cstu"), 4, of_class(0, 1, 0, 1, 0))
    assert steps(slots) == [1, 2, 3, 4]
    assert sorted(slots.records["predicted"][0].tolist()) == [0, 0, 1, 1]


def test_cstu_refuses_what_is_unsure() -> None:
    sure, unsure = of_class(0, 0, surety=9.0), of_class(0, surety=0.01)
    assert steps(follow(make_policy("cstu"), 2, sure + unsure)) == [0, 1]


def test_decay_forgets_what_is_too_old() -> None:
    slots = follow(Decay(window=3), 10, of_class(*[0] * 9))
    assert steps(slots) == [-1] * 7 + [6, 7, 8]


def test_drift_reset_forgets_the_old_subset() -> None:
    """Classes 0 and 1, then 2 and 3: after the drift the bank holds the new ones alone."""
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 2, 40), 2 + rng.integers(0, 2, 30)
    stream = of_class(*before.tolist(), *after.tolist(), surety=6.0)
    slots = follow(DriftReset(recent=8), 64, stream)
    held = slots.step[0][slots.step[0] >= 0]
    assert 40 <= held.min() <= 48
    assert held.max() == 69


def test_drift_reset_rarely_forgets_without_a_drift() -> None:
    """200 clients, 8 of 64 classes each in 300 images without a drift. A bound that we chose, on draws that are fixed: fewer than
    2 % of the clients lose images."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 8, (200, 300)) + 8 * rng.integers(0, 8, (200, 1))
    logits = torch.nn.functional.one_hot(torch.from_numpy(labels), 64) * 6.0
    slots = DriftReset().start(200, 300, 2, 64)
    _, keeper = PolicyKeeper(DriftReset(), slots, np.arange(200), 0).plan(Evidence(torch.zeros(200, 300, 2), logits))
    assert (keeper.slots.step < 0).any(axis=1).mean() < 0.02


def test_draws_are_the_seeds_and_the_clients() -> None:
    one, same, other = (
        PolicyKeeper(make_policy("reservoir"), make_policy("reservoir").start(3, 4, 2, 3), np.arange(3), seed)
        for seed in (1, 1, 2)
    )
    evidence = Evidence(torch.zeros(3, 30, 2), torch.zeros(3, 30, 3))
    found = [keeper.plan(evidence)[1].slots.step for keeper in (one, same, other)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0][0], found[0][1])


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("resevoir", {}, r'got "resevoir"; did you mean "reservoir"\? \(fifo, reservoir,'),
        ("decay", {"window": 0}, "got a window of 0; expected an integer of 1 or more"),
        ("decay", {"windows": 3}, "decay does not take these arguments"),
        ("drift_reset", {"threshold": 2}, "got a threshold of 2; expected a number between 0 and 1"),
        ("drift_reset", {"recent": True}, "got recent True"),
        ("nowhere.at_all:Policy", {}, r"cannot be imported \(ModuleNotFoundError: No module named"),
        ("iciia.policies:Slots", {}, "is no subclass of Policy"),
        ("iciia.policies.base:Policy", {}, "does not take these arguments"),
    ],
)
def test_bad_policies_are_refused(kind: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_policy(kind, arguments)


def test_a_policy_by_import_path() -> None:
    assert isinstance(make_policy("iciia.policies.decay:Decay", {"window": 3}), Decay)
