"""From adapter settings to adapters: one of each kind, one for each bank capacity of a list."""

from collections.abc import Mapping

from iciia.adapters import Adapter, BackboneAdapter, IciiaAdapter, OracleAdapter
from iciia.model import ICIIA
from iciia.policies import make_policy
from iciia.storage import STORAGES
from sim.scenario import AnyAdapterSettings, IciiaAdapterSettings


def expand(settings: AnyAdapterSettings) -> list[int | None]:
    """The bank capacities that settings make adapters of; None for one without a bank."""
    if not isinstance(settings, IciiaAdapterSettings):
        return [None]
    capacity = settings.bank.capacity
    return list(capacity) if isinstance(capacity, list) else [capacity]


def adapter_name(settings: AnyAdapterSettings, capacity: int | None) -> str:
    """What reports call it: `backbone`, `iciia-16`."""
    if not isinstance(settings, IciiaAdapterSettings):
        return settings.kind
    return f"{settings.name or settings.kind}-{capacity}"


def build_adapters(settings: list[AnyAdapterSettings], modules: Mapping[str, ICIIA]) -> dict[str, Adapter]:
    """Makes the adapters of a scenario, by name and in order."""
    adapters: dict[str, Adapter] = {}
    for one in settings:
        for capacity in expand(one):
            adapters[adapter_name(one, capacity)] = _build(one, capacity, modules)
    return adapters


def _build(settings: AnyAdapterSettings, capacity: int | None, modules: Mapping[str, ICIIA]) -> Adapter:
    if isinstance(settings, IciiaAdapterSettings) and capacity is not None:
        bank = settings.bank
        policy = make_policy(bank.policy.kind, bank.policy.arguments)
        return IciiaAdapter(modules[settings.module], capacity, STORAGES[bank.storage], policy, bank.diagnostics)
    return OracleAdapter() if settings.kind == "oracle" else BackboneAdapter()
