"""Checks that every policy, bank, adapter and backbone passes; run them on one of your own.

    from iciia.testing import check_policy
    check_policy(MyPolicy())

A check that fails raises AssertionError and says what was found.
"""

import pickle
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters import Adapter, Chunk, Cost, Gives, Knows, Sees
from iciia.banks.bank import FeatureBank
from iciia.banks.predictions import PredictionBank
from iciia.cloud.backbone import Backbone
from iciia.contexts.iciia import ICIIA
from iciia.contexts.priors import ClientPriors
from iciia.overhead import cost_of
from iciia.policies import Evidence, Policy
from iciia.policies.plan import PolicyKeeper

CLIENTS = np.array([3, 4, 11, 2**40])
STEPS, FEATURES, CLASSES = 40, 12, 6
SEED = 5


def check_backbone(backbone: Backbone, batch: int = 1) -> None:
    """Checks that a backbone's features are what its classifier reads: the classifier of the features gives the whole model's
    logits, to 1e-4 of the largest of them, for random images at the size that it reads.

    Args:
        backbone: The backbone, in evaluation mode afterwards.
        batch: Images, or clips.

    Raises:
        AssertionError: It fails.
    """
    backbone.model.eval()
    frames = () if backbone.frames is None else (backbone.frames,)
    shape = (batch, backbone.channels, *frames, backbone.image_size, backbone.image_size)
    images = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(SEED))
    with torch.inference_mode():
        features, logits = backbone.forward(images)
        whole = backbone.model(((images.float() / 255 - backbone.mean) / backbone.std).to(logits))
    assert features.shape == (batch, backbone.feature_dim), f"features are {tuple(features.shape)}"
    assert logits.shape == (batch, backbone.classes), f"logits are {tuple(logits.shape)}"
    off, largest = (logits - whole).abs().max().item(), whole.abs().max().item()
    assert largest > 0, "the model's logits are all zero, which proves nothing"
    assert off <= 1e-4 * largest, (
        f"the classifier of the features is off by {off:.3g}, where logits reach {largest:.3g}"
    )


