"""What can only be judged with the data at hand: whether the scenario asks of them what they have."""

import os
from collections.abc import Iterator

import numpy as np
import torch

from iciia.adapters.source import Source
from iciia.banks.storage import STORAGES, vector_bytes
from iciia.cloud.images import frames_of
from iciia.contexts.iciia import bank_vectors
from iciia.contexts.partition import check_partitions
from iciia.policies import make_policy
from iciia.testing import check_adapter, example_chunk
from sim.cache import Cache
from sim.cloud.artifacts import image_size, outline, split
from sim.cohort.adapters import make_own
from sim.data import Features, Images, open_data
from sim.errors import DataError, ScenarioError
from sim.scenario.adapter_checks import adapter_class
from sim.scenario.adapters import IciiaAdapterSettings, OwnAdapterSettings, capacities
from sim.scenario.drifts import NoDriftSettings, OwnDriftSettings, PriorDriftSettings, RecurringDriftSettings
from sim.scenario.file import Document, Key
from sim.scenario.modules import RIVALS
from sim.scenario.scenario import Scenario
from sim.stage import StageProgress, silent
from sim.streams.build import build_drift, build_stream, subset_sizes
from sim.streams.stream import GroupedImages, Stream
from sim.testing import check_drift

CLIENTS_AT_A_TIME = 64


def check_data(document: Document, scenario: Scenario, cache: Cache, stage: StageProgress = silent) -> None:
    """Opens the data and checks everything that depends on them. Trains and computes nothing.

    Args:
        document: Where the scenario came from.
        scenario: A validated scenario.
        cache: Where it is remembered what files hold.
        stage: Told how far the first look at files is.

    Raises:
        ScenarioError: All problems found.
    """
    found = list(_problems(scenario, cache, stage))
    if found:
        raise ScenarioError(document.source, [document.problem(key, message) for key, message in found])


def _problems(scenario: Scenario, cache: Cache, stage: StageProgress) -> Iterator[tuple[Key, str]]:
    if scenario.cloud.device == "cuda" and not torch.cuda.is_available():
        yield ("cloud", "device"), 'got "cuda", and torch finds no GPU here; set auto or cpu'
    try:
        size = image_size(scenario)
    except ValueError as error:
        yield ("backbone", "model"), str(error)
        return
    try:
        data = open_data(scenario.data, scenario.cloud_seed, size, cache, stage)
    except DataError as error:
        yield ("data",), str(error)
        return
    if data.test.labels.ndim == 2:
        yield from _attribute_problems(scenario)
    if scenario.clients.source == "natural":
        yield from _natural_problems(scenario, data)
    elif data.test.labels.ndim == 1:
        subsets = list(_subset_problems(scenario, data))
        yield from subsets
        if not subsets:
            yield from _shortages(scenario, data)
    yield from _empty_parts(scenario, data)
    yield from _adapter_problems(scenario, data)
    yield from _dimension_problems(scenario, data)


def _attribute_problems(scenario: Scenario) -> Iterator[tuple[Key, str]]:
    """What makes no sense where an image has several attributes and not one class."""
    kind = f"{scenario.data.kind} data have several attributes an image, not one class"
    if scenario.clients.source == "drawn":
        yield ("clients", "source"), f'got "drawn", and {kind} to draw subsets of; set natural'
    for name, module in scenario.modules.items():
        if module.context in RIVALS:
            yield ("modules", name, "context"), f"{module.context} chooses one class, and {kind}; remove it"
        if module.shortlist is not None:
            yield ("modules", name, "shortlist"), f"ranks classes, and {kind}; remove it"
    for index, adapter in enumerate(scenario.adapters):
        if adapter_class(adapter).of_classes:
            yield (
                ("adapters", index),
                f"{adapter.kind} chooses one class, and {kind}; remove it (backbone, iciia and ff are allowed)",
            )
        elif isinstance(adapter, IciiaAdapterSettings):
            policy = adapter.bank.policy
            if make_policy(policy.kind, policy.arguments).of_classes:
                yield (
                    ("adapters", index, "bank", "policy"),
                    f"{policy.kind} goes by classes, and {kind}; set fifo, reservoir or diverse",
                )


def _natural_problems(scenario: Scenario, data: Images | Features) -> Iterator[tuple[Key, str]]:
    """Whether the data have as many clients of their own as the scenario takes."""
    if data.test_clients is None:
        yield (
            ("clients", "source"),
            f'got "natural", and these {scenario.data.kind} data do not say whose an image is; set drawn',
        )
        return
    there = len(np.unique(data.test_clients))
    if scenario.clients.count > there:
        yield ("clients", "count"), f"got {scenario.clients.count}, and the data have {there} natural clients"


