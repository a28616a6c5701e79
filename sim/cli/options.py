"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from sim.scenario.file import shipped


def examples(*lines: str) -> str:
    """Examples below a command's help."""
    return "\n\n".join(["Examples:", *lines])


def complete_scenario(incomplete: str) -> list[str]:
    """Shipped scenarios, and YAML files and folders that begin so."""
    files = [path for path in Path().glob(f"{incomplete}*") if path.suffix in (".yaml", ".yml") or path.is_dir()]
    return [name for name in shipped() if name.startswith(incomplete)] + [
        f"{path}/" if path.is_dir() else str(path) for path in files
    ]


ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="A YAML file, or the name of a shipped scenario.", autocompletion=complete_scenario
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. clients.count=1000; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
FolderArgument = Annotated[str, typer.Argument(metavar="FOLDER", help="A report's folder, or its address.")]
