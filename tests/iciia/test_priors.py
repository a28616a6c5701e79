"""The module of class priors: causal, the same image by image and in chunks, the backbone without a bank, blind to how classes are
numbered, never far from its best prior, and as cheap and small as its formulas say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from iciia import ClientPriors, Source
from iciia.adapters import IciiaAdapter, SuperclassFilterAdapter
from iciia.adapters.base import Chunk
from iciia.banks.predictions import PredictionBank, highest, prediction_bytes
from iciia.cloud.calibration import fit_temperature
from iciia.cloud.features import ArrayStore
from iciia.cloud.priors import Parts, train_priors
from iciia.cloud.refit import fit, restrict
from iciia.cloud.train import BLOCK, Recipe
from iciia.contexts.mixture import PriorMixture
from iciia.contexts.recent import Unbounded
from iciia.overhead import cost_of, macs_priors
from iciia.policies import make_policy
from iciia.testing import check_adapter, check_bank, example, example_chunk

STORAGES = [torch.float32, torch.float16, torch.bfloat16, torch.int8]


def make(
    classes: int = 6, superclasses: int = 0, features: int = 12, keep: int = 4, shortlist: int = 3
) -> ClientPriors:
    torch.manual_seed(1)
    module = ClientPriors(features, classes, superclasses, shortlist, keep).eval()
    with torch.no_grad():
        module.refit.weight.normal_(std=0.1)
        if superclasses:
            module.mixture.superclass.copy_(torch.arange(classes) % superclasses)
    return module


def everything(module: ClientPriors, features: Tensor, logits: Tensor, capacity: int = 64) -> Tensor:
    with torch.inference_mode():
        found, _ = module(features, logits, module.empty_bank(len(features), capacity))
    return found


@pytest.mark.parametrize("superclasses", [0, 3])
@pytest.mark.parametrize("storage", STORAGES, ids=str)
@pytest.mark.parametrize("policy", ["fifo", "reservoir", "class_balanced", "drift_reset"])
@pytest.mark.parametrize("capacity", [0, 1, 5, 80])
def test_a_chunk_equals_its_steps(superclasses: int, storage: torch.dtype, policy: str, capacity: int) -> None:
    check_bank(make(superclasses=superclasses), capacity, storage, make_policy(policy, {}))


@pytest.mark.parametrize("superclasses", [0, 2])
def test_it_keeps_what_every_adapter_must(superclasses: int) -> None:
    chunk = example_chunk()
    module = make(chunk.logits.shape[-1], superclasses, chunk.features.shape[-1])
    check_adapter(IciiaAdapter(module, 8), chunk)


def test_a_superclass_without_classes_changes_nothing_to_nan() -> None:
    features, logits = example()
    module = make(superclasses=4)
    with torch.no_grad():
        module.mixture.superclass.copy_(torch.arange(module.mixture.superclass.numel()) % 2)
    assert everything(module, features, logits).isfinite().all()


def test_without_a_bank_it_is_the_backbone_and_keeps_nothing() -> None:
    features, logits = example()
    module = make(superclasses=2)
    found, bank = module(features, logits, module.empty_bank(len(features), 0))
    assert torch.equal(found, logits)
    assert bank.state_bytes == 0
    assert cost_of(module, 0).macs_per_image == 0


def test_the_first_image_keeps_the_backbones_logits() -> None:
    features, logits = example()
    assert torch.equal(everything(make(), features, logits)[:, 0], logits[:, 0])


def test_how_classes_are_numbered_changes_nothing() -> None:
    """Nothing in the mixture knows one class from another."""
    features, logits = example()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    module, other = make(superclasses=2, keep=6, shortlist=6), make(superclasses=2, keep=6, shortlist=6)
    with torch.no_grad():
        other.refit.weight.copy_(module.refit.weight[order])
        other.mixture.superclass.copy_(module.mixture.superclass[order])
    whole = everything(module, features, logits)
    torch.testing.assert_close(everything(other, features, logits[..., order]), whole[..., order], rtol=1e-4, atol=1e-4)


def test_training_sees_what_a_bank_sees_that_forgets_nothing() -> None:
    features, logits = example()
    module = make(superclasses=2, keep=6)
    unit = torch.nn.functional.normalize(features, dim=-1) * features.shape[-1] ** 0.5
    with torch.inference_mode():
        one_by_one = module.mixture.forward_sequences(features, module.correct(unit, logits))
    whole = everything(module, features, logits, capacity=200)
    torch.testing.assert_close(one_by_one[:, 1:], whole[:, 1:], rtol=1e-4, atol=1e-4)


def test_with_all_trust_in_the_filter_it_is_the_filter() -> None:
    """The same prior as the rival's, up to the little of the source prior that is mixed in."""
    chunk = example_chunk(classes=6)
    source = Source.blank(chunk.features.shape[-1], 6)
    assert source.superclass is not None
    mixture = PriorMixture(6, 3)
    mixture.superclass.copy_(torch.from_numpy(source.superclass))
    with torch.no_grad():
        mixture.start.fill_(-50.0)[-1] = 50.0
        mixture.floor.fill_(-50.0)
        found = mixture.forward_sequences(chunk.features, chunk.logits)
    filtered = SuperclassFilterAdapter(source)
    expected, _ = filtered.predict(filtered.start(np.arange(len(chunk.logits)), 0), chunk)
    torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), rtol=1e-3, atol=1e-4)


