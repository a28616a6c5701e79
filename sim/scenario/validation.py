"""From a document to a scenario, or to every problem it has.

Fields are judged one by one first. What takes several fields to judge is checked wherever the sections it needs are sound,
so that one bad line does not hide another.
"""

import json
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from iciia.adapters.source import Source
from iciia.cloud.train import BLOCK
from iciia.policies import make_policy
from sim.cohort.adapters import ADAPTERS, adapter_name, capacities, check_arguments, expand, module_of, sees_of
from sim.errors import Problem, ScenarioError, did_you_mean
from sim.scenario.drift import check_drift_settings, with_matrix
from sim.scenario.file import Document, Key, cells
from sim.scenario.scenario import (
    AnyAdapterSettings,
    BankSettings,
    ClientsSettings,
    HuggingfaceData,
    IciiaAdapterSettings,
    LameAdapterSettings,
    ModuleSettings,
    OwnAdapterSettings,
    PlainAdapterSettings,
    Scenario,
    WindowAdapterSettings,
    adapter_from,
)

FEATURE_KINDS = ("features", "synthetic")
"""Data that need no backbone; all others are images."""

MOST_IN_A_SET = 256
"""Largest bank of a set context with several layers, whose cost grows with the square of it."""


def validate(document: Document) -> Scenario:
    """Validates a document without looking at any data.

    Raises:
        ScenarioError: It has problems; all of them are listed, in the order of their lines.
    """
    scenario, found = inspect(document)
    if scenario is None or found:
        raise ScenarioError(document.source, found)
    return scenario


def inspect(document: Document) -> tuple[Scenario | None, list[Problem]]:
    """The scenario, if it is sound, and otherwise all problems."""
    problems = []
    scenario = None
    try:
        scenario = Scenario.model_validate(document.values)
        unsound: set[Any] = set()
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = _field_problems(document, details)
        unsound = {detail["loc"][0] for detail in details}
    sections = _Sections(document, unsound)
    checks = (
        _check_clients, _check_data, _check_backbone, _check_live, _check_modules, _check_adapters, _check_protocol,
    )  # fmt: skip
    for check in checks:
        problems += [document.problem(key, message) for key, message in check(sections)]
    if "sweep" not in unsound and document.values.get("sweep"):
        problems += _sweep_problems(document, quiet=bool(problems))
    problems.sort(key=lambda problem: (problem.line or 0, problem.where))
    if scenario is None or problems:
        return None, problems
    return with_matrix(scenario, document.folder).relative_to(document.data_folder), []


def _sweep_problems(document: Document, quiet: bool) -> list[Problem]:
    """Problems that only some cell of a sweep has."""
    try:
        runs = cells(document)
    except ValueError as error:
        return [document.problem(("sweep",), str(error))]
    if quiet:  # the cells would repeat the document's own problems
        return []
    found: dict[str, Problem] = {}
    for chosen, cell in runs:
        for problem in inspect(cell)[1]:
            text = f"with {', '.join(f'{key}={value}' for key, value in chosen.items())}: {problem.message}"
            found.setdefault(problem.where, Problem(problem.where, text, document.line(("sweep",))))
    return list(found.values())


# --- what takes several fields ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sections:
    """The sections of a document that are sound by themselves."""

    document: Document
    unsound: set[Any]

    def get(self, name: str) -> Any:
        """A section's settings; None if it is unsound."""
        if name in self.unsound:
            return None
        field = Scenario.model_fields[name]
        if name not in self.document.values:
            return field.get_default()
        found = _section_type(name).validate_python(self.document.values[name])
        return [adapter_from(self.document.data_folder, one) for one in found] if name == "adapters" else found


def _section_type(name: str) -> TypeAdapter[Any]:
    field = Scenario.model_fields[name]
    annotation: Any = field.annotation
    if field.discriminator:
        annotation = Annotated[annotation, field]
    return TypeAdapter(annotation)


Found = Iterator[tuple[Key, str]]


def _check_clients(sections: _Sections) -> Found:
    clients: ClientsSettings | None = sections.get("clients")
    if clients is None:
        return
    if clients.source == "natural":
        yield from _check_natural(clients)
        return
    if clients.images == "all":
        yield ("clients", "images"), 'got "all", which only natural clients have; give a number, or set source: natural'
        return
    if clients.order.as_stored:
        yield ("clients", "order", "as_stored"), "drawn streams have no stored order; remove it, or set source: natural"
    for name, message in check_drift_settings(clients, clients.images, sections.document.folder):
        yield ("clients", *name.split(".")), message


