"""The scenario: everything that decides what a run computes, as one validated object.

Field docstrings are the descriptions in `iciia schema`. What needs more than one field to judge is in `sim.scenario.validation`.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
BankCapacity = Annotated[int, Field(ge=0, le=4096)]
Capacities = BankCapacity | Annotated[list[BankCapacity], Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
ProperShare = Annotated[float, Field(gt=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
ImportPath = Annotated[str, Field(pattern=r"^.+[.:][A-Za-z_][A-Za-z0-9_]*$")]
AdapterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")]


class Settings(BaseModel):
    """Base of all parts of a scenario: no unknown key, no silent conversion, no change afterwards."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class DigitsData(Settings):
    """scikit-learn's 1,797 handwritten digits."""

    kind: Literal["digits"]


class GlyphsData(Settings):
    """Characters of many scripts in 12 faces, with jitter, blur and noise."""

    kind: Literal["glyphs"]
    train_images: PositiveInt = 150
    """Images of each class for the cloud."""
    test_images: PositiveInt = 40
    """Images of each class for the clients."""


class ImageFolderData(Settings):
    """Any folder of class folders."""

    kind: Literal["image_folder"]
    train: str
    """Folder with a folder of images for each class."""
    test: str | None = None
    """Such a folder for the clients; without it, `test_share` of `train`."""
    test_share: ProperShare = 0.3
    """Share of every class cut from `train` for the clients if there is no `test`."""
    superclasses: str | None = None
    """CSV file with the columns class_index, superclass."""
    unreadable_share: Share = 0.01
    """Unreadable images are skipped up to this share of all, and refused beyond."""


class FileData(Settings):
    """Base of data sets in files of their own layout."""

    path: str
    """The data set's folder; docs/data.md says what is in it."""
    unreadable_share: Share = 0.01
    """Missing and broken files are left out up to this share of all, and refused beyond."""


class ImagenetData(FileData):
    """ImageNet-1K, with the paper's 85 superclasses."""

    kind: Literal["imagenet"]


class FemnistData(Settings):
    """FEMNIST in LEAF's JSON files; its writers are natural clients."""

    kind: Literal["femnist"]
    path: str
    """LEAF's folder data/femnist/data."""
    split: Literal["leaf", "sample", "user"] = "leaf"
    """leaf: LEAF's own train and test. sample: cut the images of every writer in all_data. user: cut the writers."""
    test_share: ProperShare = 0.1
    """Share that is cut for the clients, unless the split is LEAF's."""


class CelebaData(FileData):
    """CelebA; its people are natural clients."""

    kind: Literal["celeba"]
    attribute: str | None = None
    """One attribute as a task of two classes, such as Smiling; all 40 at once if left out."""
    split: Literal["official", "leaf"] = "official"
    """official: the published partition, whose clients are people that the cloud has not seen. leaf: LEAF's train and test."""


class Ucf101Data(FileData):
    """UCF101: clips of 16 frames, with five superclasses. Needs PyAV: iciia-sim[video]."""

    kind: Literal["ucf101"]
    fold: Annotated[int, Field(ge=1, le=3)] = 1
    """Which of the three published pairs of lists."""


class InaturalistData(FileData):
    """iNaturalist 2019 with FedScale's mapping; its observers are natural clients."""

    kind: Literal["inaturalist"]


class TorchvisionData(Settings):
    """A data set of torchvision that is on this machine."""

    kind: Literal["torchvision"]
    dataset: str
    """Name of a class in torchvision.datasets, such as CIFAR10."""
    path: str
    """What torchvision calls root."""
    train: str = "train"
    """Split for the cloud, where the class has an argument `split`."""
    test: str = "test"
    """Split for the clients, likewise."""
    superclasses: str | None = None
    """CSV file with the columns class_index, superclass."""


class HuggingfaceData(Settings):
    """A data set of Hugging Face datasets that is on this machine. Needs iciia-sim[huggingface]."""

    kind: Literal["huggingface"]
    dataset: str | None = None
    """Name on the Hub, such as uoft-cs/cifar10, of one that is in the local cache."""
    path: str | None = None
    """In place of `dataset`: a folder that save_to_disk left."""
    config: str | None = None
    """Which configuration of `dataset`, if the cache has several."""
    image: str = "image"
    """Column of the images."""
    label: str = "label"
    """Column of their classes."""
    client: str | None = None
    """Column of their natural clients."""
    train: str = "train"
    """Split for the cloud."""
    test: str = "test"
    """Split for the clients."""
    superclasses: str | None = None
    """CSV file with the columns class_index, superclass."""


