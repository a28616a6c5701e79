"""The command line: `iciia`.

What is asked for goes to stdout, progress and errors to stderr. Commands import what they need when they run: help and completion
answer at once.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sim.errors import ScenarioError, SimError
from sim.scenario.file import read, shipped

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
cache_app = typer.Typer(help="The artifact cache: trained models and computed features.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")
data_app = typer.Typer(help="Data sets on disk.", no_args_is_help=True)
app.add_typer(data_app, name="data")


def _examples(*lines: str) -> str:
    return "\n\n".join(["Examples:", *lines])


def _complete_scenario(incomplete: str) -> list[str]:
    """Shipped scenarios, and YAML files and folders that begin so."""
    files = [path for path in Path().glob(f"{incomplete}*") if path.suffix in (".yaml", ".yml") or path.is_dir()]
    return [name for name in shipped() if name.startswith(incomplete)] + [
        f"{path}/" if path.is_dir() else str(path) for path in files
    ]


ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="A YAML file, or the name of a shipped scenario.", autocompletion=_complete_scenario
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. clients.count=1000; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="A report's folder.")]


@app.command(
    epilog=_examples(
        "iciia run quickstart",
        "iciia run my.yaml --set clients.count=1000 --out reports/big",
        "iciia run my.yaml --set seed=1,2,3 --quiet --json",
        "iciia run my.yaml --resume reports/big",
    )
)
def run(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For the report, new or empty; reports/NAME-DATE if left out.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Worker processes; one for each CPU if left out, 0 for none and no Ray."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster to use; auto for the one that runs here.")] = None,
    cohorts: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:STOP", help="Simulate only these cohorts, e.g. 0:5% or 10:20, widened to whole ranges."
        ),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the unfinished run in this folder.")] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SINK", help="Also log the finished run to tensorboard, mlflow or wandb; may be repeated."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a scenario and leave a report: tables, and a page report.html."""
    from sim.engine.run import run as run_scenario
    from sim.page import PAGE_FILE
    from sim.report.load import rendered

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
        log=log or (),
        quiet=quiet,
    )
    if as_json:
        frame = report.sweep if report.run.get("sweep") else report.summary
        _print_json({"folder": report.folder, "page": report.folder / PAGE_FILE, "summary": _records(frame)})
        return
    _console().print(rendered(report))
    _say(f"report: {report.folder}")
    _say(f"page: {report.folder / PAGE_FILE}")


@app.command(epilog=_examples("iciia report reports/quickstart", "iciia report reports/quickstart --figures figures"))
def report(
    folder: FolderArgument,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write every chart as SVG, PNG (300 ppi) and CSV into this folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report's page again, and its charts as files. Simulates nothing."""
    from sim.cache import Cache
    from sim.page import write_report
    from sim.report.load import load

    page, files = write_report(load(folder), Cache(), figures)
    if as_json:
        _print_json({"page": page, "figures": files})
        return
    _say(f"page: {page}")
    if figures is not None:
        _say(f"figures: {len(files)} files in {figures}")


@app.command(
    epilog=_examples(
        "iciia compare reports/fifo reports/reservoir",
        "iciia compare reports/sudden reports/gradual --unpaired --json",
    )
)
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER FOLDER...", help="Reports; all are compared with the first.")
    ],
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Also compare runs on different streams, by their means over clients.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; reports/comparison-DATE.html if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs: differences in accuracy with intervals, paired by client; as a table and as a page."""
    from sim.cache import Cache
    from sim.outputs import dated
    from sim.page import write_comparison
    from sim.report.compare import compare as compare_runs
    from sim.report.compare import rendered_comparison

    if len(folders) < 2:
        raise typer.BadParameter("got one folder; expected two or more", param_hint="FOLDER")
    found = compare_runs(*folders, unpaired=unpaired)
    page = write_comparison(found, out or dated("comparison", ".html"), Cache())
    if as_json:
        _print_json({"paired": found.paired, "page": page, "differences": _records(found.table)})
        return
    _console().print(rendered_comparison(found))
    if not found.paired:
        _say("streams differ: means over different clients, nothing is paired")
    _say(f"page: {page}")


@app.command(epilog=_examples("iciia replay reports/quickstart --client 17 --out events.csv"))
def replay(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a run, finished or not.")],
    client: Annotated[int, typer.Option(min=0, help="The client's number.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV file for a row of each prediction.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate one client of a run again, alone, in this process: an adapter's error comes with its traceback."""
    from sim.engine.run import replay as replay_client
    from sim.outputs import replacing

    events = replay_client(folder, client)
    if out is not None:
        with replacing(out) as temporary:
            events.to_csv(temporary, index=False)
    right = (events.prediction == events.label).groupby(events.adapter, observed=True).agg(["size", "sum", "mean"])
    if as_json:
        found = right.rename(columns={"size": "predictions", "sum": "correct", "mean": "accuracy"}).reset_index()
        _print_json({"client": client, "events": out, "adapters": _records(found)})
        return
    for name, row in right.iterrows():
        print(f"client {client}  {name:<16} {int(row['sum'])} of {int(row['size'])} right ({100 * row['mean']:.1f} %)")
    if out is not None:
        print(f"events: {out}")


