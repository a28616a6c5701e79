"""A disk that tears, loses, refuses and forgets, by seed: `sim.files.FileSystem` in memory.

What is written lasts once the file is synced; under which name it is found lasts once the folder is. When the power goes, all that
lasts is there, and of the rest any part: a file's old content, its new one, the beginning of it or nothing; a rename done or not.
"""

import errno
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Names = dict[Path, int]


class Killed(BaseException):
    """The process that was using the disk dies at this operation; the disk stays as it is."""


class PowerLost(BaseException):
    """The machine dies at this operation."""


@dataclass
class _Content:
    now: bytes
    safe: bytes | None = None


@dataclass
class _Change:
    """Names that change together: to another content, or to none."""

    names: dict[Path, int | None]


@dataclass
class SimulatedDisk:
    """See above.

    Args:
        rng: Decides what fails, and what is left after a loss of power.
        refusals: Probability that an operation raises OSError.
        deaths: Probability that the process dies at an operation.
        power: Probability that the power goes at one.
    """

    rng: random.Random
    refusals: float = 0.0
    deaths: float = 0.0
    power: float = 0.0
    _contents: dict[int, _Content] = field(default_factory=dict)
    _names: Names = field(default_factory=dict)
    _safe: Names = field(default_factory=dict)
    _pending: dict[Path, list[_Change]] = field(default_factory=dict)
    _next: int = 0

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Nothing fails inside."""
        before = self.refusals, self.deaths, self.power
        self.refusals = self.deaths = self.power = 0.0
        try:
            yield
        finally:
            self.refusals, self.deaths, self.power = before

    def _trouble(self) -> None:
        dice = self.rng.random()
        if dice < self.deaths:
            raise Killed
        if dice < self.deaths + self.power:
            raise PowerLost
        if dice < self.deaths + self.power + self.refusals:
            code = self.rng.choice((errno.ENOSPC, errno.EIO))
            raise OSError(code, "no space left on device" if code == errno.ENOSPC else "input/output error")

    def make_folder(self, folder: Path) -> None:
        self._trouble()

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self._names if path.parent == folder)

    def exists(self, file: Path) -> bool:
        return file in self._names

    def read(self, file: Path) -> bytes:
        if file not in self._names:
            raise OSError(errno.ENOENT, "no such file")
        return self._contents[self._names[file]].now

    def write(self, file: Path, content: bytes) -> None:
        number = self._names.get(file)
        if number is None:
            self._next += 1
            number = self._next
            self._change(file.parent, {file: number})
        kept = self._contents[number].safe if number in self._contents else None
        self._contents[number] = _Content(content[: self.rng.randrange(len(content) + 1)], kept)
        self._trouble()  # a short write
        self._contents[number] = _Content(content, kept)

    def sync(self, file: Path) -> None:
        self._trouble()
        content = self._contents[self._names[file]]
        content.safe = content.now

    def sync_folder(self, folder: Path) -> None:
        self._trouble()
        for change in self._pending.pop(folder, []):
            _apply(self._safe, change)

    def rename(self, source: Path, target: Path) -> None:
        self._trouble()
        if source in self._names:
            self._change(target.parent, {source: None, target: self._names[source]})
            return
        inside = {path: number for path, number in self._names.items() if source in path.parents}
        if any(target in path.parents for path in self._names):
            raise OSError(errno.ENOTEMPTY, "directory not empty")
        if not inside:
            raise OSError(errno.ENOENT, "no such file")
        moved = {target / path.relative_to(source): number for path, number in inside.items()}
        self._change(target.parent, {**dict.fromkeys(inside), **moved})
        for change in self._pending.pop(source, []):  # what was not made to last inside goes along
            self._pending.setdefault(target, []).append(change)

    def remove(self, path: Path) -> None:
        self._trouble()
        gone = [name for name in self._names if name == path or path in name.parents]
        if gone:
            self._change(path.parent, dict.fromkeys(gone))

    def lose_power(self) -> None:
        """What is there after the machine has started again."""
        for changes in self._pending.values():
            for change in changes:
                if self.rng.random() < 0.5:
                    _apply(self._safe, change)
        self._pending.clear()
        self._names = dict(self._safe)
        for number in set(self._names.values()):
            content = self._contents[number]
            if content.safe != content.now:
                torn = content.now[: self.rng.randrange(len(content.now) + 1)]
                left = [torn, b"", content.now] + ([] if content.safe is None else [content.safe])
                content.now = self.rng.choice(left)
            content.safe = content.now

    def _change(self, folder: Path, names: dict[Path, int | None]) -> None:
        change = _Change(names)
        _apply(self._names, change)
        self._pending.setdefault(folder, []).append(change)


def _apply(names: Names, change: _Change) -> None:
    for path, number in change.names.items():
        if number is None:
            names.pop(path, None)
        else:
            names[path] = number
