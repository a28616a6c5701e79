"""Checks that every adapter passes: causal, chunk equals steps, clients apart, state as large as stated and picklable."""

import pickle

import numpy as np
import pytest
import torch

from iciia import (
    ICIIA,
    Adapter,
    BackboneAdapter,
    BbseAdapter,
    Chunk,
    Cost,
    EmPriorAdapter,
    FeedForwardAdapter,
    FinetunedHeadAdapter,
    IciiaAdapter,
    KnnAdapter,
    LameAdapter,
    LastLabelAdapter,
    MajorityLabelAdapter,
    OracleAdapter,
    OraclePriorAdapter,
    PriorCorrectionAdapter,
    PromptAdapter,
    PrototypeAdapter,
    Source,
    T3aAdapter,
)
from iciia.adapters import (
    ADAPTERS,
    AdaptAdapter,
    ArmCmlAdapter,
    CofaAdapter,
    FlhFtlAdapter,
    FthAdapter,
    HmmAdapter,
    IcrmAdapter,
    StataAdapter,
    SuperclassFilterAdapter,
    TdaAdapter,
)
from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.icrm import Icrm
from iciia.policies import make_policy
from iciia.testing import allocated_bytes, check_adapter, example_chunk

K, T, D, C = 3, 9, 16, 6


def adapters() -> list[Adapter]:
    torch.manual_seed(0)
    module = ICIIA(features=D, classes=C, heads=2, partitions=2)
    set_module = ICIIA(features=D, classes=C, heads=2, partitions=2, context="set", head="replaced")
    replaced = ICIIA(features=D, classes=C, layers=1, heads=2, context="set", head="replaced")
    feed_forward = ICIIA(features=D, classes=C, heads=2, partitions=2, context="none")
    for one in (module, feed_forward):
        torch.nn.init.normal_(one.classifier.weight)
    source = Source.blank(D, C)
    return [
        BackboneAdapter(),
        OracleAdapter(),
        IciiaAdapter(module, 0),
        IciiaAdapter(module, 4),
        IciiaAdapter(module, 5, policy=make_policy("reservoir")),
        IciiaAdapter(set_module, 0),
        IciiaAdapter(set_module, 4),
        IciiaAdapter(replaced, 7),
        FeedForwardAdapter(feed_forward),
        KnnAdapter(source, 8, 3),
        KnnAdapter(source, 0),
        PrototypeAdapter(source, 8),
        T3aAdapter(source, 1),
        T3aAdapter(source, 2),
        T3aAdapter(source, None),
        LameAdapter(source, 8),
        EmPriorAdapter(source, 8),
        EmPriorAdapter(source),
        BbseAdapter(source, 8),
        PriorCorrectionAdapter(source, 8),
        OraclePriorAdapter(source),
        LastLabelAdapter(source),
        MajorityLabelAdapter(source, 1),
        MajorityLabelAdapter(source, 5),
        FinetunedHeadAdapter(source, 10, 2),
        PromptAdapter(source, 10, 2),
        SuperclassFilterAdapter(source),
        HmmAdapter(source, 8),
        FthAdapter(source),
        FlhFtlAdapter(source, 3),
        CofaAdapter(source),
        TdaAdapter(source),
        AdaptAdapter(source),
        StataAdapter(source, 8),
        StataAdapter(source, 0),
        IcrmAdapter(Icrm(D, C, layers=2, heads=2, width=8, positions=100)),
        IcrmAdapter(Icrm(D, C, layers=2, heads=2, width=8, positions=6)),
        IcrmAdapter(Icrm(D, C, layers=1, heads=1, width=4, positions=1)),
        IcrmAdapter(Icrm(D, C, layers=1, heads=1, width=4, positions=30), 7),
        ArmCmlAdapter(ArmCml(D, C, width=5)),
        ArmCmlAdapter(ArmCml(D, C, width=5), 4),
    ]


def chunk() -> Chunk:
    generator = torch.Generator().manual_seed(1)
    prior = torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0, 0.0]).expand(K, T, C)
    return Chunk(torch.randn(K, T, D, generator=generator), torch.randn(K, T, C, generator=generator), prior)


every_adapter = pytest.mark.parametrize("adapter", adapters(), ids=lambda a: a.kind)


@every_adapter
def test_every_adapter_passes_the_shipped_checks(adapter: Adapter) -> None:
    check_adapter(adapter, example_chunk(adapter.sees))


