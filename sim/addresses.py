"""Addresses: files and folders that are elsewhere, such as `s3://bucket/runs/one`, used as paths of this machine are.

`locate` makes a `Path` or an `Address` of what somebody gave. An `Address` has the methods of a path that we use, over
`pyarrow.fs`, which also finds the credentials. On an object store a file is there completely or not at all, and under its name at
once.
"""

import errno
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import url2pathname

from sim.errors import AddressError, did_you_mean

SCHEMES = ("s3", "gs", "abfs", "abfss", "hdfs")
"""Of addresses that are elsewhere; `file` is this machine."""

PATIENCE_S = 60.0
"""How long what has answered before is asked again when it does not answer any more, seconds."""

LONGEST_PAUSE_S = 8.0
"""Between two attempts of that."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_SECRET = re.compile(r"(client_secret|sas_token|sig|secret_key)=", re.IGNORECASE)

Answer = TypeVar("Answer")


@dataclass(frozen=True, order=True)
class Address:
    """A file or folder that is elsewhere. Whatever fails raises OSError, with the reason in a few words as `strerror`.

    Args:
        scheme: One of `SCHEMES`.
        authority: Bucket, container or host.
        path: Below that, without a slash before or after it.
        query: What pyarrow is told beside, `endpoint_override=HOST:PORT&scheme=http` for instance; goes along to all below.
    """

    scheme: str
    authority: str
    path: str = ""
    query: str = ""

    def __str__(self) -> str:
        where = f"{self.scheme}://{self.authority}" + (f"/{self.path}" if self.path else "")
        return f"{where}?{self.query}" if self.query else where

    def __truediv__(self, name: str) -> "Address":
        return replace(self, path=f"{self.path}/{name}".strip("/"))

    @property
    def name(self) -> str:
        """The last part; of a whole bucket its name."""
        return self.path.rpartition("/")[2] or self.authority

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's ending, `.yaml` for instance."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "Address":
        """The folder around it."""
        return replace(self, path=self.path.rpartition("/")[0])

    def as_uri(self) -> str:
        """The address itself."""
        return str(self)

    def resolve(self) -> "Address":
        """The address itself: it is always a whole one."""
        return self

    def is_file(self) -> bool:
        """Whether a file is there. One without content is not: some stores show it while a file is being written."""
        from pyarrow.fs import FileType

        info = self._ask(lambda files, path: files.get_file_info(path))
        return bool(info.type == FileType.File and info.size)

    def is_dir(self) -> bool:
        """Whether there are files below it."""
        from pyarrow.fs import FileType

        return bool(self._ask(lambda files, path: files.get_file_info(path)).type == FileType.Directory)

    def modified(self) -> float:
        """When a file was written, seconds since 1970."""
        from pyarrow.fs import FileType

        info = self._ask(lambda files, path: files.get_file_info(path))
        if info.type != FileType.File:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        return float(info.mtime_ns) / 1e9

    def exists(self) -> bool:
        """Whether there is a file, or files below it."""
        return self.is_file() or self.is_dir()

    def iterdir(self) -> "Iterator[Address]":
        """What is inside; nothing if it is not there."""
        return (self / name for name, _ in self.inside())

    def inside(self) -> list[tuple[str, bool]]:
        """Names inside, sorted, and of each whether it is a folder; none if it is not there."""
        from pyarrow.fs import FileSelector, FileType

        found = self._ask(lambda files, path: files.get_file_info(FileSelector(path, allow_not_found=True)))
        folders = {info.base_name for info in found if info.type == FileType.Directory}
        whole = {info.base_name for info in found if info.type == FileType.File and info.size}
        return sorted((name, name in folders) for name in folders | whole)

    def read_bytes(self) -> bytes:
        """A file's content."""

        def read(files: Any, path: str) -> bytes:
            with files.open_input_stream(path) as stream:
                return bytes(stream.read())

        return self._ask(read)

    def read_text(self, encoding: str = "utf-8") -> str:
        """A file's content as text."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Writes a file, completely or not at all. Folders need not be made before."""

        def write(files: Any, path: str) -> None:
            renamed = self.scheme == "hdfs"  # shows a file while it is being written
            with files.open_output_stream(f"{path}.tmp" if renamed else path) as stream:
                stream.write(content)
            if renamed:
                files.move(f"{path}.tmp", path)

        self._ask(write)

    def remove(self) -> None:
        """Removes a file, or all that is below a folder; it may be gone."""
        if self.is_dir():
            self._ask(lambda files, path: files.delete_dir(path))
        elif self.is_file():
            self._ask(lambda files, path: files.delete_file(path))

    def _ask(self, call: Callable[[Any, str], Answer]) -> Answer:
        """Calls with pyarrow's file system and the path there; again for a while if the connection is lost in between."""
        until = time.monotonic() + PATIENCE_S
        pause = 0.5
        while True:
            answered = False
            try:
                store = _store(self.scheme, self.authority, self.query)
                answered = store.answered
                answer = call(store.files, f"{store.root}/{self.path}" if self.path else store.root or "/")
            except FileNotFoundError as error:
                raise FileNotFoundError(errno.ENOENT, "no such file") from error
            except ValueError as error:  # pyarrow's, for what it does not understand
                raise AddressError(f"{self}: {_first_line(error)}") from error
            except OSError as error:
                lost, reason = _judged(error)
                if not (lost and answered) or time.monotonic() > until:
                    raise OSError(errno.EIO, reason) from error
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            else:
                store.answered = True
                return answer


