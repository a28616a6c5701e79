"""Banks in scenarios: every policy by name, own ones by import path, bad ones refused with their line; `--set a=1,2,3`."""

from collections.abc import Callable
from typing import Any

import pytest

from iciia.adapters import IciiaAdapter
from iciia.adapters.source import Source
from iciia.policies import POLICIES, Decay
from sim import ScenarioError
from sim.cache import Cache
from sim.cohort.adapters import build_adapters
from sim.engine.feasibility import check_data
from sim.scenario.adapters import IciiaAdapterSettings
from sim.scenario.file import Document, cells, read
from sim.scenario.validation import validate

Make = Callable[..., dict[str, Any]]


def with_bank(tiny: Make, **bank: Any) -> Document:
    return read(tiny(adapters=["backbone", {"kind": "iciia", "module": "stream", "bank": bank}]))


@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_by_name(tiny: Make, name: str) -> None:
    scenario = validate(with_bank(tiny, policy=name, storage="int8"))
    settings = scenario.adapters[1]
    assert isinstance(settings, IciiaAdapterSettings)
    assert settings.bank.policy.kind == name


def test_an_own_policy_by_import_path(tiny: Make) -> None:
    policy = {"kind": "iciia.policies.decay:Decay", "arguments": {"window": 7}}
    scenario = validate(with_bank(tiny, policy=policy, capacity=4))
    (adapter,) = build_adapters([scenario.adapters[1]], {"stream": _module()}, Source.blank(32, 24)).values()
    assert isinstance(adapter, IciiaAdapter)
    assert isinstance(adapter.policy, Decay)
    assert adapter.policy.window == 7


def _module() -> Any:
    from iciia import ICIIA

    return ICIIA(32, 24, heads=2)


@pytest.mark.parametrize(
    ("bank", "message"),
    [
        ({"policy": "fifi"}, r'adapters.1.bank.policy  got "fifi"; did you mean "fifo"\?'),
        (
            {"policy": {"kind": "decay", "arguments": {"window": -1}}},
            "got a window of -1; expected an integer of 1 or more",
        ),
        ({"policy": "no.such:Policy"}, 'got "no.such:Policy", which cannot be imported'),
        ({"capacity": 5000}, r"adapters.1.bank.capacity  got 5000; expected 4096 or less"),
        ({"capacity": [16, -1]}, r"adapters.1.bank.capacity.1  got -1; expected 0 or more"),
        ({"capacity": []}, "got a list; expected an integer or at least 1 entry"),
        ({"storage": "int4"}, r'got "int4"; did you mean "int8"\? \(float32, float16, bfloat16, int8\)'),
    ],
)
def test_bad_banks_are_refused(tiny: Make, bank: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        validate(with_bank(tiny, **bank))


def test_a_set_of_thousands_is_refused(tiny: Make) -> None:
    modules = {"stream": {"context": "set", "head": "replaced", "recipe": "paper", "layers": 2}}
    adapters = ["backbone", {"kind": "iciia", "module": "stream", "bank": {"capacity": [4, 512], "diagnostics": True}}]
    with pytest.raises(ScenarioError) as caught:
        validate(read(tiny(modules=modules, adapters=adapters)))
    assert "got 512: the set context computes all pairs of a bank anew for every image; 256 or less" in str(
        caught.value
    )
    assert "adapters.1.bank.diagnostics  measures the stream context only" in str(caught.value)


def test_several_values_sweep(tiny: Make) -> None:
    document = read(tiny()).override(["seed=1,2,3", "clients.count=5", "adapters.1.bank.policy=fifo,reservoir"])
    assert document.values["sweep"] == {"seed": [1, 2, 3], "adapters.1.bank.policy": ["fifo", "reservoir"]}
    found = cells(document)
    assert len(found) == 6
    assert [chosen["seed"] for chosen, _ in found] == [1, 1, 2, 2, 3, 3]
    assert all(cell.values["clients"]["count"] == 5 for _, cell in found)
    validate(document)


def test_commas_inside_brackets_and_quotes_do_not_sweep(tiny: Make) -> None:
    document = read(tiny()).override(
        ["adapters.1.bank.capacity=[1, 2]", "clients.drift={kind: sudden, every: 9}", 'name="a,b"']
    )
    assert "sweep" not in document.values
    assert document.values["adapters"][1]["bank"]["capacity"] == [1, 2]
    assert document.values["clients"]["drift"] == {"kind": "sudden", "every": 9}
    assert document.values["name"] == "a,b"


def test_mappings_sweep(tiny: Make) -> None:
    document = read(tiny()).override(["clients.drift={kind: none},{kind: sudden, every: 9}"])
    assert document.values["sweep"] == {"clients.drift": [{"kind": "none"}, {"kind": "sudden", "every": 9}]}


def test_a_bad_value_of_a_sweep_is_told(tiny: Make) -> None:
    document = read(tiny()).override(["clients.count=5,none"])
    with pytest.raises(ScenarioError, match=r'with clients\.count=none: got "none"; expected an integer'):
        validate(document)


def test_banks_that_cannot_fit_are_refused(tiny: Make) -> None:
    """A million clients at once, each with 4,096 images of four vectors of 32 numbers: 2.1 TB."""
    document = with_bank(tiny, capacity=4096).override(["clients.cohort=1000000"])
    with pytest.raises(
        ScenarioError, match=r"clients.cohort +got 1000000: the banks of a cohort take 2,097.2 GB, and this"
    ):
        check_data(document, validate(document), Cache())
