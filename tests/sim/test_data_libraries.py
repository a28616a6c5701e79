"""Data sets of torchvision and Hugging Face `datasets` that are on this machine: read as the libraries read them, looked at once,
never downloaded, and refused with one message that says where was looked."""

import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as ImageColumn
from miniatures import picture
from PIL import Image
from pydantic import TypeAdapter

import sim
from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data import Images, open_data
from sim.errors import DataError, ScenarioError
from sim.scenario.data import Data
from sim.scenario.file import read
from sim.scenario.validation import validate


def opened(size: int = 32, cache: Path | None = None, **settings: Any) -> Images:
    data = open_data(TypeAdapter(Data).validate_python(settings), 3, Preprocessing(size), Cache(cache))
    assert isinstance(data, Images)
    return data


def refused(**settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        opened(**settings)
    return str(caught.value)


# --- torchvision ------------------------------------------------------------------------------------------------------


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST's four files as they are published, with 40 and 20 digits: bright bars, the higher the greater the digit."""
    raw = tmp_path / "torchvision" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        labels = np.arange(count, dtype=np.uint8) % 10
        pixels = np.zeros((count, 28, 28), dtype=np.uint8)
        for place, label in enumerate(labels):
            pixels[place, 2 * label : 2 * label + 4] = 200 + label
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels.tobytes())
    return tmp_path / "torchvision"


def test_torchvision_by_name(mnist: Path) -> None:
    data = opened(28, kind="torchvision", dataset="MNIST", path=str(mnist))
    assert (data.train.channels, len(data.train.labels), len(data.test.labels)) == (1, 40, 20)
    assert data.classes.names[3] == "3 - three"
    assert data.test.labels.tolist() == list(range(10)) * 2
    pixels = data.test.read(np.array([3, 19]))
    assert (pixels.shape, pixels.dtype) == ((2, 1, 28, 28), torch.uint8)
    assert pixels[0, 0, 6:10].unique().tolist() == [203]
    larger = opened(56, kind="torchvision", dataset="MNIST", path=str(mnist))
    assert larger.test.read(np.array([3])).shape == (1, 1, 56, 56)


def test_torchvision_with_a_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        for label in ("negative", "positive"):
            folder = tmp_path / "rendered-sst2" / split / label
            folder.mkdir(parents=True)
            for place in range(3):
                picture(rng, 0.5 * (label == "positive"), 40, 30).save(folder / f"{place}.png")
    data = opened(kind="torchvision", dataset="RenderedSST2", path=str(tmp_path), test="val")
    assert (data.train.channels, data.test.labels.tolist()) == (3, [0, 0, 0, 1, 1, 1])
    assert data.shapes is not None
    assert np.unique(data.shapes, axis=0).tolist() == [[1, 30, 40]]
    halved = tmp_path / "rendered-sst2" / "valid" / "negative" / "1.png"
    halved.write_bytes(halved.read_bytes()[:500])
    assert refused(kind="torchvision", dataset="RenderedSST2", path=str(tmp_path), test="val").startswith(
        "RenderedSST2 (val): picture 1 cannot be read: "
    )


def test_torchvision_that_is_not_there(tmp_path: Path) -> None:
    assert refused(kind="torchvision", dataset="CIFAR10", path=str(tmp_path)).startswith(
        f"{tmp_path}: torchvision finds no CIFAR10 there, and iciia downloads nothing: Dataset not found or corrupted"
    )
    for name in ("CIFAR11", "FakeData", "SUN397", "os"):
        assert refused(kind="torchvision", dataset=name, path=str(tmp_path)) == (
            f"torchvision.datasets has no {name!r} with a train and a test half; expected one such as CIFAR10, CIFAR100, MNIST, "
            "SVHN, Food101, Flowers102"
        )


def test_torchvision_from_name_to_report(mnist: Path, tmp_path: Path) -> None:
    settings = {
        "name": "mnist", "cloud": {"threads": 1}, "data": {"kind": "torchvision", "dataset": "MNIST", "path": str(mnist)},
        "backbone": {"model": "test_resnet", "image_size": 28, "epochs": 10, "batch": 4},
        "clients": {"count": 2, "images": 6, "subset": {"classes": 3}, "sampling": "wrap_around"}, "adapters": ["backbone"],
    }  # fmt: skip
    report = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    assert report.summary.accuracy[0] > 0.2


# --- Hugging Face -----------------------------------------------------------------------------------------------------


def rows(count: int, seed: int) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    return {
        "img": [picture(rng, place % 2 / 2, 40, 30) for place in range(count)],
        "fine": [place % 2 for place in range(count)],
        "writer": [f"w{place % 3}" for place in range(count)],
    }


