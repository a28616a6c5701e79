"""The collector: the only writer of a report's rows, and the keeper of running totals.

A range of cohorts is committed by renaming complete, fsynced Parquet files whose names are the range, each made to last before the
next. The presence of the range's `clients` file, renamed last, is the commit; nothing else records it. At an address nothing is
renamed: a file is there completely or not at all. A collector that is started on a folder finds what is committed and deletes what
was left half-written.
"""

import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from sim.addresses import Location
from sim.errors import RunError
from sim.files import DISK, TEMPORARY, FileSystem, commit
from sim.report import schema
from sim.report.sums import CohortRecords, Sums, add_sums, sums_table

MOST_FILES = 256
"""Most files of a table; a range holds as many cohorts as it takes."""


@dataclass(frozen=True)
class Layout:
    """What a run writes, and where.

    Args:
        folder: The report's folder, here or at an address.
        cohorts: Number of cohorts.
        adapters: Names of the adapters.
        sharded: Tables with a file for each range, the committing one last.
        window: Images in a window.
        horizon: Images after a drift that aligned tables cover.
        largest_bank: Largest bank capacity among the adapters.
        metadata: What every file carries.
    """

    folder: Location
    cohorts: int
    adapters: Sequence[str]
    sharded: Sequence[str]
    window: int
    horizon: int
    largest_bank: int
    metadata: Mapping[str, str]

    @property
    def per_range(self) -> int:
        """Cohorts in a range."""
        return -(-self.cohorts // MOST_FILES)

    def range_of(self, cohort: int) -> range:
        """The range that a cohort belongs to."""
        first = cohort // self.per_range * self.per_range
        return range(first, min(first + self.per_range, self.cohorts))

    def file(self, table: str, cohorts: range) -> Location:
        """A table's file for one range."""
        return self.folder / table / f"cohorts-{cohorts.start:07d}-{cohorts.stop - 1:07d}.parquet"

    def ranges(self) -> list[range]:
        """All ranges, in order."""
        return [self.range_of(first) for first in range(0, self.cohorts, self.per_range)]

    def committed(self, disk: FileSystem = DISK) -> list[range]:
        """The ranges that are committed, in order.

        Raises:
            RunError: The folder cannot be read.
        """
        last = self.sharded[-1]
        try:
            there = set(disk.names(self.folder / last))  # asked once: elsewhere every question takes its time
        except OSError as error:
            raise RunError(f"{self.folder}: the report cannot be read there ({error.strerror})") from error
        return [part for part in self.ranges() if self.file(last, part).name in there]


@dataclass
class Totals:
    """How far a run is.

    Args:
        clients: Clients done.
        images: Images done.
        correct: Right predictions of each adapter.
    """

    clients: int = 0
    images: int = 0
    correct: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """The collector's answer to a cohort's records.

    Args:
        totals: The running totals.
        committed: The cohort's range, if it is committed now.
        process: Identifies the collector's process; what an earlier one held uncommitted is lost.
    """

    totals: Totals
    committed: range | None
    process: str


class Collector:
    """Turns cohorts' records into files.

    Args:
        layout: What to write, and where.
        disk: The file system.

    Raises:
        RunError: The folder cannot be written.
    """

    def __init__(self, layout: Layout, disk: FileSystem = DISK) -> None:
        self.layout, self.disk = layout, disk
        self.totals = Totals(correct=dict.fromkeys(layout.adapters, 0.0))
        self._waiting: dict[int, CohortRecords] = {}
        self._process = uuid.uuid4().hex
        settle(layout, disk)
        self._committed = {part.start for part in layout.committed(disk)}
        try:
            for part in layout.committed(disk):
                self._count(pq.read_table(pa.BufferReader(disk.read(layout.file("sums", part)))))
        except OSError as error:
            raise RunError(f"{layout.folder}: the report cannot be read there ({error.strerror})") from error

    def add(self, records: CohortRecords) -> Receipt:
        """Takes a cohort's records, and commits its range if that is now complete. A cohort may come twice.

        Raises:
            RunError: Writing failed; nothing half-written counts.
        """
        layout = self.layout
        cohorts = layout.range_of(records.cohort)
        committed = cohorts.start in self._committed
        if not committed:
            if records.cohort not in self._waiting:
                self._count(sums_table(records.sums))
            self._waiting[records.cohort] = records
            committed = all(cohort in self._waiting for cohort in cohorts)
            if committed:
                self._commit(cohorts)
        return Receipt(self.totals, cohorts if committed else None, self._process)

    def _commit(self, cohorts: range) -> None:
        parts = [self._waiting[cohort] for cohort in cohorts]
        total: Sums = {}
        for part in parts:
            add_sums(total, part.sums)
        for table in self.layout.sharded:
            whole = sums_table(total) if table == "sums" else pa.concat_tables([part.rows[table] for part in parts])
            write(self.layout.file(table, cohorts), whole, self.layout.metadata, self.disk)
        self._committed.add(cohorts.start)
        for cohort in cohorts:  # only now: what could not be written is still held
            del self._waiting[cohort]

    def _count(self, sums: pa.Table) -> None:
        for row in sums.to_pylist():
            if row["table"] != "summary":
                continue
            if row["measure"] == "correct":
                self.totals.correct[row["adapter"]] += row["value"]
            elif row["adapter"] == self.layout.adapters[0] and row["measure"] in ("clients", "images"):
                setattr(self.totals, row["measure"], getattr(self.totals, row["measure"]) + int(row["value"]))


def settle(layout: Layout, disk: FileSystem = DISK) -> None:
    """Makes a report's folders, deletes what was left half-written there, and makes what is there last: a collector may have died
    between a commit and that.

    Raises:
        RunError: The folder cannot be written.
    """
    try:
        for table in layout.sharded:
            folder = layout.folder / table
            disk.make_folder(folder)
            for name in disk.names(folder):
                if name.startswith(".") and name.endswith(TEMPORARY):
                    disk.remove(folder / name)
            disk.sync_folder(folder)
    except OSError as error:
        raise RunError(f"{layout.folder}: the report cannot be written there ({error.strerror})") from error


def write(path: Location, table: pa.Table, metadata: Mapping[str, str], disk: FileSystem = DISK) -> None:
    """Writes a Parquet file so that it is there completely or not at all.

    Raises:
        RunError: It cannot be written.
    """
    content = io.BytesIO()
    pq.write_table(schema.with_metadata(table, metadata), content, compression="zstd")
    try:
        commit(disk, path, content.getvalue())
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}); what was committed before stays") from error
