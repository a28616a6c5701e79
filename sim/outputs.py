"""Files that commands leave: a file that somebody named is replaced, and where none is named nothing is."""

import contextlib
import datetime
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sim.addresses import Address, Location
from sim.errors import ReportError

RUN_FILE = "run.json"
"""What a folder is known by that a run was left in."""


def dated(name: str, suffix: str = "") -> Path:
    """Where a thing goes for which no place was named: `reports/NAME-DATE`, which is new every second."""
    return Path("reports") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}{suffix}"


def unreadable(name: str, error: Exception) -> str:
    """Why a folder's own file could not be read."""
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{name} in it cannot be read: {error.strerror}"
    return f"no readable {name} in it"


@contextlib.contextmanager
def reading(place: Location) -> Iterator[None]:
    """Says where it was if something cannot be read.

    Raises:
        ReportError: It cannot.
    """
    try:
        yield
    except OSError as error:
        raise ReportError(f"{place}: cannot be read ({error.strerror or error})") from error


@contextlib.contextmanager
def replacing(path: Location) -> Iterator[Path]:
    """Writes a file so that it is there completely or not at all; its folder is made.

    Yields:
        Where on this machine to write it first.

    Raises:
        ReportError: It cannot be written.
    """
    try:
        if isinstance(path, Address):
            with tempfile.TemporaryDirectory() as folder:
                temporary = Path(folder) / path.name
                yield temporary
                path.write_bytes(temporary.read_bytes())
            return
        temporary = path.with_name(f".{path.name}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ReportError(f"{path}: cannot be written ({error.strerror})") from error