def test_never_far_from_its_best_prior() -> None:
    """Bayes' rule over E priors, with share a flowing back, costs at most log(E / a) nats at the start of a stretch and
    -log(1 - a) an image: here in likelihood of the images themselves, whatever they are."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(4, 60, 6)
    mixture = PriorMixture(6)
    past = Unbounded(4, 6, mixture.scales)
    trust, share = mixture.trust().expand(4, -1), torch.sigmoid(mixture.share)
    ratios = logits.softmax(-1) * 6
    own, mixed = torch.zeros(4, len(mixture.start)), torch.zeros(4)
    with torch.no_grad():
        for of_image in ratios.unbind(1):
            priors = mixture._priors(past.sums(0), torch.zeros(4, 0))
            likely = (priors @ of_image.unsqueeze(-1)).squeeze(-1)
            own, mixed = own + likely.log(), mixed + (trust * likely).sum(-1).log()
            joint = (trust.unsqueeze(1) @ priors).squeeze(1) * of_image
            past.remember(joint / joint.sum(-1, keepdim=True))
            trust = (1 - share) * trust * likely / (trust * likely).sum(-1, keepdim=True) + share * mixture.trust()
    bound = math.log(len(mixture.start)) - 60 * math.log(1 - share.item())
    assert (mixed >= own.amax(-1) - bound).all()


def test_what_a_bank_keeps_of_an_image() -> None:
    probabilities = torch.tensor([[0.1, 0.5, 0.15, 0.25]])
    kept, shares, numbers = highest(probabilities, 2, torch.float32)
    assert kept.tolist() == [[0.0, 0.5, 0.0, 0.25]]
    assert shares.tolist() == [[0.5, 0.25]]
    assert numbers.tolist() == [[1, 3]]


@pytest.mark.parametrize("superclasses", [0, 3])
def test_costs_are_what_is_multiplied_and_kept(superclasses: int) -> None:
    module, capacity = make(superclasses=superclasses), 5
    with torch.inference_mode():
        _, bank = module(torch.randn(1, 7, 12), torch.randn(1, 7, 6), module.empty_bank(1, capacity))
        with FlopCounterMode(display=False) as counter:
            module(torch.randn(1, 1, 12), torch.randn(1, 1, 6), bank)
    belief = 2 * 6 + 2 * superclasses if superclasses else 0  # the filter's sums are not counted
    cost = cost_of(module, capacity)
    assert counter.get_total_flops() // 2 == cost.macs_per_image - belief
    assert cost.macs_per_image - cost.macs_module == 3 * 12
    assert isinstance(bank, PredictionBank)
    assert bank.state_bytes == cost_of(module, capacity).state_bytes


def test_published_size() -> None:
    assert macs_priors(1280, 1000, 85, 16, 128, 4) == 242_010
    assert f"{242_010 / 216.6e6:.2%}" == "0.11%"
    assert prediction_bytes(32, 16, torch.float32, 85 + 6) == 3_500


def test_saved_and_loaded(tmp_path: Path) -> None:
    module = make(superclasses=2)
    module.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["superclasses"] == 2
    loaded = ClientPriors.from_pretrained(tmp_path).eval()
    features, logits = example()
    assert torch.equal(everything(loaded, features, logits), everything(module, features, logits))


def test_a_session_equals_the_chunk() -> None:
    features, logits = example(clients=1)
    module = make(superclasses=2)
    session = module.session(capacity=5)
    steps = torch.stack([session(*pair) for pair in zip(features[0], logits[0], strict=True)])
    torch.testing.assert_close(steps, everything(module, features, logits, 5)[0], rtol=1e-5, atol=1e-5)


def test_more_classes_than_a_bank_can_number() -> None:
    with pytest.raises(ValueError, match="got 40000 classes; a bank of predictions can number 32768"):
        ClientPriors(4, 40_000)


# --- training -----------------------------------------------------------------------------------------------------------


def cloud(images: int = 900, classes: int = 6, informative: bool = True, seed: int = 0) -> tuple[ArrayStore, Parts]:
    """Images whose features tell their classes, and a backbone whose logits tell little of them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    means = rng.standard_normal((classes, 12)) * (2 if informative else 0)
    features = (rng.standard_normal((images, 12)) + means[labels]).astype(np.float32)
    logits = (rng.standard_normal((images, classes)) + 2 * np.eye(classes)[labels]).astype(np.float32)
    numbers = np.arange(images)
    return ArrayStore(features, logits, labels), Parts(numbers[:600], numbers[600:700], numbers[700:])


