"""The artifact cache: whatever is expensive is made once and found again by its content.

An artifact is a folder named after the digest of everything that its content depends on. It is made in a temporary folder and
renamed when it is complete and lasts, so that one which exists is whole, however many processes made it at once.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from sim.errors import CacheError
from sim.files import DISK, FileSystem

KEY_FILE = "key.json"


def default_folder() -> Path:
    """`$ICIIA_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("ICIIA_CACHE") or user_cache_path("iciia-sim")).expanduser()


@dataclass(frozen=True)
class Entry:
    """One artifact.

    Args:
        kind: What it is, `features` for instance.
        digest: Of its key.
        size_bytes: Of its files.
        used: When it was last asked for, seconds since 1970.
        path: Its folder.
    """

    kind: str
    digest: str
    size_bytes: int
    used: float
    path: Path


class Cache:
    """Artifacts by content.

    Args:
        folder: Where they are; `default_folder()` if None.
        disk: The file system.
    """

    def __init__(self, folder: Path | None = None, disk: FileSystem = DISK) -> None:
        self.folder = folder or default_folder()
        self.disk = disk

    def get(self, kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The folder of an artifact, made now if it is not there.

        Args:
            kind: What it is.
            key: Everything that its content depends on, as JSON.
            build: Fills the empty folder that it is given.

        Raises:
            CacheError: The cache folder cannot be written.
        """
        text = json.dumps(key, sort_keys=True, default=str)
        target = self.folder / kind / digest(key)
        if self.disk.exists(target / KEY_FILE):
            self._touch(target)
            return target
        temporary = target.parent / f".making-{uuid.uuid4().hex}"
        try:
            self.disk.make_folder(temporary)
        except OSError as error:
            raise CacheError(
                f"{target.parent}: the cache cannot be written ({error.strerror}); set ICIIA_CACHE to a folder that can"
            ) from error
        try:
            build(temporary)
            self.disk.write(temporary / KEY_FILE, text.encode())
            for name in self.disk.names(temporary):
                self.disk.sync(temporary / name)
            self.disk.sync_folder(temporary)
            try:
                self.disk.rename(temporary, target)
            except OSError as error:
                if not self.disk.exists(
                    target / KEY_FILE
                ):  # otherwise another process was faster, with the same content
                    raise CacheError(f"{target}: the cache cannot be written ({error.strerror})") from error
            self.disk.sync_folder(target.parent)
        except OSError as error:
            raise CacheError(f"{temporary}: writing to the cache failed ({error.strerror})") from error
        finally:
            with contextlib.suppress(OSError):
                self.disk.remove(temporary)
        return target

    def find(self, kind: str, digest: str) -> Path | None:
        """The folder of an artifact by its digest; None if it is not there."""
        target = self.folder / kind / digest
        if not self.disk.exists(target / KEY_FILE):
            return None
        self._touch(target)
        return target

    def _touch(self, target: Path) -> None:
        """Remembers that an artifact was asked for."""
        with contextlib.suppress(OSError):  # of a cache that can only be read nobody prunes
            os.utime(target / KEY_FILE)

    @contextlib.contextmanager
    def scratch(self, kind: str, key: Mapping[str, Any]) -> Iterator[Path]:
        """A folder beside an artifact's, for what is worth keeping if making it is cut short.

        It is found again by the next who makes the artifact, and deleted once that is done. Of several who make it at once, one has
        it; the others get a folder of their own, and whoever dies lets go of it.

        Raises:
            CacheError: The cache folder cannot be written.
        """
        folder = self.folder / kind / f".making-{digest(key)}"
        lock = FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0)
        with contextlib.ExitStack() as stack:
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                try:
                    stack.enter_context(lock)
                    folder.mkdir(exist_ok=True)
                except Timeout:  # somebody else has it
                    own = tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent)
                    folder = Path(stack.enter_context(own))
            except OSError as error:
                raise CacheError(f"{folder}: the cache cannot be written ({error.strerror})") from error
            yield folder
            shutil.rmtree(folder, ignore_errors=True)

    def entries(self) -> list[Entry]:
        """Everything in the cache, last used first."""
        found = []
        for file in self.folder.glob(f"*/*/{KEY_FILE}"):
            size = sum(part.stat().st_size for part in file.parent.rglob("*") if part.is_file())
            used = file.stat().st_mtime
            found.append(Entry(file.parent.parent.name, file.parent.name, size, used, file.parent))
        return sorted(found, key=lambda entry: -entry.used)

    def prune(self, unused_days: float) -> list[Entry]:
        """Deletes what has not been used for so many days, and what was left half-made a day ago or longer."""
        now = time.time()
        old = [entry for entry in self.entries() if now - entry.used >= unused_days * 86400]
        for entry in old:
            shutil.rmtree(entry.path)
        for left in self.folder.glob("*/.making-*"):
            if now - left.stat().st_mtime > 86400:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)
        return old


def digest(key: Mapping[str, Any]) -> str:
    """Digest of a key: 20 hexadecimal digits."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:20]