def test_every_kind_is_checked() -> None:
    assert {adapter.kind for adapter in adapters()} == {*ADAPTERS}


class Peeking(BackboneAdapter):
    """Looks at the labels without saying so."""

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        if chunk.past_labels is None:
            return chunk.logits, None
        return chunk.logits + torch.nn.functional.one_hot(chunk.past_labels.clamp_min(0), C), None


class Mixing(BackboneAdapter):
    """Lets clients meet."""

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        return chunk.logits - chunk.logits.mean(dim=0), None


class Foreseeing(BackboneAdapter):
    """Looks ahead."""

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        return chunk.logits - chunk.logits.mean(dim=1, keepdim=True), None


class Hoarding(Adapter):
    """Keeps more than it states."""

    kind = "hoarding"

    def start(self, clients: np.ndarray, seed: int) -> torch.Tensor:
        return torch.zeros(len(clients), 7)

    def predict(self, state: torch.Tensor, chunk: Chunk) -> tuple[torch.Tensor, torch.Tensor]:
        return chunk.logits, state[:, :1]  # a view: all of it stays in memory

    def cost(self) -> Cost:
        return Cost(state_bytes=4)


class Nameless(Adapter):
    """Has no kind."""

    def start(self, clients: np.ndarray, seed: int) -> None:
        return None

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        return chunk.logits, None

    def cost(self) -> Cost:
        return Cost()


class Blind(BackboneAdapter):
    """Sees what there is not."""

    sees = "nothing"  # type: ignore[assignment]


class Priceless(BackboneAdapter):
    """States a cost that is no number of anything."""

    def cost(self) -> Cost:
        return Cost(macs_per_image=1.5)  # type: ignore[arg-type]


class Narrow(BackboneAdapter):
    """Leaves a class out."""

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        return chunk.logits[..., 1:], None


class Wordless(BackboneAdapter):
    """Gives no numbers where it is sure."""

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        sure = chunk.logits.softmax(dim=-1).amax(dim=-1, keepdim=True) > 0.8
        return chunk.logits.masked_fill(sure, float("nan")), None


class Hiding(BackboneAdapter):
    """Keeps what clients showed in itself, which starting afresh forgets."""

    def start(self, clients: np.ndarray, seed: int) -> None:
        self.mean = torch.zeros(len(clients), C)

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        found = []
        for logits in chunk.logits.unbind(dim=1):
            found.append(logits + self.mean)
            self.mean = (self.mean + logits) / 2
        return torch.stack(found, dim=1), None


