"""Prints the tables of reports/gallery/clothing.md.

iciia run photos/clothing --set data.path=FOLDER --set seed=1 --out reports/clothing
python reports/gallery/clothing.py reports/clothing
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

import sim

LENGTHS = {"1 to 3": (1, 3), "4 to 9": (4, 9), "10 to 49": (10, 49), "50 and more": (50, np.inf)}
"""How many photographs a person has."""


def main(folder: str) -> None:
    cells = sorted(Path(folder, "cells").iterdir()) if Path(folder, "cells").is_dir() else [Path(folder)]
    reports = [sim.load(path) for path in cells]
    clients = pd.concat([report.clients.assign(seed=report.scenario["seed"]) for report in reports])
    summary = pd.concat([report.summary.assign(seed=report.scenario["seed"]) for report in reports])
    streams(clients[clients.adapter == "backbone"])
    gains(clients, summary)
    by_length(clients)


def streams(people: pd.DataFrame) -> None:
    """What people's streams were."""
    shares = [people.images.between(*ends).groupby(people.seed).mean() for ends in LENGTHS.values()]
    images = [people.images.where(people.images.between(*ends), 0) for ends in LENGTHS.values()]
    photographs = [some.groupby(people.seed).sum() / people.groupby("seed").images.sum() for some in images]
    rows = [
        [name, spread(100 * share), spread(100 * part)]
        for name, share, part in zip(LENGTHS, shares, photographs, strict=True)
    ]
    table(["photographs", "people, %", "photographs, %"], rows)


def gains(clients: pd.DataFrame, summary: pd.DataFrame) -> None:
    """A row for each adapter and one for each seed of it, with the interval over people."""
    rows = []
    for adapter, part in summary.groupby("adapter", sort=False):
        harmed = (clients[clients.adapter == adapter].set_index("seed").gain < 0).groupby("seed").mean()
        intervals = "; ".join(
            f"{100 * row.gain:+.1f} [{100 * row.gain_ci_low:+.1f}, {100 * row.gain_ci_high:+.1f}]"
            for row in part.itertuples()
        )
        rows.append([str(adapter), spread(100 * part.accuracy), intervals, spread(100 * harmed)])
    table(
        ["adapter", "accuracy, %", "gain by seed, points, with its 95 % interval over people", "harmed people, %"], rows
    )


def by_length(clients: pd.DataFrame) -> None:
    """Gains over all photographs of people with so many."""
    rows = []
    for adapter, part in clients[clients.adapter != "backbone"].groupby("adapter", sort=False):
        found = []
        for ends in LENGTHS.values():
            chosen = part[part.images.between(*ends)]
            gain = (chosen.gain * chosen.images).groupby(chosen.seed).sum() / chosen.groupby("seed").images.sum()
            found.append(spread(100 * gain, "+.1f"))
        rows.append([str(adapter), *found])
    table(["gain, points", *LENGTHS], rows)


def spread(values: pd.Series, form: str = ".1f") -> str:
    """The mean over seeds, with the smallest and the largest; a dash where there is nobody."""
    if values.empty:
        return "-"
    if len(values) == 1:
        return format(values.iloc[0], form)
    return f"{values.mean():{form}} [{values.min():{form}}, {values.max():{form}}]"


def table(titles: Iterable[str], rows: Iterable[list[str]]) -> None:
    titles = list(titles)
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles))
    print("".join(f"| {' | '.join(row)} |\n" for row in rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