def _check_natural(clients: ClientsSettings) -> Found:
    """Natural clients leave nothing to draw."""
    drawn = {"subset": clients.subset, "drift": clients.drift, "sampling": clients.sampling}
    for name, value in drawn.items():
        if value != ClientsSettings.model_fields[name].get_default():
            yield ("clients", name), "describes drawn streams, and natural clients bring their own; remove it"
    if clients.order.run_length != 1.0:
        yield (
            ("clients", "order", "run_length"),
            "describes drawn streams, and natural clients bring their own order; remove it",
        )


def _check_data(sections: _Sections) -> Found:
    data = sections.get("data")
    if isinstance(data, HuggingfaceData) and (data.dataset is None) == (data.path is None):
        got = "neither" if data.path is None else "both"
        yield (
            ("data",),
            f"got {got} of dataset (a name in the local cache) and path (a folder of save_to_disk); give one",
        )


def _check_backbone(sections: _Sections) -> Found:
    if {"data", "backbone"} & sections.unsound:
        return
    kind, backbone = sections.get("data").kind, sections.get("backbone")
    if kind not in FEATURE_KINDS and backbone is None:
        yield (
            ("backbone",),
            f"is missing; {kind} data are images, for example: {{model: resnet10t, weights: train}}",
        )
    if kind in FEATURE_KINDS and backbone is not None:
        yield ("backbone",), f"{kind} data are ready features and take no backbone; remove it"


def _check_live(sections: _Sections) -> Found:
    clients, backbone = sections.get("clients"), sections.get("backbone")
    if clients is None or clients.corruption is None or "backbone" in sections.unsound:
        return
    if backbone is None or backbone.execution != "live":
        yield (
            ("clients", "corruption"),
            "corrupts images, which only a running backbone sees; set backbone.execution: live",
        )


def _check_modules(sections: _Sections) -> Found:
    for name, module in (sections.get("modules") or {}).items():
        key: Key = ("modules", name)
        if module.context == "set" and module.recipe == "stream":
            yield (*key, "recipe"), "the set context is trained on sets; set recipe: paper, or context: stream"
        if module.shortlist is not None and module.head == "replaced":
            yield (*key, "shortlist"), "a shortlist takes the residual head; remove it, or set head: residual"
        if module.evaluate_every % BLOCK:
            yield (*key, "evaluate_every"), f"got {module.evaluate_every}; expected a multiple of {BLOCK}"


def _check_adapters(sections: _Sections) -> Found:
    adapters = sections.get("adapters")
    modules = sections.get("modules")
    if adapters is None:
        return
    if not any(adapter.kind == "backbone" for adapter in adapters):
        yield ("adapters",), "has no `backbone`; add it, every gain is reported against it"
    names: dict[str, int] = {}
    for index, adapter in enumerate(adapters):
        key: Key = ("adapters", index)
        wanted = module_of(adapter)
        if wanted is not None and modules is not None:
            if wanted not in modules:
                undefined = f"got {_shown(wanted)}, and `modules` is empty; define it there"
                yield (*key, "module"), _not_one_of(wanted, list(modules)) if modules else undefined
            elif (modules[wanted].context == "none") != (adapter.kind == "ff"):
                yield (*key, "module"), _WRONG_CONTEXT[adapter.kind]
            elif isinstance(adapter, IciiaAdapterSettings):
                yield from _module_bank_problems((*key, "bank"), adapter.bank, modules[wanted])
        yield from _setting_problems(key, adapter)
        for variant in expand(adapter):
            name = adapter_name(adapter, variant)
            if name in names:
                advice = "remove one" if isinstance(adapter, PlainAdapterSettings) else "give one of them a `name`"
                yield key, f"a second adapter is called {name!r}; {advice}"
            names[name] = index


_WRONG_CONTEXT = {
    "iciia": "has context none and attends to nothing; set kind: ff, or give a module of another context",
    "ff": "has a context to attend to, and ff takes none; set kind: iciia, or give a module of context none",
}


