"""How reports show themselves. What draws them stands above them, so the front door lends it, and nothing is imported before it is
asked for."""

from collections.abc import Callable
from typing import Any, Protocol


class View(Protocol):
    """What shows reports."""

    def plots(self, report: Any) -> Any:
        """The charts of a report, by name."""
        ...

    def html(self, report: Any) -> str:
        """A report in a few lines of HTML."""
        ...


_lent: list[Callable[[], View]] = []


def lend(opens: Callable[[], View]) -> None:
    """Says what is to be opened when a report is to be shown."""
    _lent[:] = [opens]


def view() -> View:
    """What shows reports."""
    return _lent[0]()
