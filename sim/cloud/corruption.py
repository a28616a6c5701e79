"""Corruptions of a client's images: domain shift beside class drift. Blur, noise, brightness, JPEG, or a camera of its own.

Every strength is a pure function of (seed, client), every pixel's noise of (seed, client, step).
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from iciia.counter import uniforms

Kind = Literal["blur", "noise", "brightness", "jpeg", "camera"]
PARTS = ("blur", "noise", "brightness", "jpeg")


@dataclass(frozen=True)
class Corruption:
    """What a client's camera does to its images.

    Strength s runs from 0 to `severity` / 5. `blur`: Gaussian, deviation 8 % of the height times s. `noise`: Gaussian, deviation
    64 s of 255. `brightness`: factor 1 + 0.6 s or 1 - 0.6 s. `jpeg`: quality 100 - 90 s. With these every client has the
    full strength (and a brightness direction of its own); with `camera` each client has all four, each with a strength drawn
    uniformly up to it.

    Args:
        seed: The scenario's seed.
        kind: Which.
        severity: 1 to 5.
    """

    seed: int
    kind: Kind
    severity: int

    def apply(self, images: Tensor, clients: NDArray[np.int64], steps: NDArray[np.int64]) -> Tensor:
        """Corrupts images.

        Args:
            images: uint8 [B, channels, height, width]; of clips [B, channels, frames, height, width] every frame is corrupted.
            clients: Whose each is, [B].
            steps: The stream step of each, [B].

        Returns:
            uint8, same shape.
        """
        strengths = self._strengths(clients)
        brighter = uniforms(self.seed, "corruption direction", clients) < 0.5
        noise_seeds = (uniforms(self.seed, "corruption noise", clients, steps) * 2**53).astype(np.int64)
        found = []
        for i, image in enumerate(images):
            blur, noise, brightness, jpeg = (float(strength) for strength in strengths[:, i])
            frames = image if image.dim() == 3 else image.transpose(0, 1)  # a clip as [frames, channels, height, width]
            frames = self._one(frames, blur, noise, brightness, jpeg, bool(brighter[i]), int(noise_seeds[i]))
            found.append(frames if image.dim() == 3 else frames.transpose(0, 1))
        return torch.stack(found)

    def _strengths(self, clients: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of blur, noise, brightness and JPEG, [4, B], 0 to 1."""
        most = self.severity / 5
        if self.kind != "camera":
            return np.stack([np.full(len(clients), most * (part == self.kind)) for part in PARTS])
        return np.stack([most * uniforms(self.seed, f"camera {part}", clients) for part in PARTS])

    @staticmethod
    def _one(
        image: Tensor, blur: float, noise: float, brightness: float, jpeg: float, brighter: bool, noise_seed: int
    ) -> Tensor:
        """In the order in which a camera does it: lens, sensor, exposure, file."""
        if blur > 0:
            deviation = 0.08 * blur * image.shape[-1]
            reach = max(1, round(3 * deviation))
            image = F.gaussian_blur(image, [2 * min(reach, image.shape[-1] // 2 - 1) + 1] * 2, [deviation] * 2)
        if noise > 0:
            generator = torch.Generator().manual_seed(noise_seed)
            image = image + 64 * noise * torch.randn(image.shape, generator=generator)
            image = image.round().clamp(0, 255).to(torch.uint8)
        if brightness > 0:
            image = F.adjust_brightness(image, 1 + 0.6 * brightness if brighter else 1 - 0.6 * brightness)
        if jpeg > 0:
            image = _jpeg(image, max(1, round(100 - 90 * jpeg)))
        return image


def _jpeg(image: Tensor, quality: int) -> Tensor:
    """An image written as JPEG and read again; of several each for itself."""
    if image.dim() == 4:
        return torch.stack([_jpeg(frame, quality) for frame in image])
    file = io.BytesIO()
    F.to_pil_image(image).save(file, "JPEG", quality=quality)
    with Image.open(file) as read:
        return F.pil_to_tensor(read)
