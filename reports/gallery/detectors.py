"""Makes reports/gallery/detectors.md.

P="data={kind: features, train: PHOTOS/train.npz, test: PHOTOS/test.npz, superclasses: PHOTOS/superclasses.csv}"
iciia run baselines/detectors --set clients.count=32 --set clients.cohort=32 --workers 0 --set "$P" --set backbone=null \\
    --out reports/detectors-photos
python reports/gallery/detectors.py reports/detectors-photos > reports/gallery/detectors.md
"""

import json
import sys
from pathlib import Path

import pandas as pd

import sim

WHAT = """\
Nobody tells a device that its classes have changed. Who detects it, sees it by predictions alone. `reset-8`, `reset-16` and
`reset-32` are the detector of the bank policy `drift_reset` with windows of 8, 16 and 32 images; it knows nothing of
superclasses. `superclass_filter` is told which classes are of one superclass and raises an alarm when it believes in another
(hazard 1/100, and 1/1000 in `filter-0.001`).

An alarm detects a drift if it is the first one from the drift's step on, within 40 images and before the next drift. Every
other alarm is false. The delay is a share of the way to the next drift, a mean over detected drifts. Beside each detector
stands what alarms of the same rate that look at nothing would get; firing always detects every drift at once, and nearly every
alarm of it is false, which is why no measure stands here that it would win. Photographs as in [baselines.md](baselines.md), 32
clients x 320 images, a drift every 80 images, means over three seeds with the smallest and the largest.

What is called a drift here: the subset's replacement (`sudden`, wholly or by half; `recurring`, from a pool of three), the
start of a mixture of 20 images (`gradual`), the start of a series of swaps (`incremental`). With `none` and `prior` no subset
changes, so all alarms are false; `prior` moves the weights inside the subset."""


def page(folder: str) -> None:
    print("# Drift detectors\n")
    print(WHAT + "\n")
    print("Made by:\n")
    print("\n".join(f"    {line}" for line in (__doc__ or "").splitlines()[2:]))
    swept = sim.load(folder)
    rows = [cell(path) for path in sorted(Path(swept.folder, "cells").iterdir())]
    frame = pd.concat(rows, ignore_index=True)
    print(
        "\n| drift | detector | recall, % | delay, % | false alarms in 1,000 | at random: recall, % |\n|---|---|---|---|---|---|"
    )
    for (drift, adapter), part in frame.groupby(["drift", "adapter"], sort=False):
        itself, chance = (part[part.detector == kind] for kind in ("itself", "random"))
        cells = [
            spread(100 * itself.recall), spread(100 * itself.delay), spread(itself.false_alarms_per_1000),
            spread(100 * chance.recall),
        ]  # fmt: skip
        print(f"| {drift} | {adapter} | " + " | ".join(cells) + " |")
    always = frame[frame.detector == "always"].false_alarms_per_1000
    print(
        f"\nFiring always: recall 100 %, delay 0, {spread(always)} false alarms in 1,000 images. Never: recall 0, none."
    )


def cell(folder: Path) -> pd.DataFrame:
    """The detections of one cell, with its drift."""
    report = sim.load(folder)
    drift = report.scenario["clients"]["drift"]
    name = drift["kind"] + (f", overlap {drift['overlap']}" if drift.get("overlap") else "")
    return report.detections.assign(drift=name, seed=report.run["seed"], settings=json.dumps(drift))


def spread(values: "pd.Series[float]") -> str:
    """Mean over seeds with the smallest and the largest; a dash where nothing is known."""
    values = values.dropna()
    if values.empty:
        return "-"
    return f"{values.mean():.1f} [{values.min():.1f}, {values.max():.1f}]"


if __name__ == "__main__":
    page(sys.argv[1])
