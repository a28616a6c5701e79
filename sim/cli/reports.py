"""Commands that look at finished runs: pages, figures, comparisons."""

from typing import Annotated

import typer

from sim.addresses import locate
from sim.cli.options import FolderArgument, JsonOption, examples
from sim.cli.output import console, print_json, records, say, say_now

app = typer.Typer()


@app.command(epilog=examples("iciia report reports/quickstart", "iciia report reports/quickstart --figures figures"))
def report(
    folder: FolderArgument,
    figures: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Also write every chart as SVG, PNG (300 ppi) and CSV into this folder."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report's page again, and its charts as files. Simulates nothing."""
    from sim.cache import Cache
    from sim.page import write_report
    from sim.report.load import load

    page, files = write_report(load(folder), Cache(), None if figures is None else locate(figures))
    if as_json:
        print_json({"page": page, "figures": files})
        return
    say(f"page: {page}")
    if figures is not None:
        say(f"figures: {len(files)} files in {figures}")


@app.command(epilog=examples("iciia watch reports/big", "iciia watch reports/big --port 8000"))
def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, at whatever it is, or its address.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the page is served; any that is free if left out.")
    ] = 0,
) -> None:
    """Follow a running or resumed run in the browser, from what it has committed. Ctrl-C stops watching, not the run."""
    from sim.page.watch import watch as watch_run

    watch_run(locate(run), port, say_now)


@app.command(
    epilog=examples(
        "iciia look reports/quickstart --client 17",
        "iciia look reports/quickstart --client 17 --steps 180:240 --out client.html",
    )
)
def look(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The folder of a finished run, or its address.")],
    client: Annotated[int, typer.Option(min=0, help="The client's number.")],
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:STOP", help="Only these steps of its stream; as many as fit into 5 MB if left out."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The page; beside the run's page, which links to it, if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at one client: its images in order, every answer, and what each bank held, as one page."""
    from sim.engine.look import look as look_at

    page = look_at(run, client, steps, out)
    if as_json:
        print_json({"client": client, "page": page})
        return
    say(f"page: {page}")


@app.command(epilog=examples("iciia reports", "iciia reports reports/gallery", "iciia reports --json"))
def reports(
    folder: Annotated[str, typer.Argument(metavar="[FOLDER]", help="Where to look, also inside.")] = "reports",
    as_json: JsonOption = False,
) -> None:
    """List the runs in a folder, the latest first: date, scenario, best adapter and its gain, and what state each is in."""
    from sim.report.listing import list_runs, rendered_runs

    place = locate(folder)
    runs = list_runs(place)
    if as_json:
        print_json([vars(run) for run in runs])
    elif runs:
        console().print(rendered_runs(runs, place))
    else:
        say(f"{folder}: holds no runs; iciia run quickstart makes one")


@app.command(
    epilog=examples(
        "iciia compare reports/fifo reports/reservoir",
        "iciia compare reports/sudden reports/gradual --unpaired --json",
    )
)
def compare(
    folders: Annotated[
        list[str], typer.Argument(metavar="FOLDER FOLDER...", help="Reports; all are compared with the first.")
    ],
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Also compare runs on different streams, by their means over clients.")
    ] = False,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="The page; reports/comparison-DATE.html if left out.")
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
    page = write_comparison(found, locate(out) if out else dated("comparison", ".html"), Cache())
    if as_json:
        print_json({"paired": found.paired, "page": page, "differences": records(found.table)})
        return
    console().print(rendered_comparison(found))
    if not found.paired:
        say("streams differ: means over different clients, nothing is paired")
    say(f"page: {page}")
