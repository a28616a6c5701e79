"""Reading a scenario: YAML with the line of every key, `--set` overrides, and sweeps cut into cells."""

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sim.errors import Problem, ScenarioError, did_you_mean
from sim.scenario.yaml_text import BadYamlError, Key, lines_of, parse, plain, without_private


@dataclass(frozen=True)
class Document:
    """A scenario as it was written, not yet validated.

    Args:
        source: What error messages call it.
        values: The settings.
        folder: What lies beside it is found here.
        data_folder: Relative paths of data and weights start here: beside it too, or for a scenario that comes with the package in
            the current folder.
        lines: Line of each key that came from a file.
        overridden: Keys set from outside the file.
    """

    source: str
    values: dict[str, Any]
    folder: Path
    data_folder: Path
    lines: Mapping[Key, int]
    overridden: frozenset[Key] = frozenset()

    def line(self, key: Key) -> int | None:
        """Line of a key, or of the closest thing around it; None if it was set from outside."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.overridden:
                return None
            if key[:length] in self.lines:
                return self.lines[key[:length]]
        return self.lines.get(())

    def problem(self, key: Key, message: str) -> Problem:
        """What is wrong with a key, which is called what `--set` takes: `adapters.1.bank.capacity`."""
        return Problem(".".join(map(str, key)) or "scenario", message, self.line(key))

    def override(self, assignments: Sequence[str]) -> "Document":
        """Applies `a.b.c=value` assignments; values are read as YAML, and a part of a key that is a number indexes a list.

        Several values with commas between them, as in `seed=1,2,3`, sweep over the key. Commas inside brackets, braces and quotes
        do not count, so `capacity=[0, 16]` sets a list.

        Raises:
            ScenarioError: An assignment has no `=`, or goes through something that holds no keys.
        """
        document = self
        problems = []
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            try:
                if not equals or not name:
                    raise ValueError(f"got {assignment!r}; expected KEY=VALUE, for example clients.count=1000")
                values = [_value(part) for part in _split(text)]
                if len(values) == 1:
                    document = document.put(name.strip(), values[0])
                else:
                    document = document.sweep_over(name.strip(), values)
            except ValueError as error:
                problems.append(Problem(f"--set {name}", str(error)))
        if problems:
            raise ScenarioError(self.source, problems)
        return document

    def put(self, name: str, value: Any) -> "Document":
        """The document with one dotted key set.

        Raises:
            ValueError: The key goes through something that holds no keys.
        """
        key: Key = tuple(int(part) if part.isdigit() else part for part in name.split("."))
        values = copy.deepcopy(self.values)
        place: Any = values
        for number, part in enumerate(key):
            if isinstance(place, list):
                if not isinstance(part, int) or part >= len(place):
                    raise ValueError(f"got {part!r} inside a list of {len(place)}; expected 0 to {len(place) - 1}")
            elif not isinstance(place, dict):
                raise ValueError(f"{'.'.join(map(str, key[:number]))} is {place!r} and holds no keys")
            else:
                place.setdefault(part, {})
            if number < len(key) - 1:
                place = place[part]
        place[key[-1]] = value
        return replace(self, values=values, overridden=self.overridden | {key})

    def sweep_over(self, name: str, values: list[Any]) -> "Document":
        """The document with one more dotted key swept; one that is swept already gets these values."""
        axes = self.values.get("sweep") or {}
        if not isinstance(axes, dict):
            raise ValueError(f"`sweep` is {axes!r} and holds no keys")
        changed = {**copy.deepcopy(self.values), "sweep": {**axes, name: values}}
        return replace(self, values=changed, overridden=self.overridden | {("sweep", name)})


def read(source: str | Path | Mapping[str, Any]) -> Document:
    """Reads a scenario.

    Args:
        source: A YAML file, the name of a scenario that comes with the package (`quickstart`), or the settings as a dict.

    Raises:
        ScenarioError: There is no such file, or it is not YAML, or not a mapping.
    """
    if isinstance(source, Mapping):
        return Document("scenario", copy.deepcopy(without_private(source)), Path.cwd(), Path.cwd(), {})
    path = find(source)
    try:
        tree = parse(path.read_text(encoding="utf-8"))
    except BadYamlError as error:
        raise ScenarioError(str(source), [Problem("YAML", str(error), error.line)]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(str(source), [Problem("file", f"cannot be read: {error}")]) from error
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else f"a {type(plain(tree)).__name__}"
        raise ScenarioError(
            str(source),
            [Problem("file", f"got {found}; expected keys such as name, data, clients, adapters")],
        )
    folder = path.resolve().parent
    packaged = path.resolve() in (file.resolve() for file in shipped().values())
    values = without_private(plain(tree))
    return Document(str(source), values, folder, Path.cwd() if packaged else folder, lines_of(tree))


def find(source: str | Path) -> Path:
    """The file that a path or the name of a shipped scenario means.

    Raises:
        ScenarioError: There is none; the message names a shipped one that is like it.
    """
    path = Path(source)
    if path.is_file():
        return path
    names = shipped()
    if str(source) in names:
        return names[str(source)]
    meant = did_you_mean(str(source), names)
    advice = f"{meant} (`iciia scenarios` lists all)" if meant else "`iciia scenarios` lists them"
    message = f"no such file, and no scenario of that name is shipped; {advice}"
    raise ScenarioError(str(source), [Problem("file", message)])


def shipped() -> dict[str, Path]:
    """The scenarios that come with the package, by name (`quickstart`, `scale/million`)."""
    package = Path(__file__).parents[1] / "scenarios"  # in an installed wheel
    folder = package if package.is_dir() else Path(__file__).parents[2] / "scenarios"  # in a checkout
    files = sorted(folder.rglob("*.yaml"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def cells(document: Document) -> list[tuple[dict[str, Any], Document]]:
    """Cuts a sweep into its runs.

    Returns:
        The swept keys' values and the document of each cell, the last key varying fastest. A document without a sweep is its
        only cell.

    Raises:
        ValueError: A swept key goes through something that holds no keys.
    """
    axes: dict[str, list[Any]] = document.values.get("sweep") or {}
    values = {key: value for key, value in document.values.items() if key != "sweep"}
    found = []
    for combination in itertools.product(*axes.values()):
        cell = replace(document, values=values)
        chosen = dict(zip(axes, combination, strict=True))
        for name, value in chosen.items():
            cell = cell.put(name, value)
        found.append((chosen, cell))
    return found


def _value(text: str) -> Any:
    """A value of `--set`.

    Raises:
        ValueError: It is no YAML.
    """
    try:
        return plain(parse(text))
    except BadYamlError as error:
        raise ValueError(f"{text!r} is not YAML: {error}") from error


def _split(text: str) -> list[str]:
    """Cuts text at the commas that are not inside brackets, braces or quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
    return parts
