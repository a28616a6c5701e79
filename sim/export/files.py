"""Writes what is exported: the step, and beside it all that a caller has to know."""

import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from iciia.adapters import IciiaAdapter
from iciia.cloud.images import ImageSource
from iciia.cloud.preprocessing import Preprocessing
from iciia.export import Step, WithBackbone, step_of, write
from iciia.export.weights import SMALLEST, WEIGHTS, to_int8
from sim.errors import ExportError, ReportError
from sim.export.int8 import accuracies
from sim.export.subject import Subject


def write_files(subject: Subject, folder: Path, form: str, opset: int, weights: str = "float32") -> list[Path]:
    """Writes a step and its description into a folder.

    Args:
        subject: What is exported.
        folder: New or empty.
        form: One of `iciia.export.FORMATS`.
        opset: Version of ONNX's operators.
        weights: One of `iciia.export.weights.WEIGHTS`; what int8 costs in accuracy is measured on the run's clients.

    Returns:
        The files.

    Raises:
        ExportError: It cannot be exported; the message says why and what can.
        ReportError: The folder is taken or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReportError(f"{folder}: is not empty; choose another folder for --out")
    if weights not in WEIGHTS:
        raise ExportError(f"--weights: got {weights!r}; expected one of {', '.join(WEIGHTS)}")
    try:
        step, more = _step(subject), _more(subject) | {"weights": weights}
        if weights == "int8":
            if not to_int8(step):
                raise ValueError(
                    f"has no matrix of {SMALLEST:,} numbers or more, and smaller ones stay in float32; leave out --weights"
                )
            if subject.run is not None:
                more |= {"accuracy": accuracies(*subject.run, subject.adapter, subject.backbone)}
        return write(step, folder, form, more, opset)
    except ImportError as error:
        raise ExportError(f"--format {form}: {error}; pip install 'iciia-sim[export]'") from error
    except ValueError as error:
        raise ExportError(f"{subject.name}: {error}") from error
    except OSError as error:
        raise ReportError(f"{folder}: cannot be written ({error.strerror})") from error


def _step(subject: Subject) -> Step:
    step = step_of(subject.adapter, subject.count)
    if subject.backbone is None:
        return step
    backbone, images = subject.backbone
    return WithBackbone(backbone, step, tuple(images.read(np.zeros(1, dtype=np.int64)).shape[1:]))


def _more(subject: Subject) -> dict[str, Any]:
    """What the description says beside the signature."""
    adapter, cost = subject.adapter, subject.adapter.cost()
    found: dict[str, Any] = {"name": subject.name, "kind": adapter.kind}
    if isinstance(adapter, IciiaAdapter):
        storage = str(adapter.storage).removeprefix("torch.")
        found |= {"capacity": adapter.capacity, "storage": storage, "policy": adapter.policy.name}
    found |= {"macs_per_image": cost.macs_per_image, "state_bytes": cost.state_bytes, "classes": subject.classes}
    if subject.backbone is not None:
        backbone, images = subject.backbone
        found |= {"backbone_macs": backbone.macs(), "preprocessing": preprocessing(images)}
    return found | {"origin": {**subject.origin, "iciia_sim": version("iciia-sim"), "torch": version("torch")}}


def preprocessing(images: ImageSource) -> dict[str, Any]:
    """What becomes of an image file before the step reads it: upright and of 8 bits; where files are resized, the shorter side to
    `shorter_side` pixels by `interpolation`, with antialiasing, and the middle square of `crop` pixels cut out (`crop_mode` center;
    `iciia.cloud.preprocessing` says what the others do). Scaling and normalisation are in the step."""
    found = {"mode": "RGB" if images.channels == 3 else "L"}
    how: Preprocessing | None = getattr(images, "preprocessing", None)
    if how is None:
        return found | {"shorter_side": None, "crop": None}
    side = math.floor(how.size / how.crop_pct)
    return found | {
        "shorter_side": side, "crop": how.size, "interpolation": how.interpolation, "crop_mode": how.crop_mode,
    }  # fmt: skip
