"""What the cloud gives to the simulation: feature stores and trained modules, each made once and cached by content."""

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from iciia.adapters.hmm import choose_persistence
from iciia.adapters.prompt import CLOUD_STEPS, EMBEDDING, train_prompt_layer
from iciia.adapters.source import Source, source_prior
from iciia.cloud.backbone import Backbone, create_backbone, train_backbone
from iciia.cloud.calibration import confusion_matrix, fit_temperature, within_class_covariance
from iciia.cloud.features import ArrayStore, FeatureStore
from iciia.cloud.images import ImageSource
from iciia.cloud.labels import accuracy_of
from iciia.cloud.train import Recipe, TrainingHistory, train
from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.module import Module
from iciia.counter import generator
from sim.cache import Cache, digest
from sim.cloud.corruption import Corruption
from sim.cloud.live import LiveStore
from sim.cloud.threads import torch_threads
from sim.data import Classes, Features, Images, open_data
from sim.data.base import split_by_class
from sim.errors import DataError
from sim.scenario.adapters import HmmAdapterSettings
from sim.scenario.clients import ClientsSettings
from sim.scenario.cloud import BackboneSettings
from sim.scenario.drifts import NoDriftSettings, SuddenDriftSettings
from sim.scenario.modules import ModuleSettings
from sim.scenario.scenario import Scenario
from sim.stage import StageProgress
from sim.streams.build import build_stream
from sim.streams.natural import natural_sequences

FORMAT = 4
"""Part of every key; raised when code changes what an artifact holds."""

NOT_IN_KEYS = {"precision", "execution"}
"""Settings of a backbone that its weights do not depend on."""

PARTS = ("backbone", "module", "calibration", "validation")
SHARES_TRAINED = (0.5, 0.35, 0.05, 0.10)
SHARES_GIVEN = (0.0, 0.7, 0.1, 0.2)
"""Shares of the training images, with a backbone trained here and with one that is given."""

Classifier = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Weight [C, D] and bias [C] of the backbone's classifier."""


@dataclass(frozen=True)
class CloudArtifact:
    """Everything that clients are simulated with.

    Args:
        classes: The classes.
        test: Features of the images that clients see.
        modules: Trained modules by name, in evaluation mode.
        split: Images of each part.
        backbone_macs: Multiply-adds of the backbone for one image; None if only its features are known.
        source: What adapters are told; temperature and confusion measured on the calibration part.
        provenance: Where everything came from: digests, versions, how training went.
        owners: Natural client of each image that clients see, int64 [M]; None if the data have none.
    """

    classes: Classes
    test: FeatureStore
    modules: dict[str, Module]
    split: dict[str, int]
    backbone_macs: int | None
    source: Source
    provenance: dict[str, Any]
    owners: NDArray[np.int64] | None


@dataclass(frozen=True)
class _Cloud:
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
    classifier: Classifier | None


def prepare(scenario: Scenario, cache: Cache, stage: StageProgress) -> CloudArtifact:
    """Trains what has to be trained and computes what has to be computed, or finds it in the cache.

    Args:
        scenario: A validated scenario.
        cache: Where artifacts are.
        stage: Opens a stage of progress.

    Raises:
        DataError: The data cannot be used.
        CacheError: The cache cannot be written.
    """
    with torch_threads(scenario.cloud.threads):
        data = open_data(scenario.data, scenario.cloud_seed, image_size(scenario), cache, stage)
        if isinstance(data, Images):
            cloud = _from_images(scenario, data, cache, stage)
        else:
            cloud = _from_features(scenario, data)
        modules, histories = {}, {}
        for name, settings in scenario.modules.items():
            modules[name], histories[name] = _module(scenario, name, settings, cloud, cache, stage)
    source = _source(scenario, cloud, cache, stage)
    provenance = {
        **cloud.provenance,
        "temperature": source.temperature,
        "data": dict(data.key),
        "modules": {name: asdict(history) for name, history in histories.items()},
        "platform": platform_key(),
    }
    return CloudArtifact(
        cloud.classes,
        cloud.test,
        modules,
        cloud.split,
        cloud.backbone_macs,
        source,
        provenance,
        data.test_clients,
    )


