"""Which step belongs to an adapter, or why none does."""

import copy

import torch

from iciia.adapters import Adapter, BackboneAdapter, FeedForwardAdapter, IciiaAdapter, SuperclassFilterAdapter
from iciia.contexts.iciia import ICIIA
from iciia.contexts.priors import ClientPriors
from iciia.export.attention import AttentionStep
from iciia.export.backbone import BackboneStep
from iciia.export.priors import PriorsStep
from iciia.export.step import Step
from iciia.export.superclass_filter import SuperclassFilterStep
from iciia.policies import Fifo

KINDS = ("backbone", "iciia", "ff", "superclass_filter")
"""Kinds of adapters that can be exported."""


def step_of(adapter: Adapter, classes: int) -> Step:
    """One image's step of an adapter, computed in float32.

    Args:
        adapter: Any adapter.
        classes: C.

    Raises:
        ValueError: It cannot be exported; the message says why and what can.
    """
    if isinstance(adapter, BackboneAdapter):
        return BackboneStep(classes)
    if isinstance(adapter, SuperclassFilterAdapter):
        return SuperclassFilterStep(adapter)
    if isinstance(adapter, FeedForwardAdapter):
        return _step_of_module(adapter.module, 0, torch.float32)
    if isinstance(adapter, IciiaAdapter):
        if type(adapter.policy) is not Fifo:
            name = adapter.policy.name
            raise ValueError(f"got the bank policy {name}, which cannot be exported; fifo can, the latest images")
        return _step_of_module(adapter.module, adapter.capacity, adapter.storage)
    raise ValueError(f"got an adapter of kind {adapter.kind}; expected one of {', '.join(KINDS)}")


def _step_of_module(module: ICIIA | ClientPriors, capacity: int, storage: torch.dtype) -> Step:
    if module.context != "none" and capacity < 1:
        raise ValueError(
            f"got a bank of capacity {capacity}; expected 1 or more: without a bank there is no step to export"
        )
    of_step = copy.deepcopy(module).float()
    if isinstance(of_step, ClientPriors):
        return PriorsStep(of_step, capacity, storage)
    return AttentionStep(of_step, capacity, storage)
