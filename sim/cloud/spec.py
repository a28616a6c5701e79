"""What the cloud is asked for, and what that says before anything is computed: sizes, dimensions, the split of the images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from iciia.cloud.backbone import Backbone, create_backbone
from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.cloud.corruption import Corruption
from sim.data import Features, Images, open_data
from sim.data.base import split_by_class
from sim.errors import DataError
from sim.scenario.clients import ClientsSettings
from sim.scenario.cloud import BackboneSettings, CloudSettings
from sim.scenario.data import Data
from sim.scenario.modules import AnyModuleSettings
from sim.stage import StageProgress, silent


@dataclass(frozen=True)
class CloudSpec:
    """What the cloud is asked for: the parts of a scenario that it needs.

    Args:
        data: The scenario's `data`.
        backbone: Its `backbone`; None if the data are ready features.
        modules: Its `modules`.
        clients: Its `clients`: whose streams modules are trained for, and what cameras do to images.
        cloud: Its `cloud`.
        seed: The seed of training and of the data's split.
        stream_seed: The seed of the streams, of which cameras are part.
        prompts: Whether some adapter takes prompts, whose layer is trained here.
        covariance: Whether some adapter takes the covariance of the features.
        persistence: Whether some adapter takes how likely the next image is to be of the same class.
    """

    data: Data
    backbone: BackboneSettings | None
    modules: Mapping[str, AnyModuleSettings]
    clients: ClientsSettings
    cloud: CloudSettings
    seed: int
    stream_seed: int
    prompts: bool
    covariance: bool
    persistence: bool

    @property
    def device(self) -> torch.device:
        """The device that training and feature extraction run on."""
        wanted = self.cloud.device
        return torch.device("cuda" if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()) else "cpu")

    @property
    def camera(self) -> Corruption | None:
        """What clients' cameras do to their images."""
        settings = self.clients.corruption
        return None if settings is None else Corruption(self.stream_seed, settings.kind, settings.severity)

    @property
    def preprocessing(self) -> Preprocessing:
        """How images in files are made ready for the backbone.

        Raises:
            ValueError: timm cannot make the backbone; the message says why.
        """
        if self.backbone is None:
            return Preprocessing(224)
        return outline(self.backbone, channels=3, classes=None).preprocessing

    def open(self, cache: Cache, stage: StageProgress = silent) -> Images | Features:
        """Opens the data, their images as the backbone reads them.

        Raises:
            DataError: They cannot be used.
            ValueError: As `preprocessing`.
        """
        return open_data(self.data, self.seed, self.preprocessing, cache, stage)


def outline(settings: BackboneSettings, channels: int, classes: int | None) -> Backbone:
    """The backbone without its weights, for its dimensions.

    Raises:
        ValueError: timm cannot make it; the message says why.
    """
    with torch.device("meta"):
        return create_backbone(
            settings.model, channels, torch.device("meta"), classes, settings.image_size, settings.arguments
        )


def feature_dim(spec: CloudSpec, data: Images | Features) -> int:
    """D, without making the backbone."""
    if isinstance(data, Features):
        return data.train.feature_dim
    if spec.backbone is None:
        raise DataError("image data need a backbone")
    return outline(spec.backbone, data.train.channels, len(data.classes)).feature_dim


PARTS = ("backbone", "module", "calibration", "validation")
SHARES_TRAINED = (0.5, 0.35, 0.05, 0.10)
SHARES_GIVEN = (0.0, 0.7, 0.1, 0.2)
"""Shares of the training images, with a backbone that learns from some of them and with one that is given."""


def split(spec: CloudSpec, data: Images | Features) -> dict[str, NDArray[np.int64]]:
    """Cuts the training images into disjoint parts, image numbers by part; images of one group stay together."""
    trained = spec.backbone is not None and spec.backbone.learns_here
    shares = SHARES_TRAINED if trained else SHARES_GIVEN
    labels = data.train.labels
    if labels.ndim == 2:  # attributes are not cut by class
        labels = np.zeros(len(labels), dtype=np.int64)
    groups = data.train_groups if isinstance(data, Images) else None
    cut = split_by_class(labels, shares, spec.seed, "cloud parts", groups)
    return dict(zip(PARTS, cut, strict=True))
