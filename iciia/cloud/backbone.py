"""The frozen backbone: a timm model or one of our own, the feature vector its classifier reads, and its own logits."""

import copy
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import PickleError
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from timm.data import resolve_model_data_config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from iciia.cloud.backbones import OWN
from iciia.cloud.checkpoints import (
    Match,
    checkpoint_path,
    classes_of,
    classifier_name,
    in_order,
    load,
    read_checkpoint,
    unprefixed,
)
from iciia.cloud.images import ImageSource, as_float, in_batches
from iciia.cloud.labels import loss_of
from iciia.cloud.preprocessing import Preprocessing

Progress = Callable[[int, int], None]
"""Called with (done, all) while something long is under way."""


PIXELS = 128 * 224 * 224
"""Pixels, over all frames, that go through a model together at most: 128 ordinary images, 32 of C3D's clips."""


class Backbone:
    """A model split at its classifier.

    Args:
        model: Any timm classification model, or one of `iciia.cloud.backbones`.
        channels: Channels of the images it reads.
        image_size: Height and width it reads; None takes the model's own, where timm tests it.
        device: Where it runs.

    Attributes:
        preprocessing: How pictures are made ready for it.
        frames: Frames of the clips that it reads; None if it reads images.
        batch: Images, or clips, that are run through it together.
        feature_dim: D.
        mean: Channel means that are subtracted from images in [0, 1].
        std: Channel standard deviations that they are divided by.
    """

    def __init__(self, model: Any, channels: int, image_size: int | None, device: torch.device) -> None:
        config = resolve_model_data_config(model, use_test_size=True)
        self.model = model.to(device)
        self.device = device
        self.channels = channels
        _, *frames, _, _ = config["input_size"]
        self.frames: int | None = frames[0] if frames else None
        self.preprocessing = Preprocessing.of(config, image_size)
        self.image_size = self.preprocessing.size
        self.batch: int = max(1, min(128, PIXELS // ((self.frames or 1) * self.image_size**2)))
        self.mean: Tensor = _per_channel(config["mean"], channels, self.frames)
        self.std: Tensor = _per_channel(config["std"], channels, self.frames)
        classifier = model.get_classifier()
        if not isinstance(classifier, nn.Linear):
            raise ValueError(f"the model's classifier is a {type(classifier).__name__}; expected a linear layer")
        self.classifier = classifier
        self.feature_dim: int = classifier.in_features

    @property
    def classes(self) -> int:
        """C."""
        return self.classifier.out_features

    def reclassify(self, classifier: nn.Linear) -> None:
        """Puts another classifier, of D features, in the place of the model's own."""
        self.model.set_submodule(classifier_name(self.model), classifier.to(self.device))
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of a batch.

        Args:
            images: uint8 [B, channels, height, width], or clips [B, channels, frames, height, width], of any height and width;
                resized if they are not of `image_size`.

        Returns:
            Features [B, D], exactly what the model's classifier reads, and logits [B, C].

        Raises:
            ValueError: The model reads images and these are clips, or the reverse, or clips of other lengths.
        """
        frames = () if self.frames is None else (self.frames,)
        if images.dim() != 4 + len(frames) or images.shape[2:-2] != frames:
            clips = (
                f"clips [B, channels, {self.frames}, height, width]"
                if frames
                else "images [B, channels, height, width]"
            )
            raise ValueError(f"got a batch of shape {list(images.shape)}; the backbone reads {clips}")
        x = as_float(images.to(self.device))
        if x.shape[-2:] != (self.image_size, self.image_size):
            size = (self.image_size, self.image_size)
            flat = x.flatten(1, -3)  # all frames of a clip at once
            x = F.interpolate(flat, size=size, mode="bilinear", antialias=True).unflatten(1, x.shape[1:-2])
        x = ((x - self.mean.to(x)) / self.std.to(x)).to(self.classifier.weight.dtype)
        features = self.model.forward_head(self.model.forward_features(x), pre_logits=True)
        return features, self.classifier(features)

    @torch.inference_mode()
    def extract(
        self,
        source: ImageSource,
        indices: NDArray[np.int64],
        write: Callable[[int, Tensor, Tensor], None],
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Runs the backbone once over images.

        Args:
            source: Where the images are.
            indices: Which of them, [M].
            write: Called with (place of the first, features [B, D], logits [B, C]) for each batch in order.
            progress: Told how many images are done.
        """
        self.model.eval()
        for number, part in enumerate(in_batches(indices, self.batch)):
            features, logits = self.forward(source.read(part))
            first = number * self.batch
            real = min(self.batch, len(indices) - first)
            write(first, features[:real].float().cpu(), logits[:real].float().cpu())
            progress(first + real, len(indices))

    def on_cpu(self) -> "Backbone":
        """A copy of it in float32 on the CPU."""
        model = copy.deepcopy(self.model).float()
        return Backbone(model, self.channels, self.image_size, torch.device("cpu"))

    def macs(self) -> int:
        """Multiply-adds of one image or clip (convolutions and matrix products), as PyTorch's own counter sees them."""
        self.model.eval()
        frames = () if self.frames is None else (self.frames,)
        images = torch.zeros(1, self.channels, *frames, self.image_size, self.image_size, dtype=torch.uint8)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self.forward(images)
        return int(counter.get_total_flops()) // 2


def create_backbone(
    name: str,
    channels: int,
    device: torch.device,
    classes: int | None = None,
    image_size: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    weights: Path | str | None = None,
    weights_match: Match = "name",
    pretrained: bool = False,
    seed: int = 0,
) -> Backbone:
    """Makes a model by name.

    Args:
        name: `femnist_cnn`, `c3d`, or any name that `timm.create_model` knows, with or without the tag of its pretrained weights.
        channels: Channels of the images.
        device: Where it runs.
        classes: C; None takes the checkpoint's own, or the model's.
        image_size: Height and width it reads; None takes the model's own.
        arguments: Further arguments of `timm.create_model`, or of our own model's class.
        weights: A checkpoint file, safetensors or PyTorch's, of weights alone or as training leaves it (see
            `iciia.cloud.checkpoints`), or `package:NAME/file/in/it` of an installed package.
        weights_match: Whether the checkpoint's tensors are the model's by their names, or by their order.
        pretrained: Whether timm fetches its weights.
        seed: Seed of the starting weights.

    Raises:
        ValueError: There is no such model, or the weights cannot be had or do not fit; the message says what was found.
    """
    path = None if weights is None else checkpoint_path(str(weights))
    options = dict(arguments or {}, in_chans=channels)
    if classes is not None:
        options["num_classes"] = classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = _create(name, pretrained, options)
            if path is not None:
                state = read_checkpoint(path)
                state = in_order(state, model, path) if weights_match == "order" else unprefixed(state, model)
                if classes is None and classes_of(state, model) not in (None, model.get_classifier().out_features):
                    model = _create(name, pretrained, {**options, "num_classes": classes_of(state, model)})
                load(model, state, path)
        except (RuntimeError, TypeError, KeyError, OSError, ValueError, PickleError, SafetensorError) as error:
            raise ValueError(f"backbone {name!r}: {str(error).strip()}") from error
    return Backbone(model, channels, image_size, device)


def _create(name: str, pretrained: bool, options: Mapping[str, Any]) -> Any:
    """A model of our own or timm's."""
    if name in OWN:
        if pretrained:
            raise ValueError("it has no published weights; train it here, or give a checkpoint file")
        return OWN[name](**options)
    if ":" not in name and not timm.is_model(name):  # a colon leads to a hub
        known = [*OWN, *timm.list_models()]
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"no such model{meant} ({', '.join(OWN)}, or any timm model)")
    return timm.create_model(name, pretrained=pretrained, **options)


def train_backbone(
    backbone: Backbone,
    source: ImageSource,
    indices: NDArray[np.int64],
    epochs: int,
    batch: int,
    learning_rate: float,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> None:
    """Trains all of a backbone's weights: cross-entropy (binary for attributes), AdamW, one-cycle learning rate.

    Args:
        backbone: Trained in place.
        source: Where the images are.
        indices: Which of them, [M].
        epochs: Passes over them.
        batch: Images in a step; what is left over at the end of a pass waits for the next one's shuffle.
        learning_rate: Peak of the one-cycle schedule.
        seed: Order of the images, and dropout.
        progress: Told how many steps are done.
    """
    rng = np.random.default_rng(seed)
    batch = min(batch, len(indices))
    steps = epochs * (len(indices) // batch)
    optimizer = torch.optim.AdamW(backbone.model.parameters(), lr=learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.15)
    backbone.model.train()
    done = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(epochs):
            order = rng.permutation(indices)
            for start in range(0, len(order) - batch + 1, batch):
                part = order[start : start + batch]
                _, logits = backbone.forward(source.read(part))
                labels = torch.from_numpy(source.labels[part]).to(backbone.device)
                loss = loss_of(logits, labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                done += 1
                progress(done, steps)
    backbone.model.eval()


def _per_channel(values: tuple[float, ...], channels: int, frames: int | None) -> Tensor:
    """Channel statistics of a three-channel model, averaged where the images have another number of channels."""
    tensor = torch.tensor(values)
    if len(values) != channels:
        tensor = tensor.mean().repeat(channels)
    return tensor.view(1, channels, *[1] * (2 if frames is None else 3))
