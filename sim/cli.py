"""The command line: `iciia`."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iciia.paper import CAPACITY
from sim.bench import measure
from sim.bench_kernels import measure_kernels
from sim.cache import Cache
from sim.engine import replay as replay_client
from sim.engine import run as run_scenario
from sim.errors import ScenarioError, SimError
from sim.feasibility import check_data
from sim.overhead_table import OverheadRow, PaperRow, overhead_row, paper_rows
from sim.overhead_table import rendered as rendered_overhead
from sim.plan import plans
from sim.preview import check_suffix, rendered_audit
from sim.preview import preview as preview_streams
from sim.preview_chart import draw
from sim.report import rendered
from sim.scenario import Scenario
from sim.scenario_file import read, shipped
from sim.validation import validate as validate_document
from sim.workers import cpus_here

app = typer.Typer(
    name="iciia",
    help="Simulate many clients, each with its own drifting stream of images, through one cloud-trained model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache_app = typer.Typer(help="The artifact cache: trained models and computed features.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

ScenarioArgument = Annotated[
    str, typer.Argument(metavar="SCENARIO", help="A YAML file, or the name of a shipped scenario.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. clients.count=1000."),
]


@app.command()
def run(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report; reports/NAME-DATE if left out.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Worker processes; one for each CPU if left out, 0 for none and no Ray."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster to use; auto for the one that runs here.")] = None,
    cohorts: Annotated[
        str | None, typer.Option(metavar="FIRST:STOP", help="Simulate only these cohorts, e.g. 0:5% or 10:20.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the unfinished run in this folder.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Run a scenario and leave a report.

    Examples: iciia run quickstart · iciia run my.yaml --set clients.count=1000 --out reports/big
    """
    if out is not None and resume is not None and out != resume:
        raise typer.BadParameter("--out and --resume name different folders; give one of them")
    report = run_scenario(
        scenario,
        overrides=overrides or (),
        out=resume or out,
        workers=workers,
        address=address,
        cohorts=cohorts,
        resume=resume is not None,
        quiet=quiet,
    )
    console = _console()
    console.print(rendered(report))
    console.print(f"report: {report.folder}", highlight=False, soft_wrap=True)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    client: Annotated[int, typer.Option(min=0, help="The client's number.")],
    out: Annotated[Path | None, typer.Option(help="CSV file for a row of each prediction.")] = None,
) -> None:
    """Simulate one client of a run again, alone, in this process: an adapter's error comes with its traceback."""
    events = replay_client(folder, client)
    right = (events.prediction == events.label).groupby(events.adapter, observed=True).agg(["size", "sum", "mean"])
    for name, row in right.iterrows():
        print(f"client {client}  {name:<16} {int(row['sum'])} of {int(row['size'])} right ({100 * row['mean']:.1f} %)")
    if out is not None:
        events.to_csv(out, index=False)
        print(f"events: {out}")


@app.command()
def plan(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; one for each CPU if left out.")] = None,
) -> None:
    """Tell what a run will take: memory, files, multiply-adds and time, from one cohort timed here. Trains nothing."""
    document = read(scenario).override(overrides or ())
    number = cpus_here() if workers is None else workers
    for title, cell in plans(document, Cache(), number):
        if title:
            print(title)
        for name, value in cell.rows():
            print(f"{name:<26}{value}")
        cell.check()


@app.command()
def validate(
    scenarios: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="YAML files or shipped scenarios.")],
    overrides: SetOption = None,
) -> None:
    """Check scenarios: every problem at once, with its line; exit code 2 if there is one."""
    sound = True
    for name in scenarios:
        try:
            document = read(name).override(overrides or ())
            check_data(document, validate_document(document), Cache())
            print(f"{name}: ok")
        except ScenarioError as error:
            print(error, file=sys.stderr)
            sound = False
    if not sound:
        raise typer.Exit(2)


