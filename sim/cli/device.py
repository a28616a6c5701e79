"""Commands about the device: the file that runs there."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim.addresses import locate
from sim.cli.options import JsonOption, examples
from sim.cli.output import print_json, say

app = typer.Typer()


@app.command(
    epilog=examples(
        "iciia export reports/quickstart --adapter iciia-16 --with-backbone",
        "iciia export reports/quickstart --module any --capacity 64 --storage int8 --weights int8",
        "iciia export path/to/a/saved/module --capacity 16 --format torch",
    )
)
def export(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_FOLDER", help="A run's folder, or one that save_pretrained wrote.")
    ],
    adapter: Annotated[
        str | None, typer.Option(metavar="NAME", help="An adapter of the run as it is, by its name in the report.")
    ] = None,
    module: Annotated[
        str | None, typer.Option(metavar="NAME", help="Or a module of the run; the only one if left out.")
    ] = None,
    capacity: Annotated[int | None, typer.Option(min=1, help="Bank capacity of a module; 16 if left out.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="How a module's bank keeps its numbers: float32, float16, bfloat16 or int8.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="onnx, or torch for torch.export.")] = "onnx",
    opset: Annotated[int, typer.Option(help="Version of ONNX's operators.")] = 20,
    weights: Annotated[
        str,
        typer.Option(help="float32, or int8: a third of the bytes; what it costs in accuracy is measured and said."),
    ] = "float32",
    with_backbone: Annotated[
        bool, typer.Option("--with-backbone", help="From the image on, not from the backbone's feature on.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="New or empty; reports/NAME-export-DATE if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one image's step as a file for a device: what it remembers goes in and comes out, and the caller keeps it."""
    from sim.cache import Cache
    from sim.engine.progress import Display
    from sim.export.files import write_files
    from sim.export.subject import Choice, subject
    from sim.outputs import dated

    if adapter is not None and (module is not None or capacity is not None or storage is not None):
        raise typer.BadParameter(
            "--adapter has a module and a bank of its own; leave out --module, --capacity and --storage"
        )
    choice = Choice(adapter, module, capacity or 16, storage or "float32")
    found = subject(locate(source), choice, with_backbone, Cache(), Display().stage)
    files = write_files(found, out or dated(f"{found.name}-export"), form, opset, weights)
    accuracy = json.loads(files[-1].read_text(encoding="utf-8")).get("accuracy")
    if as_json:
        print_json({"files": files} | ({"accuracy": accuracy} if accuracy else {}))
        return
    for file in files:
        say(f"{file}: {file.stat().st_size:,} bytes")
    if accuracy:
        say(
            f"accuracy {accuracy['float32']:.2%} with float32 weights and {accuracy['int8']:.2%} with int8, "
            f"{accuracy['images']:,} images of {accuracy['clients']} clients"
        )
    elif weights == "int8":
        say("what int8 costs in accuracy is not measured: a module's folder has no clients")
