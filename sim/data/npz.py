"""`.npz` files as numpy users save them: read no further than their size explains, converted where nothing is lost."""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
from numpy.lib import format as npy
from numpy.typing import NDArray

from sim.errors import DataError

Arrays = dict[str, NDArray[Any]]


def read_npz(path: Path, needed: Iterable[str], optional: Iterable[str] = ()) -> Arrays:
    """Some arrays of a file.

    Raises:
        DataError: It is no `.npz` file of plain arrays, lacks one that is needed, or states more than it holds or than fits into
            memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            there = {name.removesuffix(".npy"): name for name in archive.namelist()}
            for name in needed:
                if name not in there:
                    raise DataError(f"{path}: has no array {name!r}, only {', '.join(there) or 'nothing'}")
            chosen = [name for name in (*needed, *optional) if name in there]
            _check_memory(path, sum(archive.getinfo(there[name]).file_size for name in chosen))
            return {name: _read(archive, there[name]) for name in chosen}
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (DataError, MemoryError):
        raise
    except Exception as error:  # of a broken file zipfile and numpy raise whatever comes
        raise DataError(f"{path}: cannot be read as an .npz file of plain arrays: {error}") from error


@dataclass(frozen=True)
class Rows:
    """An array by its rows, a few at a time.

    Args:
        shape: Of the whole.
        dtype: Of every part.
        parts: The rows in order, each part an array [some, ...].
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Iterable[NDArray[Any]]


def write_npz(path: Path, arrays: Mapping[str, Rows | NDArray[Any]]) -> None:
    """Writes arrays as `np.savez` does, those by rows without ever holding them whole. The same arrays make the same bytes.

    Raises:
        OSError: It cannot be written.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            rows = Rows(array.shape, array.dtype, [array]) if isinstance(array, np.ndarray) else array
            header = {"descr": npy.dtype_to_descr(rows.dtype), "fortran_order": False, "shape": rows.shape}
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array_header_1_0(member, header)
                for part in rows.parts:
                    member.write(np.ascontiguousarray(part, rows.dtype).tobytes())


def _check_memory(path: Path, size: int) -> None:
    available = psutil.virtual_memory().available
    if size > available:
        raise DataError(
            f"{path}: holds {size / 1e9:,.1f} GB of arrays, and this machine has {available / 1e9:,.1f} free"
        )


def _read(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    """One array, if its header states as many bytes as there are."""
    info = archive.getinfo(member)
    with archive.open(info) as file:
        shape, dtype = _header(file)
        stated = file.tell() + int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects")
    if stated != info.file_size:
        raise ValueError(f"{member} states {dtype} {list(shape)}, {stated:,} bytes, and holds {info.file_size:,}")
    with archive.open(info) as file:
        found: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is of version {version} of the .npy format; expected 1.0 or 2.0")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


class Converter:
    """Converts the arrays of one file and remembers what for.

    Args:
        path: The file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    def numbers(self, name: str, array: NDArray[Any]) -> NDArray[np.float32]:
        """Floats of any width and byte order, or integers, as float32, unless one is too large for it.

        Raises:
            DataError: They are no real numbers, or too large; NaN and infinity stay as they are.
        """
        if array.dtype.kind not in "fiu":
            raise DataError(f"{self.path}: {name} is {_typed(array)}; expected floats")
        with np.errstate(over="ignore"):
            found = array.astype(np.float32)
        lost = np.isinf(found) & ~np.isinf(array)
        if lost.any():
            raise DataError(
                f"{self.path}: {name} holds {array[lost][0]!r}, which is beyond float32; scale the features"
            )
        if array.dtype not in (np.float16, np.float32):
            exact = "exactly" if np.array_equal(found, array, equal_nan=True) else "rounded to 7 digits"
            self._note(f"{name} is {_typed(array)}, read as float32 ({exact})")
        return found

    def whole(self, name: str, array: NDArray[Any], what: str) -> NDArray[np.int64]:
        """Integers, also as floats (0.0, 1.0) or truth values, as int64.

        Raises:
            DataError: They are none; the message says which is not.
        """
        if array.dtype.kind not in "biuf":
            raise DataError(f"{self.path}: {name} is {_typed(array)}; expected {what}")
        if array.dtype.kind == "f":
            bad = np.flatnonzero((~np.isfinite(array) | (array != np.floor(array)) | (np.abs(array) > 2**53)).ravel())
            if len(bad):
                value = array.ravel()[bad[0]]
                raise DataError(f"{self.path}: {name} is {_typed(array)} and holds {value:g}; expected {what}")
        if array.dtype.kind == "u" and len(array) and int(array.max()) > np.iinfo(np.int64).max:
            raise DataError(f"{self.path}: {name} holds {array.max()}; expected {what}")
        if array.dtype.kind in "bf":
            self._note(f"{name} is {_typed(array)}, read as integers")
        return array.astype(np.int64)

    def _note(self, text: str) -> None:
        self.notes.append(f"{self.path.name}: {text}")


def _typed(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
