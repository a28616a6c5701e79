"""Folders of class folders as people have them: what is no image does not count, what is passed over is said, what is one level off
is refused with what was probably meant, and `iciia data check` and a run judge alike."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import sim
from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.cli import app
from sim.data import files
from sim.data.base import Images
from sim.data.files import Scanner
from sim.data.folders import class_folders
from sim.data.image_folder import open_image_folder
from sim.errors import DataError, ScenarioError
from sim.stage import silent

Make = Callable[..., dict[str, Any]]


def photographs(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), images: int = 10, kind: str = "png") -> Path:
    rng = np.random.default_rng(len(os.fsencode(str(folder))))
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            pixels = rng.integers(0, 256, (12, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.{kind}", {"png": "PNG"}.get(kind, "JPEG"))
    return folder


def opened(train: Path, tmp_path: Path, test: Path | None = None) -> Images:
    scanner = Scanner(Cache(tmp_path / "cache"), 0.05, silent)
    return open_image_folder(train, test, 0.3, None, Preprocessing(16), 1, scanner)


def refused(train: Path, tmp_path: Path, test: Path | None = None) -> str:
    with pytest.raises(DataError) as raised:
        opened(train, tmp_path, test)
    return str(raised.value).replace(f"{tmp_path}/", "")


def images_of(data: Images) -> int:
    return len(data.train.labels) + len(data.test.labels)


def test_hidden_and_system_files_are_no_images(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos")
    before = opened(folder, tmp_path)
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (folder / "cat" / name).write_bytes(b"\0\5\26\7 what a system leaves")
    photographs(folder / "__MACOSX", ("cat", "dog"))
    photographs(folder / ".thumbnails", ("cat",))
    photographs(folder / "cat", ("@eaDir", ".cache"))
    after = opened(folder, tmp_path)
    assert list(after.classes.names) == ["cat", "dog"]
    assert (after.key, list(after.skipped), list(after.passed_over)) == (before.key, [], [])
    assert images_of(after) == 20


def test_unusual_names_are_read_and_the_rest_is_said(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos", images=6)
    for number, name in enumerate(("a.jfif", "b.jpe", "c", "d.JPEG", "e.photo", "f.2024")):
        (folder / "cat" / f"{number}.png").rename(folder / "cat" / name)
    (folder / "dog" / "labels.csv").write_text("a,b\n1,2\n")
    (folder / "dog" / "readme").write_text("photographs of dogs, all of them good")
    (folder / "dog" / "0.dng").write_bytes((folder / "dog" / "0.png").read_bytes())
    data = opened(folder, tmp_path)
    assert images_of(data) == 12
    assert list(data.passed_over) == ["dog/0.dng", "dog/labels.csv", "dog/readme"]
    assert list(data.skipped) == []


def test_phones_photographs_are_counted_as_broken_without_their_reader(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos", images=6)
    for number in range(4):
        (folder / "dog" / f"{number}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    assert "photos: 4 of 16 files cannot be read (0 missing, 4 broken), more than" in (
        text := refused(folder, tmp_path)
    )
    assert "for example dog/0.heic, dog/1.heic, dog/2.heic" in text
    assert text.endswith("pip install 'iciia-sim[heic]'") or "HEIF" in files.decode.__globals__["formats"]()


def test_a_class_of_another_encoding_is_read(tmp_path: Path) -> None:
    """`caf\\xe9`, as an archive of another time unpacks it."""
    folder = photographs(tmp_path / "photos", ("bar", os.fsdecode(b"caf\xe9")))
    os.rename(os.fsencode(folder) + b"/caf\xe9/0.png", os.fsencode(folder) + b"/caf\xe9/\xfcber.png")
    (folder / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xe4.png")).write_bytes(b"broken")
    data = opened(folder, tmp_path)
    assert list(data.classes.names) == ["bar", "café"]
    assert list(data.skipped) == ["café/ä.png"]
    assert np.bincount(data.train.labels).tolist() == [7, 7]
    assert data.train.read(np.arange(14)).shape == (14, 3, 16, 16)
    (folder / "notes").mkdir()
    assert "class 'notes' has no readable image" in refused(folder, tmp_path)


def test_a_pipe_is_broken_and_not_waited_for(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos", images=20)
    os.mkfifo(folder / "cat" / "endless.png")
    (folder / "cat" / "circle.png").symlink_to("circle.png")
    assert sorted(opened(folder, tmp_path).skipped) == ["cat/circle.png", "cat/endless.png"]


@pytest.mark.parametrize(
    ("make", "train", "message"),
    [
        (
            lambda root: [photographs(root / "photos" / part) for part in ("train", "val")],
            "photos",
            "photos: holds train and val, which hold the class folders; probably data.train: photos/train "
            "and data.test: photos/val was meant",
        ),
        (
            lambda root: [photographs(root / "photos" / part) for part in ("Test", "Training", "Validation")],
            "photos",
            "photos: holds Test and Training and Validation, which hold the class folders; probably data.train: "
            "photos/Training and data.test: photos/Test was meant",
        ),
        (
            lambda root: photographs(root / "photos" / "photos"),
            "photos",
            "photos: has 1 class folders; expected 2 or more, each with its images inside; photos has 2: probably "
            "photos/photos was meant",
        ),
        (
            lambda root: photographs(root / "photos"),
            "photos/cat",
            "photos/cat: has 0 class folders; expected 2 or more, each with its images inside; it holds 10 images itself, "
            "beside other folders: probably photos was meant",
        ),
        (
            lambda root: photographs(root / "photos", ("cat",)),
            "photos/cat",
            "photos/cat: has 0 class folders; expected 2 or more, each with its images inside; it holds 10 images itself: "
            "put those of each class into a folder, or list them in a table (data.kind: image_table)",
        ),
    ],
)  # fmt: skip
def test_layouts_one_level_off(tmp_path: Path, make: Callable[[Path], object], train: str, message: str) -> None:
    make(tmp_path)
    with pytest.raises(DataError) as raised:
        class_folders(tmp_path / train)
    assert str(raised.value).replace(f"{tmp_path}/", "") == message


def test_classes_that_are_called_train_are_classes(tmp_path: Path) -> None:
    """Pictures of vehicles, a train among them."""
    assert class_folders(photographs(tmp_path, ("bus", "test", "train"), images=1)) == ["bus", "test", "train"]


def test_which_side_lacks_which_class(tmp_path: Path) -> None:
    train = photographs(tmp_path / "train", ("cat", "dog", "emu"))
    test = photographs(tmp_path / "test", ("cat", "dog", "yak", "gnu"))
    assert refused(train, tmp_path, test) == (
        "test: its class folders differ from those of train: test lacks emu; train lacks gnu, yak"
    )


def test_another_reader_makes_other_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data's key, of which the cached features' is made, holds the version of the reader."""
    folder = photographs(tmp_path / "photos")
    before = opened(folder, tmp_path).key
    assert opened(folder, tmp_path).key == before
    monkeypatch.setattr(files, "READER", files.READER + 1)
    assert opened(folder, tmp_path).key != before


