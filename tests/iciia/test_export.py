"""What runs on a device: a thousand steps of the exported file equal the session, states included, and what cannot be exported is
refused with what can."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from iciia import ICIIA, Adapter, BackboneAdapter, ClientPriors, FeedForwardAdapter, HmmAdapter, Source
from iciia.adapters import IciiaAdapter, SuperclassFilterAdapter
from iciia.adapters.base import Chunk
from iciia.export import Named, Step, step_of, write
from iciia.export.weights import SMALLEST, to_int8
from iciia.policies import Reservoir

FEATURES, CLASSES, CAPACITY = 16, 40, 7


def attention(context: str = "stream", head: str = "residual", shortlist: int | None = None) -> ICIIA:
    torch.manual_seed(1)
    module = ICIIA(FEATURES, CLASSES, 2, 2, 4, context, head, shortlist)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def priors(superclasses: int = 0, attributes: bool = False) -> ClientPriors:
    torch.manual_seed(1)
    module = ClientPriors(FEATURES, CLASSES, superclasses, shortlist=8, keep=6, attributes=attributes).eval()
    with torch.no_grad():
        module.refit.weight.normal_(std=0.1)
        if superclasses:
            module.mixture.superclass.copy_(torch.arange(CLASSES) % superclasses)
    return module


def stream(steps: int) -> tuple[Tensor, Tensor]:
    """Features and logits of a client that stays with a few classes for a while."""
    random = torch.Generator().manual_seed(2)
    favourite = torch.randint(CLASSES, (steps // 50 + 1, 3), generator=random).repeat_interleave(50, dim=0)[:steps]
    logits = torch.randn(steps, CLASSES, generator=random).scatter_add(1, favourite, torch.full((steps, 3), 2.0))
    return torch.randn(steps, FEATURES, generator=random), logits


def in_onnxruntime(adapter: Adapter, folder: Path, features: Tensor, logits: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """Logits of a stream, [T, C], by the exported file and its description alone, and the states at the end."""
    return run(*write(step_of(adapter, CLASSES), folder, "onnx", {}), features, logits)


def run(file: Path, description: Path, features: Tensor, logits: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The same of files that are there."""
    about = json.loads(description.read_text())
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    states = {one["input"]: np.full(one["shape"], one["start"], one["dtype"]) for one in about["states"]}
    read = {one["name"] for one in about["inputs"]}
    found = []
    for feature, of_backbone in zip(features.numpy(), logits.numpy(), strict=True):
        image = {"feature": feature, "backbone_logits": of_backbone}
        scores, *after = session.run(None, {name: image[name] for name in read} | states)
        states = dict(zip(states, after, strict=True))
        found.append(torch.from_numpy(scores))
    return torch.stack(found), states


