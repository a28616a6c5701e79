"""Renders `glyphs.npz` from the DejaVu faces that Matplotlib carries. A maintainers' tool; nothing imports it.

    pip install 'iciia-sim[glyphs]' && python sim/data/glyphs/generate.py

Every character is drawn once in each of 12 faces, at one font size and on one baseline, so that capitals are larger
than small letters and a comma lies lower than an apostrophe. Within a script, characters that look like an earlier one are
left out; across scripts they stay, for they are the point of the data set.
"""

import io
import unicodedata
import zipfile
from pathlib import Path

import matplotlib
import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

FACES = [
    family + style
    for family in ("DejaVuSans", "DejaVuSansMono", "DejaVuSerif")
    for style in ("", "-Bold", "-Italic" if family == "DejaVuSerif" else "-Oblique",
                  "-BoldItalic" if family == "DejaVuSerif" else "-BoldOblique")
]  # fmt: skip
SIZE = 32
MARGIN = 3
FONT_SIZE = 20
BASELINE = 22
ALIKE = 0.04
"""Two characters look alike if their pixels differ by less than this share of their ink, in the mean over the faces."""

SCRIPTS = {
    "Latin": [(0x41, 0x5A), (0x61, 0x7A)],
    "Latin accented": [(0xC0, 0x17F)],
    "Greek": [(0x391, 0x3C9)],
    "Cyrillic": [(0x410, 0x44F)],
    "Armenian": [(0x561, 0x587)],
    "Georgian": [(0x10D0, 0x10F6)],
    "Digits and fractions": [(0x30, 0x39), (0xBC, 0xBE), (0x2080, 0x2089), (0x2150, 0x215F)],
    "Punctuation": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E), (0xA1, 0xB1), (0xB4, 0xB8)],
    "Currency and letterlike": [(0x20A0, 0x20BF), (0x2100, 0x214F)],
    "Mathematical operators": [(0x2200, 0x22FF)],
    "Arrows": [(0x2190, 0x21FF)],
    "Box drawing": [(0x2500, 0x257F)],
    "Blocks and shapes": [(0x2580, 0x25FF)],
}
THINNED = {
    "Latin accented",
    "Punctuation",
    "Mathematical operators",
    "Arrows",
    "Box drawing",
    "Blocks and shapes",
}
MOST = 28
"""Characters of a thinned script, spread evenly over it; of the others, all are taken."""


def main() -> None:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = [folder / f"{face}.ttf" for face in FACES]
    covered = set.intersection(*(set(TTFont(file).getBestCmap()) for file in files))
    fonts = [ImageFont.truetype(str(file), FONT_SIZE) for file in files]
    characters: list[str] = []
    sheets: list[np.ndarray] = []
    superclass: list[int] = []
    for number, (script, ranges) in enumerate(SCRIPTS.items()):
        codes = [code for low, high in ranges for code in range(low, high + 1) if code in covered]
        drawn = [(chr(code), np.stack([render(chr(code), font) for font in fonts])) for code in codes]
        kept: list[tuple[str, np.ndarray]] = []
        for character, sheet in drawn:
            if fits(sheet) and not any(alike(sheet, other) for _, other in kept):
                kept.append((character, sheet))
        if script in THINNED:
            kept = [kept[place] for place in np.linspace(0, len(kept) - 1, MOST).round().astype(int)]
        print(f"{script:<26} {len(kept):3d}  {''.join(character for character, _ in kept)}")
        characters += [character for character, _ in kept]
        sheets += [sheet for _, sheet in kept]
        superclass += [number] * len(kept)
    write(
        Path(__file__).parent / "glyphs.npz",
        images=np.stack(sheets),
        characters=np.array(characters),
        names=np.array([unicodedata.name(character) for character in characters]),
        superclass=np.array(superclass, dtype=np.int16),
        superclass_names=np.array(list(SCRIPTS)),
        faces=np.array(FACES),
    )


def render(character: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """The character, white on black, uint8 [SIZE, SIZE]: centred by its ink, on the common baseline."""
    canvas = Image.new("L", (3 * SIZE, 3 * SIZE))
    ImageDraw.Draw(canvas).text((SIZE, SIZE + BASELINE), character, fill=255, font=font, anchor="ls")
    box = canvas.getbbox()
    if box is None:
        return np.zeros((SIZE, SIZE), dtype=np.uint8)
    left = (box[0] + box[2] - SIZE) // 2
    inside = canvas.crop((left, SIZE, left + SIZE, 2 * SIZE))
    pixels = np.asarray(inside, dtype=np.uint8)
    # something cut off: draw nothing, which `fits` refuses
    return pixels if pixels.sum() == np.asarray(canvas).sum() else np.zeros_like(pixels)


def fits(sheet: np.ndarray) -> bool:
    """Whether there is ink in every face, and a margin around it in which to move."""
    inked = sheet.max(axis=0) > 64
    rim = np.ones((SIZE, SIZE), dtype=bool)
    rim[MARGIN:-MARGIN, MARGIN:-MARGIN] = False
    return bool((sheet.sum(axis=(1, 2)) > 0).all() and not (inked & rim).any())


def alike(sheet: np.ndarray, other: np.ndarray) -> bool:
    """Whether two characters of one script can hardly be told apart."""
    a, b = sheet.astype(float), other.astype(float)
    return float(np.abs(a - b).sum() / (a + b).sum()) < ALIKE


def write(path: Path, **arrays: np.ndarray) -> None:
    """Like `np.savez_compressed`, with the best compression and no date inside, so that equal arrays give equal files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(arrays['characters'])} characters")


if __name__ == "__main__":
    main()
