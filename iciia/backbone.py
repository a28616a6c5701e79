"""The frozen backbone: a timm model, the feature vector its classifier reads, and its own logits."""

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
from timm.models import load_checkpoint
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from iciia.images import ImageSource, as_float, in_batches
from iciia.labels import loss_of

Progress = Callable[[int, int], None]
"""Called with (done, all) while something long is under way."""


class Backbone:
    """A timm model split at its classifier.

    Args:
        model: Any timm classification model.
        channels: Channels of the images it reads.
        image_size: Height and width it reads; None takes the model's own.
        device: Where it runs.

    Attributes:
        feature_dim: D.
        classes: C.
        mean: Channel means that are subtracted from images in [0, 1].
        std: Channel standard deviations that they are divided by.
    """

    def __init__(self, model: Any, channels: int, image_size: int | None, device: torch.device) -> None:
        config = resolve_model_data_config(model)
        self.model = model.to(device)
        self.device = device
        self.channels = channels
        self.image_size: int = image_size or config["input_size"][-1]
        self.mean: Tensor = _per_channel(config["mean"], channels)
        self.std: Tensor = _per_channel(config["std"], channels)
        classifier = model.get_classifier()
        if not isinstance(classifier, nn.Linear):
            raise ValueError(f"the model's classifier is a {type(classifier).__name__}; expected a linear layer")
        self.classifier = classifier
        self.feature_dim: int = classifier.in_features
        self.classes: int = classifier.out_features

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of a batch.

        Args:
            images: uint8 [B, channels, height, width] of any height and width; resized if they are not of `image_size`.

        Returns:
            Features [B, D], exactly what the model's classifier reads, and logits [B, C].
        """
        x = as_float(images.to(self.device))
        if x.shape[-2:] != (self.image_size, self.image_size):
            x = F.interpolate(x, size=(self.image_size, self.image_size), mode="bilinear", antialias=True)
        x = ((x - self.mean.to(x)) / self.std.to(x)).to(self.classifier.weight.dtype)
        features = self.model.forward_head(self.model.forward_features(x), pre_logits=True)
        return features, self.classifier(features)

    @torch.inference_mode()
    def extract(
        self,
        source: ImageSource,
        indices: NDArray[np.int64],
        write: Callable[[int, Tensor, Tensor], None],
        batch: int = 128,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Runs the backbone once over images.

        Args:
            source: Where the images are.
            indices: Which of them, [M].
            write: Called with (place of the first, features [B, D], logits [B, C]) for each batch in order.
            batch: Images at a time; every batch has this shape.
            progress: Told how many images are done.
        """
        self.model.eval()
        for number, part in enumerate(in_batches(indices, batch)):
            features, logits = self.forward(source.read(part))
            real = min(batch, len(indices) - number * batch)
            write(number * batch, features[:real].float().cpu(), logits[:real].float().cpu())
            progress(number * batch + real, len(indices))

    def macs(self) -> int:
        """Multiply-adds of one image (convolutions and matrix products), as PyTorch's own counter sees them."""
        self.model.eval()
        images = torch.zeros(1, self.channels, self.image_size, self.image_size, dtype=torch.uint8)
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
    weights: Path | None = None,
    pretrained: bool = False,
    seed: int = 0,
) -> Backbone:
    """Makes a timm model by name.

    Args:
        name: Any name that `timm.create_model` knows.
        channels: Channels of the images.
        device: Where it runs.
        classes: C; None takes the model's own.
        image_size: Height and width it reads; None takes the model's own.
        arguments: Further arguments of `timm.create_model`.
        weights: A checkpoint file, read without executing anything in it.
        pretrained: Whether timm fetches its weights.
        seed: Seed of the starting weights.

    Raises:
        ValueError: timm does not know the name, or the weights do not fit; the message says what was found.
    """
    if weights is not None and not weights.is_file():
        raise ValueError(f"{weights}: no such checkpoint file")
    options = dict(arguments or {}, in_chans=channels)
    if classes is not None:
        options["num_classes"] = classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = timm.create_model(name, pretrained=pretrained, **options)
            if weights is not None:
                load_checkpoint(model, str(weights), weights_only=True)
        except (RuntimeError, TypeError, KeyError, OSError, ValueError, PickleError, SafetensorError) as error:
            raise ValueError(f"timm model {name!r}: {str(error).strip()}") from error
    return Backbone(model, channels, image_size, device)


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


def _per_channel(values: tuple[float, ...], channels: int) -> Tensor:
    """Channel statistics of a three-channel model, averaged where the images have another number of channels."""
    tensor = torch.tensor(values)
    if len(values) != channels:
        tensor = tensor.mean().repeat(channels)
    return tensor.view(1, channels, 1, 1)
