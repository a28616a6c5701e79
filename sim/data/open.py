"""From data settings to data."""

from pathlib import Path

from sim.cache import Cache
from sim.data.base import Features, Images
from sim.data.digits import open_digits
from sim.data.features import open_features
from sim.data.glyph_images import open_glyphs
from sim.data.image_folder import open_image_folder
from sim.data.synthetic import open_synthetic
from sim.scenario import Data, DigitsData, FeaturesData, GlyphsData, ImageFolderData


def open_data(settings: Data, seed: int, image_size: int, cache: Cache) -> Images | Features:
    """Opens a data set.

    Args:
        settings: The scenario's `data`.
        seed: Splits and synthetic data.
        image_size: Height and width to read from image files; embedded data have their own.
        cache: Where scans of image folders are remembered.

    Raises:
        DataError: The data cannot be used; the message says where and why.
    """
    if isinstance(settings, DigitsData):
        return open_digits(seed)
    if isinstance(settings, GlyphsData):
        return open_glyphs(settings.train_images, settings.test_images, seed)
    if isinstance(settings, ImageFolderData):
        return open_image_folder(
            Path(settings.train),
            Path(settings.test) if settings.test is not None else None,
            settings.test_share,
            _path(settings.superclasses),
            settings.unreadable_share,
            image_size,
            seed,
            cache,
        )
    if isinstance(settings, FeaturesData):
        return open_features(Path(settings.train), Path(settings.test), _path(settings.superclasses))
    return open_synthetic(
        settings.classes,
        settings.superclasses,
        settings.features,
        settings.images_per_class,
        settings.noise,
        seed,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
