"""Files that are there completely or not at all, on a file system that may fail.

`FileSystem` is the seam between us and a disk. Production uses `Disk`, this machine's; tests use one that tears, loses, refuses and
forgets, by seed (tests/faults).
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Protocol

TEMPORARY = ".tmp"


class FileSystem(Protocol):
    """What we ask of a disk. Whatever fails raises OSError."""

    def make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it; it may be there."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Names of the files in a folder, sorted; none if it is not there."""
        ...

    def exists(self, file: Path) -> bool:
        """Whether a file is there."""
        ...

    def read(self, file: Path) -> bytes:
        """The content of a file."""
        ...

    def write(self, file: Path, content: bytes) -> None:
        """Writes a file. Without `sync` a loss of power may leave any part of it."""
        ...

    def sync(self, file: Path) -> None:
        """Makes the content of a file last."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Makes last which files a folder holds, under which names."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Renames a file over another that may be there, or a folder to a name that is free; at once or not at all."""
        ...

    def remove(self, path: Path) -> None:
        """Removes a file, or a folder with all that is in it; it may be gone."""
        ...


class Disk:
    """This machine's file system."""

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    def exists(self, file: Path) -> bool:
        return file.is_file()

    def read(self, file: Path) -> bytes:
        return file.read_bytes()

    def write(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)

    def sync(self, file: Path) -> None:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def remove(self, path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


DISK = Disk()


def commit(disk: FileSystem, file: Path, content: bytes) -> None:
    """Writes a file so that it is there completely or not at all, and stays when this returns, whenever the power goes.

    Raises:
        OSError: It could not be written; nothing of it is left, unless the disk refuses that too.
    """
    temporary = file.with_name(f".{file.name}{TEMPORARY}")
    try:
        disk.write(temporary, content)
        disk.sync(temporary)
        disk.rename(temporary, file)
        disk.sync_folder(file.parent)
    except OSError:
        with contextlib.suppress(OSError):
            disk.remove(temporary)
        raise
