"""Makes reports/gallery/findings.md of four runs.

for name in recovery contexts harm_digits harm_glyphs; do
  iciia run experiments/stream/$name --out reports/experiments/stream/$name
done
python reports/gallery/findings.py reports/experiments > reports/gallery/findings.md
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from experiments import Experiment, cell, table

import sim

BANKS = [f"{policy}-{n}" for policy in ("fifo", "reservoir", "balanced", "reset") for n in (4, 16, 32, 64, 256)]
TRAININGS = ["default", "best", "steady", "long", "slow", "dropout"]
BEFORE, AFTER, WINDOW = 64, 192, 16
"""Images that make the level before a drift, images after it that count, images of a window."""

RECOVERY = """
TODO
"""
CONTEXTS = """
TODO
"""
HARM = """
TODO
"""


def cells_of(folder: Path) -> Iterator[sim.Report]:
    for part in sorted((folder / "cells").iterdir()):
        yield sim.load(part)


def recovery(folder: Path) -> None:
    print("\n## How fast is a drift made up for, and which bank is best when nothing is known about it?")
    print(RECOVERY)
    found = Experiment(folder / "stream" / "recovery")
    key = "clients.drift"
    kinds = {json.loads(value)["kind"]: value for value in found.frame[key].unique()}
    gains = {(bank, kind): found.gain(bank, **{key: value}) for bank in BANKS for kind, value in kinds.items()}
    best = {kind: max(gains[bank, kind].mean() for bank in BANKS) for kind in kinds}
    regret = {bank: max(best[kind] - gains[bank, kind].mean() for kind in kinds) for bank in BANKS}
    print(f"{found.about()} Gain by bank and kind of drift; `regret` is what a bank loses, in points, against the best bank")
    print("of the kind of drift that suits it least. Best first:")
    table(
        ["bank", *kinds, "regret"],
        (
            [bank, *(cell(gains[bank, kind]) for kind in kinds), f"{100 * regret[bank]:.1f}"]
            for bank in sorted(BANKS, key=lambda bank: regret[bank])
        ),
    )
    print(f"\nWhat a drift costs: images of the {AFTER} after it that are wrong and would have been right at the accuracy of the")
    print(f"{BEFORE} images before it; in brackets how many images until a window of {WINDOW} is back within a point of that")
    print("(`-`: none is). The backbone and the oracle show what is not the bank's doing:")
    costs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for report in cells_of(folder / "stream" / "recovery"):
        kind = report.scenario["clients"]["drift"]["kind"]
        if kind != "none":
            for name, curve in report.aligned.groupby("adapter"):
                costs.setdefault((str(name), kind), []).append(cost_of(curve.set_index("offset")))
    shown = [kind for kind in kinds if kind != "none"]
    table(
        ["bank", *shown],
        ([bank, *(_cost(costs[bank, kind]) for kind in shown)] for bank in ["backbone", "oracle", *BANKS]),
    )


def cost_of(curve: pd.DataFrame) -> tuple[float, float]:
    """Images lost after a drift, and images until the first window that is back; inf if none is."""
    right, images = curve["correct"], curve["images"]
    before = right.loc[-BEFORE:-1].sum() / images.loc[-BEFORE:-1].sum()
    lost = sum(before - right.loc[t] / images.loc[t] for t in range(AFTER))
    for start in range(0, AFTER, WINDOW):
        span = slice(start, start + WINDOW - 1)
        if right.loc[span].sum() / images.loc[span].sum() >= before - 0.01:
            return lost, start
    return lost, float("inf")


def _cost(found: list[tuple[float, float]]) -> str:
    """Over seeds: images lost with their interval, and the median time until they are back."""
    lost, back = (pd.Series(part) for part in zip(*found, strict=True))
    until = back.median()
    return f"{cell(lost / 100)} ({'-' if until == float('inf') else f'{until:.0f}'})"


def contexts(folder: Path) -> None:
    print("\n## What does the stream context cost and gain against the set context?")
    print(CONTEXTS)
    found = Experiment(folder / "stream" / "contexts")
    sizes = sorted(found.frame.bank_capacity.dropna().astype(int).unique())
    names = [f"{context}-{head}-L{n}" for n in (2, 3) for head in ("replaced", "residual") for context in ("set", "stream")]
    print(f"{found.about()} P = 16. Gain over the backbone by the bank's capacity:")
    table(["context, head, layers", *(f"N={n}" for n in sizes)], ([x, *(cell(found.gain(f"{x}-{n}")) for n in sizes)] for x in names))
    print("\nThe stream context less the set context, paired by seed, and what an image and a client cost:")
    rows = []
    for layers, head, set_size, equal in (
        (2, "replaced", 16, "capacity and bytes"),
        (2, "residual", 16, "capacity and bytes"),
        (3, "replaced", 16, "capacity"),
        (3, "residual", 16, "capacity"),
        (3, "replaced", 24, "bytes"),
        (3, "residual", 24, "bytes"),
    ):
        stream, other = f"stream-{head}-L{layers}-16", f"set-{head}-L{layers}-{set_size}"
        costs = [found.frame[found.frame.adapter == name].iloc[0] for name in (stream, other)]
        macs, state = ([f"{int(cost[column]):,}" for cost in costs] for column in ("macs_per_image", "state_bytes"))
        difference = cell(found.gain(stream) - found.gain(other))
        rows.append([layers, head, equal, f"16, {set_size}", difference, ", ".join(macs), ", ".join(state)])
    table(["L", "head", "equal", "N: stream, set", "stream less set", "MACs an image: stream, set", "bytes: stream, set"], rows)


def harm(folder: Path) -> None:
    print("\n## Does ICIIA harm a client?")
    print(HARM)
    for data in ("digits", "glyphs"):
        rows = []
        for report in cells_of(folder / "stream" / f"harm_{data}"):
            for adapter, gain in report.clients.groupby("adapter")["gain"]:
                worst = gain.nsmallest(len(gain) // 10).mean()
                rows.append((report.scenario["seed"], adapter, gain.mean(), (gain < 0).mean(), worst))
        frame = pd.DataFrame(rows, columns=["seed", "adapter", "gain", "harmed", "worst"])
        found = Experiment(folder / "stream" / f"harm_{data}")
        print(f"\n### {data}\n\n{found.about()} {frame.seed.nunique()} seeds. `harmed` are the clients with less accuracy than their")
        print("backbone, `worst tenth` is the gain of the tenth of the clients that gains least:")
        _trainings(frame, [f"{name}-{n}" for n in (1, 16, 64) for name in TRAININGS])
        if data == "digits":
            print("\nThe rule was chosen after seeds 1 to 4. A bank of 16, by seed, harmed with `best` and with the rule, %:")
            by = frame[frame.adapter.isin(["best-16", "default-16"])].pivot(index="seed", columns="adapter")
            table(
                ["seed", *by.index],
                (
                    [title, *(f"{100 * value:+.2f}" if column == "gain" else f"{100 * value:.0f}" for value in by[column, name])]
                    for title, column, name in (
                        ("harmed, best", "harmed", "best-16"),
                        ("harmed, rule", "harmed", "default-16"),
                        ("gain, best", "gain", "best-16"),
                        ("gain, rule", "gain", "default-16"),
                    )
                ),
            )
        print("\nLess `best`, paired by seed, a bank of 16:")
        best = frame[frame.adapter == "best-16"].set_index("seed")
        chosen: list[tuple[str, Callable[[int], bool]]] = [("all seeds", lambda seed: True)]
        if data == "digits":
            chosen.append(("seeds 5 to 12", lambda seed: seed > 4))
        table(
            ["training", *(f"{column}, {title}" for title, _ in chosen for column in ("gain", "harmed"))],
            (
                [
                    name,
                    *(
                        cell((frame[frame.adapter == f"{name}-16"].set_index("seed")[column] - best[column])[list(map(wanted, best.index))])
                        for _, wanted in chosen
                        for column in ("gain", "harmed")
                    ),
                ]
                for name in TRAININGS
                if name != "best"
            ),
        )


def _trainings(frame: pd.DataFrame, adapters: list[str]) -> None:
    rows = []
    for adapter in adapters:
        part = frame[frame.adapter == adapter].set_index("seed")
        rows.append([adapter, cell(part.gain), f"{100 * part.harmed.mean():.1f}", f"{100 * part.worst.mean():+.2f}"])
    table(["training and N", "gain, points", "harmed, %", "worst tenth, points"], rows)


def main(folder: Path) -> None:
    print("# What streaming changes: recovery, contexts, harm\n")
    print(
        "Streaming protocol: predict, score, remember; every bank starts empty; all adapters of a seed see the same streams. Gains are over the "
        "backbone in points of accuracy, paired by client; means over seeds (backbone, split, modules and streams all anew) with 95 % "
        "t-intervals over the seeds.\n\nMade by:\n"
    )
    print("\n".join(f"    {line}" for line in (__doc__ or "").splitlines()[2:]))
    for part in (recovery, contexts, harm):
        part(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
