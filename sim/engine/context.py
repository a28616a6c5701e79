"""How to run, as opposed to what."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.cache import Cache
from sim.engine.collector import Layout
from sim.engine.progress import Display
from sim.errors import RunError


@dataclass(frozen=True)
class Share:
    """A part of all cohorts.

    Args:
        start: First, as a number or as a share.
        stop: One past the last, likewise.
    """

    start: int | float
    stop: int | float

    @staticmethod
    def parse(text: str | None) -> "Share":
        """Reads `0:5%`, `10:20`, `:50%`.

        Raises:
            RunError: It is something else.
        """
        first, colon, last = ("0:100%" if text is None else text).partition(":")
        try:
            if not colon:
                raise ValueError
            start, stop = (
                float(end[:-1]) / 100 if end.endswith("%") else int(end) for end in (first or "0", last or "100%")
            )
        except ValueError:
            raise RunError(
                f"got cohorts {text!r}; expected FIRST:STOP in numbers or percent, for example 0:5%"
            ) from None
        return Share(start, stop)

    def of(self, layout: Layout) -> list[range]:
        """The ranges of cohorts that the part touches.

        Raises:
            RunError: There are none.
        """
        ends = (end if isinstance(end, int) else round(end * layout.cohorts) for end in (self.start, self.stop))
        start, stop = ends
        found = [part for part in layout.ranges() if start < stop and part.start < stop and part.stop > start]
        if not found:
            raise RunError(f"got cohorts {start}:{stop}, which hold none; the scenario has 0 to {layout.cohorts}")
        return found


@dataclass(frozen=True)
class Context:
    """How to run, as opposed to what."""

    workers: int | None
    address: str | None
    share: Share
    resume: bool
    display: Display
    cache: Cache
    log: Sequence[str]
