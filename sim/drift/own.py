"""A drift process from outside this package, by its import path."""

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sim.drift.base import Drift


def load_process(path: str, seed: int, arguments: Mapping[str, Any]) -> Drift:
    """Makes a process of a class that stands elsewhere.

    Args:
        path: `package.module:Class`, or `file.py:Class`.
        seed: The scenario's seed; the class is called with it by name.
        arguments: Further arguments by name.

    Raises:
        ValueError: There is no such class, or it does not take these arguments, or it has no `plan`.
    """
    place, _, name = path.rpartition(":")
    try:
        module = _from_file(Path(place).resolve()) if place.endswith(".py") else importlib.import_module(place)
        process = getattr(module, name)(seed=seed, **arguments)
    except Exception as error:  # the file may do anything
        raise ValueError(f"got {path!r}, which cannot be made: {type(error).__name__}: {error}") from error
    if not callable(getattr(process, "plan", None)):
        raise ValueError(f"got {path!r}, which has no method `plan`; see sim.drift.Drift")
    return process


@functools.cache
def _from_file(file: Path) -> ModuleType:
    """The module in a file, run once and put where pickle looks for its classes."""
    name = f"iciia_own_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
