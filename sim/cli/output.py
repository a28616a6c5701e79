"""What commands print: tables as wide as they need to be, lines, and JSON for scripts."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console


def console() -> Console:
    """Tables are as wide as they need to be where there is no terminal that they would have to fit."""
    return Console() if sys.stdout.isatty() else Console(width=220)


def say(line: str) -> None:
    """Prints a line as it is."""
    console().print(line, highlight=False, markup=False, soft_wrap=True)


def say_now(line: str) -> None:
    """Prints a line at once, also into a pipe: for commands that go on after it."""
    say(line)
    sys.stdout.flush()


def records(frame: Any) -> Any:
    """The rows of a pandas frame as JSON has them: what is missing is null."""
    return json.loads(frame.to_json(orient="records", double_precision=15))


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Prints JSON for scripts."""
    print(json.dumps(value, indent=2, default=str))