class Crying(BackboneAdapter):
    """Raises alarms for all clients at once."""

    def predict(self, state: None, chunk: Chunk) -> tuple[torch.Tensor, None]:
        self.alarms = np.zeros(chunk.logits.shape[1], dtype=bool)
        return chunk.logits, None


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (Nameless(), "its `kind` is None; give the class a string, by which reports call it"),
        (Blind(), "its `sees` is 'nothing'; expected one of images, prior, past_labels"),
        (Priceless(), "`macs_per_image` of its cost is 1.5; expected an integer"),
        (Narrow(), r"scores are \(3, 24, 5\); expected \(3, 24, 6\)"),
        (Wordless(), "scores of [0-9]+ of 72 images are not numbers"),
        (Hiding(), "what other clients see in between changes its scores; their state is shared"),
        (Crying(), r"`alarms` are \(\(24,\), dtype\('bool'\)\); expected an array of bool, \(3, 24\)"),
        (Peeking(), r"looks at more than it declares to see \(images\)"),
        (Mixing(), "a client alone scores differently from the same client among others"),
        (Foreseeing(), "one image at a time scores differently from the chunk"),
        (Hoarding(), "a client's state takes 28 bytes after 24 images, and 4 are stated"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Adapter) else "",
)
def test_the_shipped_checks_find_what_is_wrong(adapter: Adapter, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_adapter(adapter, example_chunk())


def test_supports_fill_up_to_what_is_stated() -> None:
    """Six classes with two supports each are full after 60 images of all classes."""
    adapter = T3aAdapter(Source.blank(D, C), 2)
    generator = torch.Generator().manual_seed(3)
    logits = 99 * torch.nn.functional.one_hot(torch.arange(60) % C, C).float().unsqueeze(0)  # surer than of any row
    state = adapter.start(np.arange(1), 0)
    for start in range(0, 60, 20):
        part = slice(start, start + 20)
        _, state = adapter.predict(state, Chunk(torch.randn(1, 20, D, generator=generator), logits[:, part]))
    assert not state.row.any()
    assert allocated_bytes(state) == adapter.cost().state_bytes == 2 * C * (4 * D + 8) + C


def test_a_tuned_head_takes_what_is_stated() -> None:
    adapter = FinetunedHeadAdapter(Source.blank(D, C), 4)
    _, state = adapter.predict(adapter.start(np.arange(K), 0), example_chunk("past_labels"))
    assert allocated_bytes(state) == K * adapter.cost().state_bytes == K * 4 * C * (D + 1)


def test_diagnostics_tell_what_attention_used() -> None:
    """Weights of a target sum to one, over itself and what its bank holds; steps of arrival say which images these are."""
    module = ICIIA(features=D, classes=C, heads=2, partitions=2)
    watching = IciiaAdapter(module, 4, policy=make_policy("reservoir"), diagnostics=True)
    whole = chunk()
    first, second = (Chunk(whole.features[:, some], whole.logits[:, some]) for some in (slice(0, 5), slice(5, T)))
    _, state = watching.predict(watching.start(np.arange(K), 0), first)
    held = state.keeper.slots.step.copy()
    plain, _ = IciiaAdapter(module, 4, policy=make_policy("reservoir")).predict(
        pickle.loads(pickle.dumps(state)), second
    )
    scores, _ = watching.predict(state, second)
    assert torch.equal(scores, plain)
    assert watching.attention is not None
    assert watching.arrivals is not None
    assert watching.attention.shape == (K, T - 5, 4 + T - 5)
    torch.testing.assert_close(watching.attention.sum(dim=2), torch.ones(K, T - 5))
    assert np.array_equal(watching.arrivals[:, :4].numpy(), held)
    assert watching.arrivals[0, 4:].tolist() == list(range(5, T))
    attended = watching.attention[:, 0] > 0
    assert torch.equal(attended.sum(dim=1), torch.full((K,), 5))


def test_the_oracle_names_only_possible_classes() -> None:
    scores, _ = OracleAdapter().predict(None, chunk())
    assert set(scores.argmax(-1).flatten().tolist()) <= {0, 2}


def test_the_oracle_refuses_to_guess() -> None:
    with pytest.raises(ValueError, match="needs the true class prior"):
        OracleAdapter().predict(None, Chunk(torch.zeros(1, 1, D), torch.zeros(1, 1, C)))


def test_iciia_counts_its_second_classifier() -> None:
    cost = adapters()[3].cost()
    assert cost.macs_module == 6 * 2 * D * D // 2 + 2 * 2 * 5 * D
    assert cost.macs_per_image == cost.macs_module + D * C


def test_a_policy_that_detects_raises_alarms() -> None:
    """drift_reset says it when it empties the bank; the same in chunks and one image at a time, and of no other policy."""
    module = ICIIA(features=D, classes=C, heads=2, partitions=2)
    steps = 90
    labels = (torch.arange(steps) // 45 * 3 + torch.arange(steps) % 3).repeat(2, 1)  # other classes from step 45 on
    whole = Chunk(torch.zeros(2, steps, D), 6.0 * torch.nn.functional.one_hot(labels, C))
    raised = {}
    for length in (steps, 20, 1):
        adapter = IciiaAdapter(module, 8, policy=make_policy("drift_reset", {"recent": 8}))
        state, found = adapter.start(np.arange(2), 0), []
        for start in range(0, steps, length):
            part = slice(start, start + length)
            _, state = adapter.predict(state, Chunk(whole.features[:, part], whole.logits[:, part]))
            assert adapter.alarms is not None
            found.append(adapter.alarms)
        raised[length] = np.concatenate(found, axis=1)
    assert np.array_equal(raised[steps], raised[20])
    assert np.array_equal(raised[steps], raised[1])
    (first,) = {tuple(np.flatnonzero(of_client)) for of_client in raised[steps]}
    assert len(first) == 1
    assert 45 < first[0] <= 45 + 8
    for policy in (None, make_policy("reservoir")):
        silent = IciiaAdapter(module, 8, policy=policy)
        silent.predict(silent.start(np.arange(2), 0), whole)
        assert silent.alarms is None
