"""What the tests of data in files share: opening a miniature, and damaging files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data import Images, open_data
from sim.errors import DataError
from sim.scenario.data import Data

Miniature = Callable[[str], Path]
SEED = 3


def opened(folder: Path, kind: str, cache: Path | None = None, **settings: Any) -> Images:
    given = TypeAdapter(Data).validate_python({"kind": kind, "path": str(folder), **settings})
    data = open_data(given, SEED, Preprocessing(32), Cache(cache) if cache else Cache())
    assert isinstance(data, Images)
    return data


def refused(folder: Path, kind: str, **settings: Any) -> str:
    """The message, with the folder left out."""
    with pytest.raises(DataError) as caught:
        opened(folder, kind, **settings)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "DATA")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def halve(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """One to five bytes, or runs of a few, changed, cut out or put in."""
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(found)))
        new = rng.choice(np.frombuffer(b'\0\n\r",;\xff0', dtype=np.uint8), int(rng.integers(3))).tobytes()
        found[place : place + int(rng.integers(1, 5))] = new
    return bytes(found)
