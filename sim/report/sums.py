"""Sums over clients: everything that has no row for each client. Parts are added in cohort order; `totals` makes tables of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from sim.report import schema

Sums = dict[tuple[str, str, int, str], float]
"""(table, adapter, key, measure) -> value."""
Part = Iterator[tuple[str, str, int, str, float]]


@dataclass(frozen=True)
class CohortRecords:
    """What a worker hands to the collector.

    Args:
        cohort: The cohort's number.
        rows: Tables by name.
        sums: The cohort's part of the sums.
        images: Images simulated.
    """

    cohort: int
    rows: dict[str, pa.Table]
    sums: Sums
    images: int


def sums_table(sums: Sums) -> pa.Table:
    """Sums as rows, sorted by key."""
    keys = sorted(sums)
    columns: list[tuple[object, ...]] = list(zip(*keys, strict=True))
    names = ("table", "adapter", "key", "measure")
    return schema.make("sums", {**dict(zip(names, columns, strict=True)), "value": [sums[key] for key in keys]})


def add_sums(total: Sums, part: Sums) -> None:
    """Adds a part to a total."""
    for key, value in part.items():
        total[key] = total.get(key, 0.0) + value
