"""What published data sets have in common: nothing is opened twice, threads change nothing, and images travel to workers."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import Miniature, halve, opened
from miniatures import WNIDS
from PIL import Image

from sim.errors import DataError

# --- files ------------------------------------------------------------------------------------------------------------


def test_files_are_opened_once(copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy("imagenet")
    before = opened(folder, "imagenet", tmp_path / "cache")

    def refuse(path: Path, probe: object) -> None:
        raise AssertionError(f"{path} was opened again")

    monkeypatch.setattr("sim.data.files._open", refuse)
    assert opened(folder, "imagenet", tmp_path / "cache").key == before.key
    Image.new("RGB", (9, 9)).save(folder / "val" / WNIDS[0] / "new.JPEG")
    with pytest.raises(AssertionError, match="was opened again"):
        opened(folder, "imagenet", tmp_path / "cache")


def test_threads_change_nothing(miniature: Miniature) -> None:
    for kind in ("imagenet", "ucf101"):
        data = opened(miniature(kind), kind)
        alone = data.train.read(np.arange(12))
        threads = torch.get_num_threads()
        torch.set_num_threads(4)
        together = data.train.read(np.arange(12))
        torch.set_num_threads(threads)
        assert torch.equal(alone, together)


@pytest.mark.parametrize("kind", ["femnist", "celeba", "ucf101"])
def test_images_travel_to_workers(miniature: Miniature, kind: str) -> None:
    data = opened(miniature(kind), kind)
    there = pickle.loads(pickle.dumps(data.test))
    assert torch.equal(there.read(np.arange(4)), data.test.read(np.arange(4)))
    assert np.array_equal(there.labels, data.test.labels)


def test_a_file_that_breaks_later(copy: Callable[[str], Path]) -> None:
    for kind, file in (
        ("celeba", "img_align_celeba/000001.jpg"),
        ("ucf101", "UCF-101/ApplyLipstick/v_ApplyLipstick_g08_c01.avi"),
    ):
        folder = copy(kind)
        data = opened(folder, kind)
        halve(folder / file)
        with pytest.raises(DataError) as caught:
            data.train.read(np.array([0]))
        assert str(caught.value).startswith(
            f"{folder / file}: was readable when the folder was scanned and is no longer: "
        )
