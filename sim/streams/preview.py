"""Streams before a run: no model, no training, a picture and an audit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from sim.data import Classes, Features, Images
from sim.scenario.clients import ClientsSettings
from sim.streams.audit import audit_rows, audit_sums
from sim.streams.build import build_stream
from sim.streams.stream import class_counts

CLIENTS_AUDITED = 256
"""Clients whose drifts are drawn and whose streams are audited, at most."""

MOST_GROUPS = 16
"""Colours of a timeline; classes or superclasses beyond them share one."""

OTHERS = "others"

FEWEST_IN_BIN = {True: 5, False: 10}
"""Images in a column of the timeline at least, with superclasses and with classes: shares of many things need more."""


@dataclass(frozen=True)
class Preview:
    """What some clients see.

    Args:
        name: The scenario's name.
        clients: Its `clients`.
        classes: The classes.
        labels: Class of each image, int64 [length], or its attributes, [length, C], for each client that is shown.
        bin: Images in a column of the timeline.
        drift_clients: Client of each drift, of all that are audited.
        drift_steps: Its step.
        audited: Number of clients that are audited.
        audit: Rows of the `audit` table.
    """

    name: str
    clients: ClientsSettings
    classes: Classes
    labels: list[NDArray[np.int64]]
    bin: int
    drift_clients: NDArray[np.int64]
    drift_steps: NDArray[np.int64]
    audited: int
    audit: list[dict[str, object]]

    @property
    def by_superclass(self) -> bool:
        """Whether the timeline shows superclasses."""
        return self.clients.subset.classes == "superclass" and self.classes.superclass is not None

    @property
    def label_words(self) -> tuple[str, str]:
        """What images are labelled with, one and several of them."""
        return ("attribute", "attributes") if self.labels[0].ndim == 2 else ("class", "classes")

    def groups(self) -> tuple[list[str], NDArray[np.int64]]:
        """What the timeline has a colour for, and its place for each class, int64 [C].

        The superclasses, if subsets are made of them, otherwise the classes; the most frequent ones where there are too many.
        """
        names, of = list(self.classes.names), np.arange(len(self.classes))
        if self.by_superclass and self.classes.superclass is not None:
            names, of = list(self.classes.superclass_names), self.classes.superclass
        met = np.bincount(of, class_counts(np.concatenate(self.labels), len(of)), len(names))
        kept = np.sort(np.argsort(-met, kind="stable")[:MOST_GROUPS])
        kept = kept[met[kept] > 0]
        place = np.full(len(names), len(kept))
        place[kept] = np.arange(len(kept))
        shown = [names[number] for number in kept]
        return shown + [OTHERS] * bool(met[place == len(kept)].sum()), place[of]

    def shares(self) -> list[dict[str, object]]:
        """The timeline: client x column x group, with the group's share of the column's images."""
        names, place = self.groups()
        rows: list[dict[str, object]] = []
        for client, labels in enumerate(self.labels):
            last: list[float] = []
            there: list[int] = []
            for start in range(0, len(labels), self.bin):
                part = labels[start : start + self.bin]
                counts = np.bincount(place, class_counts(part, len(place)), len(names))
                edges = np.concatenate([[0], np.cumsum(counts)]) / max(counts.sum(), 1)
                heights = edges.round(4).tolist()
                if heights == last:  # the column before goes on
                    for row in rows[-len(there) :]:
                        row["stop"] = start + len(part)
                    continue
                last = heights
                there = [g for g in range(len(names)) if heights[g + 1] > heights[g]]
                rows += [
                    {
                        "client": f"client {client}", "step": start, "stop": start + len(part), "group": names[g],
                        "low": heights[g], "high": heights[g + 1],
                    }
                    for g in there
                ]  # fmt: skip
        return rows


def preview_streams(
    name: str, clients: ClientsSettings, seed: int, data: Images | Features, show: int, window: int, largest_bank: int
) -> Preview:
    """Draws the streams of the first clients.

    Args:
        name: The scenario's name, for titles.
        clients: Its `clients`.
        seed: The seed of the streams.
        data: What clients see.
        show: Clients to show; no more than there are.
        window: Images in a window of the audit.
        largest_bank: Repeats are counted within this many images.
    """
    labels = np.asarray(data.test.labels)
    stream = build_stream(
        clients, seed, data.classes.superclass, labels, len(data.classes), data.test_clients, data.test_times
    )
    audited = min(clients.count, max(show, CLIENTS_AUDITED))
    sums: dict[tuple[str, str, int, str], float] = {}
    shown: list[NDArray[np.int64]] = []
    rows, steps = [], []
    for first in range(0, audited, 64):
        numbers = np.arange(first, min(first + 64, audited))
        plan, lengths = stream.plan(numbers), stream.lengths(numbers)
        (chunk,) = stream.chunks(numbers, int(lengths.max()), plan)
        for table, adapter, key, measure, value in audit_sums(
            plan, chunk.images, chunk.labels, lengths, window, largest_bank
        ):
            sums[table, adapter, key, measure] = sums.get((table, adapter, key, measure), 0.0) + float(value)
        shown += [seen[:n] for seen, n in zip(chunk.labels, lengths, strict=True)][: max(0, show - first)]
        row, segment = np.nonzero((plan.severity > 0) & (plan.starts < lengths[:, None]))
        rows.append(numbers[row])
        steps.append(plan.starts[row, segment])
    return Preview(
        name,
        clients,
        data.classes,
        shown,
        max(
            FEWEST_IN_BIN[clients.subset.classes == "superclass" and data.classes.superclass is not None],
            round(max(map(len, shown)) / 80),
        ),
        np.concatenate(rows),
        np.concatenate(steps),
        audited,
        audit_rows(sums, data.classes, {"test": len(labels)}),
    )


def rendered_audit(found: Preview) -> Table:
    """The audit as a table for people."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name, justify in (("audit", "left"), ("planned", "right"), ("drawn", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    shares = [row for row in found.audit if row["measure"] == "class_share"]
    for row in found.audit:
        if row["measure"] not in ("class_share", "images_in_part"):
            table.add_row(str(row["measure"]).replace("_", " "), "", _number(row["drawn"]))
    off = max(shares, key=lambda row: abs(_value(row["drawn"]) - _value(row["planned"])))
    met = sum(1 for row in shares if _value(row["drawn"]) > 0)
    label, labels = found.label_words
    table.add_row(f"{labels} met", str(sum(1 for row in shares if _value(row["planned"]) > 0)), str(met))
    table.add_row(f"{label} share farthest off ({off['name']})", _percent(off["planned"]), _percent(off["drawn"]))
    return table


def _value(value: object) -> float:
    return float(str(value))


def _number(value: object) -> str:
    return "-" if value is None else f"{_value(value):.3f}"


def _percent(value: object) -> str:
    return f"{100 * _value(value):.2f} %"


def check_suffix(path: Path) -> None:
    """Refuses a picture of an unknown kind.

    Raises:
        ValueError: The suffix is not one of .svg, .png and .html.
    """
    if path.suffix not in (".svg", ".png", ".html"):
        raise ValueError(f"got {path}; expected a name that ends in .svg, .png or .html")
