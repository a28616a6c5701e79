"""Modules, ICIIA's and rivals': each trained once on simulated clients, or given."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from iciia.cloud.backbone import Progress
from iciia.cloud.priors import Parts, train_priors
from iciia.cloud.train import BLOCK, Recipe, TrainingHistory, train
from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.module import Module
from iciia.contexts.priors import ClientPriors
from sim.cache import Cache
from sim.cloud.features import CloudFeatures
from sim.cloud.given import ARTIFACT, Place, given_module
from sim.cloud.keys import WEIGHTS
from sim.cloud.samplers import mixture_sampler, sampler, shares_of, trained_on_superclasses, training_key
from sim.cloud.spec import CloudSpec
from sim.data import Classes
from sim.scenario.modules import AnyModuleSettings, GivenSettings, ModuleSettings, PriorsSettings, TrainedSettings
from sim.stage import StageProgress


def create_module(
    settings: TrainedSettings, features: int, classes: Classes, seed: int, attributes: bool = False
) -> Module:
    """An untrained module, for images of D features with one class or with attributes."""
    if isinstance(settings, PriorsSettings):
        groups = groups_of(settings, classes)
        superclasses = 0 if groups is None else int(groups.max()) + 1
        return ClientPriors(features, len(classes), superclasses, settings.shortlist, settings.keep, attributes)
    return _create_other(settings, features, len(classes), seed)


def untrained(settings: AnyModuleSettings, features: int, classes: Classes, cache: Cache) -> Module:
    """A module that costs as much as the one asked for, in evaluation mode; nothing is trained for it.

    Raises:
        DataError: It is given, and cannot be had.
    """
    if isinstance(settings, GivenSettings):
        return given_module(settings, cache)[0]
    return create_module(settings, features, classes, seed=0).eval()


def groups_of(settings: PriorsSettings, classes: Classes) -> NDArray[np.int64] | None:
    """The superclass of each class, numbered without gaps, as far as the module is told; None if it is not."""
    if classes.superclass is None or settings.told == "nothing":
        return None
    return np.unique(classes.superclass, return_inverse=True)[1].astype(np.int64)


def _create_other(settings: ModuleSettings, features: int, classes: int, seed: int) -> Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if settings.context == "icrm":
            sizes = settings.layers, settings.heads, settings.width, settings.positions, settings.dropout
            return Icrm(features, classes, *sizes)
        if settings.context == "arm_cml":
            return ArmCml(features, classes, settings.width)
        return ICIIA(
            features,
            classes,
            settings.layers,
            settings.heads,
            settings.partitions,
            settings.context,
            settings.head,
            settings.shortlist,
            settings.shuffle,
            settings.dropout,
        )


def make_module(
    spec: CloudSpec, name: str, settings: AnyModuleSettings, cloud: CloudFeatures, cache: Cache, stage: StageProgress
) -> tuple[Module, dict[str, Any]]:
    """A module in evaluation mode, trained here, found in the cache or given, and what a report says of where it comes from.

    Raises:
        DataError: One that is given cannot be had.
        CacheError: The cache cannot be written.
    """
    if isinstance(settings, GivenSettings):
        module, said = given_module(settings, cache)
    else:
        module, said = _trained(spec, name, settings, cloud, cache, stage)
    return module.to(getattr(torch, settings.precision)).eval(), said


def _trained(
    spec: CloudSpec, name: str, settings: TrainedSettings, cloud: CloudFeatures, cache: Cache, stage: StageProgress
) -> tuple[Module, dict[str, Any]]:
    """A module that is trained here or found in the cache, and how its training went."""
    key = {**_key(spec, settings, cloud), "module": settings.model_dump(exclude={"precision"})}

    def create() -> Module:
        attributes = np.asarray(cloud.train.labels).ndim == 2
        return create_module(settings, cloud.train.feature_dim, cloud.classes, spec.seed, attributes)

    def build(folder: Path) -> None:
        module = create()
        with cache.scratch(ARTIFACT, key) as scratch, stage(f"training module {name}") as progress:
            if isinstance(settings, PriorsSettings):
                history = _train_priors(spec, settings, module, cloud, progress)
            else:
                history = _train_other(spec, settings, module, cloud, scratch / "checkpoint.pt", progress)
        module.cpu().save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(asdict(history)))

    folder = cache.get(ARTIFACT, key, build)
    module = create()
    module.load_state_dict(load_file(folder / WEIGHTS))
    if not isinstance(module, ClientPriors):
        module.knows = "superclasses" if trained_on_superclasses(spec) else "nothing"
    history = TrainingHistory(**json.loads((folder / "history.json").read_text()))
    return module, {
        **asdict(history), "artifact": folder.name, "digest": Place(folder).digest(), "knows": module.knows,
    }  # fmt: skip


def _key(spec: CloudSpec, settings: TrainedSettings, cloud: CloudFeatures) -> dict[str, Any]:
    """What decides what a module learns, beside its settings. Not the clients, if it is trained on a mixture of its own."""
    if not isinstance(settings, PriorsSettings):
        return training_key(spec, cloud)
    shares = [share.model_dump() for share in shares_of(settings, spec, cloud)]
    return {**training_key(spec, cloud, of_clients=settings.streams == "as_clients"), "streams": shares}


def _train_other(
    spec: CloudSpec,
    settings: ModuleSettings,
    module: Module,
    cloud: CloudFeatures,
    checkpoint: Path,
    progress: Progress,
) -> TrainingHistory:
    recipe = Recipe(
        settings.recipe,
        settings.steps,
        settings.batch,
        settings.learning_rate,
        settings.evaluate_every,
        settings.patience,
        settings.selection,
    )
    assert not isinstance(module, ClientPriors)
    draw, validate = (sampler(spec, settings, cloud, part) for part in ("module", "validation"))
    module.to(spec.device)
    return train(module, cloud.train, draw, validate, recipe, spec.seed, checkpoint=checkpoint, progress=progress)


def _train_priors(
    spec: CloudSpec, settings: PriorsSettings, module: Module, cloud: CloudFeatures, progress: Progress
) -> TrainingHistory:
    assert isinstance(module, ClientPriors)
    recipe = Recipe(
        "stream", settings.steps, settings.batch, settings.learning_rate, BLOCK, selection=settings.selection
    )
    parts = Parts(*(cloud.parts[part] for part in ("module", "calibration", "validation")))
    samplers = None
    if np.asarray(cloud.train.labels).ndim == 1:
        draw, validate = (mixture_sampler(spec, settings, cloud, part) for part in ("module", "validation"))
        samplers = draw, validate
    groups = groups_of(settings, cloud.classes)
    return train_priors(module, cloud.train, parts, groups, samplers, recipe, spec.seed, progress)
