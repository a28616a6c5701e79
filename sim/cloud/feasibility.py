"""Whether backbone and modules fit the data."""

from collections.abc import Mapping

import numpy as np

from iciia.cloud.images import frames_of
from iciia.contexts.partition import check_partitions
from sim.cloud.spec import CloudSpec, outline, split
from sim.data import Features, Images
from sim.scenario.modules import RIVALS, AnyModuleSettings, ModuleSettings
from sim.scenario.sections import Found


def empty_parts(spec: CloudSpec, data: Images | Features) -> Found:
    """Whether there are too few images for every part, and for every class in the parts that modules are trained with."""
    parts = split(spec, data)
    if len(parts["calibration"]) == 0:
        yield ("data",), f"has too few training images ({len(data.train.labels)}): none falls into the calibration part"
    if data.train.labels.ndim == 2:
        return
    strict = any(isinstance(module, ModuleSettings) for module in spec.modules.values())
    for part in ("module", "validation") if strict else ():
        count = np.bincount(data.train.labels[parts[part]], minlength=len(data.classes))
        if (count == 0).any():
            name = data.classes.names[int(np.argmin(count))]
            yield ("data",), f"class {name!r} has too few training images: none of them falls into the {part} part"
            return


def backbone_problems(spec: CloudSpec, data: Images | Features) -> Found:
    """Whether the backbone can be made, and reads what the data hold."""
    if not isinstance(data, Images) or spec.backbone is None:
        return
    try:
        backbone = outline(spec.backbone, data.train.channels, len(data.classes))
    except ValueError as error:
        yield ("backbone", "model"), str(error)
        return
    frames = frames_of(data.train)
    if frames != backbone.frames:
        yield ("backbone", "model"), _reads_other(spec.backbone.model, backbone.frames, frames)
        return
    try:
        backbone.macs()  # one image without numbers: does the model take images of this size?
    except Exception as error:
        size = backbone.image_size
        yield ("backbone", "image_size"), f"{spec.backbone.model} cannot read {size} x {size} images: {error}"


def _reads_other(model: str, reads: int | None, frames: int | None) -> str:
    def thing(count: int | None) -> str:
        return "images" if count is None else f"clips of {count} frames"

    advice = "" if frames is None else "; c3d reads clips of 16"
    return f"{model} reads {thing(reads)}, and the data are {thing(frames)}{advice}"


def dimension_problems(modules: Mapping[str, AnyModuleSettings], features: int, classes: int) -> Found:
    """Whether heads and partitions divide the feature dimension, and shortlists are no longer than the classes."""
    for name, module in modules.items():
        if not isinstance(module, ModuleSettings) or module.context in RIVALS:
            continue
        try:
            check_partitions(features, module.partitions)
        except ValueError as error:
            yield ("modules", name, "partitions"), str(error)
        if module.shortlist is not None and module.shortlist > classes:
            yield (
                ("modules", name, "shortlist"),
                f"got {module.shortlist}, and the data have {classes} classes",
            )
        if features % module.heads:
            yield (
                ("modules", name, "heads"),
                f"got {module.heads}, which does not divide the feature dimension {features}",
            )