def _source(scenario: Scenario, cloud: _Cloud, cache: Cache, stage: StageProgress) -> Source:
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
        _prompt_layer(scenario, cloud, cache, stage),
        cloud.classes.superclass,
        _covariance(scenario, cloud),
    )
    return replace(source, persistence=_persistence(scenario, cloud, source))


def _covariance(scenario: Scenario, cloud: _Cloud) -> NDArray[np.float32] | None:
    """How features lie around their class's mean on the part that modules are trained with; None if no adapter asks for it."""
    if not any(adapter.kind == "adapt" for adapter in scenario.adapters):
        return None
    part = cloud.parts["module"]
    return within_class_covariance(cloud.train.gather(part)[0].numpy(), np.asarray(cloud.train.labels)[part])


VALIDATION_CLIENTS = 32


def _persistence(scenario: Scenario, cloud: _Cloud, source: Source) -> float | None:
    """How likely the next image is to be of the same class, by streams like those that modules are validated with; None if no
    adapter asks for it."""
    if not any(
        isinstance(adapter, HmmAdapterSettings) and adapter.persistence is None for adapter in scenario.adapters
    ):
        return None
    images = _sampler(scenario, ModuleSettings(), cloud, "validation")(
        generator(scenario.cloud_seed, "persistence"), VALIDATION_CLIENTS
    )
    labels = torch.from_numpy(np.asarray(cloud.train.labels)[images])
    return choose_persistence(cloud.train.gather(images)[1], labels, source)


PROMPT_CLIENTS = ModuleSettings(recipe="paper", length=32)
"""Simulated clients without drift, of so many images each."""


def _prompt_layer(scenario: Scenario, cloud: _Cloud, cache: Cache, stage: StageProgress) -> NDArray[np.float32] | None:
    """The layer that prompts go through; None if no adapter asks for it."""
    if not any(adapter.kind == "prompt" for adapter in scenario.adapters):
        return None
    key = {
        **_training_key(scenario, cloud),
        "clients": PROMPT_CLIENTS.model_dump(),
        "steps": CLOUD_STEPS,
        "size": EMBEDDING,
    }

    def build(folder: Path) -> None:
        rng = generator(scenario.cloud_seed, "prompt")
        images = _sampler(scenario, PROMPT_CLIENTS, cloud, "module")(rng, 256)
        logits = cloud.train.gather(images)[1]
        labels = torch.from_numpy(np.asarray(cloud.train.labels)[images])
        with stage("training the prompts' layer") as progress:
            np.save(folder / "layer.npy", train_prompt_layer(logits, labels, scenario.cloud_seed))
            progress(1, 1)

    found: NDArray[np.float32] = np.load(cache.get("prompt", key, build) / "layer.npy", allow_pickle=False)
    return found


def _training_key(scenario: Scenario, cloud: _Cloud) -> dict[str, Any]:
    """What decides what is learned of simulated clients, beside what learns."""
    return {
        "format": FORMAT,
        "features": cloud.key,
        "source": scenario.clients.source,
        "subset": scenario.clients.subset.model_dump(),
        "superclass": None if cloud.classes.superclass is None else cloud.classes.superclass.tolist(),
        "seed": scenario.cloud_seed,
        "threads": scenario.cloud.threads,
        "device": device_of(scenario).type,
        "platform": platform_key(),
    }


def split(scenario: Scenario, data: Images | Features) -> dict[str, NDArray[np.int64]]:
    """Cuts the training images into disjoint parts, image numbers by part; images of one group stay together."""
    trained = scenario.backbone is not None and scenario.backbone.weights == "train"
    shares = SHARES_TRAINED if trained else SHARES_GIVEN
    labels = data.train.labels
    if labels.ndim == 2:  # attributes are not cut by class
        labels = np.zeros(len(labels), dtype=np.int64)
    groups = data.train_groups if isinstance(data, Images) else None
    cut = split_by_class(labels, shares, scenario.cloud_seed, "cloud parts", groups)
    return dict(zip(PARTS, cut, strict=True))


