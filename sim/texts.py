"""Text lists and CSV files as people's programs save them: with a byte order mark, in Latin-1, with semicolons or tabs, with spaces
after commas."""

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = ",;\t|"


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, what its byte order mark says, or else Latin-1, in which any bytes are text.

    Raises:
        OSError: It cannot be read.
        ValueError: It is UTF-16 by its mark and is not, or holds the zeros of something that is no text.
    """
    content = path.read_bytes()
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding)
    if b"\0" in content:
        raise ValueError("it holds bytes that no text has")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


@dataclass(frozen=True)
class Rows:
    """The rows of a CSV file.

    Args:
        lines: Line of each row in the file, from 1.
        cells: The cells of each row, without spaces around them. Empty rows are left out.
    """

    lines: list[int]
    cells: list[list[str]]


def read_rows(path: Path) -> Rows:
    """The rows of a CSV file, whichever of `,`, `;`, tab and `|` is in its first row most often between the cells.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no text, or no CSV file.
    """
    text = read_text(path)
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
    lines, cells = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            stripped = [cell.strip() for cell in row]
            if any(stripped):
                lines.append(reader.line_num)
                cells.append(stripped)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    return Rows(lines, cells)
