"""What can be wrong with adapters, before any data are looked at."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from iciia.adapters import ADAPTERS, Adapter, Sees
from iciia.adapters.source import Source
from iciia.imports import import_class
from iciia.policies import make_policy
from sim.scenario.adapters import (
    AnyAdapterSettings,
    BankSettings,
    HmmAdapterSettings,
    IciiaAdapterSettings,
    LameAdapterSettings,
    ModuleAdapterSettings,
    OwnAdapterSettings,
    PlainAdapterSettings,
    StataAdapterSettings,
    WindowAdapterSettings,
    adapter_name,
    capacities,
    expand,
    module_of,
)
from sim.scenario.clients import ClientsSettings
from sim.scenario.file import Key
from sim.scenario.modules import RIVALS, GivenSettings, ModuleSettings, PriorsSettings, TrainedSettings, kind_of
from sim.scenario.sections import Found, Sections
from sim.scenario.wording import not_one_of, shown

MOST_IN_A_SET = 256
"""Largest bank of a set context with several layers, whose cost grows with the square of it."""


def check_adapters(sections: Sections) -> Found:
    """What is wrong with adapters, each for itself and beside each other."""
    adapters = sections.get("adapters")
    modules, clients = sections.get("modules"), sections.get("clients")
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
                undefined = f"got {shown(wanted)}, and `modules` is empty; define it there"
                yield (*key, "module"), not_one_of(wanted, list(modules)) if modules else undefined
            elif not isinstance(modules[wanted], GivenSettings):  # of which nothing is known before it is read
                yield from module_problems(key, adapter, modules[wanted])
        yield from _setting_problems(key, adapter)
        if isinstance(adapter, IciiaAdapterSettings) and adapter.bank.by_device and clients is not None:
            yield from _fitted_problems((*key, "bank"), adapter.bank, clients)
        for variant in expand(adapter):
            name = adapter_name(adapter, variant)
            if name in names:
                advice = "remove one" if isinstance(adapter, PlainAdapterSettings) else "give one of them a `name`"
                yield key, f"a second adapter is called {name!r}; {advice}"
            names[name] = index


def _fitted_problems(key: Key, bank: BankSettings, clients: ClientsSettings) -> Found:
    """What is wrong with a bank that follows from a client's device."""
    if not clients.devices:
        yield (
            (*key, "by_device"),
            "fits banks to devices, and clients have none; set clients.devices, for example {phone: 0.6, microcontroller: 0.4}",
        )
    if bank.diagnostics:
        yield (*key, "diagnostics"), "measures one bank, and by_device has several; remove one of them"


def module_problems(key: Key, adapter: AnyAdapterSettings, module: TrainedSettings) -> Found:
    """Whether an adapter takes the module that it names, and asks no more of it than it has."""
    if adapter.kind != kind_of(module.context):
        yield (*key, "module"), _wrong_context(adapter.kind, module.context)
    elif isinstance(adapter, ModuleAdapterSettings) and isinstance(module, ModuleSettings) and adapter.kind == "icrm":
        yield from _position_problems((*key, "capacity"), capacities(adapter), module.positions)
    elif isinstance(adapter, IciiaAdapterSettings):
        yield from _module_bank_problems((*key, "bank"), adapter.bank, module)


def _position_problems(key: Key, wanted: list[int], positions: int) -> Found:
    """Whether a module of context icrm has a position for each image of a context."""
    largest = max(wanted, default=0)
    if largest >= positions:
        yield (
            key,
            f"got {largest}, and with the target that is more than the module's positions ({positions}); lower it",
        )


def _wrong_context(kind: str, context: str) -> str:
    """What to say of a module of a context that an adapter of a kind does not take."""
    if kind == "iciia" and context == "none":
        return "has context none and attends to nothing; set kind: ff, or give a module of another context"
    if kind == "ff" and context not in RIVALS:
        return "has a context to attend to, and ff takes none; set kind: iciia, or give a module of context none"
    wanted = {"iciia": "priors, stream or set", "ff": "none"}.get(kind, kind)
    return f"has context {context}; set kind: {kind_of(context)}, or give a module of context {wanted}"


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
    elif isinstance(adapter, LameAdapterSettings | WindowAdapterSettings | HmmAdapterSettings | StataAdapterSettings):
        for capacity in capacities(adapter):
            try:
                ADAPTERS[adapter.kind](Source.blank(1, 2), capacity)  # type: ignore[call-arg]
            except ValueError as error:
                yield (*key, "capacity"), str(error)


def _module_bank_problems(key: Key, bank: BankSettings, module: TrainedSettings) -> Found:
    """What is wrong with a bank for the module that uses it."""
    if isinstance(module, PriorsSettings):
        if bank.diagnostics:
            yield (
                (*key, "diagnostics"),
                "measures attention, and context priors has none; remove it, or set context: stream",
            )
        return
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


def check_protocol(sections: Sections) -> Found:
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
    for name in ("policy", "storage", "diagnostics", "by_device"):
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


def sees_of(settings: AnyAdapterSettings) -> Sees:
    """What its adapters are shown beside images."""
    return adapter_class(settings).sees


def adapter_class(settings: AnyAdapterSettings) -> type[Adapter]:
    """The class of its adapters; plain `Adapter` for one of the user's own that cannot be imported, which is told elsewhere."""
    if not isinstance(settings, OwnAdapterSettings):
        return ADAPTERS[settings.kind]
    try:
        return import_class(settings.kind, Adapter)
    except ValueError:
        return Adapter


def check_arguments(path: str, arguments: Mapping[str, Any]) -> None:
    """Checks that an adapter's class takes these arguments beside the source, by name.

    Raises:
        ValueError: It does not, or it cannot be imported.
    """
    signature = inspect.signature(import_class(path, Adapter))
    try:
        signature.bind(Source.blank(1, 2), **arguments)
    except TypeError as error:
        taken = ", ".join([*signature.parameters][1:]) or "none"
        raise ValueError(f"{path} does not take these arguments: {error}; it takes {taken}") from error
