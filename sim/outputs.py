"""Files that commands leave: a file that somebody named is replaced, and where none is named nothing is."""

import contextlib
import datetime
import os
from collections.abc import Iterator
from pathlib import Path

from sim.errors import ReportError

RUN_FILE = "run.json"
"""What a folder is known by that a run was left in."""


def dated(name: str, suffix: str = "") -> Path:
    """Where a thing goes for which no place was named: `reports/NAME-DATE`, which is new every second."""
    return Path("reports") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}{suffix}"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Writes a file so that it is there completely or not at all; its folder is made.

    Yields:
        Where to write it first.

    Raises:
        ReportError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ReportError(f"{path}: cannot be written ({error.strerror})") from error
