"""LEAF's JSON files (arXiv 1812.01097): `users`, `num_samples`, and `user_data` with `x` and `y` of each user."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sim.errors import DataError


def leaf_files(folder: Path, advice: str) -> list[Path]:
    """The JSON files of a folder, in the order of their names.

    Raises:
        DataError: There are none; the message ends in the advice.
    """
    found = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder}: has no LEAF .json file; {advice}")
    return found


def listing(files: Sequence[Path]) -> str:
    """Digest of files' names, sizes and dates."""
    found = hashlib.sha256()
    for file in files:
        stat = file.stat()
        found.update(f"{file.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return found.hexdigest()


def read_users(file: Path) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """The users of one file with their x and y, of equal length, 1 or more. One file is in memory at a time.

    Raises:
        DataError: It is no LEAF file, or a user's entries do not fit together; the message says whose.
    """
    try:
        with file.open("rb") as stream:
            found = json.load(stream)
        users, counts, data = found["users"], found["num_samples"], found["user_data"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: cannot be read as a LEAF file with users, num_samples and user_data: {_said(error)}"
        ) from error
    if not isinstance(data, dict) or not isinstance(users, list) or len(counts) != len(users):
        raise DataError(f"{file}: users, num_samples and user_data do not list the same users")
    for user, count in zip(users, counts, strict=True):
        try:
            x, y = data[user]["x"], data[user]["y"]
        except (KeyError, TypeError):
            raise DataError(f"{file}: user {user!r} is listed and has no x and y in user_data") from None
        if len(x) != len(y) or len(y) != count:
            raise DataError(
                f"{file}: user {user!r} has {len(x)} x, {len(y)} y and num_samples {count}; they must agree"
            )
        if count == 0:
            raise DataError(f"{file}: user {user!r} has no images; remove it from users")
        yield str(user), x, y


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)