class FeaturesData(Settings):
    """The user's own features, as .npz files with `features` [M, D], `logits` [M, C], `labels` [M], or attributes of 0 and
    1, [M, C]. With `clients` [M] they have natural clients."""

    kind: Literal["features"]
    train: str
    """For the cloud; the backbone must not have been trained on it."""
    test: str
    """For the clients."""
    superclasses: str | None = None
    """CSV file with the columns class_index, superclass."""


class SyntheticData(Settings):
    """Features around class prototypes, made by seed and never stored."""

    kind: Literal["synthetic"]
    classes: Annotated[int, Field(ge=2)] = 200
    """Number of classes."""
    superclasses: PositiveInt = 20
    """Number of superclasses."""
    features: PositiveInt = 512
    """Feature dimension."""
    images_per_class: PositiveInt = 1000
    """Images of each class, for the cloud and for the clients each."""
    noise: PositiveFloat = 1.0
    """Standard deviation of an image around its prototype, in units of the prototypes' own."""


Data = Annotated[
    DigitsData
    | GlyphsData
    | ImageFolderData
    | ImagenetData
    | FemnistData
    | CelebaData
    | Ucf101Data
    | InaturalistData
    | TorchvisionData
    | HuggingfaceData
    | FeaturesData
    | SyntheticData,
    Field(discriminator="kind"),
]


class BackboneSettings(Settings):
    """The frozen feature extractor and its classifier."""

    model: str
    """Name of a timm model, with or without the tag of its weights (`convnext_large.fb_in1k`), or `femnist_cnn` or `c3d`."""
    weights: str = "train"
    """`train` (trained here on the data), `pretrained` (timm's), or the path of a checkpoint (safetensors or PyTorch's)."""
    execution: Literal["store", "live"] = "store"
    """store: clients read features that are computed once an image. live: the model runs in the loop, once an event."""
    image_size: PositiveInt | None = None
    """Height and width that the model reads; the model's own if left out."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of its weights and products while features are computed."""
    arguments: dict[str, Any] = {}
    """Further arguments of timm.create_model, or of our own model's class."""
    epochs: PositiveInt = 5
    """Passes over the training images if trained here."""
    batch: PositiveInt = 128
    """Images in a training step."""
    learning_rate: PositiveFloat = 0.002
    """Peak of the one-cycle schedule (AdamW)."""


class CloudSettings(Settings):
    """How and where training happens, once."""

    seed: Seed | None = None
    """Seed of training and of the data's split; the scenario's seed if left out."""
    threads: PositiveInt = 2
    """CPU threads while training; part of what decides the last bits of the weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where training and feature extraction run; auto takes a GPU if there is one."""


class ModuleSettings(Settings):
    """An ICIIA module and how it is trained."""

    context: Literal["stream", "set", "none"] = "stream"
    """stream: each image attends to itself and to what the bank held when it arrived, keys and values computed once. set: the
    paper's; target and bank attend to each other, computed anew for each target. none: no attention, no bank."""
    head: Literal["residual", "replaced"] = "residual"
    """residual: a correction, zero at the start, of the backbone's logits. replaced: the paper's; a new classifier."""
    shortlist: PositiveInt | None = None
    """With the residual head: correct only so many classes, those that the backbone ranks highest."""
    shuffle: bool = True
    """Whether partitioned projections shuffle their outputs."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the module's weights and products while simulating."""
    layers: PositiveInt = 2
    """Encoder layers, L."""
    heads: PositiveInt = 4
    """Attention heads, H; must divide the feature dimension."""
    partitions: PositiveInt = 16
    """Partitions of every projection, P; must divide the feature dimension."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout while training."""
    recipe: Literal["stream", "paper"] = "stream"
    """stream: sequences with sudden drifts inside, so that empty banks, full banks and fresh drifts are in training; AdamW,
    cosine schedule. paper: sets of images of one client without drift, all to all; SGD, early stopping."""
    steps: PositiveInt = 2000
    """Most optimizer steps."""
    batch: PositiveInt = 8
    """Sequences or sets in a step."""
    length: Annotated[int, Field(ge=2)] = 64
    """Images in a sequence or set; the paper's sets hold 16."""
    drift_every: PositiveInt = 48
    """stream: images between two drifts of a sequence; the first falls anywhere in 1 to this. As many as `length` are one drift."""
    learning_rate: PositiveFloat = 0.0005
    """Start of the schedule; the paper's is 0.01."""
    evaluate_every: PositiveInt = 128
    """Steps between two validations, a multiple of 32."""
    patience: PositiveInt | None = None
    """Validations without weights to keep after which training stops."""
    selection: Literal["one_standard_error", "best"] = "one_standard_error"
    """Which weights are kept. best: those of the best validation loss. one_standard_error: likewise, but a residual head stays the
    backbone, as which it starts, unless it saves more than one standard error of the loss, over the distinct validation images."""


