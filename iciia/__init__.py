"""ICIIA: intra-client, inter-image attention over a client's own unlabelled past (arXiv 2211.06276)."""

from iciia.adapters import Adapter, BackboneAdapter, Chunk, Cost, IciiaAdapter, OracleAdapter
from iciia.bank import FeatureBank
from iciia.model import ICIIA
from iciia.partition import PartitionedLinear, feature_shuffle
from iciia.session import Session

__all__ = [
    "ICIIA",
    "Adapter",
    "BackboneAdapter",
    "Chunk",
    "Cost",
    "FeatureBank",
    "IciiaAdapter",
    "OracleAdapter",
    "PartitionedLinear",
    "Session",
    "feature_shuffle",
]
