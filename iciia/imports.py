"""Classes of the user's own, by their import paths."""

import functools
import hashlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def import_class(path: str, base: type) -> type[Any]:
    """A class that stands elsewhere.

    Args:
        path: `package.module.Class` or `package.module:Class` of what Python can import, or `file.py:Class`.
        base: What it must be a subclass of; `object` for any class.

    Raises:
        ValueError: It cannot be imported, or is no such class.
    """
    file, _, name = path.rpartition(":")
    try:
        found = getattr(_from_file(Path(file).resolve()), name) if file.endswith(".py") else pkgutil.resolve_name(path)
    except Exception as error:  # the module may do anything
        raise ValueError(
            f'got "{path}", which cannot be imported ({type(error).__name__}: {error}); give package.module.Class, which Python '
            "looks for in PYTHONPATH, or file.py:Class"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        wanted = "class" if base is object else f"subclass of {base.__name__}"
        raise ValueError(f'got "{path}", which is no {wanted}')
    return found


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
