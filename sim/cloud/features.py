"""Features for the cloud and for the clients: computed once an image, or given."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from iciia.cloud.backbone import Backbone
from iciia.cloud.features import ArrayStore, FeatureStore
from iciia.cloud.images import ImageSource
from iciia.cloud.labels import accuracy_of
from sim.cache import Cache, digest
from sim.cloud.backbone import make_backbone
from sim.cloud.extraction import extract_into
from sim.cloud.keys import FORMAT, platform_key
from sim.cloud.live import LiveStore
from sim.cloud.spec import PARTS, CloudSpec, split
from sim.data import Classes, Features, Images
from sim.errors import DataError
from sim.stage import StageProgress

Classifier = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Weight [C, D] and bias [C] of the backbone's classifier."""


@dataclass(frozen=True)
class CloudFeatures:
    """Features for the cloud and for the clients, and what made them."""

    classes: Classes
    train: FeatureStore
    parts: dict[str, NDArray[np.int64]]
    test: FeatureStore
    key: dict[str, Any]
    split: dict[str, int]
    backbone_macs: int | None
    provenance: dict[str, Any]
    train_clients: NDArray[np.int64] | None
    train_times: NDArray[np.float64] | None
    classifier: Classifier | None


def features_of(spec: CloudSpec, data: Images | Features, cache: Cache, stage: StageProgress) -> CloudFeatures:
    """Features for the cloud and for the clients, computed, found in the cache, or as they are given."""
    return from_images(spec, data, cache, stage) if isinstance(data, Images) else from_features(spec, data)


def from_images(spec: CloudSpec, data: Images, cache: Cache, stage: StageProgress) -> CloudFeatures:
    """Features of images, by a backbone that is trained, loaded or found in the cache."""
    settings = spec.backbone
    if settings is None:
        raise DataError("image data need a backbone")
    images = split(spec, data)
    backbone, key = make_backbone(spec, settings, data, images, cache, stage)
    backbone.model.to(getattr(torch, settings.precision))
    key["precision"] = settings.precision
    kept = np.sort(np.concatenate([images[part] for part in PARTS[1:]]))
    train_store, train_key = _store(backbone, key, data, "train", kept, cache, stage)
    test_store: ArrayStore | LiveStore
    found: dict[str, Any] = {}
    if settings.execution == "live":
        test_store = LiveStore.of(data.test, backbone, spec.camera)
    else:
        images_of_clients = np.arange(len(data.test.labels))
        test_store, _ = _store(backbone, key, data, "test", images_of_clients, cache, stage)
        logits, labels = (torch.from_numpy(np.array(part)) for part in (test_store.logits, test_store.labels))
        found = {"test_accuracy": accuracy_of(logits, labels)}
    macs = backbone.macs()
    return CloudFeatures(
        classes=data.classes,
        train=train_store,
        parts={part: np.searchsorted(kept, images[part]) for part in PARTS[1:]},
        test=test_store,
        key=train_key,
        split={**{part: len(images[part]) for part in PARTS}, "test": len(data.test.labels)},
        backbone_macs=macs,
        provenance={
            "backbone": {
                "model": settings.model,
                "weights": digest(key),
                "feature_dim": backbone.feature_dim,
                "classes": backbone.classes,
                "macs": macs,
                "parameters": sum(p.numel() for p in backbone.model.parameters()),
                "execution": settings.execution,
                "device": str(backbone.device),
                **found,
            },
            "skipped_images": [*data.missing, *data.skipped],
            "passed_over": list(data.passed_over),
        },
        train_clients=None if data.train_clients is None else data.train_clients[kept],
        train_times=None if data.train_times is None else data.train_times[kept],
        classifier=_numbers(backbone.classifier),
    )


def _numbers(classifier: torch.nn.Linear) -> Classifier:
    """The weight and bias of the backbone's classifier."""
    weight, bias = (
        None if x is None else x.detach().float().cpu().numpy() for x in (classifier.weight, classifier.bias)
    )
    assert weight is not None
    return weight, bias


def from_features(spec: CloudSpec, data: Features) -> CloudFeatures:
    """Features as they are given."""
    parts = split(spec, data)
    sizes = {**{name: len(part) for name, part in parts.items()}, "test": len(data.test.labels)}
    provenance = {"backbone": {"feature_dim": data.train.feature_dim, "classes": data.train.classes}}
    return CloudFeatures(
        data.classes,
        data.train,
        parts,
        data.test,
        dict(data.key),
        sizes,
        None,
        provenance,
        data.train_clients,
        data.train_times,
        data.classifier,
    )


def _store(
    backbone: Backbone,
    backbone_key: dict[str, Any],
    data: Images,
    half: Literal["train", "test"],
    images: NDArray[np.int64],
    cache: Cache,
    stage: StageProgress,
) -> tuple[ArrayStore, dict[str, Any]]:
    """Features of one half of the images, and their key."""
    source: ImageSource = getattr(data, half)
    key = {
        "format": FORMAT,
        "backbone": backbone_key,
        "data": dict(data.key),
        "half": half,
        "images": hashlib.sha256(images.tobytes()).hexdigest(),
        "threads": torch.get_num_threads(),
        "device": backbone.device.type,
        "platform": platform_key(),
    }

    def build(folder: Path) -> None:
        title = f"computing features of {len(images):,} {half} images"
        with cache.scratch("features", key) as scratch, stage(title) as progress:
            extract_into(folder, scratch, backbone, source, images, progress)

    return ArrayStore.open(cache.get("features", key, build)), key
