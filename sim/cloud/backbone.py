"""The backbone: trained here, or loaded."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from iciia.cloud.backbone import Backbone, create_backbone, train_backbone
from sim.cache import Cache, digest
from sim.cloud.keys import FORMAT, WEIGHTS, platform_key
from sim.cloud.spec import CloudSpec
from sim.data import Images
from sim.errors import DataError
from sim.scenario.cloud import BackboneSettings
from sim.stage import StageProgress

NOT_IN_KEYS = {"precision", "execution"}
"""Settings of a backbone that its weights do not depend on."""


def make_backbone(
    spec: CloudSpec,
    settings: BackboneSettings,
    data: Images,
    part: NDArray[np.int64],
    cache: Cache,
    stage: StageProgress,
) -> tuple[Backbone, dict[str, Any]]:
    """The backbone with its weights, and a key of what decides its outputs."""
    device = spec.device
    channels = data.train.channels

    def create(**more: Any) -> Backbone:
        return create_backbone(
            settings.model,
            channels,
            device,
            image_size=settings.image_size,
            arguments=settings.arguments,
            **more,
        )

    if settings.weights != "train":
        try:
            if settings.weights == "pretrained":
                backbone = create(pretrained=True)
            else:
                backbone = create(classes=len(data.classes), weights=Path(settings.weights))
        except ValueError as error:
            raise DataError(f"backbone.weights: {error}") from error
        if backbone.classes != len(data.classes):
            raise DataError(
                f"backbone.weights: {settings.model} predicts {backbone.classes} classes and the data have "
                f"{len(data.classes)}; take a checkpoint fine-tuned on these classes, or weights: train"
            )
        return backbone, {"backbone": settings.model_dump(exclude=NOT_IN_KEYS), "weights": _weights_digest(backbone)}

    key = {
        "format": FORMAT,
        "data": dict(data.key),
        "backbone": settings.model_dump(exclude=NOT_IN_KEYS),
        "images": hashlib.sha256(part.tobytes()).hexdigest(),
        "seed": spec.seed,
        "threads": spec.cloud.threads,
        "device": device.type,
        "platform": platform_key(),
    }

    def build(folder: Path) -> None:
        backbone = create(classes=len(data.classes), seed=spec.seed)
        with stage(f"training backbone {settings.model}") as progress:
            train_backbone(
                backbone, data.train, part, settings.epochs, settings.batch, settings.learning_rate,
                spec.seed, progress,
            )  # fmt: skip
        save_file(
            {name: value.contiguous() for name, value in backbone.model.state_dict().items()},
            folder / WEIGHTS,
        )

    weights = load_file(cache.get("backbone", key, build) / WEIGHTS)
    backbone = create(classes=len(data.classes))
    backbone.model.load_state_dict(weights)
    return backbone, {"backbone": digest(key)}


def _weights_digest(backbone: Backbone) -> str:
    found = hashlib.sha256()
    for name, value in sorted(backbone.model.state_dict().items()):
        found.update(name.encode())
        found.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
