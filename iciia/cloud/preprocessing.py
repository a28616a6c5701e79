"""How images are made ready for a model: the way that it was trained for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms import Compose


@dataclass(frozen=True)
class Preprocessing:
    """Resizing and cutting, as timm's evaluation transform does it for the same numbers. Everything after that, from bytes to
    normalised floats, is the backbone's.

    Args:
        size: Height and width of what the model reads.
        interpolation: `bilinear`, `bicubic` and so on.
        crop_pct: Share of the resized image that is cut out: 0.875 resizes to 256 for a model of 224.
        crop_mode: `center` cuts the middle of an image whose shorter side is resized; `squash` changes its proportions; `border`
            keeps it whole on a ground.
        mean: Channel means in [0, 1], which are the ground's colour.
    """

    size: int
    interpolation: str = "bilinear"
    crop_pct: float = 0.875
    crop_mode: str = "center"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)

    @staticmethod
    def of(config: Mapping[str, Any], size: int | None = None) -> "Preprocessing":
        """A model's own, by timm's data configuration, or the same for another size."""
        return Preprocessing(
            size or int(config["input_size"][-1]),
            config["interpolation"],
            float(config["crop_pct"]),
            config["crop_mode"],
            tuple(map(float, config["mean"])),
        )

    @property
    def key(self) -> dict[str, Any]:
        """All that decides the pixels."""
        return asdict(self)

    def __call__(self, image: Image.Image | Tensor) -> Tensor:
        """uint8 [channels, size, size] of a picture, or [..., size, size] of pixels, uint8 [..., height, width]."""
        found: Tensor = self._transform(image)
        return found

    @cached_property
    def _transform(self) -> Compose:
        return create_transform(
            input_size=(len(self.mean), self.size, self.size),
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
            crop_mode=self.crop_mode,
            mean=self.mean,
            normalize=False,
        )
