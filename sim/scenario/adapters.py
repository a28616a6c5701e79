"""Settings of `adapters`: what predicts, and what reports call it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from sim.scenario.base import (
    AdapterName,
    Capacities,
    ImportPath,
    PositiveFloat,
    PositiveInt,
    Settings,
    class_from,
    named_only,
)


class PolicySettings(Settings):
    """Which images a full bank keeps."""

    kind: str
    """fifo, reservoir, class_balanced, cstu, diverse, confident, decay, drift_reset, or a subclass of iciia.policies.Policy,
    package.module.Class or file.py:Class."""
    arguments: dict[str, Any] = {}
    """Keyword arguments of the policy: `window` of decay, `recent` and `threshold` of drift_reset."""


class BankSettings(Settings):
    """What is kept of a client's past."""

    capacity: Capacities = 16
    """Most images a bank may hold; a list makes an adapter of each."""
    policy: Annotated[PolicySettings, BeforeValidator(named_only, json_schema_input_type=str | PolicySettings)] = (
        PolicySettings(kind="fifo")
    )
    """Which images it keeps: a policy's name, or {kind: name, arguments: {...}}."""
    storage: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    """How its numbers are kept; int8 with a scale for each vector."""
    diagnostics: bool = False
    """Whether the age and the class subset of what attention uses are measured (the staleness table); slower."""
    by_device: bool = False
    """Whether the capacities make one adapter, NAME-by_device, in which each client has the largest that fits its device
    (`clients.devices`) with the module's weights, and the backbone alone where none does."""


class IciiaAdapterSettings(Settings):
    """ICIIA with a trained module and banks."""

    kind: Literal["iciia"]
    module: str
    """Name of one of the `modules`."""
    bank: BankSettings = BankSettings()
    """The bank."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; `iciia` if left out."""


class FfAdapterSettings(Settings):
    """ICIIA's layers without attention."""

    kind: Literal["ff"]
    module: str
    """Name of one of the `modules`, of context none."""
    name: AdapterName | None = None
    """What reports call it; `ff` if left out."""


class ModuleAdapterSettings(Settings):
    """Modules that are no ICIIA: rivals that are trained on the same sequences."""

    kind: Literal["icrm", "arm_cml"]
    module: str
    """Name of one of the `modules`, of that context."""
    capacity: Capacities | None = None
    """Most images that the target is beside; a list makes an adapter of each. Left out: all that icrm has positions for, and
    all that came before for arm_cml."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; its kind if left out."""


class PlainAdapterSettings(Settings):
    """Adapters with nothing to set. backbone: the backbone alone. oracle: told which classes its client can meet now.
    oracle_prior: told how likely each is. last_label: repeats the previous true label, blind. cofa: asks the backbone about the
    mean of an image and the one before as well. fth: the class prior, solved from all images so far. tda: likeness to the
    surest images of each class.
    adapt: Gaussians around their means."""

    kind: Literal["backbone", "oracle", "oracle_prior", "last_label", "cofa", "fth", "tda", "adapt"]


class WindowAdapterSettings(Settings):
    """Adapters with a window of the latest images. prototype: nearest mean of the classes predicted there. em_prior, bbse: the
    class prior estimated there. prior_correction: probabilities times their smoothed mean. majority_label: the most frequent true
    label there, blind."""

    kind: Literal["prototype", "em_prior", "bbse", "prior_correction", "majority_label"]
    capacity: Capacities = 64
    """Most images before this one; a list makes an adapter of each."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; its kind if left out."""


class SuperclassFilterAdapterSettings(Settings):
    """A filter over the superclasses of the data, which it is told."""

    kind: Literal["superclass_filter"]
    hazard: Annotated[float, Field(ge=0, le=1)] = 0.01
    """h, how likely a client is to change its superclass from one image to the next."""
    name: AdapterName | None = None
    """What reports call it; `superclass_filter` if left out."""


class HmmAdapterSettings(Settings):
    """A filter over classes: the next image is of the same class, or drawn anew from the class prior of a window."""

    kind: Literal["hmm"]
    capacity: Capacities = 64
    """Most images before this one; a list makes an adapter of each."""
    persistence: Annotated[float, Field(ge=0, le=1)] | None = None
    """rho, how likely the next image is to be of the same class; chosen in the cloud on validation streams if left out."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; `hmm` if left out."""


class FlhFtlAdapterSettings(Settings):
    """The class prior, solved from as much of the history as has paid."""

    kind: Literal["flh_ftl"]
    experts: PositiveInt = 12
    """The most histories that are weighed against each other."""
    name: AdapterName | None = None
    """What reports call it; `flh_ftl` if left out."""


class StataAdapterSettings(Settings):
    """Gaussians of each class over a window, held to the classifier."""

    kind: Literal["stata"]
    capacity: Capacities = 64
    """Most images before this one; a list makes an adapter of each."""
    anchor: PositiveFloat = 1.0
    """alpha, how many images count as much as the classifier."""
    softness: PositiveFloat = 50.0
    """What log-likelihoods of features are divided by, as published; less lets features say more."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; `stata` if left out."""


class KnnAdapterSettings(Settings):
    """Mean probabilities of the nearest images in a window."""

    kind: Literal["knn"]
    capacity: Capacities = 64
    """Most images before this one; a list makes an adapter of each."""
    neighbours: PositiveInt = 10
    """How many, the image itself counted."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; `knn` if left out."""