def _setting_problems(key: Key, adapter: AnyAdapterSettings) -> Found:
    """What is wrong with an adapter's own settings."""
    if isinstance(adapter, IciiaAdapterSettings):
        try:
            make_policy(adapter.bank.policy.kind, adapter.bank.policy.arguments)
        except ValueError as error:
            yield (*key, "bank", "policy"), str(error)
    elif isinstance(adapter, OwnAdapterSettings):
        try:
            check_arguments(adapter.kind, adapter.arguments)
        except ValueError as error:
            yield (*key, "kind" if "cannot be imported" in str(error) else "arguments"), str(error)
    elif isinstance(adapter, LameAdapterSettings | WindowAdapterSettings):
        for capacity in capacities(adapter):
            try:
                ADAPTERS[adapter.kind](Source.blank(1, 2), capacity)  # type: ignore[call-arg]
            except ValueError as error:
                yield (*key, "capacity"), str(error)


def _check_protocol(sections: _Sections) -> Found:
    """The paper's protocols have no time and say themselves what a bank holds."""
    protocol, clients = sections.get("protocol"), sections.get("clients")
    if protocol in (None, "stream"):
        return
    if clients is not None and clients.drift.kind != "none":
        yield (
            ("clients", "drift"),
            f"{protocol} has no time in which anything could drift; set kind: none, or protocol: stream",
        )
    images = None if clients is None else clients.images
    for index, adapter in enumerate(sections.get("adapters") or []):
        key: Key = ("adapters", index)
        if sees_of(adapter) == "past_labels":
            yield key, f"{adapter.kind} sees past labels, and {protocol} has no past; remove it"
        bank = isinstance(adapter, IciiaAdapterSettings)
        if bank:
            yield from _stream_bank_problems((*key, "bank"), protocol, adapter.bank)
        for message in _set_problems(protocol, capacities(adapter), images):
            yield (*key, "bank", "capacity") if bank else (*key, "capacity"), message


def _stream_bank_problems(key: Key, protocol: str, bank: BankSettings) -> Found:
    """What a bank cannot be if it is the other images of a set."""
    for name in ("policy", "storage", "diagnostics"):
        if getattr(bank, name) != BankSettings.model_fields[name].get_default():
            message = f"is of a stream's bank, and with {protocol} a bank is the other images of a set; remove it"
            yield (*key, name), message


def _set_problems(protocol: str, banks: list[int], images: int | Literal["all"] | None) -> Iterator[str]:
    """What is wrong with capacities if banks are the other images of a set."""
    largest = max(banks, default=0)
    if isinstance(images, int) and largest >= images:
        yield f"got {largest}, and each of a client's {images} images has {images - 1} others; lower it"
    if largest > MOST_IN_A_SET:
        yield f"got {largest}: {protocol} computes every set anew; {MOST_IN_A_SET} or less"


def _module_bank_problems(key: Key, bank: BankSettings, module: ModuleSettings) -> Found:
    """What is wrong with a bank for the module that uses it."""
    as_set = module.context == "set" and module.layers > 1
    largest = max(bank.capacity) if isinstance(bank.capacity, list) else bank.capacity
    if as_set and largest > MOST_IN_A_SET:
        yield (
            (*key, "capacity"),
            f"got {largest}: the set context computes all pairs of a bank anew for every image; "
            f"{MOST_IN_A_SET} or less, or set context: stream",
        )
    if bank.diagnostics and as_set:
        yield (*key, "diagnostics"), "measures the stream context only; remove it, or set context: stream"


# --- what pydantic found, in our words --------------------------------------------------------------------------------


def _field_problems(document: Document, details: list[ErrorDetails]) -> list[Problem]:
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
        return _not_one_of(got, allowed)
    if kind == "union_tag_invalid":
        return _not_one_of(context["tag"], [tag.strip().strip("'") for tag in context["expected_tags"].split(",")])
    if kind == "union_tag_not_found":
        return "is missing"
    expected = _EXPECTED.get(kind)
    wanted = expected(context) if expected else detail["msg"]
    return f"got {_shown(got)}; expected {wanted}"


def _not_one_of(got: Any, allowed: list[str]) -> str:
    return f"got {_shown(got)}; {_suggest(str(got), allowed)}"


def _suggest(got: str, allowed: list[str]) -> str:
    meant, listed = did_you_mean(got, allowed), ", ".join(allowed)
    return f"{meant} ({listed})" if meant else f"expected {listed}"


def _shown(value: Any) -> str:
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