def platform_key() -> dict[str, str]:
    """What must agree for two runs to agree to the last bit."""
    packages = ("torch", "timm", "numpy")
    return {
        "iciia_sim": version("iciia-sim"),
        **{package: version(package) for package in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def device_of(scenario: Scenario) -> torch.device:
    """The device that training and feature extraction run on."""
    wanted = scenario.cloud.device
    return torch.device("cuda" if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()) else "cpu")


def image_size(scenario: Scenario) -> int:
    """Height and width to read from image files."""
    if scenario.backbone is None:
        return 0
    if scenario.backbone.image_size is not None:
        return scenario.backbone.image_size
    return outline(scenario.backbone, channels=3, classes=None).image_size


def camera_of(scenario: Scenario) -> Corruption | None:
    """What clients' cameras do to their images."""
    settings = scenario.clients.corruption
    return None if settings is None else Corruption(scenario.seed, settings.kind, settings.severity)


def outline(settings: BackboneSettings, channels: int, classes: int | None) -> Backbone:
    """The backbone without its weights, for its dimensions.

    Raises:
        ValueError: timm cannot make it; the message says why.
    """
    with torch.device("meta"):
        return create_backbone(
            settings.model, channels, torch.device("meta"), classes, settings.image_size, settings.arguments
        )


# --- features ---------------------------------------------------------------------------------------------------------


def _from_images(scenario: Scenario, data: Images, cache: Cache, stage: StageProgress) -> _Cloud:
    settings = scenario.backbone
    if settings is None:
        raise DataError("image data need a backbone")
    images = split(scenario, data)
    backbone, key = _backbone(scenario, settings, data, images["backbone"], cache, stage)
    backbone.model.to(getattr(torch, settings.precision))
    key["precision"] = settings.precision
    kept = np.sort(np.concatenate([images[part] for part in PARTS[1:]]))
    train_store, train_key = _store(backbone, key, data, "train", kept, cache, stage)
    test_store: ArrayStore | LiveStore
    found: dict[str, Any] = {}
    if settings.execution == "live":
        test_store = LiveStore.of(data.test, backbone, camera_of(scenario))
    else:
        images_of_clients = np.arange(len(data.test.labels))
        test_store, _ = _store(backbone, key, data, "test", images_of_clients, cache, stage)
        logits, labels = (torch.from_numpy(np.array(part)) for part in (test_store.logits, test_store.labels))
        found = {"test_accuracy": accuracy_of(logits, labels)}
    macs = backbone.macs()
    return _Cloud(
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
        },
        train_clients=None if data.train_clients is None else data.train_clients[kept],
        classifier=_numbers(backbone.classifier),
    )


def _numbers(classifier: torch.nn.Linear) -> Classifier:
    """The weight and bias of the backbone's classifier."""
    weight, bias = (
        None if x is None else x.detach().float().cpu().numpy() for x in (classifier.weight, classifier.bias)
    )
    assert weight is not None
    return weight, bias


def _from_features(scenario: Scenario, data: Features) -> _Cloud:
    parts = split(scenario, data)
    sizes = {**{name: len(part) for name, part in parts.items()}, "test": len(data.test.labels)}
    provenance = {"backbone": {"feature_dim": data.train.feature_dim, "classes": data.train.classes}}
    return _Cloud(
        data.classes,
        data.train,
        parts,
        data.test,
        dict(data.key),
        sizes,
        None,
        provenance,
        data.train_clients,
        data.classifier,
    )


def _backbone(
    scenario: Scenario,
    settings: BackboneSettings,
    data: Images,
    part: NDArray[np.int64],
    cache: Cache,
    stage: StageProgress,
) -> tuple[Backbone, dict[str, Any]]:
    """The backbone with its weights, and a key of what decides its outputs."""
    device = device_of(scenario)
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
        "seed": scenario.cloud_seed,
        "threads": scenario.cloud.threads,
        "device": device.type,
        "platform": platform_key(),
    }

    def build(folder: Path) -> None:
        backbone = create(classes=len(data.classes), seed=scenario.cloud_seed)
        with stage(f"training backbone {settings.model}") as progress:
            train_backbone(
                backbone, data.train, part, settings.epochs, settings.batch, settings.learning_rate,
                scenario.cloud_seed, progress,
            )  # fmt: skip
        save_file(
            {name: value.contiguous() for name, value in backbone.model.state_dict().items()},
            folder / WEIGHTS,
        )

    weights = load_file(cache.get("backbone", key, build) / WEIGHTS)
    backbone = create(classes=len(data.classes))
    backbone.model.load_state_dict(weights)
    return backbone, {"backbone": digest(key)}