@app.command()
def preview(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    clients: Annotated[int, typer.Option(min=1, help="Clients in the timeline.")] = 8,
    out: Annotated[
        Path | None, typer.Option(help="Picture: .svg, .png or .html; NAME-preview.svg here if left out.")
    ] = None,
) -> None:
    """Draw what clients see and when they drift, and audit the streams. Trains nothing.

    Examples: iciia preview quickstart · iciia preview my.yaml --clients 4 --out preview.png
    """
    document = read(scenario).override(overrides or ())
    validated = validate_document(document)
    path = out or Path(f"{validated.name}-preview.svg")
    try:
        check_suffix(path)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error
    check_data(document, validated, Cache())
    found = preview_streams(validated, Cache(), clients)
    draw(found, path)
    console = _console()
    console.print(rendered_audit(found))
    console.print(f"picture: {path}", highlight=False, soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON schema of scenarios, for editors."""
    print(json.dumps(Scenario.model_json_schema(), indent=2))


@app.command()
def scenarios() -> None:
    """List the scenarios that come with the package."""
    for name, path in shipped().items():
        print(f"{name:<24} {path}")


@app.command()
def overhead(
    backbone: Annotated[
        list[str] | None, typer.Option(help="timm name, femnist_cnn or c3d; may be given several times.")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers, L; 3 if left out.")] = None,
    partitions: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Partitions, P; may be given several times. 1 is ICIIA-B, 256 ICIIA-T."),
    ] = None,
    capacity: Annotated[int, typer.Option(min=0, help="Bank capacity, N.")] = CAPACITY,
    paper: Annotated[bool, typer.Option("--paper", help="Every pair of dataset and backbone in the paper.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Print what ICIIA costs beside a backbone: multiply-adds for an image, parameters, bytes of a bank."""
    if paper and (backbone or layers or partitions):
        raise typer.BadParameter("--paper has backbones, layers and partitions of its own; leave these out")
    rows: list[PaperRow] | list[OverheadRow]
    try:
        if paper:
            rows = paper_rows(capacity)
        else:
            backbones = backbone or ["mobilenetv3_large_100"]
            rows = [overhead_row(name, layers or 3, p, capacity) for name in backbones for p in partitions or [1, 256]]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print(json.dumps([row.as_dict() for row in rows], indent=2))
    else:
        _console().print(rendered_overhead(rows))


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the clients, and short repetitions.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one for each CPU if left out.")] = None,
) -> None:
    """Measure the simulator: the kernels on one thread, time by stage, and the whole against its bare kernel."""
    for line in measure_kernels(seconds=0.5 if quick else 4.0):
        print(line, flush=True)
    for line in measure(quick, workers or cpus_here()).lines():
        print(line)


@cache_app.command("ls")
def cache_ls() -> None:
    """List what is in the cache, last used first."""
    cache = Cache()
    entries = cache.entries()
    for entry in entries:
        print(f"{entry.kind:<10} {entry.digest} {entry.size_bytes / 1e6:10.1f} MB")
    print(f"{len(entries)} artifacts, {sum(entry.size_bytes for entry in entries) / 1e6:.1f} MB in {cache.folder}")


@cache_app.command("prune")
def cache_prune(
    unused_days: Annotated[float, typer.Option(min=0, help="Delete what has not been used for so many days.")] = 30,
) -> None:
    """Delete what has not been used for a while; it is made again when it is needed."""
    gone = Cache().prune(unused_days)
    print(f"deleted {len(gone)} artifacts, {sum(entry.size_bytes for entry in gone) / 1e6:.1f} MB")


def _console() -> Console:
    """Tables are as wide as they need to be where there is no terminal that they would have to fit."""
    return Console() if sys.stdout.isatty() else Console(width=220)


def main() -> None:
    """Runs the command line; errors meant for the reader go to stderr without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops a run as cleanly as Ctrl-C
    try:
        app()
    except SimError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
