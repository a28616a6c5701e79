"""Commands about scenarios: check, draw and plan them, list those that are shipped."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sim.cli.options import JsonOption, ScenarioArgument, SetOption, complete_scenario, examples
from sim.cli.output import console, print_json, say
from sim.errors import ScenarioError
from sim.scenario.file import read, shipped

app = typer.Typer()


@app.command(
    epilog=examples("iciia validate my.yaml other.yaml", "iciia validate quickstart --set clients.count=5 --json")
)
def validate(
    scenarios: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENARIO...", help="YAML files or shipped scenarios.", autocompletion=complete_scenario
        ),
    ],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check scenarios: every problem at once, with its line; exit code 2 if there is one."""
    from sim.cache import Cache
    from sim.engine.feasibility import check_data
    from sim.engine.progress import Display
    from sim.scenario.validation import validate as validate_document

    found: list[dict[str, Any]] = []
    for name in scenarios:
        try:
            document = read(name).override(overrides or ())
            check_data(document, validate_document(document), Cache(), Display().stage)
            found.append({"scenario": name, "problems": []})
            if not as_json:
                print(f"{name}: ok")
        except ScenarioError as error:
            found.append({"scenario": name, "problems": [vars(problem) for problem in error.problems]})
            if not as_json:
                print(error, file=sys.stderr)
    if as_json:
        print_json(found)
    if any(one["problems"] for one in found):
        raise typer.Exit(2)


@app.command(epilog=examples("iciia preview quickstart", "iciia preview my.yaml --clients 4 --out preview.png"))
def preview(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    clients: Annotated[int, typer.Option(min=1, help="Clients in the timeline.")] = 8,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Picture: .svg, .png or .html; reports/NAME-preview-DATE.svg if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what clients see and when they drift, and audit the streams. Trains nothing."""
    from sim.engine.before import preview as preview_scenario
    from sim.outputs import dated
    from sim.streams.preview import check_suffix, rendered_audit
    from sim.streams.preview_chart import draw

    try:
        check_suffix(out or Path("preview.svg"))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error
    found = preview_scenario(scenario, overrides=overrides or (), clients=clients)
    path = out or dated(f"{found.name}-preview", ".svg")
    draw(found, path)
    if as_json:
        print_json({"picture": path, "audit": found.audit})
        return
    console().print(rendered_audit(found))
    say(f"picture: {path}")


@app.command(epilog=examples("iciia plan scale/million", "iciia plan my.yaml --set clients.count=100000 --workers 8"))
def plan(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; one for each CPU if left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a run will take: memory, files, multiply-adds and time, from one cohort timed here. Trains nothing."""
    from sim.engine.before import plan as plan_scenario

    cells = plan_scenario(scenario, overrides=overrides or (), workers=workers)
    for cell in cells:
        if not as_json:
            if cell.cell:
                print(cell.cell)
            for name, value in cell.rows():
                print(f"{name:<26}{value}")
        cell.check()
    if as_json:
        print_json([{**vars(cell), "seconds": cell.seconds} for cell in cells])


@app.command()
def scenarios(as_json: JsonOption = False) -> None:
    """List the scenarios that come with the package."""
    if as_json:
        print_json(shipped())
        return
    found = shipped()
    width = max(map(len, found))
    for name, path in found.items():
        print(f"{name:<{width}}  {path}")


@app.command()
def schema(
    tables: Annotated[bool, typer.Option("--tables", help="Of the tables of a report instead, as Markdown.")] = False,
) -> None:
    """Print the JSON schema of scenarios, for editors."""
    if tables:
        from sim.report.columns import described_tables

        print(described_tables(), end="")
        return
    from sim.scenario.scenario import Scenario

    print(json.dumps(Scenario.model_json_schema(), indent=2))