WEIGHTS = "model.safetensors"


def _weights_digest(backbone: Backbone) -> str:
    found = hashlib.sha256()
    for name, value in sorted(backbone.model.state_dict().items()):
        found.update(name.encode())
        found.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


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
        store = ArrayStore.create(folder, source.labels[images], backbone.feature_dim, backbone.classes)

        def write(first: int, features: torch.Tensor, logits: torch.Tensor) -> None:
            store.features[first : first + len(features)] = features.numpy()
            store.logits[first : first + len(logits)] = logits.numpy()

        with stage(f"computing features of {len(images):,} {half} images") as progress:
            backbone.extract(source, images, write, progress=progress)

    return ArrayStore.open(cache.get("features", key, build)), key


def feature_dim(scenario: Scenario, data: Images | Features) -> int:
    """D, without making the backbone."""
    if isinstance(data, Features):
        return data.train.feature_dim
    if scenario.backbone is None:
        raise DataError("image data need a backbone")
    return outline(scenario.backbone, data.train.channels, len(data.classes)).feature_dim


# --- modules ----------------------------------------------------------------------------------------------------------


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


def _module(
    scenario: Scenario, name: str, settings: ModuleSettings, cloud: _Cloud, cache: Cache, stage: StageProgress
) -> tuple[Module, TrainingHistory]:
    device = device_of(scenario)
    key = {**_training_key(scenario, cloud), "module": settings.model_dump(exclude={"precision"})}
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
        module = create_module(settings, cloud.train.feature_dim, cloud.train.classes, scenario.cloud_seed).to(device)
        with stage(f"training module {name}") as progress:
            history = train(
                module,
                cloud.train,
                _sampler(scenario, settings, cloud, "module"),
                _sampler(scenario, settings, cloud, "validation"),
                recipe,
                scenario.cloud_seed,
                checkpoint=cache.scratch("module", key) / "checkpoint.pt",
                progress=progress,
            )
        module.cpu().save_pretrained(folder)
        (folder / "history.json").write_text(json.dumps(asdict(history)))

    folder = cache.get("module", key, build)
    module = create_module(settings, cloud.train.feature_dim, cloud.train.classes, scenario.cloud_seed)
    module.load_state_dict(load_file(folder / WEIGHTS))
    module.knows = "superclasses" if trained_on_superclasses(scenario) else "nothing"
    return module.to(getattr(torch, settings.precision)).eval(), TrainingHistory(
        **json.loads((folder / "history.json").read_text())
    )


def trained_on_superclasses(scenario: Scenario) -> bool:
    """Whether what is trained in the cloud meets clients of one superclass at a time, and so learns which classes are of one."""
    return scenario.clients.source == "drawn" and scenario.clients.subset.classes == "superclass"


def _sampler(
    scenario: Scenario, settings: ModuleSettings, cloud: _Cloud, part: str
) -> Callable[[np.random.Generator, int], NDArray[np.int64]]:
    """Streams of simulated training clients over one part of the cloud's images."""
    images = cloud.parts[part]
    if scenario.clients.source == "natural" and cloud.train_clients is not None:
        every = settings.drift_every if settings.recipe == "stream" else None
        drawn = natural_sequences(cloud.train_clients[images], settings.length, every)
        return lambda rng, count: images[drawn(rng, count)]
    clients = ClientsSettings(
        count=1,
        images=settings.length,
        subset=scenario.clients.subset,
        drift=SuddenDriftSettings(kind="sudden", every=settings.drift_every, layout="staggered")
        if settings.recipe == "stream"
        else NoDriftSettings(),
    )
    # a seed of its own, so that no training client is one of the simulated clients
    seed = int(generator(scenario.cloud_seed, f"sampler {part}").integers(2**62))
    labels = np.asarray(cloud.train.labels)[images]
    stream = build_stream(clients, seed, cloud.classes.superclass, labels, len(cloud.classes))

    def sample(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        numbers = rng.integers(2**62, size=count)
        (chunk,) = stream.chunks(numbers, settings.length)
        return images[chunk.images]

    return sample
