"""Adapters: what turns features, backbone logits and a client's own past into a prediction."""

from iciia.adapters.attention import IciiaAdapter
from iciia.adapters.backbone import BackboneAdapter
from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.oracle import OracleAdapter
from iciia.overhead import Cost

__all__ = ["Adapter", "BackboneAdapter", "Chunk", "Cost", "IciiaAdapter", "OracleAdapter"]