class ZipfPrior(Settings):
    """Class weights rank ** -exponent, over a random order of the subset's classes."""

    kind: Literal["zipf"]
    exponent: PositiveFloat = 1.0
    """Exponent."""


class DirichletPrior(Settings):
    """Class shares drawn from a symmetric Dirichlet distribution over the subset's classes."""

    kind: Literal["dirichlet"]
    alpha: PositiveFloat = 1.0
    """Concentration: the smaller, the fewer classes dominate."""


class SizeRange(Settings):
    """A number of classes drawn for every subset anew."""

    min: PositiveInt
    """Fewest classes."""
    max: PositiveInt
    """Most classes."""


class SubsetSettings(Settings):
    """The classes a client meets at a time."""

    classes: Literal["superclass"] | PositiveInt | SizeRange = "superclass"
    """`superclass` (all classes of one), a number of classes, or a range {min: 3, max: 8}."""
    prior: Literal["uniform"] | Annotated[ZipfPrior | DirichletPrior, Field(discriminator="kind")] = "uniform"
    """How often each is met: uniform, {kind: zipf, exponent: 1.0} or {kind: dirichlet, alpha: 1.0}."""
    reserve_ratio: Share = 1.0
    """Share of images that come from the subset; the rest come from everybody's classes."""


Overlap = Annotated[float, Field(ge=0, lt=1)]


class NoDriftSettings(Settings):
    """One subset for the whole stream."""

    kind: Literal["none"] = "none"


class PositionSettings(Settings):
    """Where drifts fall: `every` or `at`."""

    every: PositiveInt | None = None
    """Images between two drifts; on average, if the dwell is random."""
    at: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    """Steps of the drifts, in place of `every`."""
    dwell: Literal["fixed", "poisson", "geometric"] = "fixed"
    """How long a subset lasts: `every` images, or random with that mean: 1 + Poisson, or geometric (a drift is equally likely
    at every step)."""
    layout: Literal["together", "staggered", "random"] = "together"
    """Over clients. together: all drift at the same steps. staggered: each client's first drift falls on a step of its own, 1 to
    `every`. random: each client draws dwell times of its own."""


class SuddenDriftSettings(PositionSettings):
    """The subset is replaced from one image to the next."""

    kind: Literal["sudden"]
    overlap: Overlap = 0.0
    """Share of the old subset's classes that stay."""


class GradualDriftSettings(PositionSettings):
    """Old and new subset mix inside a window."""

    kind: Literal["gradual"]
    width: PositiveInt
    """Images in the window. Before it the old subset alone, after it the new one alone."""
    overlap: Overlap = 0.0
    """Share of the old subset's classes that stay."""


class IncrementalDriftSettings(PositionSettings):
    """Classes are swapped one at a time."""

    kind: Literal["incremental"]
    width: PositiveInt
    """Images over which the swaps are spread."""
    overlap: Overlap = 0.0
    """Share of the old subset's classes that stay."""


class RecurringDriftSettings(PositionSettings):
    """A pool of subsets without common classes, visited again and again."""

    kind: Literal["recurring"]
    pool: Annotated[int, Field(ge=2)] | None = None
    """Subsets in a client's pool."""
    order: Literal["cycle", "random"] = "cycle"
    """cycle: one after the other. random: any but the present one."""
    width: Count = 0
    """Images over which old and new subset mix, as in gradual drift."""
    matrix: str | Annotated[list[list[Count]], Field(min_length=1)] | None = None
    """In place of `pool`: a CSV file (or rows) of concept numbers by time and client. A row lasts `every` images, client c has
    column c modulo the number of columns, and concepts are the same for all clients."""


