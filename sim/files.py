"""Files that are there completely or not at all, on a file system that may fail.

`FileSystem` is the seam between us and a disk. Production uses `Disk`, this machine's and those that addresses lead to; tests use
one that tears, loses, refuses and forgets, by seed (tests/faults).
"""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Protocol

from sim.addresses import Address, Location

TEMPORARY = ".tmp"


class FileSystem(Protocol):
    """What we ask of a disk. Whatever fails raises OSError."""

    def make_folder(self, folder: Location) -> None:
        """Makes a folder and those above it; it may be there."""
        ...

    def names(self, folder: Location) -> list[str]:
        """Names of the files in a folder, sorted; none if it is not there."""
        ...

    def folders(self, folder: Location) -> list[str]:
        """Names of the folders in a folder, sorted; none if it is not there."""
        ...

    def exists(self, file: Location) -> bool:
        """Whether a file is there."""
        ...

    def read(self, file: Location) -> bytes:
        """The content of a file."""
        ...

    def write(self, file: Location, content: bytes) -> None:
        """Writes a file. Without `sync` a loss of power may leave any part of it."""
        ...

    def sync(self, file: Location) -> None:
        """Makes the content of a file last."""
        ...

    def sync_folder(self, folder: Location) -> None:
        """Makes last which files a folder holds, under which names."""
        ...

    def rename(self, source: Location, target: Location) -> None:
        """Renames a file over another that may be there, or a folder to a name that is free; at once or not at all."""
        ...

    def remove(self, path: Location) -> None:
        """Removes a file, or a folder with all that is in it; it may be gone."""
        ...


class Disk:
    """This machine's file system, and those that addresses lead to: there folders need not be made, and what is written lasts."""

    def make_folder(self, folder: Location) -> None:
        if isinstance(folder, Path):
            folder.mkdir(parents=True, exist_ok=True)

    def names(self, folder: Location) -> list[str]:
        if isinstance(folder, Address):
            return [name for name, is_folder in folder.inside() if not is_folder]
        return sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []

    def folders(self, folder: Location) -> list[str]:
        if isinstance(folder, Address):
            return [name for name, is_folder in folder.inside() if is_folder]
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def exists(self, file: Location) -> bool:
        return file.is_file()

    def read(self, file: Location) -> bytes:
        return file.read_bytes()

    def write(self, file: Location, content: bytes) -> None:
        file.write_bytes(content)

    def sync(self, file: Location) -> None:
        if isinstance(file, Path):
            with file.open("rb") as opened:
                os.fsync(opened.fileno())

    def sync_folder(self, folder: Location) -> None:
        if isinstance(folder, Path):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def rename(self, source: Location, target: Location) -> None:
        if isinstance(source, Address) or isinstance(target, Address):
            raise OSError(errno.ENOTSUP, "nothing is renamed where addresses lead")
        source.replace(target)

    def remove(self, path: Location) -> None:
        if isinstance(path, Address):
            path.remove()
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


DISK = Disk()


def modified(file: Location) -> float:
    """When a file was written, seconds since 1970.

    Raises:
        OSError: It is not there.
    """
    return file.modified() if isinstance(file, Address) else file.stat().st_mtime


def commit(disk: FileSystem, file: Location, content: bytes) -> None:
    """Writes a file so that it is there completely or not at all, and stays when this returns, whenever the power goes.

    Raises:
        OSError: It could not be written; nothing of it is left, unless the disk refuses that too.
    """
    if isinstance(file, Address):  # it is there completely or not at all by itself
        disk.write(file, content)
        return
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
