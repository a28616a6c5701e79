"""When photographs were taken, from text: ISO 8601, EXIF's `2024:05:31 18:02:11`, or numbers that grow with time."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
EXIF = re.compile(r"(\d{4}):(\d\d):(\d\d)(.*)")
MILLISECONDS = 1e11
"""As seconds this is the year 5138: numbers from here on are milliseconds since 1970."""

DATED = 1e8
"""Numbers below, up to 1973 as seconds, are no dates but some count."""

EXPECTED = "a date or time such as 2024-05-31 or 2024-05-31T18:02:11+02:00, EXIF's 2024:05:31 18:02:11, or a number"


def read_times(cells: Sequence[str]) -> NDArray[np.float64]:
    """Times of one column, [M]: seconds since 1970 for dates, or the numbers as they are.

    Times without an offset from UTC are taken as UTC, which keeps their order.

    Raises:
        BadTimeError: A cell does not parse, or some times have an offset from UTC and some do not.
    """
    numbers = [NUMBER.fullmatch(cell) is not None for cell in cells]
    if all(numbers) and not all(len(cell) == 8 and _moment(cell) for cell in cells):
        found = np.array([float(cell) for cell in cells])
        return found / 1000 if len(found) and np.abs(found).min() >= MILLISECONDS else found
    moments = [_moment(cell) for cell in cells]
    for place, moment in enumerate(moments):
        if moment is None:
            raise BadTimeError(place, f"got {cells[place]!r}; expected {EXPECTED}")
    known = [moment for moment in moments if moment is not None]
    bare = [moment.tzinfo is None for moment in known]
    if any(bare) and not all(bare):
        place = bare.index(True)
        raise BadTimeError(place, f"got {cells[place]!r} without an offset from UTC, and other times have one")
    return np.array([(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() for moment in known])


class BadTimeError(ValueError):
    """A cell that is no time: its place in the column, and what is wrong."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def _moment(cell: str) -> datetime | None:
    exif = EXIF.fullmatch(cell)
    try:
        return datetime.fromisoformat("{}-{}-{}{}".format(*exif.groups()) if exif else cell)
    except ValueError:
        return None


def shown_time(value: float) -> str:
    """A time for people: a date, or the number."""
    if DATED <= value < MILLISECONDS:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{value:,g}"


def shown_span(seconds: float) -> str:
    """A length of time for people, in its largest unit of which there are two."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} seconds"