@app.command(epilog=_examples("iciia plan scale/million", "iciia plan my.yaml --set clients.count=100000 --workers 8"))
def plan(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Worker processes; one for each CPU if left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a run will take: memory, files, multiply-adds and time, from one cohort timed here. Trains nothing."""
    from sim.cache import Cache
    from sim.engine.plan import plans
    from sim.engine.workers import cpus_here

    document = read(scenario).override(overrides or ())
    number = cpus_here() if workers is None else workers
    cells = []
    for title, cell in plans(document, Cache(), number):
        if as_json:
            cells.append({"cell": title, **vars(cell), "seconds": cell.seconds})
        else:
            if title:
                print(title)
            for name, value in cell.rows():
                print(f"{name:<26}{value}")
        cell.check()
    if as_json:
        _print_json(cells)


@app.command(
    epilog=_examples("iciia validate my.yaml other.yaml", "iciia validate quickstart --set clients.count=5 --json")
)
def validate(
    scenarios: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENARIO...", help="YAML files or shipped scenarios.", autocompletion=_complete_scenario
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
        _print_json(found)
    if any(one["problems"] for one in found):
        raise typer.Exit(2)


@app.command(epilog=_examples("iciia preview quickstart", "iciia preview my.yaml --clients 4 --out preview.png"))
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
    from sim.cache import Cache
    from sim.engine.feasibility import check_data
    from sim.engine.progress import Display
    from sim.outputs import dated
    from sim.scenario.validation import validate as validate_document
    from sim.streams.preview import check_suffix, rendered_audit
    from sim.streams.preview import preview as preview_streams
    from sim.streams.preview_chart import draw

    document = read(scenario).override(overrides or ())
    validated = validate_document(document)
    path = out or dated(f"{validated.name}-preview", ".svg")
    try:
        check_suffix(path)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error
    check_data(document, validated, Cache(), Display().stage)
    found = preview_streams(validated, Cache(), clients)
    draw(found, path)
    if as_json:
        _print_json({"picture": path, "audit": found.audit})
        return
    _console().print(rendered_audit(found))
    _say(f"picture: {path}")


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


@app.command()
def scenarios(as_json: JsonOption = False) -> None:
    """List the scenarios that come with the package."""
    if as_json:
        _print_json(shipped())
        return
    found = shipped()
    width = max(map(len, found))
    for name, path in found.items():
        print(f"{name:<{width}}  {path}")


@app.command(epilog=_examples("iciia overhead --backbone resnet50", "iciia overhead --paper", "iciia overhead --json"))
def overhead(
    backbone: Annotated[
        list[str] | None, typer.Option(help="timm name, femnist_cnn or c3d; may be given several times.")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers, L; 3 if left out.")] = None,
    partitions: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Partitions, P; may be given several times. 1 is ICIIA-B, 256 ICIIA-T."),
    ] = None,
    capacity: Annotated[int | None, typer.Option(min=0, help="Bank capacity, N; 15 if left out.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Every pair of dataset and backbone in the paper.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what ICIIA costs beside a backbone: multiply-adds for an image, parameters, bytes of a bank."""
    from iciia.paper import CAPACITY
    from sim.report.overhead import OverheadRow, PaperRow, overhead_row, paper_rows, rendered

    if paper and (backbone or layers or partitions):
        raise typer.BadParameter("--paper has backbones, layers and partitions of its own; leave these out")
    images = CAPACITY if capacity is None else capacity
    rows: list[PaperRow] | list[OverheadRow]
    try:
        if paper:
            rows = paper_rows(images)
        else:
            backbones = backbone or ["mobilenetv3_large_100"]
            rows = [overhead_row(name, layers or 3, p, images) for name in backbones for p in partitions or [1, 256]]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        _print_json([row.as_dict() for row in rows])
    else:
        _console().print(rendered(rows))


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the clients, and short repetitions.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one for each CPU if left out.")] = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Measure adapters instead: one image at a time, one thread.")
    ] = False,
    scenario: Annotated[str, typer.Option(help="With --latency: whose adapters and sizes.")] = "baselines/glyphs",
) -> None:
    """Measure the simulator: the kernels on one thread, time by stage, and the whole against its bare kernel."""
    if latency:
        from sim.bench.latency import measure_latency

        for line in measure_latency(scenario, seconds=0.2 if quick else 2.0):
            print(line, flush=True)
        return
    from sim.bench.engine import measure
    from sim.bench.kernels import measure_kernels
    from sim.engine.workers import cpus_here

    for line in measure_kernels(seconds=0.5 if quick else 4.0):
        print(line, flush=True)
    for line in measure(quick, workers or cpus_here()).lines():
        print(line)