Location = Path | Address
"""Where a file or folder is: on this machine, or elsewhere."""


def locate(given: str | Path | Address) -> Location:
    """Where something is: `s3://bucket/folder` and its like as an `Address`, all else as a path of this machine.

    Raises:
        AddressError: It is an address of a kind that is unknown, names no bucket, or holds a secret.
    """
    if isinstance(given, Address):
        return given
    if isinstance(given, Path):
        first = given.parts[0].removesuffix(":") if given.parts else ""
        if first in SCHEMES and given.parts[0].endswith(":"):
            raise AddressError(f"{given}: give an address as text, not as a Path, which drops a slash")
        return given
    found = _ADDRESS.fullmatch(given)
    if found is None:
        return Path(given)
    scheme, rest = found[1].lower(), found[2]
    where, _, query = rest.partition("?")
    authority, _, path = where.partition("/")
    if scheme == "file":
        return Path(url2pathname(f"/{path}"))
    if scheme not in SCHEMES:
        meant = did_you_mean(scheme, SCHEMES)
        known = ", ".join(f"{name}://" for name in (*SCHEMES, "file"))
        raise AddressError(
            f"{given}: got {scheme}://; expected one of {known}, or a path" + (f"; {meant}" if meant else "")
        )
    if ":" in authority.rpartition("@")[0] or _SECRET.search(query):
        raise AddressError(
            f"{scheme}://...{authority.rpartition('@')[2]}/{path}: holds a secret, and addresses are printed and kept in reports; "
            "leave it to the environment or to the provider's own settings"
        )
    if not authority and scheme != "hdfs":
        raise AddressError(f"{given}: names no bucket; expected {scheme}://BUCKET/FOLDER")
    return Address(scheme, authority, "/".join(part for part in path.split("/") if part), query)


@dataclass
class _Store:
    """A file system of pyarrow.

    Args:
        files: It.
        root: What its paths begin with.
        answered: Whether it ever did.
    """

    files: Any
    root: str
    answered: bool = False


@lru_cache
def _store(scheme: str, authority: str, query: str) -> _Store:
    """Opened once in a process."""
    from pyarrow.fs import FileSystem

    at_once = "allow_delayed_open=true" if scheme == "s3" else ""  # one request for a small file, and not three
    options = "&".join(part for part in (query, at_once) if part)
    files, root = FileSystem.from_uri(f"{scheme}://{authority}/" + (f"?{options}" if options else ""))
    return _Store(files, root.rstrip("/"))


_REASONS = (
    (r"NO_SUCH_BUCKET|[Bb]ucket .*(not found|does not exist)|ContainerNotFound", False, "there is no such bucket"),
    (
        r"NETWORK_CONNECTION|curlCode|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|HTTP status 5\d\d|UNAVAILABLE|"
        r"[Tt]imed? ?out|[Cc]ould ?n.t connect|[Cc]ould not connect|[Cc]onnection (refused|reset|closed)",
        True,
        "no server answers there",
    ),
    (
        r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN|EXPIRED|HTTP status 40[13]|"
        r"PERMISSION_DENIED|[Uu]nauth|[Cc]redential|[Ff]orbidden",
        False,
        "access is denied: credentials are missing, are wrong, or do not allow it",
    ),
)
"""Patterns in pyarrow's messages, whether asking again may help, and what to say."""


def _judged(error: OSError) -> tuple[bool, str]:
    """Whether a connection was lost, and the reason in a few words."""
    text = str(error)
    for pattern, lost, reason in _REASONS:
        if re.search(pattern, text):
            return lost, reason
    return False, _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
