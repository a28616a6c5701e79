"""The house: rooms import only what stands below them, no circle anywhere, light doors, no file of many ideas."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SIM = ("cli", "bench", "export", "engine", "page", "report", "cohort", "cloud", "streams", "data", "scenario")
"""Rooms of `sim` from top to bottom. Files beside them are the floor, but for what is named in PUBLIC."""

PUBLIC = ("sim", "sim.testing", "sim.drift")
"""Names for users at the front door: they may import anything, and no room imports them."""

ICIIA = ("export", "cloud", "adapters", "overhead", "contexts", "heads", "banks", "policies")
"""Rooms of `iciia`, likewise."""

WHOLE_SCENARIO = {"sim.report.load"}
"""Below the engine, who may know a whole scenario: the reader of reports, to fill in what an older one did not say."""


def files() -> dict[str, Path]:
    found = {}
    for path in sorted([*ROOT.glob("sim/**/*.py"), *ROOT.glob("iciia/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = files()


def imports(path: Path, at_load: bool) -> Iterator[str]:
    """Modules of ours that a file imports: when it is loaded, or ever."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    delayed = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef)
        or (isinstance(outer, ast.If) and "TYPE_CHECKING" in ast.unparse(outer.test))
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if at_load and id(node) in delayed:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("sim", "iciia"):
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in ("sim", "iciia"))


def floor_of(module: str) -> int:
    """How deep a module stands in its package; the larger, the deeper."""
    package, _, rest = module.partition(".")
    rooms = SIM if package == "sim" else ICIIA
    room = rest.split(".")[0]
    return rooms.index(room) if room in rooms else len(rooms)


def test_rooms_import_only_what_stands_below_them() -> None:
    wrong = []
    for module, path in FILES.items():
        for other in imports(path, at_load=False):
            if module.startswith("iciia") and other.startswith("sim"):
                wrong.append(f"{module} imports {other}: the method knows nothing of the simulation")
            if (
                module in PUBLIC
                or module == "iciia"
                or module == "iciia.testing"
                or module.split(".")[0] != other.split(".")[0]
            ):
                continue
            if other in PUBLIC or floor_of(other) < floor_of(module):
                wrong.append(f"{module} imports {other}, which stands above it")
    assert wrong == []


def test_every_room_says_what_lives_there() -> None:
    rooms = [f"sim.{room}" for room in SIM] + [f"iciia.{room}" for room in ICIIA if f"iciia.{room}" in FILES]
    for room in rooms:
        said = ast.get_docstring(ast.parse(FILES[room].read_text(encoding="utf-8")))
        assert said is not None, room
        assert len(said) > 60, room
    assert {path.name for path in (ROOT / "sim").iterdir() if path.is_dir() and path.name != "__pycache__"} == set(SIM)


def test_no_circle_of_imports() -> None:
    graph = {module: sorted(set(imports(path, at_load=True)) - {module}) for module, path in FILES.items()}
    state: dict[str, int] = {}

    def visit(module: str, way: list[str]) -> None:
        assert state.get(module) != 1, " -> ".join([*way[way.index(module) :], module])
        if module in state:
            return
        state[module] = 1
        for other in graph.get(module, []):
            visit(other, [*way, module])
        state[module] = 2

    for module in graph:
        visit(module, [])


def test_nobody_below_the_engine_knows_a_whole_scenario() -> None:
    knows = {
        module
        for module, path in FILES.items()
        if "sim.scenario.scenario" in imports(path, at_load=False) and floor_of(module) > SIM.index("engine")
    }
    assert {module for module in knows if not module.startswith("sim.scenario")} == WHOLE_SCENARIO


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("sim", {"torch", "ray", "pandas", "pyarrow", "pydantic", "scipy", "timm", "altair"}),
        ("sim.cli", {"torch", "ray", "pandas", "pyarrow", "pydantic", "scipy", "timm", "altair"}),
        ("iciia", {"torch", "timm", "scipy"}),
        ("sim.engine.collector", {"torch", "ray", "pandas", "scipy", "timm", "altair"}),
        ("sim.report.load", {"torch", "ray", "timm", "altair"}),
    ],
)
def test_light_doors(module: str, heavy: set[str]) -> None:
    """What is imported often, or in a process of its own, does not wait for what it does not need."""
    code = f"import sys, {module}; print(' '.join(name for name in sys.modules if '.' not in name))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert heavy & set(found.split()) == set()


def test_no_file_of_many_ideas() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in FILES.items()}
    assert {module: lines for module, lines in lengths.items() if lines > 400} == {}
