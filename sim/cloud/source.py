"""What the cloud tells every adapter: measured on the calibration part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from iciia.adapters.hmm import choose_persistence
from iciia.adapters.prompt import CLOUD_STEPS, EMBEDDING, train_prompt_layer
from iciia.adapters.source import Source, source_prior
from iciia.cloud.calibration import confusion_matrix, fit_temperature, within_class_covariance
from iciia.counter import generator
from sim.cache import Cache
from sim.cloud.features import CloudFeatures
from sim.cloud.samplers import sampler, training_key
from sim.cloud.spec import CloudSpec
from sim.scenario.modules import ModuleSettings
from sim.stage import StageProgress


def make_source(spec: CloudSpec, cloud: CloudFeatures, cache: Cache, stage: StageProgress) -> Source:
    """What adapters are told: measured on the calibration part, and trained if one of them asks for it."""
    calibration = cloud.parts["calibration"]
    logits = cloud.train.gather(calibration)[1].numpy()
    labels = np.asarray(cloud.train.labels)
    classes = len(cloud.classes)
    temperature = fit_temperature(logits, labels[calibration])
    weight, bias = cloud.classifier or (None, None)
    if labels.ndim == 2:  # no adapter of classes is allowed here
        nothing = np.zeros((0, 0))
        return Source(
            cloud.train.feature_dim, classes, temperature, np.full(classes, 1 / classes), nothing, weight, bias
        )
    source = Source(
        cloud.train.feature_dim,
        classes,
        temperature,
        source_prior(labels, classes),
        confusion_matrix(logits, labels[calibration], temperature),
        weight,
        bias,
        _prompt_layer(spec, cloud, cache, stage),
        cloud.classes.superclass,
        _covariance(spec, cloud),
    )
    return replace(source, persistence=_persistence(spec, cloud, source))


def _covariance(spec: CloudSpec, cloud: CloudFeatures) -> NDArray[np.float32] | None:
    """How features lie around their class's mean on the part that modules are trained with; None if no adapter asks for it."""
    if not spec.covariance:
        return None
    part = cloud.parts["module"]
    return within_class_covariance(cloud.train.gather(part)[0].numpy(), np.asarray(cloud.train.labels)[part])


VALIDATION_CLIENTS = 32


def _persistence(spec: CloudSpec, cloud: CloudFeatures, source: Source) -> float | None:
    """How likely the next image is to be of the same class, by streams like those that modules are validated with; None if no
    adapter asks for it."""
    if not spec.persistence:
        return None
    rng = generator(spec.seed, "persistence")
    images = sampler(spec, ModuleSettings(), cloud, "validation")(rng, VALIDATION_CLIENTS)
    labels = torch.from_numpy(np.asarray(cloud.train.labels)[images])
    return choose_persistence(cloud.train.gather(images)[1], labels, source)


PROMPT_CLIENTS = ModuleSettings(recipe="paper", length=32)
"""Simulated clients without drift, of so many images each."""


def _prompt_layer(
    spec: CloudSpec, cloud: CloudFeatures, cache: Cache, stage: StageProgress
) -> NDArray[np.float32] | None:
    """The layer that prompts go through; None if no adapter asks for it."""
    if not spec.prompts:
        return None
    key = {
        **training_key(spec, cloud),
        "clients": PROMPT_CLIENTS.model_dump(),
        "steps": CLOUD_STEPS,
        "size": EMBEDDING,
    }

    def build(folder: Path) -> None:
        rng = generator(spec.seed, "prompt")
        images = sampler(spec, PROMPT_CLIENTS, cloud, "module")(rng, 256)
        logits = cloud.train.gather(images)[1]
        labels = torch.from_numpy(np.asarray(cloud.train.labels)[images])
        with stage("training the prompts' layer") as progress:
            np.save(folder / "layer.npy", train_prompt_layer(logits, labels, spec.seed))
            progress(1, 1)

    found: NDArray[np.float32] = np.load(cache.get("prompt", key, build) / "layer.npy", allow_pickle=False)
    return found
