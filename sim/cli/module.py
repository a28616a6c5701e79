"""Commands about trained modules."""

from pathlib import Path
from typing import Annotated

import typer

from sim.addresses import locate
from sim.cli.options import examples
from sim.cli.output import say

app = typer.Typer(help="Trained modules.", no_args_is_help=True)


@app.command("save", epilog=examples("iciia module save reports/quickstart any my_module"))
def module_save(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its address.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The module's name in its scenario.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to, new or empty.")],
) -> None:
    """Take a module out of a run: weights in safetensors and settings in JSON, for `from_pretrained` and `modules.NAME.weights`."""
    from sim.cache import Cache
    from sim.engine.modules import save_module
    from sim.engine.progress import Display

    save_module(locate(run), name, folder, Cache(), Display().stage)
    say(f"module: {folder}")
