"""Estimates of time and energy on devices as tables for people: of `iciia overhead --device`, and of a page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from iciia.overhead import Cost
from sim.report.overhead import OverheadRow
from sim.scenario.devices import NO_ROOM, Estimate, Profile, estimate, estimate_adapter


@dataclass(frozen=True)
class DeviceRow:
    """What one image is estimated to take on one device.

    Args:
        backbone: The model's name.
        partitions: P of the stream module.
        device: The profile's name.
        what: `backbone`, or a module beside it.
        estimate: Time, energy, and whether it fits; of the backbone that is not asked.
    """

    backbone: str
    partitions: int
    device: str
    what: str
    estimate: Estimate

    def as_dict(self) -> dict[str, object]:
        """Everything, for scripts."""
        told = {"backbone": self.backbone, "partitions": self.partitions, "device": self.device, "what": self.what}
        fits = {"fits": None} if self.what == "backbone" else {}
        return {**told, **asdict(self.estimate), **fits, "is": "an estimate"}


def device_rows(rows: Sequence[OverheadRow], profiles: Mapping[str, Profile]) -> Iterator[DeviceRow]:
    """The backbone alone, the default module and the stream context with its head, each on every device.

    Of the backbone its weights are read once for an image; what its layers hand to each other is left out.
    """
    for row in rows:
        modules = {
            "default": Cost(row.priors_macs, 0, row.priors_bank_bytes, row.priors_parameters),
            "stream+head": Cost(row.stream_macs + row.classifier_macs, 0, row.stream_bank_bytes, row.parameters),
        }
        for name, profile in profiles.items():
            read = row.backbone_parameters * profile.word_bytes.value
            alone = estimate(profile, row.backbone_macs, read, read)
            yield DeviceRow(row.backbone, row.partitions, name, "backbone", alone)
            for what, cost in modules.items():
                found = estimate_adapter(profile, cost, row.capacity)
                yield DeviceRow(row.backbone, row.partitions, name, what, found)


def rendered_estimates(rows: Sequence[DeviceRow]) -> Table:
    """Rows as a table for people."""
    table = Table(
        box=None, pad_edge=False, header_style="bold", title_justify="left", title="Estimates, not measurements; one image",
    )  # fmt: skip
    for name in ("device", "backbone", "P", "what", "time", "energy", "adapter and one bank"):
        left = name in ("device", "backbone", "what")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        fits = "" if row.what == "backbone" else "fits" if row.estimate.fits else NO_ROOM
        partitions = str(row.partitions) if row.what == "stream+head" else ""
        cells = row.estimate.time, row.estimate.energy, fits
        table.add_row(row.device, row.backbone, partitions, row.what, *cells)
    return table
