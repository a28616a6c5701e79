"""Settings of `modules`: ICIIA modules, and how they are trained or where they come from."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sim.scenario.base import PositiveFloat, PositiveInt, Settings
from sim.scenario.clients import OrderSettings, SubsetSettings
from sim.scenario.drifts import DriftSettings, NoDriftSettings


class StreamShare(Settings):
    """Some of the streams that a module is trained on."""

    weight: PositiveFloat = 1.0
    """How many of them, beside the other weights."""
    subset: SubsetSettings = SubsetSettings()
    """The classes a client meets at a time, as in `clients`."""
    drift: DriftSettings = NoDriftSettings()
    """How they change, as in `clients`."""
    order: OrderSettings = OrderSettings()
    """In which order images come, as in `clients`."""


Mixture = Annotated[list[StreamShare], Field(min_length=1)]


class PriorsSettings(Settings):
    """The default module: a refitted head and a mixture of class priors, and how it is trained."""

    context: Literal["priors"] = "priors"
    """priors: what the client was predicted to meet lately, by several time scales, and a filter over the cloud's superclasses; see
    docs/default_module.md. All others: ICIIA's attention, and rivals."""
    told: Literal["superclasses", "nothing"] = "superclasses"
    """What it is told of the cloud's knowledge; without superclasses in the data it is told nothing."""
    streams: Literal["mixed", "as_clients"] | Mixture = "mixed"
    """What it is trained on. mixed: a mixture of subsets, orders and drifts, the same for every scenario on the same data, so that
    one training serves all. as_clients: streams like the scenario's own clients'. Or a list of what `clients` says of `subset`,
    `drift` and `order`, each with a weight."""
    shortlist: PositiveInt = 128
    """The head corrects only so many classes, those that the backbone ranks highest."""
    keep: PositiveInt = 32
    """Probabilities that a bank keeps of an image, the highest."""
    precision: Literal["float32"] = "float32"
    """Of its weights and products while simulating."""
    steps: PositiveInt = 64
    """Most optimizer steps of the mixture's numbers."""
    batch: PositiveInt = 16
    """Sequences in a step."""
    length: Annotated[int, Field(ge=2)] = 96
    """Images in a sequence."""
    learning_rate: PositiveFloat = 0.02
    """Start of the cosine schedule."""
    selection: Literal["one_standard_error", "best"] = "one_standard_error"
    """Which numbers are kept. best: those of the best validation loss. one_standard_error: likewise, but the start unless they save
    more than one standard error of the loss, over the distinct validation images. The head always has to save that much."""


class ModuleSettings(Settings):
    """An ICIIA module with attention, or a rival, and how it is trained."""

    context: Literal["stream", "set", "none", "icrm", "arm_cml"] = "stream"
    """stream: each image attends to itself and to what the bank held when it arrived, keys and values computed once. set: the
    paper's; target and bank attend to each other, computed anew for each target. none: no attention, no bank. icrm, arm_cml: not
    ICIIA but rivals that are trained likewise, for the adapters of these kinds; icrm as published has layers: 12, dropout: 0."""
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
    """Attention heads, H; must divide the feature dimension, or the width of icrm."""
    partitions: PositiveInt = 16
    """Partitions of every projection, P; must divide the feature dimension."""
    width: PositiveInt = 128
    """icrm and arm_cml: numbers that they keep of an image, E; the heads of icrm must divide it."""
    positions: PositiveInt = 100
    """icrm: most images in a context, the target's included."""
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


HUB = "hf-hub:"
"""What the place of a module on the Hugging Face hub begins with."""


class GivenSettings(Settings):
    """A module that is not trained here: from a folder, the hub, a finished run, or a checkpoint of the authors."""

    weights: str
    """Where it is: a folder that save_pretrained or `iciia module save` left; RUN#NAME, the folder of a finished run and the name
    of one of its modules; hf-hub:OWNER/NAME on the Hugging Face hub, with @REVISION if wanted; or a checkpoint file of the authors'
    code, safetensors or PyTorch's."""
    heads: PositiveInt | None = None
    """Attention heads, H, of a checkpoint of the authors' code, which does not say it; 4 if left out, as in all the paper's
    results."""
    knows: Literal["nothing", "superclasses"] | None = None
    """What its training told it of clients, for the tables; what its own settings say, or nothing, if left out."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of its weights and products while simulating."""


RIVALS = ("icrm", "arm_cml")
"""Contexts of modules that are not ICIIA's; each is the kind of the adapter that takes it."""

NOT_READ = {
    **dict.fromkeys(("stream", "set", "none"), ("width", "positions")),
    "icrm": ("head", "shortlist", "shuffle", "partitions"),
    "arm_cml": ("head", "shortlist", "shuffle", "partitions", "layers", "heads", "dropout", "positions"),
}
"""Settings that a context has nothing to do with."""


def kind_of(context: str) -> str:
    """Kind of the adapters that take a module of a context."""
    return context if context in RIVALS else {"none": "ff"}.get(context, "iciia")


def _which(value: Any) -> str:
    """Whose settings they are. Whatever has weights is given. The default module need not say its context, unless a setting of
    attention is given: then it is the stream context, which was the default before."""
    if not isinstance(value, dict):
        return (
            "priors" if isinstance(value, PriorsSettings) else "given" if isinstance(value, GivenSettings) else "others"
        )
    if "weights" in value:
        return "given"
    if "context" not in value:
        return (
            "others" if set(value) & (set(ModuleSettings.model_fields) - set(PriorsSettings.model_fields)) else "priors"
        )
    return "priors" if value["context"] == "priors" else "others"


TrainedSettings = PriorsSettings | ModuleSettings
AnyModuleSettings = TrainedSettings | GivenSettings
OneModule = Annotated[
    Annotated[PriorsSettings, Tag("priors")]
    | Annotated[ModuleSettings, Tag("others")]
    | Annotated[GivenSettings, Tag("given")],
    Discriminator(_which),
]
