"""Steps as files: ONNX for onnxruntime and others, or a program of torch.export; beside each a description for who calls it."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from iciia.export.step import Named, Step

OPSET = 20
"""Version of ONNX's operators, of 2023, unless told otherwise."""

OLDEST_OPSET = 18
"""Older ones lack operators that the exporter writes, such as reductions that take their axes as inputs."""

DESCRIPTION = "step.json"


def write(step: Step, folder: Path, form: str, more: Mapping[str, Any], opset: int = OPSET) -> list[Path]:
    """Writes a step and its description.

    Args:
        step: The step.
        folder: Where to.
        form: One of `FORMATS`.
        more: What else the description says, by name.
        opset: Version of ONNX's operators; not looked at otherwise.

    Returns:
        The files.

    Raises:
        ValueError: The format is unknown, or the step cannot be written in it.
        ImportError: What the format needs is not installed.
    """
    if form not in FORMATS:
        raise ValueError(f"got the format {form!r}; expected one of {', '.join(FORMATS)}")
    suffix, writer = FORMATS[form]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"step.{suffix}"
    try:
        writer(step.eval(), file, opset)
    except RuntimeError as error:  # all that torch's exporters raise
        raise ValueError(f"torch's exporter cannot write it: {str(error).strip().splitlines()[0]}") from error
    described = {"file": file.name, "format": form, **description(step), **more}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [file, folder / DESCRIPTION]


def description(step: Step) -> dict[str, Any]:
    """What goes into a step and comes out of it, for JSON. `start` is what a state is before a client's first image: one number for
    all of it, or all of its numbers."""
    states = [
        _described(one) | {"input": f"{one.name}_in", "output": f"{one.name}_out", "start": _start(one)}
        for one in step.states
    ]
    return {"inputs": [_described(one) for one in step.inputs], "output": "logits", "states": states}


def _described(one: Named) -> dict[str, Any]:
    dtype = str(one.value.dtype).removeprefix("torch.")
    return {"name": one.name, "dtype": dtype, "shape": list(one.value.shape), "axes": list(one.axes)}


def _start(one: Named) -> Any:
    value = one.value.flatten()
    return value[0].item() if bool((value == value[0]).all()) else one.value.tolist()


def _write_onnx(step: Step, file: Path, opset: int) -> None:
    import onnx
    import onnxscript  # noqa: F401  # what torch.onnx.export writes with

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise ValueError(
            f"got opset {opset}, which lacks operators that the step needs; expected {OLDEST_OPSET} to {newest}"
        )
    if any(one.value.dtype == torch.bfloat16 for one in step.states):
        raise ValueError(
            "got a bank in bfloat16, which numpy does not have and ONNX runtimes cannot be given; take float16"
        )
    with _quiet():
        program = torch.onnx.export(
            step,
            step.arguments,
            input_names=step.input_names,
            output_names=step.output_names,
            opset_version=opset,
            dynamo=True,
        )
    assert program is not None
    if program.model.opset_imports[""] != opset:
        raise ValueError(f"got opset {opset}, which torch {torch.__version__} cannot write; take {OPSET}")
    program.save(str(file), external_data=False)
    onnx.checker.check_model(str(file), full_check=True)


def _write_torch(step: Step, file: Path, opset: int) -> None:
    with torch.no_grad():
        torch.export.save(torch.export.export(step, step.arguments), file)


FORMATS: dict[str, tuple[str, Callable[[Step, Path, int], None]]] = {
    "onnx": ("onnx", _write_onnx),
    "torch": ("pt2", _write_torch),
}
"""Suffix and writer of each format."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress and its warnings about its own libraries to itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