def test_images_are_read_upright(tmp_path: Path) -> None:
    """Its height and width, and its pixels: red is above blue for whoever looks at it."""
    folder = photographs(tmp_path / "photos", images=4)
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[:, :32], pixels[:, 32:] = (255, 0, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("cat", "dog"):
        for file in (folder / name).iterdir():
            Image.fromarray(pixels).save(file, "PNG", exif=exif)
    data = opened(folder, tmp_path)
    assert data.shapes is not None
    assert data.shapes.tolist() == [[1, 64, 32]] * 8
    top, bottom = data.test.read(np.array([0]))[0][:, [2, 13], 8].T.tolist()
    assert (top, bottom) == ([255, 0, 0], [0, 0, 255])


def scenario(tiny: Make, folder: Path) -> dict[str, Any]:
    return tiny(
        data={"kind": "image_folder", "train": str(folder)},
        backbone={"model": "resnet10t", "weights": "train", "epochs": 1, "image_size": 32},
        clients={"count": 2, "images": 2, "cohort": 2, "subset": {"classes": 1}, "sampling": "wrap_around"},
    )


def test_check_and_run_judge_alike(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images a class are too few for all parts: both say so with exit code 2 and the same words. Thirty are enough."""
    few = scenario(tiny, photographs(tmp_path / "few", images=2))
    with pytest.raises(ScenarioError) as raised:
        sim.run(few, workers=0, quiet=True)
    assert raised.value.exit_code == 2
    reason = "class 'cat' has too few training images: none of them falls into the module part"
    assert reason in str(raised.value)
    monkeypatch.chdir(tmp_path)
    for name, images, code in (("few", 2, 2), ("many", 30, 0)):
        file = tmp_path / f"{name}.yaml"
        photographs(tmp_path / name, images=images)
        settings = scenario(tiny, tmp_path / name)
        file.write_text(str(settings).replace("True", "true"))
        result = CliRunner().invoke(app, ["data", "check", str(file)])
        assert result.exit_code == code, result.output
        assert (f"data: {reason}" in result.stderr) == (code == 2)
