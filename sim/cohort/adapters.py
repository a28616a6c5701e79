"""From adapter settings to adapters: one of each kind, one for each capacity of a list, and those of the user's own."""

from collections.abc import Mapping
from typing import Any

from iciia.adapters import (
    ADAPTERS,
    Adapter,
    BackboneAdapter,
    IciiaAdapter,
    OracleAdapter,
)
from iciia.adapters.source import Source
from iciia.banks.storage import STORAGES
from iciia.contexts.iciia import ICIIA
from iciia.contexts.module import Module
from iciia.contexts.priors import ClientPriors
from iciia.imports import import_class
from iciia.policies import make_policy
from sim.cohort.fleet import FittedAdapter
from sim.scenario.adapters import (
    BY_DEVICE,
    AnyAdapterSettings,
    FfAdapterSettings,
    IciiaAdapterSettings,
    ModuleAdapterSettings,
    OwnAdapterSettings,
    T3aAdapterSettings,
    Variant,
    adapter_name,
    capacities,
    expand,
)
from sim.scenario.clients import ClientsSettings


def build_adapters(
    settings: list[AnyAdapterSettings],
    modules: Mapping[str, Module],
    source: Source,
    clients: ClientsSettings | None = None,
) -> dict[str, Adapter]:
    """Makes the adapters of a scenario, by name and in order.

    Args:
        settings: Its `adapters`.
        modules: Trained modules by name.
        source: What the cloud tells every adapter.
        clients: Its `clients`, which banks that are fitted to devices need.
    """
    adapters: dict[str, Adapter] = {}
    for one in settings:
        for variant in expand(one):
            if variant == BY_DEVICE and clients is not None:
                fitting = [build_adapter(one, capacity, modules, source) for capacity in capacities(one)]
                banks = [adapter for adapter in fitting if isinstance(adapter, IciiaAdapter)]
                made: Adapter = FittedAdapter(banks, clients.devices, clients.known_devices)
            else:
                made = build_adapter(one, variant, modules, source)
            adapters[adapter_name(one, variant)] = made
    return adapters


def build_adapter(
    settings: AnyAdapterSettings, variant: Variant, modules: Mapping[str, Module], source: Source
) -> Adapter:
    """Makes one adapter.

    Raises:
        ValueError: A number is out of range, or the source does not know what the adapter needs.
    """
    if isinstance(settings, IciiaAdapterSettings):
        bank, module = settings.bank, modules[settings.module]
        assert isinstance(module, ICIIA | ClientPriors)  # validated
        policy = make_policy(bank.policy.kind, bank.policy.arguments)
        return IciiaAdapter(module, int(variant or 0), STORAGES[bank.storage], policy, bank.diagnostics)
    if isinstance(settings, FfAdapterSettings | ModuleAdapterSettings):
        of_module: Any = ADAPTERS[settings.kind]
        limits = {} if variant is None else {"capacity": variant}
        trained: Adapter = of_module(modules[settings.module], **limits)
        return trained
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
    made: Any = ADAPTERS[settings.kind]
    adapter: Adapter = made(source, **arguments)
    return adapter


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
