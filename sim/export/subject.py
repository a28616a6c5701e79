"""What is exported: an adapter of a run, one of its modules with another bank, or a module from a folder of its own."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from iciia.adapters import Adapter, IciiaAdapter
from iciia.banks.storage import STORAGES
from iciia.cloud.backbone import Backbone
from iciia.cloud.images import ImageSource
from iciia.contexts.iciia import ICIIA
from iciia.contexts.module import Module
from iciia.contexts.priors import ClientPriors
from sim.addresses import Location
from sim.cache import Cache
from sim.cloud.backbone import make_backbone
from sim.cloud.prepare import CloudArtifact
from sim.cloud.spec import CloudSpec, split
from sim.cloud.threads import torch_threads
from sim.cohort.adapters import build_adapters
from sim.data import Images
from sim.engine.folder import read_run
from sim.engine.parts import cloud_spec, prepare
from sim.errors import ExportError, did_you_mean
from sim.scenario.scenario import Scenario
from sim.stage import StageProgress

MODULE_FILE = "config.json"
"""What tells a module's folder from a run's."""


@dataclass(frozen=True)
class Choice:
    """What is asked for: one of a run's adapters as it is, or a module with a bank of one's own.

    Args:
        adapter: The adapter's name in the report; None for a module.
        module: The module's name in the scenario; None for the only one.
        capacity: N of the module's bank.
        storage: How it keeps its numbers, one of `iciia.banks.storage.STORAGES`.
    """

    adapter: str | None = None
    module: str | None = None
    capacity: int = 16
    storage: str = "float32"


@dataclass(frozen=True)
class Subject:
    """What is exported.

    Args:
        name: What it is called.
        adapter: The adapter.
        count: C.
        classes: Names of the classes; None if they are unknown.
        origin: Where it comes from, for its description.
        backbone: The backbone, in float32 on the CPU, and the images that it reads; None unless it was asked for.
        run: The run that it is of, and what the cloud made for it; None for a module from a folder of its own.
    """

    name: str
    adapter: Adapter
    count: int
    classes: list[str] | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    backbone: tuple[Backbone, ImageSource] | None = None
    run: tuple[Scenario, CloudArtifact] | None = None


def subject(source: Location, choice: Choice, with_backbone: bool, cache: Cache, stage: StageProgress) -> Subject:
    """Finds what is asked for, and trains what the cache no longer has.

    Args:
        source: A run's folder, or one that `save_pretrained` wrote.
        choice: What of it.
        with_backbone: Whether the backbone is wanted too.
        cache: Where artifacts are.
        stage: Opens a stage of progress.

    Raises:
        ExportError: It has nothing of the kind.
        ReportError: The folder holds neither a run nor a module.
    """
    if not isinstance(source, Path) or not (source / MODULE_FILE).is_file():
        return _of_run(source, choice, with_backbone, cache, stage)
    if choice.adapter or choice.module or with_backbone:
        raise ExportError(
            f"{source}: holds one module and nothing else; leave out --adapter, --module and --with-backbone"
        )
    module = _load(source)
    adapter = _with_bank(module, choice, str(source))
    return Subject(source.name, adapter, module.settings["classes"], origin={"module": source.name})


def _load(folder: Path) -> ICIIA | ClientPriors:
    try:
        settings = json.loads((folder / MODULE_FILE).read_text(encoding="utf-8"))
        kind = ICIIA if "partitions" in settings else ClientPriors
        module: ICIIA | ClientPriors = kind.from_pretrained(folder)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ExportError(
            f"{folder}: holds no module of ICIIA or of class priors that can be read ({error})"
        ) from error
    return module


def _of_run(source: Location, choice: Choice, with_backbone: bool, cache: Cache, stage: StageProgress) -> Subject:
    found = read_run(source)
    if found.get("sweep"):
        raise ExportError(f"{source}: holds a sweep; give the folder of one of its runs")
    scenario = Scenario.model_validate_json(json.dumps(found.get("scenario")))
    artifact = prepare(scenario, cache, stage)
    name, adapter = _chosen(scenario, artifact, choice, source)
    origin = {"run": scenario.name, "scenario_digest": scenario.digest()}
    backbone = _backbone(cloud_spec(scenario), cache, stage) if with_backbone else None
    return Subject(
        name, adapter, len(artifact.classes), list(artifact.classes.names), origin, backbone, (scenario, artifact)
    )


def _chosen(scenario: Scenario, artifact: CloudArtifact, choice: Choice, source: Location) -> tuple[str, Adapter]:
    if choice.adapter is None:
        name = _one_of(artifact.modules, choice.module, "module", f"{source}: modules")
        return name, _with_bank(artifact.modules[name], choice, name)
    adapters = build_adapters(list(scenario.adapters), artifact.modules, artifact.source, scenario.clients)
    name = _one_of(adapters, choice.adapter, "adapter", f"{source}: adapters")
    return name, adapters[name]


def _one_of(names: Iterable[str], wanted: str | None, kind: str, where: str) -> str:
    """The wanted name, or the only one.

    Raises:
        ExportError: There is none of that name, or several to choose from.
    """
    there = list(names)
    if wanted in there:
        return str(wanted)
    if wanted is None and len(there) == 1:
        return there[0]
    got = f"got {wanted!r}" if wanted is not None else f"got no --{kind}"
    meant = did_you_mean(wanted or "", there)
    listed = ", ".join(there) or "none"
    raise ExportError(f"{where}: {got}; there are {listed}" + (f"; {meant}" if meant else ""))


def _with_bank(module: Module, choice: Choice, name: str) -> IciiaAdapter:
    if choice.storage not in STORAGES:
        raise ExportError(f"--storage: got {choice.storage!r}; expected one of {', '.join(STORAGES)}")
    if not isinstance(module, ICIIA | ClientPriors):
        raise ExportError(
            f"{name}: a module of {type(module).__name__} has no bank and cannot be exported; those of ICIIA can"
        )
    return IciiaAdapter(module, choice.capacity, STORAGES[choice.storage])


def _backbone(spec: CloudSpec, cache: Cache, stage: StageProgress) -> tuple[Backbone, ImageSource]:
    """The run's backbone, which the cache has, and the images that clients see."""
    with torch_threads(spec.cloud.threads):
        data = spec.open(cache, stage)
        if spec.backbone is None or not isinstance(data, Images):
            raise ExportError(
                "--with-backbone: the run's data are ready features, of which no backbone is known; leave it out"
            )
        backbone, _ = make_backbone(spec, spec.backbone, data, split(spec, data), cache, stage)
    return backbone.on_cpu(), data.test
