"""YAML as other tools take it, and never more of it than its length explains."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ScenarioError
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.scenario.yaml_text import BadYamlError, parse, plain

Make = Callable[..., dict[str, Any]]

MERGED = """\
x-common: &common
  layers: 2
  heads: 2
  steps: many
x-other: &other {heads: 4, length: 24}
name: merged
data: {kind: digits}
backbone: {model: resnet10t, weights: train}
modules:
  stream:
    <<: *common
    partitions: 4
  second: {<<: [*other, *common], layers: 1}
  third: *common
clients: {count: 3, images: 9, subset: {classes: 2}}
adapters: [backbone]
"""


def test_anchors_and_merge_keys_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "merged.yaml"
    file.write_text(MERGED)
    found = read(file)
    assert list(found.values) == ["name", "data", "backbone", "modules", "clients", "adapters"]
    assert found.values["modules"] == {
        "stream": {"layers": 2, "heads": 2, "steps": "many", "partitions": 4},
        "second": {"heads": 4, "length": 24, "layers": 1, "steps": "many"},
        "third": {"layers": 2, "heads": 2, "steps": "many"},
    }
    with pytest.raises(ScenarioError) as raised:
        validate(found)
    assert [(problem.where, problem.line) for problem in raised.value.problems] == [
        ("modules.second.steps", 4), ("modules.stream.steps", 4), ("modules.third.steps", 4),
    ]  # fmt: skip
    file.write_text(MERGED.replace("many", "60"))
    modules = validate(read(file)).modules
    assert (modules["stream"].steps, modules["second"].heads, modules["second"].layers) == (60, 4, 1)


def test_private_keys_are_private_at_the_top_alone(tiny: Make) -> None:
    assert "x-note" not in read(tiny(**{"x-note": 1})).values
    with pytest.raises(ScenarioError, match=r"report\.x-note +unknown key"):
        validate(read(tiny(report={"x-note": 1})))


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read(tmp_path / "s.yaml").values == {"name": "x"}


def bomb(inside: Callable[[str], str]) -> str:
    lines = ["a: &a [x, x]"] + [
        f"{new}: &{new} {inside(old)}" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (
            bomb(lambda old: f"[{', '.join([f'*{old}'] * 9)}]"),
            r"its aliases make 1,362,025,156 values of \d{3} characters",
            None,
        ),
        (
            bomb(lambda old: "{" + ", ".join(f"k{n}: *{old}" for n in range(9)) + "}"),
            "its aliases make 1,362,025,156 values",
            None,
        ),
        ("a: " + "[" * 100_000, "is nested too deeply", None),
        ("a: " + "{b: " * 3_000 + "}" * 3_000, "is nested too deeply", None),
        ("a: 2024-13-45", "cannot be read: month must be in 1..12", None),
        ("a: !!int many", "cannot be read: invalid literal for int", None),
        ("a: 1\nb: *c", "found undefined alias 'c'", 2),
        ("a: {<<: [1]}", "expected a mapping for merging, but found scalar", 1),
    ],
)
def test_what_is_refused_at_once(text: str, message: str, line: int | None) -> None:
    with pytest.raises(BadYamlError, match=message) as raised:
        parse(text)
    assert raised.value.line == line


def test_aliases_within_reason_are_allowed() -> None:
    text = "a: &a [1, 2, 3]\n" + "\n".join(f"k{n}: *a" for n in range(2000))
    assert plain(parse(text))["k1999"] == [1, 2, 3]


def test_nothing_is_executed() -> None:
    """A tag is passed over; its value stays what it is."""
    assert plain(parse("a: !!python/object/apply:os.system [ls]")) == {"a": ["ls"]}


PIECES = [
    "a", "1", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<", "!!set", "!!int ", "? ", "'", '"', "#", "|\n",
    "...", "---", "%", "\t", "\0", "é", "~", "0x", "2024-99-99",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadYamlError):
        plain(parse(text))
