"""Live progress: bars on a terminal and in notebooks with ipywidgets, elsewhere a line a minute and for each finished stage."""

import contextlib
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from iciia.cloud.backbone import Progress as Update
from sim.engine.collector import Totals

SECONDS_BETWEEN_LINES = 60.0
"""Where there is no terminal, a long stage says so often how far it is."""

NotedUpdate = Callable[[int, int, str], None]
"""Called with (done, all, note)."""


class Display:
    """Shows how far a run is, on stderr.

    Args:
        quiet: Whether to show nothing.
        console: Where to; stderr if None.
    """

    def __init__(self, quiet: bool = False, console: Console | None = None) -> None:
        self.quiet = quiet
        self.console = console or Console(stderr=True)

    def note(self, text: str) -> None:
        """A line of its own."""
        if not self.quiet:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        """A stage of known length. Yields what is to be called with (done, all)."""
        with self._bar(title) as update:
            yield lambda done, total: update(done, total, "")

    @contextlib.contextmanager
    def clients(self, count: int, images_before: int) -> Iterator["ClientsDisplay"]:
        """The simulation of so many clients, of whose images some had been simulated before this run was taken up."""
        with self._bar("simulating clients") as update:
            yield ClientsDisplay(update, count, images_before)

    @contextlib.contextmanager
    def _bar(self, title: str) -> Iterator[NotedUpdate]:
        started = time.perf_counter()
        if self.quiet or not _has_bars(self.console):
            last = _Last(title, None if self.quiet else self.note)
            yield last
            if not self.quiet:
                seconds = time.perf_counter() - started
                self.console.print(f"{title}: {last.text()} in {seconds:.1f} s", highlight=False, soft_wrap=True)
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        )  # fmt: skip
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task(title, total=None, note="")
            yield lambda done, total, note: bar.update(task, completed=done, total=total, note=note)


def _has_bars(console: Console) -> bool:
    """Whether a line can be drawn again: on a terminal, and in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


class ClientsDisplay:
    """Clients done, images a second and running accuracy by adapter.

    Args:
        update: Told (done, all, note).
        count: Clients in all.
        images_before: Images that do not count towards the speed.
    """

    def __init__(self, update: NotedUpdate, count: int, images_before: int) -> None:
        self._update = update
        self._count = count
        self._before = images_before
        self._started = time.perf_counter()

    def report(self, totals: Totals) -> None:
        """Shows running totals."""
        speed = (totals.images - self._before) / max(time.perf_counter() - self._started, 1e-9)
        parts = [f"{name} {correct / totals.images:.3f}" for name, correct in totals.correct.items() if totals.images]
        self._update(totals.clients, self._count, f"{speed:,.0f} images/s  {'  '.join(parts)}")


class _Last:
    """Remembers the last thing it was told, and says it once in a while.

    Args:
        title: The stage's title.
        say: Says a line; None for nothing.
    """

    def __init__(self, title: str, say: Callable[[str], None] | None) -> None:
        self.done, self.total, self.remark = 0, 0, ""
        self._title, self._say = title, say
        self._said = time.monotonic()

    def __call__(self, done: int, total: int, remark: str) -> None:
        self.done, self.total, self.remark = done, total, remark
        if self._say is not None and time.monotonic() - self._said > SECONDS_BETWEEN_LINES and done < total:
            self._say(f"{self._title}: {self.text()}")
            self._said = time.monotonic()

    def text(self) -> str:
        return f"{self.done:,} of {self.total:,}" + (f" ({self.remark})" if self.remark else "")
