"""Adapters: what turns features, backbone logits and a client's own past into a prediction; one in each file."""

from collections.abc import Mapping

from iciia.adapters.adapt import AdaptAdapter
from iciia.adapters.arm_cml import ArmCmlAdapter
from iciia.adapters.attention import IciiaAdapter
from iciia.adapters.backbone import BackboneAdapter
from iciia.adapters.base import Adapter, Chunk, Gives, Knows, Sees, log_scores
from iciia.adapters.bbse import BbseAdapter
from iciia.adapters.cofa import CofaAdapter
from iciia.adapters.em_prior import EmPriorAdapter
from iciia.adapters.ff import FeedForwardAdapter
from iciia.adapters.finetuned_head import FinetunedHeadAdapter
from iciia.adapters.flh_ftl import FlhFtlAdapter
from iciia.adapters.fth import FthAdapter
from iciia.adapters.hmm import HmmAdapter
from iciia.adapters.icrm import IcrmAdapter
from iciia.adapters.knn import KnnAdapter
from iciia.adapters.lame import LameAdapter
from iciia.adapters.last_label import LastLabelAdapter
from iciia.adapters.majority_label import MajorityLabelAdapter
from iciia.adapters.oracle import OracleAdapter
from iciia.adapters.oracle_prior import OraclePriorAdapter
from iciia.adapters.prior_correction import PriorCorrectionAdapter
from iciia.adapters.prompt import PromptAdapter
from iciia.adapters.prototype import PrototypeAdapter
from iciia.adapters.stata import StataAdapter
from iciia.adapters.superclass_filter import SuperclassFilterAdapter
from iciia.adapters.t3a import T3aAdapter
from iciia.adapters.tda import TdaAdapter
from iciia.overhead import Cost

__all__ = [
    "ADAPTERS",
    "AdaptAdapter",
    "Adapter",
    "ArmCmlAdapter",
    "BackboneAdapter",
    "BbseAdapter",
    "Chunk",
    "CofaAdapter",
    "Cost",
    "EmPriorAdapter",
    "FeedForwardAdapter",
    "FinetunedHeadAdapter",
    "FlhFtlAdapter",
    "FthAdapter",
    "Gives",
    "HmmAdapter",
    "IciiaAdapter",
    "IcrmAdapter",
    "KnnAdapter",
    "Knows",
    "LameAdapter",
    "LastLabelAdapter",
    "MajorityLabelAdapter",
    "OracleAdapter",
    "OraclePriorAdapter",
    "PriorCorrectionAdapter",
    "PromptAdapter",
    "PrototypeAdapter",
    "Sees",
    "StataAdapter",
    "SuperclassFilterAdapter",
    "T3aAdapter",
    "TdaAdapter",
    "log_scores",
]

ADAPTERS: Mapping[str, type[Adapter]] = {
    adapter.kind: adapter
    for adapter in (
        BackboneAdapter, OracleAdapter, IciiaAdapter, FeedForwardAdapter, OraclePriorAdapter, LastLabelAdapter, PrototypeAdapter,
        EmPriorAdapter, BbseAdapter, PriorCorrectionAdapter, MajorityLabelAdapter, KnnAdapter, LameAdapter, T3aAdapter,
        FinetunedHeadAdapter, PromptAdapter, SuperclassFilterAdapter, HmmAdapter, FthAdapter, FlhFtlAdapter, CofaAdapter,
        TdaAdapter, AdaptAdapter, StataAdapter, IcrmAdapter, ArmCmlAdapter,
    )
}  # fmt: skip
"""All adapters that come with the package, by kind."""
