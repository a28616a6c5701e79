"""Clips of video files: 16 consecutive frames from the middle of each, decoded by PyAV."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.cloud.preprocessing import Preprocessing
from sim.data.files import in_threads
from sim.errors import DataError

FRAMES = 16
SHORTFALL = 0.1
"""A video that ends so much before the length that its header states is broken."""


@dataclass(frozen=True)
class VideoClips:
    """Video files, read by as many threads as torch may use.

    Args:
        folder: Where they are.
        names: File names in it, [M].
        labels: int64 [M].
        lengths: Frames of each file, int64 [M].
        preprocessing: How frames are resized and cut.
    """

    folder: Path
    names: Sequence[str]
    labels: NDArray[np.int64]
    lengths: NDArray[np.int64]
    preprocessing: Preprocessing
    channels: int = 3
    frames: int = FRAMES

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        """uint8 [B, 3, 16, size, size]."""
        return torch.stack(in_threads(self._read, indices.tolist()))

    def _read(self, number: int) -> Tensor:
        path = self.folder / self.names[number]
        first = (int(self.lengths[number]) - self.frames) // 2
        clip = []
        to_rgb = (
            _av().video.reformatter.VideoReformatter()
        )  # one for all frames: setting it up costs more than its work
        try:
            for place, frame in enumerate(_decode(path)):
                if place >= first:
                    clip.append(torch.from_numpy(to_rgb.reformat(frame, format="rgb24").to_ndarray()))
                if len(clip) == self.frames:
                    break
        except (OSError, ValueError) as error:
            raise _changed(path, error) from error
        if len(clip) < self.frames:
            raise _changed(path, "it is shorter now")
        return self.preprocessing(torch.stack(clip).permute(0, 3, 1, 2)).permute(1, 0, 2, 3)


def _changed(path: Path, what: object) -> DataError:
    return DataError(f"{path}: was readable when the folder was scanned and is no longer: {what}")


def probe_video(path: Path, content: bytes) -> tuple[int, int, int]:
    """Decodes a video to its end; a broken one raises OSError or ValueError."""
    frames, height, width = 0, 0, 0
    for frame in _decode(io.BytesIO(content)):
        frames += 1
        height, width = frame.height, frame.width
    stated = _stated_length(content)
    if frames < FRAMES:
        raise ValueError(f"{path}: has {frames} frames; expected {FRAMES} or more")
    if frames < (1 - SHORTFALL) * stated:
        raise ValueError(f"{path}: ends after {frames} of {stated} frames")
    return frames, height, width


def _decode(source: Path | io.BytesIO) -> Iterator[Any]:
    """The frames of a file's first video stream; a broken one raises OSError or ValueError."""
    av = _av()
    try:
        with av.open(source) as container:
            if not container.streams.video:
                raise ValueError("holds no video")
            yield from container.decode(container.streams.video[0])
    except av.error.FFmpegError as error:
        raise ValueError(str(error)) from error


def _stated_length(content: bytes) -> int:
    """Frames by the header; 0 if it does not say."""
    with _av().open(io.BytesIO(content)) as container:
        return int(container.streams.video[0].frames)


def _av() -> Any:
    """PyAV, which not everybody needs.

    Raises:
        DataError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise DataError("videos are read by PyAV, which is not installed; pip install 'iciia-sim[video]'") from error
    return av
