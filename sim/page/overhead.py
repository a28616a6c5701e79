"""Two kinds of cost, never mixed: what an adapter costs on the device, and how fast the simulator was."""

from typing import Any

import pandas as pd

from sim.page.parts import Table, rows_of, size, whole
from sim.report.load import Report
from sim.scenario.devices import NO_ROOM, Counted, Profile, built_in, estimate_adapter


def overhead_table(report: Report) -> Table:
    """What each adapter costs on the device."""
    overhead = report.overhead
    rows = [
        [
            str(row.adapter), whole(row.macs_per_image), whole(row.macs_module), _share(row.macs_share), whole(row.parameters),
            size(row.state_bytes),
        ]
        for row in rows_of(overhead)
    ]  # fmt: skip
    header = ["adapter", "MACs an image", "without classifier", "of the backbone's", "parameters", "state of a client"]
    if "macs_training" in overhead and overhead["macs_training"].fillna(0).any():
        header.append("MACs of training, once a client")
        rows = [[*cells, whole(macs)] for cells, macs in zip(rows, overhead["macs_training"], strict=True)]
    macs = overhead["backbone_macs"].dropna()
    of = (
        f"The backbone takes {macs.iloc[0]:,.0f} MACs for an image. "
        if len(macs)
        else "The backbone's MACs are not known. "
    )
    note = (
        f"{of}By formula, for one image at a full bank: multiply-adds (MACs) of matrix products; normalisation, biases and softmax "
        "are left out, and without classifier also what the module's own head adds."
    )
    return Table("On the device", header, rows, note, half=True)


def estimates_table(report: Report) -> Table | None:
    """What each adapter is estimated to take on the devices that come with the package and those of the scenario's own; None if
    nothing takes anything."""
    own = report.scenario["clients"].get("profiles", {})
    profiles = {**built_in(), **{name: Profile.model_validate(one) for name, one in own.items()}}
    rows = []
    for row in rows_of(report.overhead.dropna(subset=["macs_per_image", "state_bytes", "parameters"])):
        if row.kind == "fitted" or (not row.macs_per_image and not row.state_bytes):
            continue
        cost = Counted(int(row.macs_per_image), int(row.state_bytes), int(row.parameters))
        capacity = None if pd.isna(row.bank_capacity) else int(row.bank_capacity)
        found = [estimate_adapter(profile, cost, capacity) for profile in profiles.values()]
        texts = [", ".join([one.time, one.energy] + [NO_ROOM] * (not one.fits)) for one in found]
        rows.append([str(row.adapter), *texts])
    note = (
        "Estimates; nothing here was measured on a device. For one image, beside the backbone's own. Time is the larger of "
        "computing and of moving bytes (all weights and the client's state, read once; a slot of the bank, written). Energy lies "
        "between two published tables, 7 and 45 nm; what a device draws while it waits is in neither. Device classes, numbers "
        "and sources: docs/device.md."
    )
    header = ["adapter", *(profile.title for profile in profiles.values())]
    return Table("Milliseconds and millijoules, estimated", header, rows, note) if rows else None


def speed_table(report: Report) -> Table | None:
    """How fast the simulator was; None if it was not measured."""
    timings: dict[str, Any] = report.run.get("timings", {})
    if not timings:
        return None
    rows = [
        ["images simulated by this command", whole(timings.get("images_simulated"))],
        ["images a second, Ray's start included", whole(timings.get("images_per_s"))],
        ["workers", whole(timings.get("workers"))],
        ["simulation, seconds", f"{timings.get('simulation_s', 0):.1f}"],
        ["cloud (training, features, or finding them in the cache), seconds", f"{timings.get('cloud_s', 0):.1f}"],
    ]
    return Table(
        "The simulator", ["measure", ""], rows, "How fast the run went here. It says nothing about a device.", half=True
    )


def _share(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{100 * value:.2f} %"
