"""From the bytes of an image file to what a viewer shows: upright, RGB, 8 bits, its own size.

- The EXIF orientation is applied, all eight of them.
- Transparency is laid on white; of an animation the first frame counts.
- Grey levels of more than 8 bits are scaled: 16 bits from 0 to 65,535, and integers of 32 bits and floats, which have no range of
  their own, from the smallest of 0 to 1 (floats only), 0 to 255 and 0 to 65,535 that holds them, or else from their least to
  their most. Pixels that are no finite number are black.
- Formats that run a program or read other files (PostScript, Windows metafiles) are no images here.
"""

import contextlib
import functools
import importlib
import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

READER = 1
"""Part of every key of what is made from decoded images; raised when code changes what pixels a file gives."""

FORMATS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Pillow's names of the formats that are read, where this Pillow can; HEIF needs the package pillow-heif."""

ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image of each EXIF orientation upright; 1 is."""

TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


class UndecodableError(ValueError):
    """A file that is no image, or a broken one."""


def decode(source: Path | bytes) -> Image.Image:
    """An image file as a viewer shows it.

    Args:
        source: The file, or its bytes.

    Returns:
        Upright, in mode RGB, of its own size.

    Raises:
        OSError: The file cannot be read.
        UndecodableError: It is no image of `FORMATS`, is broken, or has more pixels than Pillow takes for sane (twice
            `PIL.Image.MAX_IMAGE_PIXELS`: 179 million).
    """
    return _decoded(source, draft=False)[0]


def probe(content: bytes) -> tuple[int, int]:
    """Decodes an image to its end, at the lowest resolution that its format offers.

    Returns:
        Height and width of the image upright.

    Raises:
        UndecodableError: As for `decode`.
    """
    width, height = _decoded(content, draft=True)[1]
    return height, width


def _decoded(source: Path | bytes, draft: bool) -> tuple[Image.Image, tuple[int, int]]:
    """The image upright, and the width and height that it has if it is no draft."""
    file: Path | IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file, formats=formats()) as image:
            whole = image.size
            smaller = draft and image.draft("RGB", (1, 1)) is not None
            found = as_seen(image)
            if not smaller:
                return found, found.size
            return found, whole if _orientation(image) < 5 else whole[::-1]
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # of a broken file Pillow's readers raise whatever comes
        raise UndecodableError(f"{type(error).__name__}: {error}") from error


@functools.cache
def formats() -> list[str]:
    """Those of `FORMATS` that can be read here."""
    Image.init()
    with contextlib.suppress(ImportError):  # most people have no HEIF files
        importlib.import_module("pillow_heif").register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


def missing_reader(names: Iterable[str]) -> str:
    """Advice if some of these broken files would need a reader that is not there; nothing otherwise."""
    if "HEIF" not in formats() and any(name.lower().endswith((".heic", ".heif")) for name in names):
        return "; .heic files need pip install 'iciia-sim[heic]'"
    return ""


def looks_like_image(path: Path) -> bool:
    """Whether a file begins as those of a format do that can be read here."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    tests = (Image.OPEN[name][1] for name in formats())
    return len(head) == 16 and any(test(head) for test in tests if test is not None)


def as_seen(image: Image.Image) -> Image.Image:
    """An opened image as a viewer shows it, upright and in mode RGB.

    Raises:
        OSError, ValueError: Its file is broken, or its mode cannot be converted (LAB).
    """
    image.load()
    orientation = _orientation(image)
    found = to_rgb(image)
    return found.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else found


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image; 1 if it has none or its EXIF is broken, which viewers ignore."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error):
        return 1
    return found if isinstance(found, int) and found in UPRIGHT else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB of 8 bits.

    Raises:
        ValueError: Pillow cannot convert it (LAB).
    """
    if image.mode in DEEP:
        return _eight_bits(image).convert("RGB")
    if image.mode not in TRANSPARENT and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode in ("La", "PA"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    coloured = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(coloured)
    return ground.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey levels of more than 8 bits scaled to 8, none of them clipped."""
    levels = np.asarray(image).astype(np.float64)
    finite = np.isfinite(levels)
    least, most = _range(image, levels[finite])
    scaled = np.where(finite, (levels - least) / ((most - least) or 1.0), 0.0)
    return Image.fromarray(np.rint(255 * scaled).astype(np.uint8))


def _range(image: Image.Image, levels: NDArray[np.float64]) -> tuple[float, float]:
    """The levels that become black and white."""
    if (
        image.mode.startswith("I;16") or image.format == "PNG"
    ):  # before version 11 Pillow opens a PNG of 16 bits in mode I
        return 0.0, 65535.0
    if levels.size == 0:
        raise UndecodableError("holds no finite number")
    least, most = float(levels.min()), float(levels.max())
    for bound in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
        if least >= 0 and most <= bound:
            return 0.0, bound
    return least, most
