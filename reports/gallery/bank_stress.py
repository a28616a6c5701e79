"""Makes reports/gallery/bank_stress.md and its pictures of the bank stress test.

pip install '.[pictures]'
iciia run bank_stress --out reports/bank-stress
python reports/gallery/bank_stress.py reports/bank-stress > reports/gallery/bank_stress.md
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy import stats

import sim

plt.switch_backend("svg")
plt.rcParams["svg.hashsalt"] = "iciia"  # the same file at every run

CAPACITIES = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
POLICIES = ["fifo", "reservoir", "balanced", "reset"]
HERE = Path(__file__).parent


def interval(values: "pd.Series[float]") -> str:
    """Mean and 95 % t-interval over clients, in points."""
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values)) if values.any() else (0, 0)
    return f"{100 * values.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def page(folder: str) -> None:
    swept = sim.load(folder)
    print("# The bank stress test\n")
    print(
        "What a bank keeps, how much of it and how it is stored. Streaming protocol: predict, score, remember; every bank starts "
        "empty; all adapters see the same streams. Gains are over the backbone, in points of accuracy, paired by client, with 95 % "
        "t-intervals over clients, given one training.\n\n"
        "**In short.** Take the latest 16 to 32 images (`fifo`): under each of the three drifts no bank gains even half a "
        "point more than `fifo` with 32. Larger banks of the latest images forget too slowly after a drift, unless "
        "`drift_reset` empties them. Policies that keep old images (`reservoir`, `class_balanced`) gain 4 to 8 points "
        "less with 64 images. Storing a bank as `int8` costs nothing that shows.\n"
    )
    print("Made by:\n")
    print("\n".join(f"    {line}" for line in (__doc__ or "").splitlines()[2:]))
    for number, drift in enumerate(swept.sweep["clients.drift"].unique(), start=1):
        report = sim.load(Path(folder) / "cells" / f"{number:04d}")
        kind = json.loads(drift)["kind"]
        print(f"\n## Drift: {kind}\n\n`{drift}`\n")
        one_drift(report, kind)


def one_drift(report: sim.Report, kind: str) -> None:
    answers = report.answers.set_index("adapter")
    backbone, oracle = answers.loc["backbone"], answers.loc["oracle"]
    summary = report.summary.set_index("adapter")
    print(
        f"{summary.clients.iloc[0]} clients x {summary.images.iloc[0] // summary.clients.iloc[0]} images. The backbone is right in "
        f"{100 * backbone.accuracy:.1f} %; the oracle gains {100 * oracle.gain:+.1f}.\n"
    )
    gains = report.clients.pivot(index="client", columns="adapter", values="gain")
    print("### Gain by capacity and policy\n")
    print("| capacity | KB a client (fifo) | MACs an image | " + " | ".join(POLICIES) + " |")
    print("|---|---|---|" + "---|" * len(POLICIES))
    for n in CAPACITIES:
        fifo = answers.loc[f"fifo-{n}"]
        cells = [interval(gains[f"{policy}-{n}"]) for policy in POLICIES]
        print(f"| {n} | {fifo.state_bytes / 1e3:,.1f} | {fifo.macs_per_image:,} | " + " | ".join(cells) + " |")
    print("\n### How small a bank may be, and what a drift does to it\n")
    print("| policy | smallest capacity within a point of its best | its gain | worst tenth of clients, gain |")
    print("|---|---|---|---|")
    for policy in POLICIES:
        row = answers[(answers.bank == policy) & answers.smallest_within_a_point].iloc[0]
        print(
            f"| {policy} | {row.bank_capacity:.0f} | {interval(gains[row.name])} | {100 * row.worst_decile_gain:+.1f} |"
        )
    print("\nDrop after a drift in points, and images until accuracy is back at 90 % (`-`: not within the horizon):\n")
    print("| capacity | " + " | ".join(POLICIES) + " |")
    print("|---|" + "---|" * len(POLICIES))
    for n in CAPACITIES:
        cells = []
        for policy in POLICIES:
            row = answers.loc[f"{policy}-{n}"]
            images = "-" if pd.isna(row.recovery_images) else f"{row.recovery_images:.0f}"
            cells.append(f"{100 * row['drop']:.1f}, {images}")
        print(f"| {n} | " + " | ".join(cells) + " |")
    differences(gains)
    print("\n### On the frontier\n")
    for column, cost in (("on_bytes_frontier", "state_bytes"), ("on_macs_frontier", "macs_per_image")):
        rows = answers[answers[column]].sort_values(cost)
        print(
            f"- by {cost.replace('_', ' ')}: "
            + ", ".join(f"{r.Index} ({100 * r.gain:+.1f})" for r in rows.itertuples())
        )
    age(report)
    pictures(report, answers, kind)


def differences(gains: pd.DataFrame) -> None:
    """Other policies and storages against float32 fifo of the same capacity, paired by client."""
    print("\n### Other policies and storages, against fifo in float32 at the same capacity\n")
    print("| adapter | difference in points |\n|---|---|")
    shown = (
        "cstu",
        "diverse",
        "confident",
        "decay",
        "reservoir",
        "balanced",
        "reset",
        "fifo-int8",
        "fifo-float16",
        "fifo-bfloat16",
    )
    for name in gains.columns:
        bank, _, n = name.rpartition("-")
        if bank in shown and int(n) in ((16, 64, 256) if bank.startswith("fifo") else (64, 256)):
            print(f"| {name} | {interval(gains[name] - gains[f'fifo-{n}'])} |")


def age(report: sim.Report) -> None:
    """What attention uses right after a drift and long after."""
    stale = report.staleness.set_index(["adapter", "images_since_drift"])
    window = report.scenario["report"]["window"]
    late = 6 * window
    print("\n### What attention uses\n")
    print(
        f"Share of the bank's attention on images of the present script, in the first {window} images after a drift and in the "
        f"{window} from {late} on; in brackets the mean age of what it uses, in images.\n"
    )
    print("| capacity | " + " | ".join(f"{p}, first | {p}, late" for p in POLICIES) + " |")
    print("|---|" + "---|" * (2 * len(POLICIES)))
    for n in CAPACITIES[1:]:
        rows = [stale.loc[(f"{policy}-{n}", offset)] for policy in POLICIES for offset in (0, late)]
        print(
            f"| {n} | " + " | ".join(f"{r.bank_weight_on_current_subset:.2f} ({r.age_images:.0f})" for r in rows) + " |"
        )


def pictures(report: sim.Report, answers: pd.DataFrame, kind: str) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for policy in POLICIES:
        rows = answers[answers.bank == policy].sort_values("bank_capacity")
        left.plot(rows.bank_capacity.clip(lower=0.5), 100 * rows.gain, marker="o", label=policy)
        left.fill_between(
            rows.bank_capacity.clip(lower=0.5), 100 * rows.gain_ci_low, 100 * rows.gain_ci_high, alpha=0.15
        )
    left.set_xscale("log", base=2)
    left.set(xlabel="bank capacity (0 drawn at 1/2)", ylabel="gain over the backbone, points", title=f"{kind} drift")
    left.legend()
    window = report.scenario["report"]["window"]
    for name in ("backbone", "fifo-16", "fifo-64", "fifo-256", "reset-256"):
        curve = report.aligned[report.aligned.adapter == name].sort_values("offset")
        smooth = np.convolve(curve.correct, np.ones(8), "valid") / np.convolve(curve.images, np.ones(8), "valid")
        right.plot(curve.offset[7:], 100 * smooth, label=name)
    right.axvline(0, color="grey", linewidth=0.8)
    right.set(xlabel=f"images since a drift ({window} before it)", ylabel="accuracy, % (mean of 8 images)")
    right.legend()
    figure.savefig(HERE / f"bank_stress_{kind}.svg", metadata={"Date": None})
    print(f"\n![gain by capacity, and accuracy around a drift](bank_stress_{kind}.svg)")


if __name__ == "__main__":
    page(sys.argv[1])