def _adapter_problems(scenario: Scenario, data: Images | Features) -> Iterator[tuple[Key, str]]:
    """Whether adapters have what they need of the cloud, and the user's own keep what an adapter must keep."""
    known = isinstance(data, Images) or data.classifier is not None
    for index, adapter in enumerate(scenario.adapters):
        key: Key = ("adapters", index)
        if adapter.kind == "superclass_filter" and data.classes.superclass is None:
            yield key, f"superclass_filter needs superclasses, and {scenario.data.kind} data have none; remove it"
        if adapter.kind in ("t3a", "finetuned_head", "adapt", "stata") and not known:
            yield (
                key,
                f"{adapter.kind} needs the backbone's classifier; give classifier_weight [C, D] (and classifier_bias [C]) in the "
                "train file",
            )
        if isinstance(adapter, OwnAdapterSettings):
            yield from _own_adapter_problems(key, adapter, len(data.classes))


def _own_adapter_problems(key: Key, settings: OwnAdapterSettings, classes: int) -> Iterator[tuple[Key, str]]:
    try:
        adapter = make_own(settings.kind, settings.arguments, Source.blank(16, classes))
    except ValueError as error:
        yield (*key, "arguments"), str(error)
        return
    try:
        check_adapter(adapter, example_chunk(adapter.sees, classes=classes))
    except Exception as error:  # it may do anything
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        yield (*key, "kind"), f"{settings.kind} fails iciia.testing.check_adapter: {first or repr(error)}"


def _subset_problems(scenario: Scenario, data: Images | Features) -> Iterator[tuple[Key, str]]:
    key: Key = ("clients", "subset", "classes")
    drift, classes, sizes = scenario.clients.drift, data.classes, subset_sizes(scenario.clients.subset)
    moves = not isinstance(drift, NoDriftSettings | PriorDriftSettings)
    if sizes is None:
        groups = 0 if classes.superclass is None else len(np.unique(classes.superclass))
        if groups == 0:
            yield (
                key,
                f"{scenario.data.kind} data have no superclasses; give a number of classes, 1 to {len(classes)}",
            )
            return
        if groups == 1 and moves:
            yield key, "the data have a single superclass, and drift needs another to go to"
            return
        room, thing = groups, "superclasses"
    else:
        if sizes[1] > len(classes):
            yield key, f"got {sizes[1]}, and the data have {len(classes)} classes"
            return
        room, thing = len(classes) // sizes[1], f"subsets of {sizes[1]} classes"
        overlap = getattr(drift, "overlap", None)
        if overlap is not None:
            yield from _overlap_problems(overlap, sizes, len(classes))
    if isinstance(drift, RecurringDriftSettings):
        pool = (drift.pool or 0) if drift.matrix is None else 1 + max(max(row) for row in _rows(drift))
        if pool > room:
            name = "pool" if drift.matrix is None else "matrix"
            yield (
                ("clients", "drift", name),
                f"needs {pool} subsets without common classes, and the data have {room} {thing}",
            )
    if isinstance(drift, OwnDriftSettings):
        yield from _own_problems(scenario, drift)


def _overlap_problems(overlap: float, sizes: tuple[int, int], classes: int) -> Iterator[tuple[Key, str]]:
    least, most = sizes
    if round(overlap * least) == least:
        yield (
            ("clients", "drift", "overlap"),
            f"got {overlap}: of {least} classes it replaces none; lower it",
        )
        return
    fresh = most - round(overlap * most)
    if most + fresh > classes:
        yield (
            ("clients", "subset", "classes"),
            f"got {most}: a drift brings {fresh} new ones, and the data have {classes} classes in all",
        )


def _rows(drift: RecurringDriftSettings) -> list[list[int]]:
    return drift.matrix if isinstance(drift.matrix, list) else []


def _own_problems(scenario: Scenario, drift: OwnDriftSettings) -> Iterator[tuple[Key, str]]:
    """Whether a process of the user's own can be made, and keeps what a process must keep."""
    key: Key = ("clients", "drift", "process")
    try:
        build_drift(drift, scenario.seed)
    except ValueError as error:
        yield key, str(error)
        return
    try:
        check_drift(lambda seed: build_drift(drift, seed), int(scenario.clients.images))
    except AssertionError as error:
        yield key, f"{drift.process} {error}"


