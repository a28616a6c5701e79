"""From adapter settings to adapters: one of each kind, one for each capacity of a list, and those of the user's own."""

import inspect
from collections.abc import Mapping
from typing import Any

from iciia.adapters import (
    Adapter,
    BackboneAdapter,
    BbseAdapter,
    EmPriorAdapter,
    FeedForwardAdapter,
    FinetunedHeadAdapter,
    IciiaAdapter,
    KnnAdapter,
    LameAdapter,
    LastLabelAdapter,
    MajorityLabelAdapter,
    OracleAdapter,
    OraclePriorAdapter,
    PriorCorrectionAdapter,
    PromptAdapter,
    PrototypeAdapter,
    Sees,
    T3aAdapter,
)
from iciia.adapters.source import Source
from iciia.banks.storage import STORAGES
from iciia.contexts.iciia import ICIIA
from iciia.imports import import_class
from iciia.policies import make_policy
from sim.scenario.scenario import (
    AnyAdapterSettings,
    FfAdapterSettings,
    IciiaAdapterSettings,
    LabelledAdapterSettings,
    OwnAdapterSettings,
    PlainAdapterSettings,
    T3aAdapterSettings,
)

Variant = int | str | None
"""The one value that an adapter takes of a list in its settings: a capacity, or a number of supports."""

OF_SOURCE: Mapping[str, type[Any]] = {
    adapter.kind: adapter
    for adapter in (
        OraclePriorAdapter,
        LastLabelAdapter,
        PrototypeAdapter,
        EmPriorAdapter,
        BbseAdapter,
        PriorCorrectionAdapter,
        MajorityLabelAdapter,
        KnnAdapter,
        LameAdapter,
        T3aAdapter,
        FinetunedHeadAdapter,
        PromptAdapter,
    )
}
"""Adapters that are made of the source and the settings of their kind."""

ADAPTERS: Mapping[str, type[Adapter]] = {
    BackboneAdapter.kind: BackboneAdapter,
    OracleAdapter.kind: OracleAdapter,
    IciiaAdapter.kind: IciiaAdapter,
    FeedForwardAdapter.kind: FeedForwardAdapter,
    **OF_SOURCE,
}
"""All adapters that come with the package, by kind."""


def expand(settings: AnyAdapterSettings) -> list[Variant]:
    """What settings make adapters of: the capacities or supports of a list, or None where there is nothing to list."""
    found: Any = None
    if isinstance(settings, IciiaAdapterSettings):
        found = settings.bank.capacity
    elif isinstance(settings, T3aAdapterSettings):
        found = settings.supports
    elif not isinstance(
        settings, PlainAdapterSettings | FfAdapterSettings | LabelledAdapterSettings | OwnAdapterSettings
    ):
        found = settings.capacity
    return list(found) if isinstance(found, list) else [found]


def capacities(settings: AnyAdapterSettings) -> list[int]:
    """Most images that its adapters remember, of those whose settings say it."""
    found = [] if isinstance(settings, T3aAdapterSettings) else expand(settings)
    return [capacity for capacity in found if isinstance(capacity, int)]


def module_of(settings: AnyAdapterSettings) -> str | None:
    """Name of the module that its adapters use."""
    return settings.module if isinstance(settings, IciiaAdapterSettings | FfAdapterSettings) else None


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


def adapter_name(settings: AnyAdapterSettings, variant: Variant) -> str:
    """What reports call it: `backbone`, `iciia-16`, `t3a-all`, and `MyAdapter` for `mypackage.MyAdapter`."""
    given = None if isinstance(settings, PlainAdapterSettings) else settings.name
    name = given or settings.kind.replace(":", ".").rpartition(".")[2]
    return name if variant is None else f"{name}-{variant}"


def build_adapters(
    settings: list[AnyAdapterSettings], modules: Mapping[str, ICIIA], source: Source
) -> dict[str, Adapter]:
    """Makes the adapters of a scenario, by name and in order."""
    adapters: dict[str, Adapter] = {}
    for one in settings:
        for variant in expand(one):
            adapters[adapter_name(one, variant)] = build_adapter(one, variant, modules, source)
    return adapters


def build_adapter(
    settings: AnyAdapterSettings, variant: Variant, modules: Mapping[str, ICIIA], source: Source
) -> Adapter:
    """Makes one adapter.

    Raises:
        ValueError: A number is out of range, or the source does not know what the adapter needs.
    """
    if isinstance(settings, IciiaAdapterSettings):
        bank = settings.bank
        policy = make_policy(bank.policy.kind, bank.policy.arguments)
        return IciiaAdapter(
            modules[settings.module], int(variant or 0), STORAGES[bank.storage], policy, bank.diagnostics
        )
    if isinstance(settings, FfAdapterSettings):
        return FeedForwardAdapter(modules[settings.module])
    if isinstance(settings, OwnAdapterSettings):
        return make_own(settings.kind, settings.arguments, source)
    if settings.kind == "backbone":
        return BackboneAdapter()
    if settings.kind == "oracle":
        return OracleAdapter()
    arguments = settings.model_dump(exclude={"kind", "name"}, exclude_none=True)
    if variant is not None:
        key = "supports" if isinstance(settings, T3aAdapterSettings) else "capacity"
        arguments[key] = None if variant == "all" else variant
    adapter: Adapter = OF_SOURCE[settings.kind](source, **arguments)
    return adapter


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


def make_own(path: str, arguments: Mapping[str, Any], source: Source) -> Adapter:
    """Makes an adapter of the user's own: its class is called with the source and the arguments by name.

    Raises:
        ValueError: It cannot be made; the message says why.
    """
    chosen = import_class(path, Adapter)
    try:
        adapter: Adapter = chosen(source, **arguments)
    except Exception as error:
        raise ValueError(f"{path} cannot be made: {type(error).__name__}: {error}") from error
    return adapter