FEATURES = Features({"img": ImageColumn(), "fine": ClassLabel(names=["cat", "dog"]), "writer": Value("string")})
COLUMNS = {"kind": "huggingface", "image": "img", "label": "fine"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    halves = {half: Dataset.from_dict(rows(6, seed), features=FEATURES) for seed, half in enumerate(("train", "test"))}
    DatasetDict(halves).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_huggingface_from_disk(saved: Path) -> None:
    data = opened(path=str(saved), client="writer", **COLUMNS)
    assert data.classes.names == ["cat", "dog"]
    assert data.test.labels.tolist() == [0, 1] * 3
    assert data.test_clients is not None
    assert data.test_clients.tolist() == [0, 1, 2] * 2
    assert data.train.read(np.array([0, 5])).shape == (2, 3, 32, 32)
    exact = open_data(TypeAdapter(Data).validate_python({"path": str(saved), **COLUMNS}), 3, Preprocessing(30), Cache())
    assert isinstance(exact, Images)
    assert exact.train_clients is None


def test_a_look_is_taken_once(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(path=str(saved), cache=tmp_path / "cache", **COLUMNS)

    def refuse(self: object, number: int) -> None:
        raise AssertionError("a picture was decoded again")

    monkeypatch.setattr("sim.data.huggingface._Items.item", refuse)
    assert opened(path=str(saved), cache=tmp_path / "cache", **COLUMNS).key == before.key


class Pets(datasets.GeneratorBasedBuilder):
    """A data set as the Hub has it."""

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            features=Features({"image": ImageColumn(), "label": ClassLabel(names=["cat", "dog"])})
        )

    def _split_generators(self, dl_manager: object) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator(name=name, gen_kwargs={"count": n}) for name, n in (("train", 6), ("test", 4))]

    def _generate_examples(self, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        rng = np.random.default_rng(0)
        for place in range(count):
            yield place, {"image": picture(rng, 0.5, 20, 20), "label": place % 2}


def test_huggingface_from_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What load_dataset leaves in the cache is found by its name, without asking the Hub."""
    cache = tmp_path / "datasets"
    Pets(cache_dir=str(cache), repo_id="somebody/pets", dataset_name="pets", hash="0123").download_and_prepare()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(cache))
    data = opened(kind="huggingface", dataset="somebody/pets")
    assert data.classes.names == ["cat", "dog"]
    assert (data.train.labels.tolist(), len(data.test.labels)) == ([0, 1, 0, 1, 0, 1], 4)
    assert refused(kind="huggingface", dataset="somebody/plants") == (
        f"somebody/plants: not in the cache of Hugging Face datasets at {cache}, and iciia downloads nothing: Couldn't find "
        "cache for somebody/plants; load_dataset('somebody/plants') in Python fetches it, $HF_DATASETS_CACHE says where to look"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test": "validation"}, "has no split 'validation', only train, test; set data.train and data.test"),
        ({"image": "image"}, "split 'train' has no column 'image', only img, fine, writer; set data.image"),
        ({"label": "coarse"}, "split 'train' has no column 'coarse', only img, fine, writer; set data.label"),
        ({"client": "user"}, "split 'train' has no column 'user', only img, fine, writer; set data.client"),
        ({"image": "writer"}, " (train): item 0 holds a str; expected a picture"),
        ({"label": "writer"}, " (train): picture 0 has label 'w0'; expected the number of a class"),
    ],
)
def test_columns_and_splits_that_are_not_there(saved: Path, settings: dict[str, str], message: str) -> None:
    between = "" if message.startswith(" ") else ": "
    assert refused(**(COLUMNS | {"path": str(saved)} | settings)) == f"{saved}{between}{message}"


def test_huggingface_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(path=str(tmp_path), **COLUMNS).startswith(f"{tmp_path}: holds no data set that save_to_disk left: ")
    Dataset.from_dict(rows(2, 0), features=FEATURES).save_to_disk(str(tmp_path / "one"))
    assert refused(path=str(tmp_path / "one"), **COLUMNS) == (
        f"{tmp_path}/one: holds a single split; expected a DatasetDict with a train and a test split"
    )
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refused(path=str(tmp_path), **COLUMNS) == (
        "the library datasets is not installed; pip install 'iciia-sim[huggingface]'"
    )


@pytest.mark.parametrize(("given", "got"), [({}, "neither"), ({"dataset": "a", "path": "b"}, "both")])
def test_a_name_or_a_folder(tiny: Callable[..., dict[str, Any]], given: dict[str, str], got: str) -> None:
    settings = tiny(data={"kind": "huggingface", **given}, backbone={"model": "test_resnet"})
    with pytest.raises(ScenarioError, match=rf"data  got {got} of dataset \(a name in the local cache\) and path"):
        validate(read(settings))


def test_pictures_of_the_wanted_size_are_left_alone(tmp_path: Path) -> None:
    """A frame at the very edge would be cut away otherwise."""
    framed = np.full((32, 32), 9, np.uint8)
    framed[1:-1, 1:-1] = 200
    columns = {"img": [Image.fromarray(framed)] * 2, "fine": [0, 1], "writer": ["a", "b"]}
    half = Dataset.from_dict(columns, features=FEATURES)
    DatasetDict({"train": half, "test": half}).save_to_disk(str(tmp_path / "square"))
    pixels = opened(32, path=str(tmp_path / "square"), **COLUMNS).train.read(np.array([1]))
    assert np.array_equal(pixels[0, 0].numpy(), framed)