def example(clients: int = len(CLIENTS), steps: int = STEPS, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Features [K, T, 12] and logits [K, T, C] whose classes change halfway."""
    random = torch.Generator().manual_seed(1)
    labels = torch.randint(classes // 2, (clients, steps), generator=random)
    labels[:, steps // 2 :] += classes - classes // 2
    logits = torch.randn(clients, steps, classes, generator=random) + 3 * torch.nn.functional.one_hot(labels, classes)
    features = torch.randn(clients, steps, FEATURES, generator=random) + labels.unsqueeze(-1)
    return features, logits


def check_policy(policy: Policy, capacities: tuple[int, ...] = (0, 1, 3, 8, STEPS + 5)) -> None:
    """Checks a policy.

    For each capacity: any split of the stream puts every image into exactly the same slot; a client's bank does not depend on the
    others of its cohort; a state that was pickled goes on the same; the future changes nothing; a bank holds at most N different
    images, all of them seen; state bytes are as the formula says; and the policy itself is picklable.

    Args:
        policy: The policy.
        capacities: Bank capacities to check with.

    Raises:
        AssertionError: It fails one.
    """
    policy = pickle.loads(pickle.dumps(policy))
    for capacity in capacities:
        said = f"{policy.name} at capacity {capacity}"
        features, logits = example()
        whole = _follow(_keeper(policy, capacity, CLIENTS), features, logits, STEPS)
        for length in (1, 7):
            split = _follow(_keeper(policy, capacity, CLIENTS), features, logits, length)
            assert np.array_equal(split, _ends(whole, length)), (
                f"{said}: chunks of {length} put images into other slots than single steps"
            )
        alone = _follow(_keeper(policy, capacity, CLIENTS[2:3]), features[2:3], logits[2:3], 1)
        assert np.array_equal(alone, whole[:, 2:3]), f"{said}: a client's bank depends on its cohort"
        _check_contents(whole, capacity, said)
        changed = logits.clone()
        changed[:, STEPS // 2 :] = changed[:, STEPS // 2 :].flip(-1)
        later = _follow(_keeper(policy, capacity, CLIENTS), features, changed, STEPS)
        assert np.array_equal(later[: STEPS // 2], whole[: STEPS // 2]), f"{said}: the future changes the past"
        _check_travel(policy, capacity, features, logits, said)


def check_bank(
    module: ICIIA | ClientPriors, capacity: int, storage: torch.dtype = torch.float32, policy: Policy | None = None
) -> None:
    """Checks a module with a kind of bank: a chunk scores as its steps do, and a bank takes the bytes that the formula
    says.

    To 1e-5 in float32. Smaller storages round, and what lies on the edge between two stored numbers can fall to either side:
    scores may then differ by what one rounding is worth, 1e-3 in float16 and 1e-2 in bfloat16 and int8.

    Args:
        module: Of 12 features and 6 classes.
        capacity: N.
        storage: How the bank keeps its numbers.
        policy: Which images it keeps.

    Raises:
        AssertionError: It fails one.
    """
    module.eval()
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-3}.get(storage, 1e-2)
    features, logits = example()
    with torch.inference_mode():
        bank = module.empty_bank(CLIENTS, capacity, storage, policy, SEED)
        whole, bank = module(features, logits, bank)
        for length in (1, 7):
            other, parts = module.empty_bank(CLIENTS, capacity, storage, policy, SEED), []
            for start in range(0, STEPS, length):
                part = slice(start, start + length)
                scores, other = module(features[:, part], logits[:, part], other)
                parts.append(scores)
            torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=tolerance, atol=tolerance)
    measured, formula = bank.state_bytes, cost_of(module, capacity, storage, policy).state_bytes
    assert measured == formula, f"a bank takes {measured} bytes a client, and the formula says {formula}"


def example_chunk(
    sees: Sees = "images", clients: int = 3, steps: int = 24, features: int = FEATURES + 4, classes: int = CLASSES
) -> Chunk:
    """Features [K, T, D] and logits [K, T, C] whose classes change halfway, with what an adapter that `sees` it is shown."""
    random = torch.Generator().manual_seed(2)
    labels = torch.randint((classes + 1) // 2, (clients, steps), generator=random)
    labels[:, steps // 2 :] += classes // 2
    logits = torch.randn(clients, steps, classes, generator=random) + 2 * torch.nn.functional.one_hot(labels, classes)
    means = torch.randn(classes, features, generator=random)
    z = torch.randn(clients, steps, features, generator=random) + means[labels]
    prior = torch.rand(clients, steps, classes, generator=random) if sees == "prior" else None
    if prior is not None:
        prior = prior / prior.sum(dim=2, keepdim=True)
    past = torch.cat([torch.full((clients, 1), -1), labels[:, :-1]], dim=1) if sees == "past_labels" else None
    return Chunk(z, logits, prior, past)


def check_adapter(adapter: Adapter, chunk: Chunk) -> None:
    """Checks an adapter on a chunk of several clients.

    It says what it is and what it costs; scores are numbers, one for each class; nothing of a client is kept outside its state.
    Steps score as the chunk does, to 1e-5; clients do not meet; the future changes nothing; no label and no prior is looked at
    unless `sees` says so; a state that was pickled goes on the same; a client's state takes no more bytes than stated, and
    exactly as many once `capacity` images have been seen; in a set, each image scores as if it had come last.

    Args:
        adapter: The adapter.
        chunk: At least 2 clients and 4 steps, with what the adapter sees; see `example_chunk`.

    Raises:
        AssertionError: It fails one.
    """
    clients, steps = chunk.features.shape[:2]
    numbers = np.arange(clients)
    everybody, half = slice(None), steps // 2
    _check_declared(adapter)
    whole, _ = adapter.predict(adapter.start(numbers, SEED), chunk)
    _check_scores(adapter, chunk, whole)
    _check_apart(adapter, chunk)
    state, found = adapter.start(numbers, SEED), []
    for t in range(steps):
        scores, state = adapter.predict(state, _part(chunk, everybody, slice(t, t + 1)))
        found.append(scores)
    _close(torch.cat(found, dim=1), whole, "one image at a time scores differently from the chunk")
    _check_bytes(adapter, state, clients, steps)
    alone, _ = adapter.predict(adapter.start(numbers[-1:], SEED), _part(chunk, slice(clients - 1, clients), everybody))
    _close(alone, whole[-1:], "a client alone scores differently from the same client among others")
    first, state = adapter.predict(adapter.start(numbers, SEED), _part(chunk, everybody, slice(0, half)))
    _close(first, whole[:, :half], "the future changes the past")
    travelled = pickle.loads(pickle.dumps(state))  # before it is used up
    rest = _part(chunk, everybody, slice(half, steps))
    here, there = adapter.predict(state, rest)[0], adapter.predict(travelled, rest)[0]
    assert torch.equal(here, there), "a state that was pickled goes on differently"
    _check_sees(adapter, chunk, whole)
    size = min(steps, 6 if adapter.capacity is None else adapter.capacity + 1, 6)
    if adapter.sees != "past_labels":  # no image of a set is the past of all others
        _check_sets(adapter, numbers, _part(chunk, everybody, slice(0, size)), whole[:, size - 1])


DECLARED = {"sees": get_args(Sees), "gives": get_args(Gives), "knows": get_args(Knows)}
"""What the attributes of an adapter that say what it is may be."""


def _check_declared(adapter: Adapter) -> None:
    kind = getattr(adapter, "kind", None)
    assert isinstance(kind, str), f"its `kind` is {kind!r}; give the class a string, by which reports call it"
    for name, allowed in DECLARED.items():
        value = getattr(adapter, name)
        assert value in allowed, f"its `{name}` is {value!r}; expected one of {', '.join(allowed)}"
    assert isinstance(adapter.of_classes, bool), f"its `of_classes` is {adapter.of_classes!r}; expected True or False"
    capacity = adapter.capacity
    assert capacity is None or type(capacity) is int, f"its `capacity` is {capacity!r}; expected an integer or None"
    cost = adapter.cost()
    assert isinstance(cost, Cost), f"its cost is {cost!r}; expected an iciia.Cost"
    for name, count in vars(cost).items():
        assert type(count) is int, f"`{name}` of its cost is {count!r}; expected an integer"
        assert count >= 0, f"`{name}` of its cost is {count!r}; expected 0 or more"


def _check_scores(adapter: Adapter, chunk: Chunk, whole: Any) -> None:
    assert isinstance(whole, Tensor), f"scores are a {type(whole).__name__}; expected a tensor"
    assert whole.shape == chunk.logits.shape, f"scores are {tuple(whole.shape)}; expected {tuple(chunk.logits.shape)}"
    assert whole.is_floating_point(), f"scores are {whole.dtype}; expected floating-point numbers"
    strange = int(whole.isnan().any(dim=2).sum())
    assert not strange, f"scores of {strange} of {whole.shape[0] * whole.shape[1]} images are not numbers"
    alarms = adapter.alarms
    told = None if alarms is None else (getattr(alarms, "shape", None), getattr(alarms, "dtype", None))
    expected = tuple(chunk.logits.shape[:2])
    assert told in (None, (expected, np.dtype(bool))), f"`alarms` are {told}; expected an array of bool, {expected}"


def _check_apart(adapter: Adapter, chunk: Chunk) -> None:
    """A cohort predicts the same with another one in between."""
    numbers, everybody = np.arange(chunk.features.shape[0]), slice(None)
    early, late = (_part(chunk, everybody, steps) for steps in _halves(chunk))
    _, state = adapter.predict(adapter.start(numbers, SEED), early)
    undisturbed, _ = adapter.predict(state, late)
    first, second = (adapter.start(numbers, SEED) for _ in range(2))
    _, first = adapter.predict(first, early)
    adapter.predict(second, late)
    disturbed, _ = adapter.predict(first, late)
    _close(disturbed, undisturbed, "what other clients see in between changes its scores; their state is shared")


def _halves(chunk: Chunk) -> tuple[slice, slice]:
    half = chunk.features.shape[1] // 2
    return slice(0, half), slice(half, chunk.features.shape[1])


def allocated_bytes(state: Any) -> int:
    """Bytes of all tensors and arrays inside a state, whole storages counted, each once."""
    storages: dict[int, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, Tensor):
            storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, np.ndarray):
            owner = value if value.base is None else value.base
            storages[value.__array_interface__["data"][0]] = getattr(owner, "nbytes", value.nbytes)
        elif isinstance(value, dict):
            visit([*value.values()])
        elif isinstance(value, list | tuple):
            for one in value:
                visit(one)
        elif hasattr(value, "__dict__"):
            visit(vars(value))

    visit(state)
    return sum(storages.values())


def _check_bytes(adapter: Adapter, state: Any, clients: int, steps: int) -> None:
    stated = adapter.cost().state_bytes
    measured = (
        state.state_bytes if isinstance(state, FeatureBank | PredictionBank) else allocated_bytes(state) / clients
    )
    full = adapter.capacity is not None and steps >= adapter.capacity
    assert measured == stated or (measured < stated and not full), (
        f"a client's state takes {measured:,.0f} bytes after {steps} images, and {stated:,} are stated"
    )


def _check_sees(adapter: Adapter, chunk: Chunk, whole: Tensor) -> None:
    """Fills in what the adapter should not see, in two ways, and compares."""
    clients, steps, classes = chunk.logits.shape
    random = torch.Generator().manual_seed(SEED)
    for _ in range(2):
        prior = torch.rand(clients, steps, classes, generator=random)
        labels = torch.randint(classes, (clients, steps), generator=random)
        shown = Chunk(
            chunk.features,
            chunk.logits,
            chunk.prior if adapter.sees == "prior" else prior / prior.sum(dim=2, keepdim=True),
            chunk.past_labels if adapter.sees == "past_labels" else labels,
        )
        found, _ = adapter.predict(adapter.start(np.arange(clients), SEED), shown)
        _close(found, whole, f"it looks at more than it declares to see ({adapter.sees})")


def _close(found: Tensor, expected: Tensor, fault: str) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, msg=lambda text: f"{fault}: {text}")


def _check_sets(adapter: Adapter, clients: NDArray[np.int64], chunk: Chunk, streamed: Tensor) -> None:
    """Sets that a bank has room for: `streamed` are the scores of their last images on a stream."""
    torch.testing.assert_close(adapter.predict_last(clients, SEED, chunk), streamed, rtol=1e-5, atol=1e-5)
    scores = adapter.predict_set(clients, SEED, chunk)
    places = np.arange(chunk.features.shape[1])
    for target in places:
        last = adapter.predict_last(clients, SEED, chunk.at(np.append(np.delete(places, target), target)))
        torch.testing.assert_close(scores[:, target], last, rtol=1e-5, atol=1e-5)


def _part(chunk: Chunk, clients: slice, steps: slice) -> Chunk:
    parts = (chunk.features, chunk.logits, chunk.prior, chunk.past_labels)
    features, logits, prior, past_labels = (None if part is None else part[clients, steps] for part in parts)
    assert features is not None
    assert logits is not None
    return Chunk(features, logits, prior, past_labels)


def _keeper(policy: Policy, capacity: int, clients: NDArray[np.int64]) -> PolicyKeeper:
    slots = policy.start(len(clients), capacity, FEATURES, CLASSES)
    return PolicyKeeper(policy, slots, clients, SEED)


def _follow(keeper: PolicyKeeper, features: Tensor, logits: Tensor, length: int) -> NDArray[np.int64]:
    """Step of arrival of each slot's image after every chunk; after every step if there is only one chunk, [*, K, N]."""
    steps = features.shape[1]
    if length == steps:  # read it off the plan of the whole
        return _unroll(keeper, features, logits)
    found = []
    for start in range(0, steps, length):
        part = slice(start, start + length)
        _, keeper = keeper.plan(Evidence(features[:, part], logits[:, part]))
        found.append(keeper.slots.step.astype(np.int64))
    return np.stack(found)


def _unroll(keeper: PolicyKeeper, features: Tensor, logits: Tensor) -> NDArray[np.int64]:
    """The same for one chunk, from the slots that single steps would choose and the mask of the whole chunk."""
    clients, capacity = keeper.slots.step.shape
    single = PolicyKeeper(
        keeper.policy, keeper.policy.start(clients, capacity, FEATURES, CLASSES), keeper.clients, keeper.seed
    )
    plan, _ = keeper.plan(Evidence(features, logits))
    visible = plan.visible.expand(clients, -1, -1).numpy()
    found = []
    for t in range(features.shape[1]):
        held = visible[:, t, capacity:].copy()
        held[:, t] = False
        step = single.slots.step
        for k in range(clients):
            expected = np.sort(step[k][step[k] >= 0])
            assert np.array_equal(np.flatnonzero(held[k]), expected), (
                f"{keeper.policy.name}: in a chunk, target {t} sees other images than its bank holds"
            )
        _, single = single.plan(Evidence(features[:, t : t + 1], logits[:, t : t + 1]))
        found.append(single.slots.step.astype(np.int64))
    assert np.array_equal(found[-1], keeper.slots.step), f"{keeper.policy.name}: a chunk ends in other slots than steps"
    return np.stack(found)


def _ends(whole: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """What a chunk of each length leaves: every `length` steps, and at the end."""
    last = [*range(length - 1, len(whole), length)]
    return whole[sorted({*last, len(whole) - 1})]


def _check_contents(whole: NDArray[np.int64], capacity: int, said: str) -> None:
    """No image twice, none from the future, and as many as there is room for unless the policy forgets."""
    for t, banks in enumerate(whole):
        for bank in banks:
            held = bank[bank >= 0]
            assert len(held) <= capacity, f"{said}: holds {len(held)} images"
            assert len(np.unique(held)) == len(held), f"{said}: holds an image twice"
            assert (held <= t).all(), f"{said}: holds an image that has not arrived"


def _check_travel(policy: Policy, capacity: int, features: Tensor, logits: Tensor, said: str) -> None:
    half = STEPS // 2
    bank = FeatureBank.empty(CLIENTS, capacity, 1, FEATURES, CLASSES, policy=policy, seed=SEED)
    _, bank = bank.plan(Evidence(features[:, :half], logits[:, :half]))
    travelled = pickle.loads(pickle.dumps(bank))
    rest = Evidence(features[:, half:], logits[:, half:])
    (here, after), (there, _) = bank.plan(rest), travelled.plan(rest)
    assert torch.equal(here.visible, there.visible), f"{said}: a state that was pickled goes on differently"
    formula = policy.state_bytes(capacity, FEATURES, CLASSES) + capacity * FEATURES * 4
    assert after.state_bytes == formula, f"{said}: takes {after.state_bytes} bytes; the formula says {formula}"