@data_app.command("check")
def data_check(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect a scenario's data: counts, missing and broken files, sizes, classes, clients; exit code 2 if a run would refuse."""
    from sim.cache import Cache
    from sim.data.check import inspect_data
    from sim.engine.progress import Display
    from sim.scenario.validation import validate as validate_document

    validated = validate_document(read(scenario).override(overrides or ()))
    found = inspect_data(validated, Cache(), Display().stage)
    if as_json:
        _print_json(found.as_dict())
    else:
        for name, value in found.rows():
            print(f"{name:<23}{value}")
    for problem in found.problems:
        print(problem, file=sys.stderr)
    if found.problems:
        raise typer.Exit(2)


@cache_app.command("ls")
def cache_ls(as_json: JsonOption = False) -> None:
    """List what is in the cache, last used first."""
    from sim.cache import Cache

    cache = Cache()
    entries = cache.entries()
    if as_json:
        _print_json([vars(entry) for entry in entries])
        return
    for entry in entries:
        print(f"{entry.kind:<10} {entry.digest} {entry.size_bytes / 1e6:10.1f} MB")
    print(f"{len(entries)} artifacts, {sum(entry.size_bytes for entry in entries) / 1e6:.1f} MB in {cache.folder}")


@cache_app.command("prune")
def cache_prune(
    unused_days: Annotated[float, typer.Option(min=0, help="Delete what has not been used for so many days.")] = 30,
) -> None:
    """Delete what has not been used for a while; it is made again when it is needed."""
    from sim.cache import Cache

    gone = Cache().prune(unused_days)
    print(f"deleted {len(gone)} artifacts, {sum(entry.size_bytes for entry in gone) / 1e6:.1f} MB")


def _console() -> Console:
    """Tables are as wide as they need to be where there is no terminal that they would have to fit."""
    return Console() if sys.stdout.isatty() else Console(width=220)


def _say(line: str) -> None:
    _console().print(line, highlight=False, markup=False, soft_wrap=True)


def _records(frame: Any) -> Any:
    """The rows of a pandas frame as JSON has them: what is missing is null."""
    return json.loads(frame.to_json(orient="records", double_precision=15))


def _print_json(value: Mapping[str, Any] | list[Any]) -> None:
    print(json.dumps(value, indent=2, default=str))


def main() -> None:
    """Runs the command line; errors meant for the reader go to stderr without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops a run as cleanly as Ctrl-C
    try:
        app()
    except SimError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
