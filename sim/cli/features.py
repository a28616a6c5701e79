"""The command that writes features as files."""

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import JsonOption, ScenarioArgument, SetOption, examples
from sim.cli.output import print_json, say

app = typer.Typer()


@app.command(
    epilog=examples(
        "iciia features photos/own_folder --out features",
        "iciia features my.yaml --set data.path=photos --out features",
    )
)
def features(
    scenario: ScenarioArgument,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where train.npz and test.npz go; replaced if there.")],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the features of a scenario's images as files that data: {kind: features} reads. Cut short, it goes on where it was."""
    from sim.cache import Cache
    from sim.engine.features import write_features
    from sim.engine.progress import Display
    from sim.scenario.file import read

    files = write_features(read(scenario).override(overrides or ()), out, Cache(), Display().stage)
    if as_json:
        print_json({"kind": "features", **files})
        return
    say(f"data: {{kind: features, {', '.join(f'{name}: {path}' for name, path in files.items())}}}")
