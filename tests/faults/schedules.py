"""Runs and caches under schedules of faults, each drawn from a seed.

    python tests/faults/schedules.py 10000          # seeds 0 to 9999, on all CPUs
    python tests/faults/schedules.py 1 --seed 4711  # one again
    python tests/faults/schedules.py 500 --plant receipt_believed   # a fault of ours: is it found?

A schedule is a whole run of a few cohorts, with its workers, its collector and its driver, killed, refused and cut off at any
moment and resumed until it is done; and an artifact that is made by several at once. Prints the seed of every failure and the
command that has it again, and ends with 1 if there is one.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import pyarrow as pa
import pyarrow.parquet as pq

import sim.engine.collector
from faults.disk import Killed, PowerLost, SimulatedDisk
from faults.transport import DriverKilled, SimulatedTransport
from sim.cache import Cache
from sim.engine.collector import Collector, Layout, Receipt, Totals, settle
from sim.engine.schedule import Schedule
from sim.errors import CacheError, RunError
from sim.files import TEMPORARY, FileSystem
from sim.report.sums import CohortRecords

TABLES = ("windows", "sums", "clients")
MOST_RESUMES = 40
"""After so many the disk and the processes are left in peace, so that every schedule ends."""


class SmallLayout(Layout):
    """Ranges of two cohorts, so that the collector holds something that is lost with it."""

    @property
    def per_range(self) -> int:
        return 2


def records_of(cohort: int) -> CohortRecords:
    """Records that tell whose they are."""
    rows = {
        table: pa.table({"cohort": [cohort, cohort], "value": [cohort * 10, cohort * 10 + 1]})
        for table in ("windows", "clients")
    }
    sums = {
        ("summary", "backbone", 0, "clients"): 1.0,
        ("summary", "backbone", 0, "images"): 100.0 + cohort,
        ("summary", "backbone", 0, "correct"): 50.0 + cohort,
    }
    return CohortRecords(cohort, rows, sums, 100 + cohort)


def run_schedule(seed: int, plant: str = "") -> None:
    """One schedule.

    Raises:
        AssertionError: Something was lost, counted twice or left half-written.
    """
    rng = random.Random(seed)
    with _planted(plant) as collector:
        _run_engine(rng, plant, collector)
        _make_artifact(rng, plant)


def _run_engine(rng: random.Random, plant: str, make: Callable[[Layout, FileSystem], Collector]) -> None:
    disk = SimulatedDisk(rng, *(rng.choice((0.0, 0.01, 0.05)) for _ in range(3)))
    layout = SmallLayout(Path("run"), rng.randrange(1, 8), ["backbone"], TABLES, 50, 100, 0, {"seed": "0"})
    trouble, last = rng.choice((0.0, 0.1, 0.3)), Totals()
    promised: set[int] = set()
    for attempt in range(10 * MOST_RESUMES):
        if attempt == MOST_RESUMES:
            disk.refusals = disk.deaths = disk.power = trouble = 0.0
        try:
            settle(layout, disk)
        except (Killed, RunError):
            continue
        except PowerLost:
            disk.lose_power()
            continue
        committed = layout.committed(disk)
        lost = promised - {part.start for part in committed}
        assert not lost, f"ranges {sorted(lost)} were committed, and are gone"
        todo = [cohort for part in layout.ranges() if part not in committed for cohort in part]

        def report(totals: Totals) -> None:
            nonlocal last
            last = replace(totals, correct=dict(totals.correct))

        transport = SimulatedTransport(rng, layout, disk, records_of, trouble, make)
        if plant == "receipt_believed":
            transport.answer = _believing(transport.answer)  # type: ignore[method-assign]
        schedule = Schedule(transport, layout, todo, rng.randrange(1, 4), report)
        wanted = set(schedule.uncommitted)
        try:
            schedule.until_committed()
        except (DriverKilled, Killed):
            pass
        except RunError as error:
            if "every worker has died" in str(error):
                raise AssertionError("a run that waits for nobody") from error
        except PowerLost:
            disk.lose_power()
        else:
            if todo:
                assert (last.clients, last.images) == (layout.cohorts, sum(100 + c for c in range(layout.cohorts))), (
                    last
                )
            break
        finally:
            promised |= wanted - schedule.uncommitted
    else:
        raise AssertionError("the run never ends")
    disk.lose_power()
    _check_files(layout, disk, make)


def _check_files(layout: Layout, disk: SimulatedDisk, make: Callable[[Layout, FileSystem], Collector]) -> None:
    """Every cohort once in every table, and nothing else."""
    with disk.calm():
        make(layout, disk)
    for part in layout.ranges():
        for table in TABLES:
            found = pq.read_table(pa.BufferReader(disk.read(layout.file(table, part))))
            if table == "sums":
                value = {row["measure"]: row["value"] for row in found.to_pylist()}
                assert value["images"] == sum(100 + cohort for cohort in part), (part, value)
            else:
                assert found["cohort"].to_pylist() == [cohort for cohort in part for _ in range(2)], (table, part)
    for table in TABLES:
        names = disk.names(layout.folder / table)
        assert not [name for name in names if name.endswith(TEMPORARY)], names
        assert len(names) == len(layout.ranges()), names


def _make_artifact(rng: random.Random, plant: str) -> None:
    """Several processes make the same artifact, one in the middle of another, and die of it; whoever finds it finds it whole."""
    disk = SimulatedDisk(rng, *(rng.choice((0.0, 0.02, 0.1)) for _ in range(3)))
    cache = (_HalfThere if plant == "cache_half_there" else Cache)(Path("cache"), disk)
    content = {f"part-{number}": bytes([number]) * 200 for number in range(3)}

    def build(depth: int) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            for name, value in content.items():
                disk.write(folder / name, value)
                if depth and rng.random() < 0.3:
                    cache.get("thing", {"a": 1}, build(depth - 1))

        return fill

    for attempt in range(MOST_RESUMES):
        if attempt == MOST_RESUMES - 1:
            disk.refusals = disk.deaths = disk.power = 0.0
        try:
            folder = cache.get("thing", {"a": 1}, build(2))
        except (Killed, CacheError):
            continue
        except PowerLost:
            disk.lose_power()
            continue
        found = {name: disk.read(folder / name) for name in disk.names(folder) if name.startswith("part")}
        assert found == content, (
            f"an artifact that is not whole: { ({name: len(value) for name, value in found.items()}) }"
        )
        if rng.random() < 0.5:
            disk.lose_power()


# --- faults of our own ------------------------------------------------------------------------------------------------

PLANTS = ("commit_before_fsync", "temporary_kept", "counted_twice", "receipt_believed", "cache_half_there")


class _CountsTwice(Collector):
    def add(self, records: CohortRecords) -> Receipt:
        if records.cohort in self._waiting:
            self._waiting.pop(records.cohort)
        return super().add(records)


class _HalfThere(Cache):
    def get(self, kind: str, key: object, build: Callable[[Path], None]) -> Path:  # type: ignore[override]
        target = self.folder / kind / "artifact"
        if not self.disk.exists(target / "key.json"):
            self.disk.write(target / "key.json", b"{}")
            try:
                build(target)
            except OSError as error:
                raise CacheError(str(error)) from error
        return target


def _renames_at_once(disk: FileSystem, file: Path, content: bytes) -> None:
    disk.write(file.with_name(f".{file.name}{TEMPORARY}"), content)
    disk.rename(file.with_name(f".{file.name}{TEMPORARY}"), file)


def _leaves_temporaries(disk: FileSystem, file: Path, content: bytes) -> None:
    temporary = file.with_name(f".{file.name}-{id(content)}{TEMPORARY}")
    disk.write(temporary, content)
    disk.sync(temporary)
    disk.rename(temporary, file)
    disk.sync_folder(file.parent)


def _believing(answer: Callable[[object], object]) -> Callable[[object], object]:
    def believed(reference: object) -> object:
        found = answer(reference)
        return replace(found, process="the same") if isinstance(found, Receipt) else found

    return believed


@contextmanager
def _planted(plant: str) -> Iterator[Callable[[Layout, FileSystem], Collector]]:
    if plant == "commit_before_fsync":
        with mock.patch.object(sim.engine.collector, "commit", _renames_at_once):
            yield Collector
    elif plant == "temporary_kept":
        collector = sim.engine.collector
        with (
            mock.patch.object(collector, "TEMPORARY", ".never"),
            mock.patch.object(collector, "commit", _leaves_temporaries),
        ):
            yield Collector
    else:
        yield _CountsTwice if plant == "counted_twice" else Collector


def failure_of(seed: int, plant: str = "") -> str:
    """What goes wrong with a seed; nothing if all is well."""
    try:
        run_schedule(seed, plant)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _of_seed(task: tuple[int, str]) -> tuple[int, str]:
    return task[0], failure_of(*task)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--plant", choices=PLANTS, default="")
    arguments = parser.parse_args()
    started, failed = time.perf_counter(), 0
    tasks = [(seed, arguments.plant) for seed in range(arguments.seed, arguments.seed + arguments.count)]
    with multiprocessing.Pool() as pool:
        for seed, said in pool.imap_unordered(_of_seed, tasks, chunksize=20):
            if said:
                failed += 1
                again = f"python tests/faults/schedules.py 1 --seed {seed}" + (
                    f" --plant {arguments.plant}" if arguments.plant else ""
                )
                print(f"seed {seed}: {said}\n    {again}", flush=True)
    print(f"{arguments.count} schedules, {failed} failed, {time.perf_counter() - started:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
