"""Whether adapters have what they need of the cloud, and their banks fit into memory."""

import os
from collections.abc import Mapping, Sequence

from iciia.adapters.source import Source
from iciia.banks.predictions import prediction_bytes
from iciia.banks.storage import STORAGES, vector_bytes
from iciia.contexts.iciia import bank_vectors
from iciia.testing import check_adapter, example_chunk
from sim.cohort.adapters import make_own
from sim.data import Features, Images
from sim.scenario.adapters import AnyAdapterSettings, IciiaAdapterSettings, OwnAdapterSettings, capacities
from sim.scenario.file import Key
from sim.scenario.modules import PriorsSettings, TrainedSettings
from sim.scenario.sections import Found


def adapter_problems(adapters: Sequence[AnyAdapterSettings], data: Images | Features) -> Found:
    """Whether adapters have what they need of the cloud, and the user's own keep what an adapter must keep."""
    known = isinstance(data, Images) or data.classifier is not None
    for index, adapter in enumerate(adapters):
        key: Key = ("adapters", index)
        if adapter.kind == "superclass_filter" and data.classes.superclass is None:
            yield key, "superclass_filter needs superclasses, and the data have none; remove it"
        if adapter.kind in ("t3a", "finetuned_head", "adapt", "stata") and not known:
            yield (
                key,
                f"{adapter.kind} needs the backbone's classifier; give classifier_weight [C, D] (and classifier_bias [C]) in the "
                "train file",
            )
        if isinstance(adapter, OwnAdapterSettings):
            yield from _own_adapter_problems(key, adapter, len(data.classes))


def _own_adapter_problems(key: Key, settings: OwnAdapterSettings, classes: int) -> Found:
    try:
        adapter = make_own(settings.kind, settings.arguments, Source.blank(16, classes))
    except ValueError as error:
        yield (*key, "arguments"), str(error)
        return
    try:
        check_adapter(adapter, example_chunk(adapter.sees, classes=classes))
    except Exception as error:  # it may do anything
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        yield (*key, "kind"), f"{settings.kind} fails iciia.testing.check_adapter: {first or repr(error)}"


def bank_problems(
    adapters: Sequence[AnyAdapterSettings], modules: Mapping[str, TrainedSettings], cohort: int, features: int
) -> Found:
    """Whether the banks of a cohort fit into this machine's memory."""
    numbers = 0
    for adapter in adapters:
        if isinstance(adapter, IciiaAdapterSettings) and adapter.module in modules:
            module = modules[adapter.module]
            if module.context == "icrm" or module.context == "arm_cml":  # no module for a bank, which is told elsewhere
                continue
            if isinstance(module, PriorsSettings):
                one = prediction_bytes(module.keep, 1, STORAGES[adapter.bank.storage], 0)
                numbers += sum(capacities(adapter)) * one
                continue
            size = vector_bytes(features, STORAGES[adapter.bank.storage])
            vectors = bank_vectors(module.context, module.layers)
            numbers += sum(capacities(adapter)) * vectors * size
    wanted, there = numbers * cohort, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > there:
        yield (
            ("clients", "cohort"),
            f"got {cohort}: the banks of a cohort take {wanted / 1e9:,.1f} GB, and this machine has "
            f"{there / 1e9:,.1f}; lower it or the capacities, or set storage: int8",
        )
