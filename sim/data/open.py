"""From data settings to data."""

from collections.abc import Sequence
from pathlib import Path

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data.base import Features, Images
from sim.data.celeba import open_celeba
from sim.data.digits import open_digits
from sim.data.features import open_features
from sim.data.femnist import open_femnist
from sim.data.files import Scanner
from sim.data.glyph_images import open_glyphs
from sim.data.huggingface import Columns, open_huggingface
from sim.data.image_folder import open_image_folder
from sim.data.image_table import Columns as TableColumns
from sim.data.image_table import Cut, open_image_table
from sim.data.imagenet import open_imagenet
from sim.data.inaturalist import open_inaturalist
from sim.data.synthetic import open_synthetic
from sim.data.torchvision import open_torchvision
from sim.data.ucf101 import open_ucf101
from sim.errors import DataError
from sim.scenario.base import Cell
from sim.scenario.data import (
    CelebaData,
    ColumnSplit,
    Data,
    DigitsData,
    FeaturesData,
    FemnistData,
    GlyphsData,
    HuggingfaceData,
    ImageFolderData,
    ImagenetData,
    ImageTableData,
    InaturalistData,
    TorchvisionData,
    Ucf101Data,
)
from sim.stage import StageProgress, silent


def open_data(
    settings: Data, seed: int, preprocessing: Preprocessing, cache: Cache, stage: StageProgress = silent
) -> Images | Features:
    """Opens a data set.

    Args:
        settings: The scenario's `data`.
        seed: Splits and synthetic data.
        preprocessing: How images in files are resized and cut; embedded data and FEMNIST have sizes of their own.
        cache: Where it is remembered what files hold.
        stage: Told how far the first look at files is.

    Raises:
        DataError: The data cannot be used; the message says where and why.
    """
    if isinstance(settings, DigitsData):
        return open_digits(seed)
    if isinstance(settings, GlyphsData):
        return open_glyphs(settings.train_images, settings.test_images, seed)
    if isinstance(settings, FeaturesData):
        return open_features(Path(settings.train), Path(settings.test), _path(settings.superclasses))
    folder = getattr(settings, "path", None)
    if folder is not None and not Path(folder).exists():
        raise DataError(
            f"{folder}: no such folder; put the data there (docs/data.md), or name theirs with --set data.path=FOLDER"
        )
    if isinstance(settings, FemnistData):
        return open_femnist(Path(settings.path), settings.split, settings.test_share, seed, cache, stage)
    if isinstance(settings, TorchvisionData):
        path, splits = Path(settings.path), (settings.train, settings.test)
        superclasses = _path(settings.superclasses)
        return open_torchvision(settings.dataset, path, splits, superclasses, preprocessing, cache, stage)
    if isinstance(settings, HuggingfaceData):
        source = _path(settings.path) or str(settings.dataset)
        columns, splits = Columns(settings.image, settings.label, settings.client), (settings.train, settings.test)
        superclasses = _path(settings.superclasses)
        return open_huggingface(source, settings.config, columns, splits, superclasses, preprocessing, cache, stage)
    if isinstance(
        settings, ImageFolderData | ImageTableData | ImagenetData | CelebaData | Ucf101Data | InaturalistData
    ):
        return _open_files(settings, seed, preprocessing, Scanner(cache, settings.unreadable_share, stage))
    return open_synthetic(
        settings.classes,
        settings.superclasses,
        settings.features,
        settings.images_per_class,
        settings.noise,
        seed,
    )


def _open_files(
    settings: ImageFolderData | ImageTableData | ImagenetData | CelebaData | Ucf101Data | InaturalistData,
    seed: int,
    preprocessing: Preprocessing,
    scanner: Scanner,
) -> Images:
    """Data sets of single image or video files."""
    if isinstance(settings, ImageFolderData):
        superclasses = _path(settings.superclasses)
        train, test, clients = Path(settings.train), _path(settings.test), _path(settings.clients)
        return open_image_folder(
            train, test, settings.test_share, superclasses, preprocessing, seed, scanner, clients, settings.split
        )
    if isinstance(settings, ImageTableData):
        return _open_table(settings, seed, preprocessing, scanner)
    path = Path(settings.path)
    if isinstance(settings, ImagenetData):
        return open_imagenet(path, preprocessing, scanner)
    if isinstance(settings, CelebaData):
        return open_celeba(path, settings.split, settings.attribute, preprocessing, scanner)
    if isinstance(settings, Ucf101Data):
        return open_ucf101(path, settings.fold, preprocessing, scanner)
    return open_inaturalist(path, preprocessing, scanner)


def _open_table(settings: ImageTableData, seed: int, preprocessing: Preprocessing, scanner: Scanner) -> Images:
    path, split = Path(settings.path), settings.split
    drop = {column: _texts(cells) for column, cells in settings.drop.items()}
    columns = TableColumns(settings.file, settings.label, settings.client, settings.time, drop)
    if isinstance(split, ColumnSplit):
        how = Cut(None, settings.test_share, seed, split.column, _texts(split.train), _texts(split.test))
    else:
        how = Cut(split, settings.test_share, seed)
    return open_image_table(
        path, path / settings.table, columns, how, _path(settings.superclasses), preprocessing, scanner
    )


def _texts(cells: Sequence[Cell]) -> list[str]:
    """Cells as they stand in tables."""
    return [str(cell) for cell in cells]


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
