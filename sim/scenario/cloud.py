"""Settings of `backbone` and `cloud`: what is trained or loaded, where, and how."""

from typing import Any, Literal

from sim.scenario.base import PositiveFloat, PositiveInt, Seed, Settings


class BackboneSettings(Settings):
    """The frozen feature extractor and its classifier."""

    model: str
    """Name of a timm model, with or without the tag of its weights (`convnext_large.fb_in1k`), or `femnist_cnn` or `c3d`."""
    weights: str = "train"
    """`train` (trained here on the data), `pretrained` (timm's), the path of a checkpoint (safetensors or PyTorch's), or
    `package:NAME/file` for one in an installed package."""
    weights_match: Literal["name", "order"] = "name"
    """Whether the checkpoint's tensors are the model's by their names, or by their order, all shapes being equal."""
    head: Literal["own", "subset", "probe", "finetune"] = "own"
    """What predicts the data's classes. own: the checkpoint does. subset: those rows of its classifier that are the data's classes,
    by wnid, name or number. probe: a linear classifier on its frozen features, fitted here. finetune: all weights, trained here
    from the checkpoint on."""
    subset: dict[str, str | int] = {}
    """With head: subset, which wnid, name or row of the checkpoint a class of the data is, where it is called otherwise."""
    execution: Literal["store", "live"] = "store"
    """store: clients read features that are computed once an image. live: the model runs in the loop, once an event."""
    image_size: PositiveInt | None = None
    """Height and width that the model reads; the model's own if left out."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of its weights and products while features are computed."""
    arguments: dict[str, Any] = {}
    """Further arguments of timm.create_model, or of our own model's class."""
    epochs: PositiveInt = 5
    """Passes over the training images if trained or fine-tuned here."""
    batch: PositiveInt = 128
    """Images in a training step."""
    learning_rate: PositiveFloat = 0.002
    """Peak of the one-cycle schedule (AdamW)."""

    @property
    def learns_here(self) -> bool:
        """Whether anything of it is learned from the data's images."""
        return self.weights == "train" or self.head in ("probe", "finetune")

    @property
    def weights_file(self) -> bool:
        """Whether its weights are in a file that a path names."""
        return self.weights not in ("train", "pretrained") and not self.weights.startswith("package:")


class CloudSettings(Settings):
    """How and where training happens, once."""

    seed: Seed | None = None
    """Seed of training and of the data's split; the scenario's seed if left out."""
    threads: PositiveInt = 2
    """CPU threads while training; part of what decides the last bits of the weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where training and feature extraction run; auto takes a GPU if there is one."""
