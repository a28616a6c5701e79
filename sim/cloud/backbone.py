"""The backbone: trained here, or given with its classifier or with another."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from iciia.cloud.backbone import Backbone, create_backbone, train_backbone
from sim.cache import Cache, digest
from sim.cloud.keys import FORMAT, WEIGHTS, platform_key
from sim.cloud.probe import fit_probe
from sim.cloud.spec import CloudSpec
from sim.cloud.subset import subset_of
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
    parts: Mapping[str, NDArray[np.int64]],
    cache: Cache,
    stage: StageProgress,
) -> tuple[Backbone, dict[str, Any]]:
    """The backbone with its weights and its classifier, and a key of what decides its outputs.

    Args:
        spec: What the cloud is asked for.
        settings: Its `backbone`.
        data: Images.
        parts: Numbers of training images by part.
        cache: Where what is learned here is kept.
        stage: Told how far that is.

    Raises:
        DataError: The weights cannot be had or do not fit.
    """
    if settings.weights == "train":
        start = _created(spec, settings, data, classes=len(data.classes), seed=spec.seed)
        return _trained(spec, settings, data, parts["backbone"], start, {}, cache, stage)
    try:
        backbone = _given(spec, settings, data)
    except ValueError as error:
        raise DataError(f"backbone.weights: {error}") from error
    given = {"weights": _weights_digest(backbone)}
    if settings.head == "finetune":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            backbone.reclassify(torch.nn.Linear(backbone.feature_dim, len(data.classes)))
        return _trained(spec, settings, data, parts["backbone"], backbone, given, cache, stage)
    if settings.head == "probe":
        backbone.reclassify(_probe(spec, settings, data, parts, backbone, given, cache, stage))
    elif settings.head == "subset":
        backbone.reclassify(subset_of(backbone.classifier, backbone.model, data.classes.names, settings.subset))
    elif backbone.classes != len(data.classes):
        raise DataError(
            f"backbone.head: own, and the checkpoint of {settings.model} predicts {backbone.classes} classes where the data have "
            f"{len(data.classes)}; take head: probe (a linear classifier on its features, fitted here), finetune (all weights, "
            "trained here from it on), subset (the data's classes are some of its own), or a checkpoint of these classes"
        )
    return backbone, {"backbone": settings.model_dump(exclude=NOT_IN_KEYS), "weights": _weights_digest(backbone)}


def _created(spec: CloudSpec, settings: BackboneSettings, data: Images, **more: Any) -> Backbone:
    return create_backbone(
        settings.model,
        data.train.channels,
        spec.device,
        image_size=settings.image_size,
        arguments=settings.arguments,
        **more,
    )


def _given(spec: CloudSpec, settings: BackboneSettings, data: Images) -> Backbone:
    """With the weights and the classifier of timm or of a checkpoint."""
    if settings.weights == "pretrained":
        return _created(spec, settings, data, pretrained=True)
    return _created(spec, settings, data, weights=settings.weights, weights_match=settings.weights_match)


def _trained(
    spec: CloudSpec,
    settings: BackboneSettings,
    data: Images,
    part: NDArray[np.int64],
    start: Backbone,
    given: dict[str, Any],
    cache: Cache,
    stage: StageProgress,
) -> tuple[Backbone, dict[str, Any]]:
    """All weights, trained on a part of the images from a start on, which training changes."""
    key = _key(spec, settings, data, part) | given

    def build(folder: Path) -> None:
        with stage(f"training backbone {settings.model}") as progress:
            train_backbone(
                start, data.train, part, settings.epochs, settings.batch, settings.learning_rate, spec.seed, progress,
            )  # fmt: skip
        save_file({name: value.contiguous() for name, value in start.model.state_dict().items()}, folder / WEIGHTS)

    weights = load_file(cache.get("backbone", key, build) / WEIGHTS)
    start.model.load_state_dict(weights)
    return start, {"backbone": digest(key)}


def _probe(
    spec: CloudSpec,
    settings: BackboneSettings,
    data: Images,
    parts: Mapping[str, NDArray[np.int64]],
    backbone: Backbone,
    given: dict[str, Any],
    cache: Cache,
    stage: StageProgress,
) -> torch.nn.Linear:
    """A classifier of the data's classes, on the frozen features of images that no module is trained on."""
    images = np.concatenate([parts["backbone"], parts["validation"]])
    key = _key(spec, settings, data, images) | given | {"scikit-learn": version("scikit-learn")}
    labels = np.asarray(data.train.labels)

    def build(folder: Path) -> None:
        features = np.empty((len(images), backbone.feature_dim), dtype=np.float32)

        def write(first: int, some: torch.Tensor, _: torch.Tensor) -> None:
            features[first : first + len(some)] = some.numpy()

        with stage(f"computing features of {len(images):,} images for the probe") as progress:
            backbone.extract(data.train, images, write, progress=progress)
        count = len(parts["backbone"])
        fitted, validation = ((features[rows], labels[images[rows]]) for rows in (slice(count), slice(count, None)))
        with stage("fitting the probe") as progress:
            probe = fit_probe(fitted, validation, len(data.classes), progress)
        save_file(probe.state_dict(), folder / WEIGHTS)

    weights = load_file(cache.get("probe", key, build) / WEIGHTS)
    probe = torch.nn.Linear(*reversed(weights["weight"].shape))
    probe.load_state_dict(weights)
    return probe


def _key(spec: CloudSpec, settings: BackboneSettings, data: Images, images: NDArray[np.int64]) -> dict[str, Any]:
    """Of what is learned here from images."""
    return {
        "format": FORMAT,
        "data": dict(data.key),
        "backbone": settings.model_dump(exclude=NOT_IN_KEYS),
        "images": hashlib.sha256(images.tobytes()).hexdigest(),
        "seed": spec.seed,
        "threads": spec.cloud.threads,
        "device": spec.device.type,
        "platform": platform_key(),
    }


def _weights_digest(backbone: Backbone) -> str:
    found = hashlib.sha256()
    for name, value in sorted(backbone.model.state_dict().items()):
        found.update(name.encode())
        found.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
