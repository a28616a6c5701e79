"""Small pictures that stand in a page: what a backbone reads, as data URIs."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 128
"""Pixels of the longer side at most."""

EXACT = 64
"""Pixels of the longer side up to which a picture stays as it is, to the pixel."""

QUALITY = 78


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """A picture as a data URI: PNG of a small one, WebP of others.

    Args:
        pixels: [channels, height, width], 1 or 3 channels; of a clip [channels, frames, height, width], whose middle frame it is.
    """
    if pixels.ndim == 4:
        pixels = pixels[:, pixels.shape[1] // 2]
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    if max(picture.size) <= EXACT:
        kind = "png"
        picture.save(file, "PNG", optimize=True)
    else:
        kind = "webp"
        picture.save(file, "WEBP", quality=QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
