"""ICIIA: intra-client, inter-image attention over a client's own unlabelled past (arXiv 2211.06276)."""

from iciia.adapters import (
    Adapter,
    BackboneAdapter,
    BbseAdapter,
    Chunk,
    Cost,
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
    T3aAdapter,
    log_scores,
)
from iciia.adapters.source import Source
from iciia.banks.bank import FeatureBank
from iciia.contexts.iciia import ICIIA
from iciia.contexts.partition import PartitionedLinear, feature_shuffle
from iciia.contexts.session import Session

__all__ = [
    "ICIIA",
    "Adapter",
    "BackboneAdapter",
    "BbseAdapter",
    "Chunk",
    "Cost",
    "EmPriorAdapter",
    "FeatureBank",
    "FeedForwardAdapter",
    "FinetunedHeadAdapter",
    "IciiaAdapter",
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
    "T3aAdapter",
    "feature_shuffle",
    "log_scores",
]
