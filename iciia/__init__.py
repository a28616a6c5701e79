"""ICIIA: intra-client, inter-image attention over a client's own unlabelled past (arXiv 2211.06276).

Names are imported when they are used: what needs no torch, such as `iciia.counter`, does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iciia.adapters import (
        AdaptAdapter,
        Adapter,
        ArmCmlAdapter,
        BackboneAdapter,
        BbseAdapter,
        Chunk,
        CofaAdapter,
        Cost,
        EmPriorAdapter,
        FeedForwardAdapter,
        FinetunedHeadAdapter,
        FlhFtlAdapter,
        FthAdapter,
        HmmAdapter,
        IciiaAdapter,
        IcrmAdapter,
        KnnAdapter,
        LameAdapter,
        LastLabelAdapter,
        MajorityLabelAdapter,
        OracleAdapter,
        OraclePriorAdapter,
        PriorCorrectionAdapter,
        PromptAdapter,
        PrototypeAdapter,
        StataAdapter,
        SuperclassFilterAdapter,
        T3aAdapter,
        TdaAdapter,
        log_scores,
    )
    from iciia.adapters.source import Source
    from iciia.banks.bank import FeatureBank
    from iciia.contexts.iciia import ICIIA
    from iciia.contexts.partition import PartitionedLinear, feature_shuffle
    from iciia.contexts.priors import ClientPriors
    from iciia.contexts.session import Session

_HOMES = {
    "ClientPriors": "iciia.contexts.priors",
    "FeatureBank": "iciia.banks.bank",
    "ICIIA": "iciia.contexts.iciia",
    "PartitionedLinear": "iciia.contexts.partition",
    "Session": "iciia.contexts.session",
    "Source": "iciia.adapters.source",
    "feature_shuffle": "iciia.contexts.partition",
}
"""All other names are adapters, and what they are made of."""

__all__ = [
    "ICIIA",
    "AdaptAdapter",
    "Adapter",
    "ArmCmlAdapter",
    "BackboneAdapter",
    "BbseAdapter",
    "Chunk",
    "ClientPriors",
    "CofaAdapter",
    "Cost",
    "EmPriorAdapter",
    "FeatureBank",
    "FeedForwardAdapter",
    "FinetunedHeadAdapter",
    "FlhFtlAdapter",
    "FthAdapter",
    "HmmAdapter",
    "IciiaAdapter",
    "IcrmAdapter",
    "KnnAdapter",
    "LameAdapter",
    "LastLabelAdapter",
    "MajorityLabelAdapter",
    "OracleAdapter",
    "OraclePriorAdapter",
    "PartitionedLinear",
    "PriorCorrectionAdapter",
    "PromptAdapter",
    "PrototypeAdapter",
    "Session",
    "Source",
    "StataAdapter",
    "SuperclassFilterAdapter",
    "T3aAdapter",
    "TdaAdapter",
    "feature_shuffle",
    "log_scores",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "iciia.adapters")), name)
    raise AttributeError(f"module 'iciia' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
