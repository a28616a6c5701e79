"""What can go wrong, as one tree.

    SimError
    |- ScenarioError   the scenario asks for something impossible; lists every problem with its line
    |- DataError       images, arrays or class lists that cannot be used
    |- AddressError    an address of a kind that is unknown, or that cannot be used
    |- CacheError      an artifact in the cache cannot be read or written
    |- RunError        a run failed; what was committed stays
    |  |- SimulationError  an adapter failed; names client, step, adapter and how to replay it
    |  `- Interrupted  somebody stopped it; says how to go on
    |- ReportError     a folder that is no report, or that belongs to something else
    `- ExportError     what was asked for cannot be put into a file for a device

The command line prints the message of any of them to stderr, without a traceback. Exit code 2 for a scenario or data that
must be changed, 1 for the rest.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


def did_you_mean(got: str, allowed: Iterable[str]) -> str | None:
    """`did you mean "gradual"?` for `gradul`; None if nothing allowed is like it."""
    close = difflib.get_close_matches(got, allowed, n=1, cutoff=0.5)
    return f'did you mean "{close[0]}"?' if close else None


class SimError(Exception):
    """Base of every error that is meant for the reader, not for a debugger."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a scenario.

    Args:
        where: Dotted key, for example `clients.drift.kind`.
        message: What was got, what is allowed and what to do.
        line: Line in the YAML file; None where there is no file or the key came from `--set`.
    """

    where: str
    message: str
    line: int | None = None


class ScenarioError(SimError):
    """Every problem of a scenario at once."""

    exit_code = 2

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        rows = [(f"line {p.line}" if p.line is not None else "", p.where, p.message) for p in problems]
        line_width, where_width = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
        lines = [
            "  " + f"{line:<{line_width}}  " * bool(line_width) + f"{where:<{where_width}}  {message}"
            for line, where, message in rows
        ]
        super().__init__("\n".join([f"{source}: {count}", *lines]))

    def __reduce__(self) -> tuple[type, tuple[str, list[Problem]]]:
        return type(self), (self.source, self.problems)


class DataError(SimError):
    """Images, arrays or class lists that cannot be used."""

    exit_code = 2


class AddressError(SimError):
    """An address of a kind that is unknown, or that cannot be used."""

    exit_code = 2


class CacheError(SimError):
    """An artifact in the cache cannot be read or written."""


class RunError(SimError):
    """A run failed; what was committed stays."""


class SimulationError(RunError):
    """An adapter failed on one client's stream; names client, step, adapter and how to replay it."""


class Interrupted(RunError):
    """Somebody stopped a run; says how to go on."""

    exit_code = 130


class ReportError(SimError):
    """A folder that is no report, or that belongs to something else."""

    exit_code = 2


class ExportError(SimError):
    """What was asked for cannot be put into a file for a device."""

    exit_code = 2
