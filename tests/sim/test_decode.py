"""Decoding: every file that people have becomes what a viewer shows; what cannot be decoded is said and never runs anything."""

import contextlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from sim.data.decode import UndecodableError, decode, formats, looks_like_image, probe

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def pixels(content: bytes) -> NDArray[np.uint8]:
    image = decode(content)
    assert image.mode == "RGB"
    return np.asarray(image)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# --- orientation ---

LAYOUT = np.array([[RED, GREEN, BLUE], [WHITE, BLACK, RED]], dtype=np.uint8)
"""2 x 3 pixels, upright, without any symmetry."""

STORED = {
    1: LAYOUT,
    2: LAYOUT[:, ::-1],
    3: LAYOUT[::-1, ::-1],
    4: LAYOUT[::-1],
    5: LAYOUT.transpose(1, 0, 2),
    6: LAYOUT.transpose(1, 0, 2)[::-1],
    7: LAYOUT.transpose(1, 0, 2)[::-1, ::-1],
    8: LAYOUT.transpose(1, 0, 2)[:, ::-1],
}
"""As a camera with each orientation stores it: of 6, for instance, row 0 is the scene's right side, column 0 its top."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_all_eight_orientations_are_turned_upright(orientation: int, kind: str) -> None:
    large = np.kron(STORED[orientation], np.ones((16, 16, 1), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    content = saved(Image.fromarray(large), kind, exif=exif, **options)
    assert np.abs(pixels(content)[8::16, 8::16].astype(int) - LAYOUT).max() <= 2
    assert probe(content) == (32, 48)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_leaves_the_image_as_it_is() -> None:
    content = saved(Image.fromarray(LAYOUT), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(pixels(content), LAYOUT)
    exif = Image.Exif()
    exif[0x0112] = 77
    assert np.array_equal(pixels(saved(Image.fromarray(LAYOUT), "PNG", exif=exif)), LAYOUT)


# --- modes ---


def grey(levels: NDArray[np.generic], kind: str = "TIFF") -> list[int]:
    found = pixels(saved(Image.fromarray(levels), kind))
    assert (found == found[:, :, :1]).all()
    return [int(value) for value in found[0, :, 0]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(kind: str) -> None:
    """257 levels of 16 bits to one of 8."""
    assert grey(np.array([[0, 257, 5140, 25700, 65535]], dtype=np.uint16), kind) == [0, 1, 20, 100, 255]


def test_sixteen_bits_of_either_byte_order_are_scaled() -> None:
    for mode, order in (("I;16", "<u2"), ("I;16B", ">u2")):
        levels = np.array([[0, 25700, 65535]], dtype=order)
        image = Image.frombytes(mode, (3, 1), levels.tobytes())
        assert pixels(saved(image, "TIFF"))[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (np.array([[0, 100, 255]], dtype=np.int32), [0, 100, 255]),
        (np.array([[0, 25700, 65535]], dtype=np.int32), [0, 100, 255]),
        (np.array([[-1000, 0, 1000, 4000]], dtype=np.int32), [0, 51, 102, 255]),
        (np.array([[0.0, 0.4, 1.0]], dtype=np.float32), [0, 102, 255]),
        (np.array([[0.0, 100.0, 200.0]], dtype=np.float32), [0, 100, 200]),
        (np.array([[0.0, 25700.0, 65535.0]], dtype=np.float32), [0, 100, 255]),
        (np.array([[-1.0, np.nan, 0.0, 1.0, np.inf]], dtype=np.float32), [0, 0, 128, 255, 0]),
        (np.array([[-7.0, -7.0]], dtype=np.float32), [0, 0]),
    ],
)
def test_integers_and_floats_are_scaled_not_clipped(levels: NDArray[np.generic], expected: list[int]) -> None:
    assert grey(levels) == expected


def test_cmyk() -> None:
    """Cyan ink alone is cyan, and all of the black ink is black."""
    ink = np.array([[(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0)]], dtype=np.uint8)
    content = saved(Image.frombytes("CMYK", (5, 1), ink.tobytes()), "TIFF")
    assert pixels(content)[0].tolist() == [[0, 255, 255], [255, 0, 255], [255, 255, 0], [0, 0, 0], [255, 255, 255]]
    large = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert np.abs(pixels(saved(large, "JPEG", quality=100)).astype(int) - RED).max() <= 3
    assert probe(saved(large, "JPEG")) == (64, 64)


def test_transparency_is_laid_on_white() -> None:
    """A black logo on a transparent ground is black on white, however transparency is written down."""
    half = np.array([[(0, 0, 0, 255), (0, 0, 0, 0), (255, 0, 0, 128)]], dtype=np.uint8)
    expected = [[0, 0, 0], [255, 255, 255], [255, 127, 127]]
    for kind in ("PNG", "WEBP", "TIFF"):
        content = saved(Image.fromarray(half), kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        assert pixels(content)[0].tolist() == expected
    levels = np.array([[(0, 255), (0, 0)]], dtype=np.uint8)
    assert pixels(saved(Image.frombytes("LA", (2, 1), levels.tobytes()), "PNG"))[0].tolist() == [[0] * 3, [255] * 3]


def test_a_palette_with_transparency() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    for kind in ("PNG", "GIF"):
        assert pixels(saved(image, kind, transparency=0))[0].tolist() == [[255, 255, 255], [255, 0, 0], [0, 0, 255]]
        assert pixels(saved(image, kind))[0].tolist() == [[0, 0, 0], [255, 0, 0], [0, 0, 255]]
    assert pixels(saved(image, "PNG", transparency=b"\xff\x00\x80"))[0].tolist() == [
        [0, 0, 0], [255, 255, 255], [127, 127, 255],
    ]  # fmt: skip


def test_one_colour_that_means_transparent() -> None:
    image = Image.fromarray(np.array([[BLACK, RED]], dtype=np.uint8))
    assert pixels(saved(image, "PNG", transparency=BLACK))[0].tolist() == [[255, 255, 255], [255, 0, 0]]
    levels = Image.fromarray(np.array([[0, 9]], dtype=np.uint8))
    assert pixels(saved(levels, "PNG", transparency=0))[0, :, 0].tolist() == [255, 9]


def test_one_bit_and_eight_bits_of_grey() -> None:
    assert pixels(saved(Image.fromarray(np.array([[True, False]])), "PNG"))[0, :, 0].tolist() == [255, 0]
    assert pixels(saved(Image.fromarray(np.array([[7, 200]], dtype=np.uint8)), "PNG"))[0, :, 0].tolist() == [7, 200]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (4, 3), colour) for colour in (RED, GREEN, BLUE)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(pixels(content).astype(int) - RED).max() <= 2
    assert probe(content) == (3, 4)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif() -> None:
    content = saved(Image.new("RGB", (32, 24), RED), "AVIF")
    assert probe(content) == (24, 32)
    assert np.abs(pixels(content).astype(int) - RED).max() <= 8


# --- limits and strangers ---


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG that says it is so large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_decompression_bombs_are_refused() -> None:
    """30,000 x 30,000 pixels in 60 bytes: 2.7 GB if they were believed."""
    for read in (probe, decode):
        with pytest.raises(UndecodableError, match="DecompressionBombError"):
            read(png(30_000, 30_000))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\xff\xd8\xff\xe0", b"no image", png(8, 8), b"BM" + b"\0" * 60])
def test_broken_files(content: bytes) -> None:
    for read in (probe, decode):
        with pytest.raises(UndecodableError):
            read(content)


def test_half_a_file_is_broken() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"):
        whole = saved(noise, kind)
        with pytest.raises(UndecodableError):
            probe(whole[: len(whole) // 2])


def test_postscript_is_not_run() -> None:
    """Pillow would hand it to Ghostscript."""
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(UndecodableError, match="UnidentifiedImageError"):
        decode(script)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_damaged_files_give_an_image_or_the_one_error() -> None:
    """2,000 files, each with a few bytes changed."""
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (24, 24, 4), dtype=np.uint8))
    kinds = ["PNG", "WEBP", "TIFF", "GIF", "TGA", "JPEG2000"]
    whole = [saved(noise, kind) for kind in kinds]
    whole += [saved(noise.convert("RGB"), kind) for kind in ("JPEG", "BMP", "PPM", "PCX")]
    whole.append(saved(Image.fromarray(rng.integers(0, 65536, (24, 24), dtype=np.uint16)), "TIFF"))
    for number in range(2000):
        content = bytearray(whole[number % len(whole)])
        for _ in range(int(rng.integers(1, 8))):
            content[int(rng.integers(len(content) // 2))] = int(rng.integers(256))
        with contextlib.suppress(UndecodableError):
            assert decode(bytes(content)).mode == "RGB"


def test_a_file_says_by_its_beginning_what_it_is(tmp_path: Path) -> None:
    for name, content in {
        "photo": saved(Image.new("RGB", (4, 4)), "JPEG"),
        "scan.0001": saved(Image.new("RGB", (4, 4)), "TIFF"),
        "text": b"some text, and more of it",
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    assert [looks_like_image(tmp_path / name) for name in ("photo", "scan.0001", "text", "empty", "not there")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_heic_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pillow-heif there is no HEIF among the formats, and no error."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    formats.cache_clear()
    assert "JPEG" in formats()
    assert set(formats()) <= set(Image.OPEN)
    formats.cache_clear()
