"""The tables of `iciia overhead`: what ICIIA costs beside a backbone, and beside those of the paper."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from rich.table import Table

from iciia.cloud.backbone import Backbone, create_backbone
from iciia.contexts.iciia import ICIIA
from iciia.contexts.priors import ClientPriors
from iciia.overhead import cost_of, macs_paper, macs_set, macs_stream
from iciia.paper import PAIRS, PARTITIONS, Pair

SUPERCLASSES = 85
"""Superclasses of the paper's ImageNet, which the default module is counted with."""


@dataclass(frozen=True)
class OverheadRow:
    """One ICIIA module beside one backbone. MACs are for one image at a full bank; shares are of the backbone's MACs.

    Args:
        backbone: The model's name.
        image_size: Height and width that it reads.
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
        priors_macs: The default module, its head included, told of as many superclasses as the paper's ImageNet has, 85.
        priors_bank_bytes: One client's full bank of it in float32.
        backbone_parameters: Weights of the backbone.
        priors_parameters: Of the default module, a classifier included.
    """

    backbone: str
    image_size: int
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
    priors_macs: int
    priors_bank_bytes: int
    backbone_parameters: int
    priors_parameters: int

    def costs(self) -> dict[str, int]:
        """Multiply-adds of one image in each way of working, by name."""
        return {
            "paper": self.paper_macs,
            "set": self.set_macs,
            "stream": self.stream_macs,
            "stream_residual": self.stream_macs + self.classifier_macs,
            "priors": self.priors_macs,
        }

    def as_dict(self) -> dict[str, object]:
        """Everything, with shares of the backbone's MACs, for scripts."""
        return {**asdict(self), **{f"{name}_share": macs / self.backbone_macs for name, macs in self.costs().items()}}

    def cell(self, name: str) -> str:
        """A cost for people: multiply-adds, and their share of the backbone's."""
        macs = self.costs()[name]
        return f"{macs / 1e6:,.3f} M ({_share(macs / self.backbone_macs)})"


@dataclass(frozen=True)
class PaperRow:
    """One of the paper's variants on one of its pairs.

    Args:
        pair: Dataset and backbone.
        variant: `ICIIA-B` or `ICIIA-T`.
        row: What it costs here.
    """

    pair: Pair
    variant: str
    row: OverheadRow

    @property
    def share_of_their_count(self) -> float | None:
        """Their convention over their count of the backbone; None where that is not known."""
        theirs = self.pair.backbone_macs
        return None if theirs is None else self.row.paper_macs / theirs

    @property
    def published(self) -> float | None:
        """The overhead that the paper states; None where it states none."""
        return self.pair.overhead if self.variant == "ICIIA-T" else None

    def as_dict(self) -> dict[str, object]:
        """Everything, for scripts."""
        more = {"paper_share_of_their_count": self.share_of_their_count, "published_share": self.published}
        return (
            {"dataset": self.pair.dataset, "variant": self.variant, "name": self.pair.backbone}
            | self.row.as_dict()
            | more
        )


def overhead_row(name: str, layers: int, partitions: int, capacity: int, heads: int = 4) -> OverheadRow:
    """Counts one row.

    Args:
        name: Name of the backbone.
        layers: L.
        partitions: P; must divide the backbone's feature dimension.
        capacity: N.
        heads: H; must divide it too.

    Raises:
        ValueError: There is no such backbone, or P or H does not divide D.
    """
    with torch.device("meta"):
        channels = 1 if name == "femnist_cnn" else 3
        backbone = create_backbone(name, channels, torch.device("meta"))
        return _row(backbone, name, backbone.macs(), layers, partitions, capacity, heads)


def paper_rows(capacity: int) -> list[PaperRow]:
    """Both variants on every pair of the paper, with banks of the given capacity."""
    rows = []
    for pair in PAIRS:
        with torch.device("meta"):
            meta = torch.device("meta")
            backbone = create_backbone(pair.model, pair.channels, meta, pair.classes, pair.image_size)
            macs = backbone.macs()
            for variant, partitions in PARTITIONS.items():
                row = _row(backbone, pair.model, macs, pair.layers, partitions, capacity, 4)
                rows.append(PaperRow(pair, variant, row))
    return rows


def _row(
    backbone: Backbone, name: str, macs: int, layers: int, partitions: int, capacity: int, heads: int
) -> OverheadRow:
    d, c = backbone.feature_dim, backbone.classes
    stream = cost_of(ICIIA(d, c, layers, heads, partitions, context="stream"), capacity)
    priors = cost_of(ClientPriors(d, c, SUPERCLASSES), capacity)
    as_set = cost_of(ICIIA(d, c, layers, heads, partitions, context="set", head="replaced"), capacity)
    return OverheadRow(
        backbone=name,
        image_size=backbone.image_size,
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
        priors_macs=priors.macs_per_image,
        priors_bank_bytes=priors.state_bytes,
        backbone_parameters=sum(one.numel() for one in backbone.model.parameters()),
        priors_parameters=priors.parameters,
    )


def rendered(rows: Sequence[OverheadRow] | Sequence[PaperRow]) -> Table:
    """Rows of either kind as a table for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for row in rows:
        cells = _of_paper(row) if isinstance(row, PaperRow) else _of_row(row)
        if not table.columns:
            for name in cells:
                left = name in ("dataset", "backbone", "variant")
                table.add_column(name, justify="left" if left else "right", no_wrap=True)
        table.add_row(*cells.values())
    return table


def _of_row(row: OverheadRow) -> dict[str, str]:
    return {
        "backbone": row.backbone,
        "D": str(row.feature_dim),
        "MACs": _millions(row.backbone_macs),
        "L": str(row.layers),
        "P": str(row.partitions),
        "N": str(row.capacity),
        "paper": row.cell("paper"),
        "set": row.cell("set"),
        "stream": row.cell("stream"),
        "stream+head": row.cell("stream_residual"),
        "default": row.cell("priors"),
        "parameters": f"{row.parameters:,}",
        "bank, set": f"{row.set_bank_bytes:,} B",
        "bank, stream": f"{row.stream_bank_bytes:,} B",
        "bank, default": f"{row.priors_bank_bytes:,} B",
    }


def _of_paper(one: PaperRow) -> dict[str, str]:
    row = one.row
    return {
        "dataset": one.pair.dataset,
        "backbone": one.pair.backbone,
        "size": str(row.image_size),
        "D": str(row.feature_dim),
        "C": str(row.classes),
        "MACs": _millions(row.backbone_macs),
        "variant": one.variant,
        "L": str(row.layers),
        "paper": row.cell("paper"),
        "stream": row.cell("stream"),
        "stream+head": row.cell("stream_residual"),
        "default": row.cell("priors"),
        "paper, their count": _share(one.share_of_their_count),
        "published": _share(one.published),
    }


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.1f} M"


def _share(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:.2%}" if share >= 1e-4 else f"{share:.4%}"
