"""Commands that measure: what ICIIA costs beside a backbone, and where a simulation's time goes."""

from typing import Annotated

import typer

from sim.cli.options import JsonOption, examples
from sim.cli.output import console, print_json

app = typer.Typer()


@app.command(
    epilog=examples(
        "iciia overhead --backbone resnet50", "iciia overhead --paper", "iciia overhead --device phone --device my.yaml"
    )
)
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
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME_OR_FILE",
            help="Estimate milliseconds and millijoules instead, on microcontroller, phone, single_board or desktop, or on the "
            "devices of a YAML file; may be given several times.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what ICIIA costs beside a backbone: multiply-adds for an image, parameters, bytes of a bank."""
    from iciia.paper import CAPACITY
    from sim.report.estimates import device_rows, rendered_estimates
    from sim.report.overhead import OverheadRow, PaperRow, overhead_row, paper_rows, rendered
    from sim.scenario.devices import profiles_of

    if paper and (backbone or layers or partitions or device):
        raise typer.BadParameter(
            "--paper has backbones, layers and partitions of its own, and no devices; leave these out"
        )
    profiles = {name: one for given in device or [] for name, one in profiles_of(given).items()}
    images = CAPACITY if capacity is None else capacity
    rows: list[PaperRow] | list[OverheadRow]
    try:
        if paper:
            rows = paper_rows(images)
        else:
            backbones = backbone or ["mobilenetv3_large_100"]
            counted = [overhead_row(name, layers or 3, p, images) for name in backbones for p in partitions or [1, 256]]
            rows = counted
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if profiles:
        estimated = list(device_rows(counted, profiles))
        if as_json:
            print_json([row.as_dict() for row in estimated])
        else:
            console().print(rendered_estimates(estimated))
        return
    if as_json:
        print_json([row.as_dict() for row in rows])
    else:
        console().print(rendered(rows))


@app.command(epilog=examples("iciia bench", "iciia bench --latency", "iciia bench --device --runtime onnxruntime"))
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the clients, and short repetitions.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one for each CPU if left out.")] = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Measure adapters instead: one image at a time, one thread.")
    ] = False,
    scenario: Annotated[str, typer.Option(help="With --latency: whose adapters and sizes.")] = "baselines/glyphs",
    device: Annotated[
        bool,
        typer.Option("--device", help="Measure exported steps instead, a single stream as MLPerf does: 3 minutes."),
    ] = False,
    runtime: Annotated[str, typer.Option(help="With --device: onnxruntime or torch.")] = "onnxruntime",
) -> None:
    """Measure the simulator: the kernels on one thread, time by stage, and the whole against its bare kernel."""
    if device:
        from sim.bench.device import measure_device

        for line in measure_device(runtime, 1.0, 64) if quick else measure_device(runtime):
            print(line, flush=True)
        return
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
