"""How far a run is and what it has found so far, told from what is committed in its folder; the run's process is not asked."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from sim.addresses import Location
from sim.errors import ReportError
from sim.files import DISK, modified
from sim.outputs import RUN_FILE, reading
from sim.report.intervals import t_interval
from sim.report.listing import committed
from sim.report.sums import Sums, add_sums

State = Literal["begun", "running", "finishing", "finished", "finished in part"]


@dataclass(frozen=True)
class SoFar:
    """What is known of an adapter. Fractions; intervals are 95 % t-intervals over clients, None below two clients.

    Args:
        adapter: Its name.
        accuracy: Mean over clients.
        accuracy_interval: Its interval.
        gain: Mean over clients of the gain over the backbone.
        gain_interval: Its interval.
    """

    adapter: str
    accuracy: float
    accuracy_interval: tuple[float, float] | None
    gain: float
    gain_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Args:
        name: The scenario's name.
        folder: The run's folder.
        state: `begun` before the first commit, `finishing` between the last one and the final tables.
        clients_done: Clients whose results are committed.
        clients: Clients in all.
        images: Images of those that are done.
        committed_at: When the latest range was committed, seconds since 1970; None before the first.
        adapters: What has been found so far, in the scenario's order.
    """

    name: str
    folder: str
    state: State
    clients_done: int
    clients: int
    images: int
    committed_at: float | None
    adapters: list[SoFar]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Follower:
    """Follows a run. Each file is read once, however often it is asked.

    Args:
        folder: The run's folder.

    Raises:
        ReportError: There is none, or no run is in it, or a sweep, or it cannot be read.
    """

    def __init__(self, folder: Location) -> None:
        self.folder = folder
        with reading(folder):
            there = folder.is_dir()
        if not there:
            raise ReportError(f"{folder}: no such folder; give the folder of a run, the one that --out names")
        run = self._run()
        if run["scenario"].get("sweep"):
            raise ReportError(
                f"{folder}: is a sweep; watch one of its runs, for example {folder / 'cells' / '0001'}, "
                f"or list how far all are: iciia reports {folder.parent}"
            )
        self._sums: dict[int, Sums] = {}
        self._names: list[str] = []

    def look(self) -> Progress:
        """How far the run is now.

        Raises:
            ReportError: Its folder is gone.
        """
        run = self._run()
        settings = run["scenario"]["clients"]
        parts = committed(self.folder)
        self._sums = {part.start: self._sums.get(part.start) or self._read(part) for part in parts}
        done = sum(
            len(range(part.start * settings["cohort"], min(part.stop * settings["cohort"], settings["count"])))
            for part in parts
        )
        total: Sums = {}
        for part in parts:
            add_sums(total, self._sums[part.start])
        return Progress(
            name=str(run["name"]),
            folder=str(self.folder),
            state=_state(bool(run.get("complete")), done, int(settings["count"])),
            clients_done=done,
            clients=int(settings["count"]),
            images=int(total.get(("summary", "backbone", 0, "images"), 0)),
            committed_at=self._latest(parts),
            adapters=[_so_far(name, total) for name in self._names if parts],
        )

    def _run(self) -> dict[str, Any]:
        try:
            found = dict(json.loads((self.folder / RUN_FILE).read_text(encoding="utf-8")))
            found["scenario"]["clients"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReportError(f"{self.folder}: is not a run (no readable {RUN_FILE} in it)") from error
        return found

    def _file(self, table: str, part: range) -> Location:
        return self.folder / table / f"cohorts-{part.start:07d}-{part.stop - 1:07d}.parquet"

    def _read(self, part: range) -> Sums:
        """What the summary is added up from, of one range."""
        if not self._names:
            column = pq.read_table(self._open("clients", part), columns=["adapter"])["adapter"]
            self._names = column.chunk(0).dictionary.to_pylist()
        rows = pq.read_table(self._open("sums", part), filters=[("table", "=", "summary")])
        keys = zip(*(rows[name].to_pylist() for name in ("table", "adapter", "key", "measure")), strict=True)
        return dict(zip(keys, rows["value"].to_pylist(), strict=True))

    def _open(self, table: str, part: range) -> pa.BufferReader:
        return pa.BufferReader(DISK.read(self._file(table, part)))

    def _latest(self, parts: list[range]) -> float | None:
        return max((modified(self._file("clients", part)) for part in parts), default=None)


def _state(complete: bool, done: int, clients: int) -> State:
    if complete:
        return "finished" if done == clients else "finished in part"
    if done == clients:
        return "finishing"
    return "running" if done else "begun"


def _so_far(name: str, sums: Sums) -> SoFar:
    of = {
        measure: sums["summary", name, 0, measure]
        for measure in ("clients", "accuracy", "accuracy_squared", "gain", "gain_squared")
    }
    count = of["clients"]
    accuracy, gain = (
        t_interval(count, of[measure], of[f"{measure}_squared"]) if count > 1 else None
        for measure in ("accuracy", "gain")
    )
    return SoFar(name, of["accuracy"] / count, accuracy, of["gain"] / count, gain)
