"""YAML as text: what it says as plain Python values, with the line of every key, and never more than its length explains.

Anchors, aliases and merge keys are what other tools take them for; top-level keys that begin with `x-` hold what is only merged
elsewhere, and are gone here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Key = tuple[str | int, ...]

ROOM = 100_000
"""Values that aliases may make beyond the characters of the text."""


DEEPEST = 200
"""Brackets inside brackets; the parser takes the square of their number of steps."""


class BadYamlError(ValueError):
    """Text that is no YAML, or means more than it should.

    Args:
        message: What is wrong.
        line: Where; None if nowhere in particular.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str) -> Any:
    """The values of a YAML text, as ruamel has them, which remember where they were written.

    Raises:
        BadYamlError: It is no YAML, is nested too deeply, refers to itself, or its aliases make too much of it.
    """
    if _depth(text) > DEEPEST:
        raise BadYamlError("is nested too deeply")
    try:
        tree = YAML(typ="rt").load(text)
        size = _size(tree, {})
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise BadYamlError(said.split("\n")[0], mark.line + 1 if mark else None) from error
    except RecursionError as error:
        raise BadYamlError("is nested too deeply") from error
    except (YAMLError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError) as error:
        raise BadYamlError(f"cannot be read: {error}") from error
    if size > len(text) + ROOM:
        raise BadYamlError(f"its aliases make {size:,} values of {len(text):,} characters; write them out, or fewer")
    return tree


def _depth(text: str) -> int:
    """Brackets and braces that are open at once at most, those in quotes and comments included."""
    depth = most = 0
    for character in text:
        if character in "[{":
            depth += 1
            most = max(most, depth)
        elif character in "]}":
            depth = max(depth - 1, 0)
    return most


def _size(tree: Any, known: dict[int, int]) -> int:
    """Values that a tree holds when every alias is written out.

    Raises:
        ValueError: It refers to itself.
    """
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) in known:
        if known[id(tree)] == 0:
            raise ValueError("an alias refers to what it is part of")
        return known[id(tree)]
    known[id(tree)] = 0
    inside = tree.values() if isinstance(tree, dict) else tree
    known[id(tree)] = 1 + sum(_size(one, known) for one in inside)
    return known[id(tree)]


def plain(tree: Any) -> Any:
    """Ordinary Python values in place of ruamel's."""
    if isinstance(tree, dict):
        return {plain(name): plain(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [plain(value) for value in tree]
    if isinstance(tree, bool) or tree is None:
        return tree
    for kind in (int, float, str):
        if isinstance(tree, kind):
            return kind(tree)
    return str(tree)


def lines_of(tree: Any) -> dict[Key, int]:
    """The line of every key and entry. What is merged or referred to keeps the line where it is written."""
    return {(): 1, **dict(_lines(tree, ()))}


def _lines(tree: Any, key: Key) -> Iterator[tuple[Key, int]]:
    if isinstance(tree, CommentedMap):
        for name, value in tree.items():
            line = _line_of(tree, name)
            if line is not None:
                yield (*key, name), line
            yield from _lines(value, (*key, name))
    elif isinstance(tree, CommentedSeq):
        for index, value in enumerate(tree):
            yield (*key, index), tree.lc.item(index)[0] + 1
            yield from _lines(value, (*key, index))


def _line_of(tree: CommentedMap, name: Any) -> int | None:
    """The line of a key, in the mapping itself or in one that is merged into it."""
    if name in (tree.lc.data or {}):
        line: int = tree.lc.key(name)[0] + 1
        return line
    for merged in tree.merge or ():
        source = merged[1] if isinstance(merged, tuple) else merged
        if name in source:
            return _line_of(source, name)
    return None


def without_private(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The values without the keys that begin with `x-`."""
    return {name: value for name, value in values.items() if not (isinstance(name, str) and name.startswith("x-"))}