class PriorDriftSettings(Settings):
    """The classes stay; how often each is met moves between two draws of the weights."""

    kind: Literal["prior"]
    shape: Literal["sine", "monotone"] = "sine"
    """sine: to the other weights and back. monotone: to the other weights over the whole stream."""
    every: PositiveInt | None = None
    """Images in a period of the sine."""
    layout: Literal["together", "staggered"] = "together"
    """Whether every client's sine has a phase of its own."""


class OwnDriftSettings(Settings):
    """A drift process of your own."""

    kind: Literal["own"]
    process: ImportPath
    """`package.module.Class` or `file.py:Class`; see sim.streams.drift.Drift and sim.testing."""
    arguments: dict[str, Any] = {}
    """What the class is called with, beside the seed."""


DriftSettings = Annotated[
    NoDriftSettings
    | SuddenDriftSettings
    | GradualDriftSettings
    | IncrementalDriftSettings
    | RecurringDriftSettings
    | PriorDriftSettings
    | OwnDriftSettings,
    Field(discriminator="kind"),
]


class OrderSettings(Settings):
    """In which order images come."""

    run_length: Annotated[float, Field(ge=1)] = 1.0
    """Images in a run on average. The images of a run are of one class as long as the prior stays; the prior itself is
    kept at every step."""
    as_stored: bool = False
    """Whether natural clients' images come in the order of the data, and not in a random one."""


class CorruptionSettings(Settings):
    """Domain shift beside class drift: what a client's camera does to its images. Needs `backbone.execution: live`."""

    kind: Literal["blur", "noise", "brightness", "jpeg", "camera"]
    """One of them at full strength for every client, or camera: all four, each with a strength of the client's own."""
    severity: Annotated[int, Field(ge=1, le=5)] = 3
    """How strong, 1 to 5."""


class ClientsSettings(Settings):
    """Who the clients are and what they see."""

    source: Literal["drawn", "natural"] = "drawn"
    """Where their streams come from. drawn: from class subsets, as `subset`, `drift`, `order` and `sampling` say. natural: from the
    data's own clients, each with its own images; `count` beyond which they are not all taken are a random choice."""
    count: PositiveInt
    """Number of clients."""
    images: PositiveInt | Literal["all"]
    """Images in each client's stream; of natural clients at most so many, or `all` that each has."""
    cohort: PositiveInt = 64
    """Clients simulated together; part of what decides the last bits of a result."""
    chunk: PositiveInt = 50
    """Steps simulated together; likewise."""
    subset: SubsetSettings = SubsetSettings()
    """The classes a client meets at a time."""
    drift: DriftSettings = NoDriftSettings()
    """How they change."""
    order: OrderSettings = OrderSettings()
    """In which order images come."""
    sampling: Literal["without_replacement", "with_replacement", "wrap_around"] = "without_replacement"
    """without_replacement: no client meets an image twice, and running out is refused before the run. wrap_around: a client that
    has met all images of a class meets them again, in a new order. with_replacement: any image, any time."""
    corruption: CorruptionSettings | None = None
    """What clients' cameras do to their images."""


def _named_only(value: Any) -> Any:
    """`backbone` is short for `{kind: backbone}`."""
    return {"kind": value} if isinstance(value, str) else value


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
    policy: Annotated[PolicySettings, BeforeValidator(_named_only, json_schema_input_type=str | PolicySettings)] = (
        PolicySettings(kind="fifo")
    )
    """Which images it keeps: a policy's name, or {kind: name, arguments: {...}}."""
    storage: Literal["float32", "float16", "bfloat16", "int8"] = "float32"
    """How its numbers are kept; int8 with a scale for each vector."""
    diagnostics: bool = False
    """Whether the age and the class subset of what attention uses are measured (the staleness table); slower."""


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


class PlainAdapterSettings(Settings):
    """Adapters with nothing to set. backbone: the backbone alone. oracle: told which classes its client can meet now. oracle_prior:
    told how likely each is. last_label: repeats the previous true label, blind."""

    kind: Literal["backbone", "oracle", "oracle_prior", "last_label"]


