"""What an adapter remembers, and by what it counts: the images that the plan says, and the prediction that the adapter makes."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from iciia import ICIIA, ClientPriors, Source
from iciia.adapters import (
    ADAPTERS,
    Adapter,
    Chunk,
    EmPriorAdapter,
    IciiaAdapter,
    IcrmAdapter,
    KnnAdapter,
    MajorityLabelAdapter,
)
from iciia.adapters.memory import Memory, memory_of, weights_of
from iciia.contexts.icrm import Icrm
from iciia.policies import make_policy

D, C, T = 12, 6, 23
CLIENT = np.array([5])


def attention(**settings: Any) -> ICIIA:
    torch.manual_seed(2)
    module = ICIIA(D, C, heads=2, partitions=3, **settings)
    with torch.no_grad():
        module.classifier.weight.normal_()
    return module.eval()


def priors(superclasses: int) -> ClientPriors:
    torch.manual_seed(3)
    module = ClientPriors(D, C, superclasses, shortlist=3, keep=4)
    with torch.no_grad():
        module.refit.weight.normal_(std=0.1)
        if superclasses:
            module.mixture.superclass.copy_(torch.arange(C) % superclasses)
    return module.eval()


MODULES: dict[str, Callable[[], ICIIA | ClientPriors]] = {
    "stream": lambda: attention(layers=2),
    "stream, replaced head": lambda: attention(layers=1, head="replaced"),
    "set": lambda: attention(layers=2, context="set"),
    "set of three layers": lambda: attention(layers=3, context="set", head="replaced"),
    "set of one layer": lambda: attention(layers=1, context="set"),
    "priors": lambda: priors(0),
    "priors of superclasses": lambda: priors(3),
}


def stream() -> Chunk:
    generator = torch.Generator().manual_seed(1)
    features, logits = (torch.randn(1, T, size, generator=generator) for size in (D, C))
    labels = torch.randint(C, (1, T), generator=generator)
    past = torch.cat([torch.full((1, 1), -1), labels[:, :-1]], dim=1)
    return Chunk(features, 2 * logits, past_labels=past)


def followed(adapter: Adapter, chunk: Chunk) -> list[tuple[Memory | None, Tensor]]:
    """What the adapter remembers at each image, and what it then says."""
    state, found = adapter.start(CLIENT, 7), []
    for step in range(T):
        past = chunk.past_labels[:, step : step + 1] if adapter.sees == "past_labels" else None  # type: ignore[index]
        one = Chunk(chunk.features[:, step : step + 1], chunk.logits[:, step : step + 1], None, past)
        memory = memory_of(adapter, state, one, step)
        scores, state = adapter.predict(state, one)
        found.append((memory, scores[0, 0]))
    return found


@pytest.mark.parametrize(
    ("kind", "policy"),
    [*product(MODULES, ["fifo"]), *product(["stream", "priors"], ["reservoir", "class_balanced", "decay"])],
)
@pytest.mark.parametrize("storage", [torch.float32, torch.int8])
def test_it_is_what_the_adapter_goes_by(kind: str, policy: str, storage: torch.dtype) -> None:
    adapter, chunk = IciiaAdapter(MODULES[kind](), 5, storage, make_policy(policy)), stream()
    bank = adapter.start(CLIENT, 7)
    plan, _ = bank.plan(chunk.evidence)
    together, _ = adapter.predict(adapter.start(CLIENT, 7), chunk)
    for step, (memory, scores) in enumerate(followed(adapter, chunk)):
        assert memory is not None
        assert memory.scores is not None
        assert memory.weights is not None
        visible = plan.visible[0, step, 5:].clone()
        visible[step] = False
        assert memory.steps.tolist() == visible.nonzero().flatten().tolist()
        torch.testing.assert_close(memory.scores, scores, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(memory.scores, together[0, step], rtol=1e-4, atol=1e-4)
        assert len(memory.weights) == len(memory.steps)
        assert (memory.weights >= 0).all()
        assert (0 < memory.weights.sum() < 1) if step else memory.weights.sum() == 0


def test_weights_of_the_stream_are_those_that_diagnostics_keep() -> None:
    chunk, module = stream(), MODULES["stream"]()
    adapter = IciiaAdapter(module, 5, diagnostics=True)
    adapter.predict(adapter.start(CLIENT, 7), chunk)
    assert adapter.attention is not None
    for step, (memory, _) in enumerate(followed(IciiaAdapter(module, 5), chunk)):
        assert memory is not None
        kept = adapter.attention[0, step, 5 + memory.steps]
        torch.testing.assert_close(torch.from_numpy(np.array(memory.weights)), kept, rtol=1e-4, atol=1e-6)


def test_weights_of_priors_add_up_to_the_prior() -> None:
    """Without superclasses, what does not come from the images is the source prior, and nothing else."""
    module, chunk = priors(0), stream()
    state = module.empty_bank(CLIENT, 5, seed=7)
    adapter = IciiaAdapter(module, 5)
    for step in range(T):
        one = Chunk(chunk.features[:, step : step + 1], chunk.logits[:, step : step + 1])
        memory = memory_of(adapter, state, one, step)
        assert memory is not None
        assert memory.weights is not None
        if step:
            slots = torch.argsort(state.keeper.steps())[-len(memory.steps) :]  # type: ignore[arg-type]
            held = state.past(slice(0, 1), C)[0, slots]
            unit = torch.nn.functional.normalize(one.features, dim=-1) * D**0.5
            with torch.inference_mode():
                alone = (
                    torch.log_softmax(module.correct(unit, one.logits * module.scale), -1) - module.mixture.prior.log()
                )
                expected = torch.exp(memory.scores - alone)[0, 0]
            rest = expected - torch.from_numpy(memory.weights) @ (held / held.sum(dim=1, keepdim=True))
            torch.testing.assert_close(
                rest, torch.full((C,), (1 - float(memory.weights.sum())) / C), rtol=1e-4, atol=1e-6
            )
        _, state = adapter.predict(state, one)


def test_a_bank_without_room_and_adapters_that_keep_sums() -> None:
    for memory, _ in followed(IciiaAdapter(MODULES["stream"](), 0), stream()):
        assert memory is not None
        assert (memory.steps.tolist(), memory.weights) == ([], None)
    assert [memory for memory, _ in followed(ADAPTERS["backbone"](), stream())] == [None] * T  # type: ignore[call-arg]


WINDOWS: dict[str, Callable[[], Adapter]] = {
    "knn": lambda: KnnAdapter(Source.blank(D, C), capacity=5, neighbours=100),
    "em_prior": lambda: EmPriorAdapter(Source.blank(D, C), capacity=5),
    "majority_label": lambda: MajorityLabelAdapter(Source.blank(D, C), capacity=5),
    "icrm": lambda: IcrmAdapter(Icrm(D, C, layers=2, heads=2, width=8, positions=8)),
}


@pytest.mark.parametrize("kind", WINDOWS)
def test_other_adapters_remember_what_moves_them(kind: str) -> None:
    """An earlier image can change an answer if, and only if, the adapter says that it remembers it."""
    torch.manual_seed(4)
    adapter, chunk = WINDOWS[kind](), stream()
    assert weights_of(adapter) is None
    before = followed(adapter, chunk)
    for changed in range(T - 1):
        features, logits, past = (part.clone() for part in (chunk.features, chunk.logits, chunk.past_labels))  # type: ignore[union-attr]
        features[:, changed], logits[:, changed] = features[:, changed].flip(-1), logits[:, changed].flip(-1)
        past[:, changed + 1] = (past[:, changed + 1] + 1) % C
        after = followed(adapter, Chunk(features, logits, past_labels=past))
        for step in range(changed + 1, T):
            memory, scores = before[step]
            assert memory is not None
            if changed not in memory.steps:
                assert torch.equal(scores, after[step][1]), (changed, step)
            elif kind != "majority_label":  # which needs more than one label to be changed
                assert not torch.equal(scores, after[step][1]), (changed, step)