class LameAdapterSettings(Settings):
    """Predictions of a window that agree with their neighbours'."""

    kind: Literal["lame"]
    capacity: Capacities = 64
    """Most images before this one, at most 64; a list makes an adapter of each."""
    affinity: Annotated[float, Field(ge=0)] = 1.0
    """lambda, how much neighbours should agree; 0 is the backbone."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; `lame` if left out."""


Supports = PositiveInt | Literal["all"]


class T3aAdapterSettings(Settings):
    """The backbone's classifier, its rows moved by the client's most certain features."""

    kind: Literal["t3a"]
    supports: Supports | Annotated[list[Supports], Field(min_length=1)] = 20
    """Most supports of each predicted class, or all; a list makes an adapter of each."""
    name: AdapterName | None = None
    """What reports call it, before the supports; `t3a` if left out."""


class LabelledAdapterSettings(Settings):
    """The paper's baselines that each client trains on labels of its own. finetuned_head: the backbone's classifier. prompt: an
    embedding, through a layer trained in the cloud, added to the logits."""

    kind: Literal["finetuned_head", "prompt"]
    images: PositiveInt = 64
    """A client's first images, which are predicted as the backbone does and then trained on once, with their labels."""
    epochs: PositiveInt = 10
    """Passes over them."""
    learning_rate: PositiveFloat | None = None
    """Of SGD; 0.01 for finetuned_head and 0.1 for prompt if left out."""
    name: AdapterName | None = None
    """What reports call it; its kind if left out."""


class OwnAdapterSettings(Settings):
    """An adapter of your own."""

    kind: ImportPath
    """A subclass of iciia.Adapter, package.module.Class or file.py:Class."""
    arguments: dict[str, Any] = {}
    """What the class is called with, beside the source; see iciia.adapters.source.Source and iciia.testing.check_adapter."""
    name: AdapterName | None = None
    """What reports call it; the class's name if left out."""


_Known = (
    PlainAdapterSettings
    | WindowAdapterSettings
    | KnnAdapterSettings
    | LameAdapterSettings
    | T3aAdapterSettings
    | SuperclassFilterAdapterSettings
    | HmmAdapterSettings
    | FlhFtlAdapterSettings
    | StataAdapterSettings
    | IciiaAdapterSettings
    | FfAdapterSettings
    | ModuleAdapterSettings
    | LabelledAdapterSettings
)
AnyAdapterSettings = _Known | OwnAdapterSettings


def _whose(value: Any) -> str:
    """Whether adapter settings are of a kind that we know, or name a class of the user's own."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "own" if isinstance(kind, str) and ("." in kind or ":" in kind) else "known"


AdapterSettings = Annotated[
    Annotated[Annotated[_Known, Field(discriminator="kind")], Tag("known")] | Annotated[OwnAdapterSettings, Tag("own")],
    Discriminator(_whose),
    BeforeValidator(named_only, json_schema_input_type=str | AnyAdapterSettings),
]


def adapter_from(folder: Path, adapter: AnyAdapterSettings) -> AnyAdapterSettings:
    """The same settings with the files of own classes taken from the given folder."""
    if isinstance(adapter, OwnAdapterSettings):
        return adapter.model_copy(update={"kind": class_from(folder, adapter.kind)})
    if isinstance(adapter, IciiaAdapterSettings):
        policy = adapter.bank.policy.model_copy(update={"kind": class_from(folder, adapter.bank.policy.kind)})
        return adapter.model_copy(update={"bank": adapter.bank.model_copy(update={"policy": policy})})
    return adapter


_Windowed = (
    WindowAdapterSettings
    | KnnAdapterSettings
    | LameAdapterSettings
    | HmmAdapterSettings
    | StataAdapterSettings
    | ModuleAdapterSettings
)

Variant = int | str | None
"""The one value that an adapter takes of a list in its settings: a capacity, or a number of supports."""

BY_DEVICE = "by_device"
"""In place of a capacity: each client has its own."""


def expand(settings: AnyAdapterSettings) -> list[Variant]:
    """What settings make adapters of: the capacities or supports of a list, or None where there is nothing to list."""
    found: Any = None
    if isinstance(settings, IciiaAdapterSettings):
        found = BY_DEVICE if settings.bank.by_device else settings.bank.capacity
    elif isinstance(settings, T3aAdapterSettings):
        found = settings.supports
    elif isinstance(settings, _Windowed):
        found = settings.capacity
    return _listed(found)


def _listed(found: Any) -> list[Variant]:
    return list(found) if isinstance(found, list) else [found]


def capacities(settings: AnyAdapterSettings) -> list[int]:
    """Most images that its adapters remember, of those whose settings say it."""
    found = [] if isinstance(settings, T3aAdapterSettings) else expand(settings)
    if isinstance(settings, IciiaAdapterSettings) and settings.bank.by_device:
        found = _listed(settings.bank.capacity)
    return [capacity for capacity in found if isinstance(capacity, int)]


def module_of(settings: AnyAdapterSettings) -> str | None:
    """Name of the module that its adapters use."""
    return (
        settings.module
        if isinstance(settings, IciiaAdapterSettings | FfAdapterSettings | ModuleAdapterSettings)
        else None
    )


def adapter_name(settings: AnyAdapterSettings, variant: Variant) -> str:
    """What reports call it: `backbone`, `iciia-16`, `t3a-all`, and `MyAdapter` for `mypackage.MyAdapter`."""
    given = None if isinstance(settings, PlainAdapterSettings) else settings.name
    name = given or settings.kind.replace(":", ".").rpartition(".")[2]
    return name if variant is None else f"{name}-{variant}"
