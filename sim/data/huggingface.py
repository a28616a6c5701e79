"""Data sets of Hugging Face `datasets`, as far as they are on this machine: nothing is downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data.base import Images
from sim.data.items import open_items
from sim.errors import DataError
from sim.stage import StageProgress


@dataclass(frozen=True)
class Columns:
    """Names of the columns of pictures, of their classes and of their natural clients, if there are any."""

    image: str
    label: str
    client: str | None


@dataclass(frozen=True)
class _Items:
    """One split."""

    dataset: Any
    columns: Columns

    def __len__(self) -> int:
        return len(self.dataset)

    def item(self, number: int) -> tuple[Any, Any]:
        row = self.dataset[number]
        return row[self.columns.image], row[self.columns.label]


def open_huggingface(
    source: str | Path,
    config: str | None,
    columns: Columns,
    splits: tuple[str, str],
    superclasses: Path | None,
    preprocessing: Preprocessing,
    cache: Cache,
    stage: StageProgress,
) -> Images:
    """Opens a data set of pictures with one label each.

    Args:
        source: A name on the Hub, of what is in the local cache of `datasets`; or a folder that `save_to_disk` left.
        config: Which configuration, if the cache has several.
        columns: Names of columns.
        splits: Names of the splits for the cloud and for the clients.
        superclasses: CSV file of superclasses, or None.
        preprocessing: How pictures are resized and cut.
        cache: Where the first look at the pictures is kept.
        stage: Told how far that look is.

    Raises:
        DataError: It is not there, or has other splits or columns.
    """
    found = _from_disk(source) if isinstance(source, Path) else _from_cache(source, config)
    for split in splits:
        if split not in found:
            raise DataError(f"{source}: has no split {split!r}, only {', '.join(found)}; set data.train and data.test")
    halves = [_Items(found[split], columns) for split in splits]
    wanted = [("image", columns.image), ("label", columns.label), ("client", columns.client)]
    for half, split in zip(halves, splits, strict=True):
        for setting, name in wanted:
            if name is not None and name not in half.dataset.column_names:
                there = ", ".join(half.dataset.column_names)
                raise DataError(f"{source}: split {split!r} has no column {name!r}, only {there}; set data.{setting}")
    return open_items(
        halves,
        [f"{source} ({split})" for split in splits],
        [_key(half, columns) for half in halves],
        list(getattr(halves[0].dataset.features[columns.label], "names", None) or ()),
        superclasses,
        preprocessing,
        {"kind": "huggingface"},
        cache,
        stage,
        _clients(halves, columns.client),
    )


def _from_disk(folder: Path) -> Mapping[str, Any]:
    library = _library()
    try:
        found = library.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: holds no data set that save_to_disk left: {error}") from error
    if not isinstance(found, library.DatasetDict):
        raise DataError(f"{folder}: holds a single split; expected a DatasetDict with a train and a test split")
    return dict(found)


def _from_cache(name: str, config: str | None) -> Mapping[str, Any]:
    """What `load_dataset` left in the cache, without asking the Hub."""
    library = _library()
    from datasets.packaged_modules.cache.cache import Cache as Cached

    place = library.config.HF_DATASETS_CACHE
    try:
        builder = Cached(
            str(place),
            name.rpartition("/")[2],
            config,
            version="auto",
            hash="auto",
            repo_id=name if "/" in name else None,
        )
        return dict(builder.as_dataset())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{name}: not in the cache of Hugging Face datasets at {place}, and iciia downloads nothing: {error}; "
            f"load_dataset({name!r}) in Python fetches it, $HF_DATASETS_CACHE says where to look"
        ) from error


def _library() -> Any:
    """Hugging Face datasets, which not everybody needs.

    Raises:
        DataError: It is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DataError("the library datasets is not installed; pip install 'iciia-sim[huggingface]'") from error
    return datasets


def _key(half: _Items, columns: Columns) -> dict[str, Any]:
    return {"huggingface": half.dataset._fingerprint, "image": columns.image, "label": columns.label}


def _clients(halves: list[_Items], column: str | None) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Natural client of each picture of both halves, numbered in the order of their names."""
    if column is None:
        return None, None
    names = [[str(name) for name in half.dataset[column]] for half in halves]
    number = {name: place for place, name in enumerate(sorted({*names[0], *names[1]}))}
    train, test = (np.array([number[name] for name in half], dtype=np.int64) for half in names)
    return train, test
