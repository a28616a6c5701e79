"""The backbone in front of a step, so that one file goes from an image to a prediction."""

from typing import Any

import torch
from torch import Tensor

from iciia.cloud.backbone import Backbone
from iciia.export.step import Named, Step, logits_of_backbone


class BackboneStep(Step):
    """The backbone's logits as they are: no state.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        super().__init__((logits_of_backbone(classes),), ())

    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return read["backbone_logits"].clone(), {}


class WithBackbone(Step):
    """A step that reads an image: `image`, uint8 [channels, height, width], or a clip [channels, frames, height, width].

    Args:
        backbone: The backbone, in float32 on the CPU.
        step: What reads its feature and its logits.
        shape: Shape of an image.
    """

    def __init__(self, backbone: Backbone, step: Step, shape: tuple[int, ...]) -> None:
        axes = ("channel", *(["frame"] if len(shape) == 4 else []), "row", "column")
        super().__init__((Named("image", torch.zeros(shape, dtype=torch.uint8), axes),), step.states)
        self.backbone, self.step = backbone, step
        self.model: Any = backbone.model.eval()  # its weights are the step's

    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        features, logits = self.backbone.forward(read["image"].unsqueeze(0))
        found = read | {"feature": features[0], "backbone_logits": logits[0]}
        return self.step.advance(found)
