"""The recipes: every code block is run, and prints what the page shows; the notebook is the same."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def recipes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipes", DOCS / "recipes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(printed: str, shown: str) -> bool:
    """Equal; on a CPU of another kind a prediction in thousands may fall the other way, so figures may differ in the last digit."""
    close = all(
        abs(float(one) - float(two)) <= 1.01 * 10.0 ** -len(two.partition(".")[2])
        for one, two in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=False)
    )
    words = [re.sub(r"\s+", " ", NUMBER.sub("#", text)) for text in (printed, shown)]
    return printed == shown or (words[0] == words[1] and close)


def test_recipes_print_what_the_page_shows(recipes: ModuleType, tmp_path: Path) -> None:
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    shown = recipes.blocks(text)
    assert len(shown) >= 10
    found = list(recipes.run(text, tmp_path))
    for (code, printed), (_, expected) in zip(found, shown, strict=True):
        assert same(printed, expected), f"{code}\nprints\n{printed}\nand the page shows\n{expected}"
    assert (tmp_path / "reports" / "recipes" / "report.html").is_file()


def test_the_notebook_is_the_same(recipes: ModuleType) -> None:
    """Otherwise: python docs/recipes.py"""
    book = json.loads((DOCS / "recipes.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    shown = recipes.blocks((DOCS / "recipes.md").read_text(encoding="utf-8"))
    assert ["".join(cell["source"]).strip() for cell in cells] == [code.strip() for code, _ in shown]
    for cell, (_, expected) in zip(cells, shown, strict=True):
        printed = "".join(line for output in cell["outputs"] for line in output.get("text", []))
        assert same(printed, expected)
        assert {output.get("name") for output in cell["outputs"]} <= {"stdout"}


def test_another_figure_is_not_the_same() -> None:
    assert same("a 0.634\n", "a 0.635\n")
    assert not same("a 0.634\n", "a 0.637\n")
    assert not same("a 12 of 64\n", "a 14 of 64\n")
    assert not same("a 0.634\n", "b 0.634\n")
    assert not same("a 0.634 1\n", "a 0.634\n")