class WindowAdapterSettings(Settings):
    """Adapters with a window of the latest images. prototype: nearest mean of the classes predicted there. em_prior, bbse: the
    class prior estimated there. prior_correction: probabilities times their smoothed mean. majority_label: the most frequent true
    label there, blind."""

    kind: Literal["prototype", "em_prior", "bbse", "prior_correction", "majority_label"]
    capacity: Capacities = 64
    """Most images before this one; a list makes an adapter of each."""
    name: AdapterName | None = None
    """What reports call it, before the capacity; its kind if left out."""


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
    | IciiaAdapterSettings
    | FfAdapterSettings
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
    BeforeValidator(_named_only, json_schema_input_type=str | AnyAdapterSettings),
]


def adapter_from(folder: Path, adapter: AnyAdapterSettings) -> AnyAdapterSettings:
    """The same settings with the files of own classes taken from the given folder."""
    if isinstance(adapter, OwnAdapterSettings):
        return adapter.model_copy(update={"kind": _class_from(folder, adapter.kind)})
    if isinstance(adapter, IciiaAdapterSettings):
        policy = adapter.bank.policy.model_copy(update={"kind": _class_from(folder, adapter.bank.policy.kind)})
        return adapter.model_copy(update={"bank": adapter.bank.model_copy(update={"policy": policy})})
    return adapter


def _class_from(folder: Path, path: str) -> str:
    return str(folder / Path(path).expanduser()) if path.rpartition(":")[0].endswith(".py") else path


class ReportSettings(Settings):
    """What is written down."""

    window: PositiveInt = 50
    """Images in a window of prequential accuracy, also before and after a drift."""
    horizon: PositiveInt = 100
    """Images after a drift that the drift-aligned tables cover."""
    events: bool = False
    """Whether to write a row for every prediction."""


class Scenario(Settings):
    """Everything that decides what a run computes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")]
    """Names the report's folder."""
    seed: Seed = 0
    """Seed of the streams, and of training unless `cloud.seed` is given."""
    protocol: Literal["stream", "paper_batch", "leave_one_out"] = "stream"
    """stream: predict, score, remember. The paper's two have no time. paper_batch: a client's images in sets of capacity + 1 that
    all see each other. leave_one_out: each image with the first others of its client, as many as the bank's capacity."""
    data: Data
    """What clients see."""
    backbone: BackboneSettings | None = None
    """The frozen feature extractor; needed for images, refused for ready features."""
    cloud: CloudSettings = CloudSettings()
    """How training happens."""
    modules: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")], ModuleSettings] = {}
    """ICIIA modules by name."""
    clients: ClientsSettings
    """Who the clients are."""
    adapters: Annotated[list[AdapterSettings], Field(min_length=1)]
    """What turns features and a client's past into predictions; all see the same streams."""
    report: ReportSettings = ReportSettings()
    """What is written down."""
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Dotted keys and the values each takes: a run for every combination."""

    @property
    def cloud_seed(self) -> int:
        """The seed of training."""
        return self.seed if self.cloud.seed is None else self.cloud.seed

    @property
    def cohorts(self) -> int:
        """Number of cohorts; the last may hold fewer clients."""
        return -(-self.clients.count // self.clients.cohort)

    def digest(self) -> str:
        """Digest of all settings: runs with equal digests compute the same tables."""
        return hashlib.sha256(self.model_dump_json(exclude={"name"}).encode()).hexdigest()[:20]

    def relative_to(self, folder: Path) -> "Scenario":
        """The same scenario with relative paths taken from the given folder, and ~ from the user's own."""
        data = self.data
        names = ["path", "superclasses"]
        if isinstance(data, ImageFolderData | FeaturesData):
            names += ["train", "test"]
        values = {name: getattr(data, name, None) for name in names}
        paths = {n: str(folder / Path(value).expanduser()) for n, value in values.items() if isinstance(value, str)}
        data = data.model_copy(update=paths)
        backbone = self.backbone
        if backbone is not None and backbone.weights not in ("train", "pretrained"):
            backbone = backbone.model_copy(update={"weights": str(folder / backbone.weights)})
        clients, drift = self.clients, self.clients.drift
        if isinstance(drift, OwnDriftSettings):
            drift = drift.model_copy(update={"process": _class_from(folder, drift.process)})
            clients = clients.model_copy(update={"drift": drift})
        adapters = [adapter_from(folder, adapter) for adapter in self.adapters]
        return self.model_copy(update={"data": data, "backbone": backbone, "clients": clients, "adapters": adapters})