def _shortages(scenario: Scenario, data: Images | Features) -> Iterator[tuple[Key, str]]:
    """Whether a client asks for more images of a class than there are, without replacement."""
    clients = scenario.clients
    images = GroupedImages.of(np.asarray(data.test.labels), len(data.classes))
    if (images.count == 0).any():
        name = data.classes.names[int(np.argmin(images.count))]
        yield ("data",), f"class {name!r} has no image for the clients; every class needs one"
        return
    stream = build_stream(clients, scenario.seed, data.classes.superclass, data.test.labels, len(data.classes))
    if clients.sampling != "without_replacement" or not isinstance(stream, Stream):
        return
    if images.count.min() >= stream.steps:
        return
    for first in range(0, clients.count, CLIENTS_AT_A_TIME):
        numbers = np.arange(first, min(first + CLIENTS_AT_A_TIME, clients.count))
        most = stream.most_of_a_class(numbers)
        short = np.flatnonzero(most > images.count)
        if len(short):
            c = int(short[np.argmax((most / images.count)[short])])
            yield (
                ("clients", "sampling"),
                f"some client meets {most[c]} images of class {data.classes.names[c]!r}, which has {images.count[c]}; lower "
                "clients.images, give more images, or set with_replacement or wrap_around",
            )
            return


def _empty_parts(scenario: Scenario, data: Images | Features) -> Iterator[tuple[Key, str]]:
    """Whether there are too few images for every part, and for every class in the parts that modules are trained with."""
    parts = split(scenario, data)
    if len(parts["calibration"]) == 0:
        yield ("data",), f"has too few training images ({len(data.train.labels)}): none falls into the calibration part"
    if data.train.labels.ndim == 2:
        return
    for part in ("module", "validation") if scenario.modules else ():
        count = np.bincount(data.train.labels[parts[part]], minlength=len(data.classes))
        if (count == 0).any():
            name = data.classes.names[int(np.argmin(count))]
            yield ("data",), f"class {name!r} has too few training images: none of them falls into the {part} part"
            return


def _bank_problems(scenario: Scenario, features: int) -> Iterator[tuple[Key, str]]:
    """Whether the banks of a cohort fit into this machine's memory."""
    numbers = 0
    for adapter in scenario.adapters:
        if isinstance(adapter, IciiaAdapterSettings) and adapter.module in scenario.modules:
            module = scenario.modules[adapter.module]
            size = vector_bytes(features, STORAGES[adapter.bank.storage])
            if module.context == "icrm" or module.context == "arm_cml":  # told elsewhere
                continue
            vectors = bank_vectors(module.context, module.layers)
            numbers += sum(capacities(adapter)) * vectors * size
    wanted, there = numbers * scenario.clients.cohort, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > there:
        yield (
            ("clients", "cohort"),
            f"got {scenario.clients.cohort}: the banks of a cohort take {wanted / 1e9:,.1f} GB, and this machine has "
            f"{there / 1e9:,.1f}; lower it or the capacities, or set storage: int8",
        )


def _reads_other(model: str, reads: int | None, frames: int | None) -> str:
    def thing(count: int | None) -> str:
        return "images" if count is None else f"clips of {count} frames"

    advice = "" if frames is None else "; c3d reads clips of 16"
    return f"{model} reads {thing(reads)}, and the data are {thing(frames)}{advice}"


def _dimension_problems(scenario: Scenario, data: Images | Features) -> Iterator[tuple[Key, str]]:
    """Whether heads and partitions divide the feature dimension."""
    if isinstance(data, Images):
        if scenario.backbone is None:
            return
        try:
            backbone = outline(scenario.backbone, data.train.channels, len(data.classes))
        except ValueError as error:
            yield ("backbone", "model"), str(error)
            return
        frames = frames_of(data.train)
        if frames != backbone.frames:
            yield ("backbone", "model"), _reads_other(scenario.backbone.model, backbone.frames, frames)
            return
        try:
            backbone.macs()  # one image without numbers: does the model take images of this size?
        except Exception as error:
            size = backbone.image_size
            yield ("backbone", "image_size"), f"{scenario.backbone.model} cannot read {size} x {size} images: {error}"
            return
        features = backbone.feature_dim
    else:
        features = data.train.feature_dim
    yield from _bank_problems(scenario, features)
    for name, module in scenario.modules.items():
        if module.context in RIVALS:
            continue
        try:
            check_partitions(features, module.partitions)
        except ValueError as error:
            yield ("modules", name, "partitions"), str(error)
        if module.shortlist is not None and module.shortlist > len(data.classes):
            yield (
                ("modules", name, "shortlist"),
                f"got {module.shortlist}, and the data have {len(data.classes)} classes",
            )
        if features % module.heads:
            yield (
                ("modules", name, "heads"),
                f"got {module.heads}, which does not divide the feature dimension {features}",
            )
