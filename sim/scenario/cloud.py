"""Settings of `backbone` and `cloud`: what is trained or loaded, where, and how."""

from typing import Any, Literal

from sim.scenario.base import PositiveFloat, PositiveInt, Seed, Settings


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