def sampler(images: np.ndarray, labels: np.ndarray):  # type: ignore[no-untyped-def,type-arg]
    """Streams of two classes each."""

    def sample(rng: np.random.Generator, count: int) -> np.ndarray:  # type: ignore[type-arg]
        rows = []
        for _ in range(count):
            pair = rng.choice(6, 2, replace=False)
            rows.append(rng.choice(images[np.isin(labels[images], pair)], 30))
        return np.stack(rows)

    return sample


RECIPE = Recipe("stream", BLOCK, 4, 0.02, BLOCK)


def trained(store: ArrayStore, parts: Parts) -> tuple[ClientPriors, float | None]:
    module = ClientPriors(12, 6)
    samplers = sampler(parts.module, store.labels), sampler(parts.validation, store.labels)
    history = train_priors(module, store, parts, None, samplers, RECIPE, seed=3)
    return module, history.head_penalty


def test_the_head_comes_in_where_features_tell_more() -> None:
    store, parts = cloud()
    module, penalty = trained(store, parts)
    assert penalty is not None
    new, _ = cloud(seed=0)
    unit = torch.nn.functional.normalize(torch.from_numpy(new.features), dim=-1) * 12**0.5
    with torch.inference_mode():
        found = module.correct(unit[None], torch.from_numpy(new.logits)[None] * module.scale)[0]
    rows, labels = parts.validation, torch.from_numpy(store.labels)
    before = (torch.from_numpy(store.logits)[rows].argmax(-1) == labels[rows]).float().mean()
    assert (found[rows].argmax(-1) == labels[rows]).float().mean() > before + 0.1
    assert 0.8 < fit_temperature(found[rows].numpy(), store.labels[rows]) < 1.25


def test_the_head_stays_out_where_features_tell_nothing() -> None:
    module, penalty = trained(*cloud(informative=False, seed=2))
    assert penalty is None
    assert not module.refit.weight.any()


def test_training_is_the_same_again() -> None:
    first, second = (trained(*cloud())[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_attributes_have_a_head_and_no_mixture() -> None:
    store, parts = cloud()
    attributes = (store.labels[:, None] >> np.arange(3)) & 1
    several = ArrayStore(store.features, store.logits[:, :3], attributes)
    module = ClientPriors(12, 3, attributes=True)
    history = train_priors(module, several, parts, None, None, RECIPE, seed=3)
    assert history.head_penalty is not None
    features, logits = torch.from_numpy(store.features[None, :40]), torch.from_numpy(store.logits[None, :40, :3])
    found = everything(module, features, logits)
    assert torch.equal(found[:, 0], logits[:, 0])
    assert not torch.equal(found[:, 1:], logits[:, 1:])


def test_what_an_image_is_told_apart_from() -> None:
    random, labels = torch.Generator().manual_seed(0), torch.arange(400) % 8
    groups = torch.arange(8) // 2
    among = restrict(labels, groups, 8, random)
    assert among[torch.arange(400), labels].all()
    everything_share = among.all(1).float().mean()
    of_group = (among == (groups[labels].unsqueeze(1) == groups)).all(1).float().mean()
    # standard errors of 0.025 and 0.022; small subsets happen to be everything or the group
    assert 0.45 < everything_share < 0.7
    assert 0.2 < of_group < 0.45


def test_a_head_without_penalty_fits_better_what_it_sees() -> None:
    store, parts = cloud()
    inputs = tuple(torch.from_numpy(part[parts.module]) for part in (store.features, store.logits, store.labels))
    tight, loose = (fit(*inputs, None, penalty, 0)[0].norm() for penalty in (10.0, 0.0))
    assert tight < 0.5 * loose


def test_the_chunk_of_a_rival_and_of_the_module_are_the_same_type() -> None:
    features, logits = example()
    adapter = IciiaAdapter(make(superclasses=2), 4)
    scores, _ = adapter.predict(adapter.start(np.arange(len(features)), 0), Chunk(features, logits))
    assert scores.shape == logits.shape
    assert adapter.knows == "superclasses"
