"""What pydantic found, in our words: the key as it was written, what was got, what is allowed."""

import json
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from sim.errors import Problem, did_you_mean
from sim.scenario.file import Document, Key
from sim.scenario.scenario import Scenario


def field_problems(document: Document, details: list[ErrorDetails]) -> list[Problem]:
    problems: dict[Key, Problem] = {}
    for detail in details:
        key = _written_key(document, detail)
        message = _message(detail)
        if key in problems:  # the alternatives of a union: got once, expected joined
            _, _, expected = message.partition("; expected ")
            earlier = problems[key].message
            message = f"{earlier} or {expected}" if expected and expected not in earlier else earlier
        problems[key] = document.problem(key, message)
    # a union that rejects a value as a whole says less than what is wrong inside it
    inside = {key[:length] for key in problems for length in range(len(key))}
    return [problem for key, problem in problems.items() if key not in inside or "unknown key" in problem.message]


def _written_key(document: Document, detail: ErrorDetails) -> Key:
    """The key as it stands in the document: pydantic's location without the names of union members."""
    place: Any = document.values
    key: list[str | int] = []
    for part in detail["loc"]:
        if (isinstance(place, dict) and part in place) or (isinstance(place, list) and isinstance(part, int)):
            key.append(part)
            place = place[part]  # type: ignore[index]
        elif isinstance(place, dict) and part == detail["loc"][-1] and detail["type"] == "missing":
            key.append(part)
    if detail["type"].startswith("union_tag"):
        key.append("kind")
    return tuple(key)


_EXPECTED: dict[str, Callable[[dict[str, Any]], str]] = {
    "bool_type": lambda c: "true or false",
    "dict_type": lambda c: "keys and values",
    "finite_number": lambda c: "a finite number",
    "float_type": lambda c: "a number",
    "greater_than": lambda c: f"a number above {c['gt']:g}",
    "greater_than_equal": lambda c: f"{c['ge']:g} or more",
    "int_from_float": lambda c: "an integer",
    "int_type": lambda c: "an integer",
    "less_than": lambda c: f"a number below {c['lt']:g}",
    "less_than_equal": lambda c: f"{c['le']:g} or less",
    "list_type": lambda c: "a list",
    "model_attributes_type": lambda c: "keys and values",
    "model_type": lambda c: "keys and values",
    "string_pattern_mismatch": lambda c: (
        "package.module.Class or file.py:Class"
        if ":" in c["pattern"]
        else "letters, digits, '_', '.', '+' and '-' only"
    ),
    "string_type": lambda c: "text",
    "too_short": lambda c: f"at least {c['min_length']} entry",
}


def _message(detail: ErrorDetails) -> str:
    kind, got, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        name = str(detail["loc"][-1])
        return f"unknown key; {_suggest(name, _allowed_keys(detail['loc'][:-1]))}"
    if kind == "literal_error":
        allowed = [part.strip().strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
        return not_one_of(got, allowed)
    if kind == "union_tag_invalid":
        return not_one_of(context["tag"], [tag.strip().strip("'") for tag in context["expected_tags"].split(",")])
    if kind == "union_tag_not_found":
        return "is missing"
    expected = _EXPECTED.get(kind)
    wanted = expected(context) if expected else detail["msg"]
    return f"got {shown(got)}; expected {wanted}"


def not_one_of(got: Any, allowed: list[str]) -> str:
    return f"got {shown(got)}; {_suggest(str(got), allowed)}"


def _suggest(got: str, allowed: list[str]) -> str:
    meant, listed = did_you_mean(got, allowed), ", ".join(allowed)
    return f"{meant} ({listed})" if meant else f"expected {listed}"


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else json.dumps(value, default=str)


def _allowed_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that the settings at a pydantic location may have."""
    kind: Any = Scenario
    for part in location:
        kind = _step(kind, part)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _step(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        if field is None:
            return None
        return _strip(field.annotation)
    if get_origin(kind) in (Union, types.UnionType):
        for written in get_args(kind):
            member = _strip(written)
            if any(isinstance(tag, Tag) and tag.tag == part for tag in getattr(written, "__metadata__", ())):
                return member
            if isinstance(member, type) and issubclass(member, BaseModel):
                tag = member.model_fields.get("kind")
                tags = get_args(tag.annotation) if tag is not None and get_origin(tag.annotation) is Literal else ()
                if part in tags or part == member.__name__:
                    return member
                if part in member.model_fields and not tags:
                    return _step(member, part)
    if get_origin(kind) is list:
        return _strip(get_args(kind)[0])
    if get_origin(kind) is dict:
        return _strip(get_args(kind)[1])
    return kind


def _strip(annotation: Any) -> Any:
    """An annotation without its metadata and without None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _strip(members[0])
    return annotation
