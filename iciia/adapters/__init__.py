"""Adapters: what turns features, backbone logits and a client's own past into a prediction."""

from iciia.adapters.attention import IciiaAdapter
from iciia.adapters.backbone import BackboneAdapter
from iciia.adapters.base import Adapter, Chunk, Cost
from iciia.adapters.oracle import OracleAdapter

__all__ = ["Adapter", "BackboneAdapter", "Chunk", "Cost", "IciiaAdapter", "OracleAdapter"]
