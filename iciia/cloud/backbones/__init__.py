"""Backbones of our own, one a file, for what timm does not have. They speak as timm's models do, so that `cloud.backbone` needs no
second way: `forward_features`, `forward_head(x, pre_logits)`, `get_classifier`, `pretrained_cfg`.
"""

from collections.abc import Mapping

from torch import nn

from iciia.cloud.backbones.c3d import C3D
from iciia.cloud.backbones.femnist_cnn import FemnistCNN

__all__ = ["C3D", "OWN", "FemnistCNN"]

OWN: Mapping[str, type[nn.Module]] = {"femnist_cnn": FemnistCNN, "c3d": C3D}
"""By the name that a scenario gives as `backbone.model`."""
