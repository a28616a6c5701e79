"""Modules, ICIIA's and rivals': each trained once on simulated clients."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file

from iciia.cloud.train import Recipe, TrainingHistory, train
from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.module import Module
from sim.cache import Cache
from sim.cloud.features import CloudFeatures
from sim.cloud.keys import WEIGHTS
from sim.cloud.samplers import sampler, trained_on_superclasses, training_key
from sim.cloud.spec import CloudSpec
from sim.scenario.modules import ModuleSettings
from sim.stage import StageProgress


def create_module(settings: ModuleSettings, features: int, classes: int, seed: int) -> Module:
    """An untrained module."""
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


def trained_module(
    spec: CloudSpec, name: str, settings: ModuleSettings, cloud: CloudFeatures, cache: Cache, stage: StageProgress
) -> tuple[Module, TrainingHistory]:
    """A module, trained here or found in the cache, in evaluation mode, and how its training went."""
    device = spec.device
    key = {**training_key(spec, cloud), "module": settings.model_dump(exclude={"precision"})}
    recipe = Recipe(
        settings.recipe,
        settings.steps,
        settings.batch,
        settings.learning_rate,
        settings.evaluate_every,
        settings.patience,
        settings.selection,
    )

    def build(folder: Path) -> None:
        module = create_module(settings, cloud.train.feature_dim, cloud.train.classes, spec.seed).to(device)
        with cache.scratch("module", key) as scratch, stage(f"training module {name}") as progress:
            history = train(
                module,
                cloud.train,
                sampler(spec, settings, cloud, "module"),
                sampler(spec, settings, cloud, "validation"),
                recipe,
                spec.seed,
                checkpoint=scratch / "checkpoint.pt",
                progress=progress,
            )
        module.cpu().save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(asdict(history)))

    folder = cache.get("module", key, build)
    module = create_module(settings, cloud.train.feature_dim, cloud.train.classes, spec.seed)
    module.load_state_dict(load_file(folder / WEIGHTS))
    module.knows = "superclasses" if trained_on_superclasses(spec) else "nothing"
    return module.to(getattr(torch, settings.precision)).eval(), TrainingHistory(
        **json.loads((folder / "history.json").read_text())
    )
