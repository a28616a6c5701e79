"""The table of `iciia overhead`: what ICIIA costs beside a backbone."""

from dataclasses import asdict, dataclass

import torch

from iciia.backbone import create_backbone
from iciia.model import ICIIA
from iciia.overhead import cost_of, macs_paper, macs_set, macs_stream


@dataclass(frozen=True)
class OverheadRow:
    """One ICIIA module beside one backbone. MACs are for one image at a full bank; shares are of the backbone's MACs.

    Args:
        backbone: timm name.
        feature_dim: D.
        classes: C.
        backbone_macs: Multiply-adds of the backbone, convolutions and matrix products, as PyTorch counts them.
        layers: L.
        partitions: P.
        capacity: N.
        paper_macs: The whole set computed anew, by the paper's convention.
        set_macs: Our set context as computed, without any classifier.
        stream_macs: The stream context as computed, without any classifier.
        classifier_macs: What a residual head adds.
        parameters: Of the module, a classifier included.
        set_bank_bytes: One client's full bank in float32, set context.
        stream_bank_bytes: The same, stream context.
    """

    backbone: str
    feature_dim: int
    classes: int
    backbone_macs: int
    layers: int
    partitions: int
    capacity: int
    paper_macs: int
    set_macs: int
    stream_macs: int
    classifier_macs: int
    parameters: int
    set_bank_bytes: int
    stream_bank_bytes: int

    def shares(self) -> dict[str, float]:
        """All MACs as shares of the backbone's."""
        macs = {
            "paper_share": self.paper_macs,
            "set_share": self.set_macs,
            "stream_share": self.stream_macs,
            "stream_residual_share": self.stream_macs + self.classifier_macs,
        }
        return {name: value / self.backbone_macs for name, value in macs.items()}

    def as_dict(self) -> dict[str, object]:
        """Everything, for scripts."""
        return {**asdict(self), **self.shares()}


def overhead_row(name: str, layers: int, partitions: int, capacity: int, heads: int = 4) -> OverheadRow:
    """Counts one row.

    Args:
        name: timm name of the backbone.
        layers: L.
        partitions: P; must divide the backbone's feature dimension.
        capacity: N.
        heads: H; must divide it too.

    Raises:
        ValueError: timm does not know the name, or P or H does not divide D.
    """
    with torch.device("meta"):
        backbone = create_backbone(name, 3, torch.device("meta"))
        macs = backbone.macs()
        d, c = backbone.feature_dim, backbone.classes
        stream = cost_of(ICIIA(d, c, layers, heads, partitions, context="stream"), capacity)
        as_set = cost_of(ICIIA(d, c, layers, heads, partitions, context="set", head="replaced"), capacity)
    return OverheadRow(
        backbone=name,
        feature_dim=d,
        classes=c,
        backbone_macs=macs,
        layers=layers,
        partitions=partitions,
        capacity=capacity,
        paper_macs=macs_paper(d, layers, partitions, capacity),
        set_macs=macs_set(d, layers, partitions, capacity),
        stream_macs=macs_stream(d, layers, partitions, capacity),
        classifier_macs=d * c,
        parameters=stream.parameters,
        set_bank_bytes=as_set.state_bytes,
        stream_bank_bytes=stream.state_bytes,
    )
