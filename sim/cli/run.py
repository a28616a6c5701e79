"""Commands that simulate: run a scenario, and one client of it again."""

from typing import Annotated

import typer

from sim.addresses import locate
from sim.cli.options import JsonOption, ScenarioArgument, SetOption, examples
from sim.cli.output import console, print_json, records, say

app = typer.Typer()


@app.command(
    epilog=examples(
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
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="For the report, new or empty, or an address such as s3://bucket/folder; reports/NAME-DATE if left out.",
        ),
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
    resume: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Go on with the unfinished run in this folder or at this address."),
    ] = None,
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

    if out is not None and resume is not None and locate(out) != locate(resume):
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
        print_json({"folder": report.folder, "page": report.folder / PAGE_FILE, "summary": records(frame)})
        return
    console().print(rendered(report))
    say(f"report: {report.folder}")
    say(f"page: {report.folder / PAGE_FILE}")


@app.command(epilog=examples("iciia replay reports/quickstart --client 17 --out events.csv"))
def replay(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="The folder of a run, finished or not, or its address.")
    ],
    client: Annotated[int, typer.Option(min=0, help="The client's number.")],
    out: Annotated[str | None, typer.Option(metavar="FILE", help="CSV file for a row of each prediction.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate one client of a run again, alone, in this process: an adapter's error comes with its traceback."""
    from sim.engine.replay import replay as replay_client
    from sim.outputs import replacing

    events = replay_client(folder, client)
    if out is not None:
        with replacing(locate(out)) as temporary:
            events.to_csv(temporary, index=False)
    right = (events.prediction == events.label).groupby(events.adapter, observed=True).agg(["size", "sum", "mean"])
    if as_json:
        found = right.rename(columns={"size": "predictions", "sum": "correct", "mean": "accuracy"}).reset_index()
        print_json({"client": client, "events": out, "adapters": records(found)})
        return
    for name, row in right.iterrows():
        print(f"client {client}  {name:<16} {int(row['sum'])} of {int(row['size'])} right ({100 * row['mean']:.1f} %)")
    if out is not None:
        print(f"events: {out}")