@pytest.mark.parametrize(
    ("module", "storage"),
    [
        (attention(shortlist=5), torch.float32),
        (attention(head="replaced"), torch.int8),
        (attention("set"), torch.float32),
        (attention("set", "replaced"), torch.int8),
        (priors(), torch.float32),
        (priors(5), torch.float32),
        (priors(5), torch.int8),
        (priors(5), torch.float16),
        (priors(attributes=True), torch.float32),
    ],
    ids=[
        "stream",
        "replaced-int8",
        "set",
        "set-int8",
        "priors",
        "grouped",
        "grouped-int8",
        "grouped-float16",
        "attributes",
    ],
)
def test_a_thousand_steps_equal_the_session(module: ICIIA | ClientPriors, storage: torch.dtype, tmp_path: Path) -> None:
    features, logits = stream(1000)
    found, states = in_onnxruntime(IciiaAdapter(module, CAPACITY, storage), tmp_path, features, logits)
    session = module.session(CAPACITY, storage)
    expected = torch.stack([session(*pair) for pair in zip(features, logits, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert not torch.allclose(expected[1:], logits[1:], atol=0.1)
    assert states["seen_in"] == 1000
    if isinstance(module, ICIIA):
        bank, kept = session.bank.entries[:, 0], states["bank_in"]
    elif module.settings["attributes"]:
        return
    else:
        bank, kept = session.bank.shares.entries[0, 0], states["bank_in"]
        torch.testing.assert_close(torch.from_numpy(states["trust_in"]), session.bank.trust[0], rtol=0, atol=1e-5)
        assert np.array_equal(states["numbers_in"], session.bank.numbers[0, 0])
    tolerance = 1 if storage == torch.int8 else 2e-3 if storage == torch.float16 else 1e-5
    torch.testing.assert_close(torch.from_numpy(kept).double(), bank.double(), rtol=0, atol=tolerance)


def test_the_filter_equals_its_adapter(tmp_path: Path) -> None:
    adapter = SuperclassFilterAdapter(Source.blank(FEATURES, CLASSES), hazard=0.02)
    features, logits = stream(1000)
    found, states = in_onnxruntime(adapter, tmp_path, features, logits)
    expected, belief = adapter.predict(adapter.start(np.zeros(1, np.int64), 0), Chunk(features[None], logits[None]))
    torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.from_numpy(states["belief_in"]), belief[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "adapter", [BackboneAdapter(), FeedForwardAdapter(attention("none", "replaced"))], ids=["backbone", "ff"]
)
def test_what_remembers_nothing_has_no_state(adapter: Adapter, tmp_path: Path) -> None:
    features, logits = stream(20)
    found, states = in_onnxruntime(adapter, tmp_path, features, logits)
    expected, _ = adapter.predict(adapter.start(np.zeros(1, np.int64), 0), Chunk(features[None], logits[None]))
    assert states == {}
    torch.testing.assert_close(found, expected[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("module", [attention(), priors(5)], ids=["stream", "priors"])
@pytest.mark.parametrize("storage", [torch.float32, torch.bfloat16], ids=str)
def test_a_program_of_torch_export(module: ICIIA | ClientPriors, storage: torch.dtype, tmp_path: Path) -> None:
    step = step_of(IciiaAdapter(module, CAPACITY, storage), CLASSES)
    file, _ = write(step, tmp_path, "torch", {})
    program, session = torch.export.load(file).module(), module.session(CAPACITY, storage)
    states = [one.value for one in step.states]
    for feature, of_backbone in zip(*stream(20), strict=True):
        found, *states = program(feature, of_backbone, *states)
        torch.testing.assert_close(found, session(feature, of_backbone), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["stream", "set", "priors"])
def test_weights_in_int8(kind: str, tmp_path: Path) -> None:
    """Rounded by half a step of their row at most; both files compute with the rounded ones, and hold them as int8."""
    torch.manual_seed(1)
    d, c = 128, 100
    module = ClientPriors(d, c, 5) if kind == "priors" else ICIIA(d, c, 2, 2, 1, kind)  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    rounded = copy.deepcopy(module).eval()
    assert to_int8(rounded) > 0
    for name, weight in module.named_parameters():
        owner, _, last = name.rpartition(".")
        found = getattr(rounded.get_submodule(owner), last)
        row = weight.abs().amax(-1, keepdim=True) if weight.ndim > 1 else torch.zeros(1)
        assert (found - weight).abs().le(0.5001 * row / 127).all()
    step = step_of(IciiaAdapter(module, CAPACITY), c)
    to_int8(step)
    file, description = write(step, tmp_path / "onnx", "onnx", {})
    large = [one for one in onnx.load(file).graph.initializer if np.prod(one.dims) >= SMALLEST]
    assert large
    assert {one.data_type for one in large} == {onnx.TensorProto.INT8}
    features, logits = torch.randn(40, d), 2 * torch.randn(40, c)
    session = rounded.session(CAPACITY)
    expected = torch.stack([session(*pair) for pair in zip(features, logits, strict=True)])
    torch.testing.assert_close(run(file, description, features, logits)[0], expected, rtol=0, atol=1e-4)
    program = torch.export.load(write(step, tmp_path / "torch", "torch", {})[0]).module()
    states = [one.value for one in step.states]
    for place in range(5):
        found, *states = program(features[place], logits[place], *states)
        torch.testing.assert_close(found, expected[place], rtol=0, atol=1e-4)


def test_the_description_has_every_state(tmp_path: Path) -> None:
    _, description = write(
        step_of(IciiaAdapter(priors(5), CAPACITY, torch.int8), CLASSES), tmp_path, "torch", {"more": 1}
    )
    about = json.loads(description.read_text())
    assert about["file"] == "step.pt2"
    assert about["more"] == 1
    assert [one["name"] for one in about["inputs"]] == ["feature", "backbone_logits"]
    shapes = {one["name"]: (one["dtype"], one["shape"], one["axes"]) for one in about["states"]}
    assert shapes == {
        "seen": ("int64", [], []),
        "bank": ("int8", [6, CAPACITY], ["rank", "slot"]),
        "numbers": ("int16", [6, CAPACITY], ["rank", "slot"]),
        "scales": ("float32", [1, CAPACITY], ["vector", "slot"]),
        "trust": ("float32", [6], ["prior"]),
        "belief": ("float32", [5], ["superclass"]),
    }
    assert about["states"][-1]["start"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (IciiaAdapter(priors(), 4, policy=Reservoir()), "bank policy reservoir, which cannot be exported; fifo can"),
        (IciiaAdapter(attention(), 0), "bank of capacity 0; expected 1 or more"),
        (
            HmmAdapter(Source.blank(FEATURES, CLASSES)),
            "kind hmm; expected one of backbone, iciia, ff, superclass_filter",
        ),
    ],
)
def test_what_cannot_be_exported(adapter: Adapter, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        step_of(adapter, CLASSES)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    step, half = (step_of(IciiaAdapter(priors(), 4, storage), CLASSES) for storage in (torch.float32, torch.bfloat16))
    with pytest.raises(ValueError, match="got opset 11, which lacks operators that the step needs; expected 18 to"):
        write(step, tmp_path, "onnx", {}, opset=11)
    with pytest.raises(ValueError, match="a bank in bfloat16"):
        write(half, tmp_path, "onnx", {})
    with pytest.raises(ValueError, match="got the format 'litert'; expected one of onnx, torch"):
        write(step, tmp_path, "litert", {})
    for form in ("onnx", "torch"):
        with pytest.raises(ValueError, match="torch's exporter cannot write it: "):
            write(Branching((Named("backbone_logits", torch.zeros(CLASSES)),), ()), tmp_path, form, {})


class Branching(Step):
    """What no exporter can write: a branch that depends on data."""

    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        logits = read["backbone_logits"]
        return (logits if logits.sum() > 0 else -logits), {}
