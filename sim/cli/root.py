"""The command line: `iciia`.

What is asked for goes to stdout, progress and errors to stderr. Commands import what they need when they run: help and completion
answer at once.
"""

import signal
import sys

import typer

from sim.cli import cache, data, device, features, measures, module, reports, run, scenarios
from sim.errors import SimError

EXIT_CODES = (
    "Exit codes: 0 done; 1 a run failed; 2 the command, scenario, data or folder has to be changed; 130 stopped by Ctrl-C or "
    "SIGTERM. NO_COLOR turns colours off."
)
app = typer.Typer(
    name="iciia",
    help="Simulate many clients, each with its own drifting stream of images, through one cloud-trained model.",
    epilog=f"Begin with: iciia run quickstart\n\n{EXIT_CODES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (run, reports, scenarios, features, measures, device):
    app.add_typer(group.app)
app.add_typer(cache.app, name="cache")
app.add_typer(data.app, name="data")
app.add_typer(module.app, name="module")


def main() -> None:
    """Runs the command line; errors meant for the reader go to stderr without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops a run as cleanly as Ctrl-C
    try:
        app()
    except SimError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
