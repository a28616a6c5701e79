"""A drift process from outside this package, by its import path."""

from collections.abc import Mapping
from typing import Any

from iciia.imports import import_class
from sim.streams.drift.base import Drift


def load_process(path: str, seed: int, arguments: Mapping[str, Any]) -> Drift:
    """Makes a process of a class that stands elsewhere.

    Args:
        path: See `iciia.imports.import_class`.
        seed: The scenario's seed; the class is called with it by name.
        arguments: Further arguments by name.

    Raises:
        ValueError: There is no such class, or it does not take these arguments, or it has no `plan`.
    """
    chosen = import_class(path, object)
    try:
        process: Drift = chosen(seed=seed, **arguments)
    except Exception as error:  # it may do anything
        raise ValueError(f"{path} cannot be made: {type(error).__name__}: {error}") from error
    if not callable(getattr(process, "plan", None)):
        raise ValueError(f'got "{path}", which has no method `plan`; see sim.drift.Drift')
    return process
