"""The command line: arguments, words and exit codes, a file for each group of commands.

May import every other room, each when a command runs, so that help and completion answer at once.
"""

from sim.cli.root import app, main

__all__ = ["app", "main"]
