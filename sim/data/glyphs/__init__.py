"""Glyphs: characters of many scripts in 12 faces, and images drawn from them by number.

Homoglyphs (A, Greek Alpha, Cyrillic A) cannot be told apart from one image, only from what the client has been reading.
`glyphs.npz` was rendered once by `generate.py` from the DejaVu faces, whose licence lies beside it.
"""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from iciia.counter import uniforms

FILE = Path(__file__).parent / "glyphs.npz"

ROTATION = np.pi / 18
SCALE = (0.85, 1.12)
SHEAR = 0.12
SHIFT = 2.0
BLUR = 1.1
CONTRAST = (0.5, 1.0)
NOISE = (0.04, 0.18)
"""Ranges of jitter: radians, factor, factor, pixels, pixels (standard deviation), factor, share of the range of values."""

VERSION = 1
"""Raised when an image of a given number changes though nothing above does."""


@dataclass(frozen=True)
class GlyphSheet:
    """Every character in every face.

    Args:
        images: White on black, uint8 [C, 12, 32, 32].
        characters: [C].
        names: Unicode names, [C].
        superclass: The script, int16 [C].
        superclass_names: Names of the scripts, [S].
        faces: Names of the faces, [12].
    """

    images: NDArray[np.uint8]
    characters: NDArray[np.str_]
    names: NDArray[np.str_]
    superclass: NDArray[np.int16]
    superclass_names: NDArray[np.str_]
    faces: NDArray[np.str_]


@functools.cache
def load() -> GlyphSheet:
    """The sheet that comes with the package."""
    with np.load(FILE, allow_pickle=False) as file:
        return GlyphSheet(**{name: file[name] for name in file.files})


@functools.cache
def digest() -> str:
    """Digest of the sheet and of how images are drawn from it."""
    jitter = repr((ROTATION, SCALE, SHEAR, SHIFT, BLUR, CONTRAST, NOISE, VERSION))
    return hashlib.sha256(FILE.read_bytes() + jitter.encode()).hexdigest()[:20]


def draw(class_index: NDArray[np.int64], image_index: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """Draws images: a face, jitter, blur, contrast and noise, all decided by the image's number.

    Args:
        class_index: Class of each image, [B].
        image_index: Number of each image, [B].
        seed: The data's seed.

    Returns:
        uint8 [B, 32, 32]. An image depends on (seed, class, number) alone, whatever the batch.
    """
    sheet = load()
    size = sheet.images.shape[-1]
    u = uniforms(seed, "glyph", np.asarray(image_index)[:, None], np.arange(10)[None])
    face = (u[:, 0] * len(sheet.faces)).astype(np.int64)
    base = torch.from_numpy(sheet.images[class_index, face].astype(np.float32) / 255.0)
    moved = F.grid_sample(
        base[:, None], _grid(u[:, 1:6], size), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    blurred = _blur(moved[:, 0], torch.from_numpy(BLUR * u[:, 6].astype(np.float32)))
    low, high = CONTRAST
    contrast = torch.from_numpy((low + (high - low) * u[:, 7]).astype(np.float32))[:, None, None]
    low, high = NOISE
    deviation = torch.from_numpy((low + (high - low) * u[:, 8]).astype(np.float32))[:, None, None]
    noisy = 0.1 + 0.8 * contrast * blurred + deviation * _normals(u[:, 9], size)
    return (noisy.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _grid(u: NDArray[np.float64], size: int) -> torch.Tensor:
    """Where each pixel comes from: rotation, scale, shear and shift, float32 [B, size, size, 2]."""
    angle, shear = ROTATION * (2 * u[:, 0] - 1), SHEAR * (2 * u[:, 2] - 1)
    scale = 1.0 / (SCALE[0] + (SCALE[1] - SCALE[0]) * u[:, 1])
    shift = SHIFT * 2 / size * (2 * u[:, 3:5] - 1)
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    rows = [[cosine, shear * cosine - sine, shift[:, 0]], [sine, shear * sine + cosine, shift[:, 1]]]
    centre = (2 * np.arange(size) + 1) / size - 1
    x, y = centre[None, None, :], centre[None, :, None]
    mapped = [a[:, None, None] * x + b[:, None, None] * y + c[:, None, None] for a, b, c in rows]
    return torch.from_numpy(np.stack(mapped, axis=-1).astype(np.float32))


def _blur(images: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Gaussian blur with a deviation for each image, in pixels; five taps each way."""
    offsets = torch.arange(-2, 3, dtype=torch.float32)
    weights = torch.exp(-0.5 * (offsets[None] / deviation.clamp_min(1e-3)[:, None]) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)  # [B, 5]
    size = images.shape[-1]
    for dim in (1, 2):
        padded = F.pad(images, (2, 2, 0, 0) if dim == 2 else (0, 0, 2, 2))
        images = sum((padded.narrow(dim, k, size) * weights[:, k, None, None] for k in range(5)), start=torch.zeros(()))
    return images


@functools.cache
def _noise() -> torch.Tensor:
    """A long row of standard normal numbers; each image's noise is a window of it, at a place drawn by its number."""
    return torch.from_numpy(np.random.Generator(np.random.Philox(0)).standard_normal(2**20, dtype=np.float32))


def _normals(u: NDArray[np.float64], size: int) -> torch.Tensor:
    """Standard normal noise by pixel, float32 [B, size, size]."""
    windows = _noise().unfold(0, size * size, 1)
    return windows[torch.from_numpy((u * len(windows)).astype(np.int64))].view(-1, size, size)
