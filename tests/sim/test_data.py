"""Data sets: the embedded ones are what they claim, the user's own are read or refused with one clear error."""

import contextlib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from damage import mutated
from PIL import Image

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data.base import Features, Images, split_by_class
from sim.data.digits import open_digits
from sim.data.features import open_features
from sim.data.files import Scanner
from sim.data.glyph_images import open_glyphs
from sim.data.glyphs import FILE, draw, load
from sim.data.groups import read_superclasses
from sim.data.image_folder import open_image_folder
from sim.data.synthetic import open_synthetic
from sim.errors import DataError
from sim.stage import silent


def test_split_is_disjoint_and_keeps_shares() -> None:
    labels = np.repeat(np.arange(5), [10, 20, 30, 40, 100])
    parts = split_by_class(labels, [0.5, 0.3, 0.2], 1, "x")
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(200))
    assert [np.bincount(labels[part]).tolist() for part in parts] == [
        [5, 10, 15, 20, 50],
        [3, 6, 9, 12, 30],
        [2, 4, 6, 8, 20],
    ]
    assert not np.array_equal(parts[0], split_by_class(labels, [0.5, 0.3, 0.2], 2, "x")[0])


def test_split_keeps_groups_together() -> None:
    """4 groups of 3 and 2 of 4 images in each of 2 classes, in any order: half of the images is 10 of 20, within a group's half."""
    rng = np.random.default_rng(0)
    sizes = [3, 3, 3, 3, 4, 4] * 2
    order = rng.permutation(sum(sizes))
    groups = np.repeat(np.arange(12) * 7, sizes)[order]
    labels = groups // 7 // 6
    for seed in range(20):
        parts = split_by_class(labels, [0.5, 0.5], seed, "x", groups)
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(40))
        assert not set(groups[parts[0]]) & set(groups[parts[1]])
        assert all(8 <= count <= 12 for count in np.bincount(labels[parts[0]]))
    alone = split_by_class(labels, [0.5, 0.3, 0.2], 1, "x")
    single = split_by_class(labels, [0.5, 0.3, 0.2], 1, "x", np.arange(40))
    assert all(np.array_equal(a, b) for a, b in zip(alone, single, strict=True))


# --- embedded ---


def test_digits_are_scikit_learns() -> None:
    data = open_digits(seed=3)
    assert len(data.train.labels) + len(data.test.labels) == 1797
    assert data.test.read(np.array([0, 5])).shape == (2, 1, 8, 8)


def test_glyphs_have_homoglyphs_across_scripts_and_none_within() -> None:
    sheet = load()
    assert len(sheet.characters) >= 200
    assert len(sheet.superclass_names) >= 8
    assert len(set(sheet.characters.tolist())) == len(sheet.characters)
    assert FILE.stat().st_size < 3e6
    where = {character: number for number, character in enumerate(sheet.characters.tolist())}
    latin, greek, cyrillic = where["A"], where["Α"], where["А"]
    assert len({sheet.superclass[i] for i in (latin, greek, cyrillic)}) == 3
    same = (sheet.images[latin] == sheet.images[[greek, cyrillic]]).mean(axis=(1, 2, 3))
    assert (same > 0.95).all()  # some faces draw the letter a little differently for another script


def test_a_glyph_image_is_its_number() -> None:
    classes, numbers = np.arange(64) * 7, np.arange(64) + 10**9
    together = draw(classes, numbers, 5)
    assert together.shape == (64, 32, 32)
    for size in (1, 7):
        parts = [draw(classes[i : i + size], numbers[i : i + size], 5) for i in range(0, 64, size)]
        assert np.array_equal(np.concatenate(parts), together)
    assert not np.array_equal(draw(classes, numbers, 6), together)
    assert not np.array_equal(draw(classes, numbers + 1, 5), together)


def test_glyph_noise_is_as_strong_as_stated() -> None:
    """The corners of an image hold background and noise only: mean 0.1, deviation between 0.04 and 0.18 before clipping."""
    corners = draw(np.zeros(2000, dtype=np.int64), np.arange(2000), 5)[:, :3, :3] / 255.0
    assert 0.1 < corners.mean() < 0.13  # clipping at 0 lifts the mean a little
    deviation = corners.reshape(2000, -1).std(axis=1)
    assert 0.03 < deviation.mean() < 0.12


def test_train_and_test_glyphs_share_no_image() -> None:
    data = open_glyphs(train_images=2, test_images=2, seed=1)
    assert not torch.equal(data.train.read(np.array([0])), data.test.read(np.array([0])))


def test_synthetic_images_are_their_number_and_follow_their_prototype() -> None:
    data = open_synthetic(classes=10, superclasses=2, features=16, images_per_class=50, noise=0.1, seed=1)
    images = np.array([[0, 49], [50, 499]])
    features, logits = data.test.gather(images)
    alone, _ = data.test.gather(np.array([499]))
    assert torch.equal(features[1, 1], alone[0])
    assert logits.argmax(-1).tolist() == data.test.labels[images].tolist() == [[0, 0], [1, 9]]
    assert not torch.equal(features, data.train.gather(images)[0])


def test_synthetic_logits_are_those_of_the_nearest_prototype() -> None:
    data = open_synthetic(classes=6, superclasses=2, features=8, images_per_class=40, noise=1.0, seed=1)
    features, logits = data.test.gather(np.arange(240))
    prototypes = torch.from_numpy(data.test.prototypes)  # type: ignore[attr-defined]
    assert torch.equal(torch.cdist(features, prototypes).argmin(-1), logits.argmax(-1))


# --- a folder of class folders ---


def image_folder(folder: Path, classes: int = 3, images: int = 10, size: int = 24) -> Path:
    rng = np.random.default_rng(0)
    for c in range(classes):
        (folder / f"class{c}").mkdir(parents=True)
        for i in range(images):
            pixels = rng.integers(0, 256, (size, size + i, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{c}" / f"{i}.png")
    return folder


def open_folder(folder: Path, cache: Path, **changes: object) -> Images:
    settings: dict[str, object] = {
        "test": None, "test_share": 0.3, "superclasses": None, "preprocessing": Preprocessing(16), "seed": 1,
    } | changes  # fmt: skip
    scanner = Scanner(Cache(cache), float(str(settings.pop("unreadable_share", 0.05))), silent)
    return open_image_folder(train=folder, scanner=scanner, **settings)  # type: ignore[arg-type]


def test_image_folder_is_read(tmp_path: Path) -> None:
    data = open_folder(image_folder(tmp_path / "images"), tmp_path / "cache")
    assert data.classes.names == ["class0", "class1", "class2"]
    assert np.bincount(data.train.labels).tolist() == [7, 7, 7]
    assert np.bincount(data.test.labels).tolist() == [3, 3, 3]
    images = data.train.read(np.array([0, 20]))
    assert images.shape == (2, 3, 16, 16)
    assert images.dtype == torch.uint8


def test_test_images_may_lie_apart(tmp_path: Path) -> None:
    train, test = image_folder(tmp_path / "train"), image_folder(tmp_path / "test", images=4)
    data = open_folder(train, tmp_path / "cache", test=test)
    assert (len(data.train.labels), len(data.test.labels)) == (30, 12)
    image_folder(tmp_path / "other", classes=4)
    with pytest.raises(
        DataError, match=r"other: its class folders differ from those of .*train: .*train lacks class3$"
    ):
        open_folder(train, tmp_path / "cache", test=tmp_path / "other")


def test_unreadable_images_are_named_and_skipped_up_to_a_share(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "images")
    whole = (folder / "class1" / "3.png").read_bytes()
    (folder / "class1" / "3.png").write_bytes(whole[: len(whole) // 2])
    data = open_folder(folder, tmp_path / "cache")
    assert list(data.skipped) == ["class1/3.png"]
    assert len(data.train.labels) + len(data.test.labels) == 29
    with pytest.raises(
        DataError,
        match=r"1 of 30 files cannot be read \(0 missing, 1 broken\), more than the allowed share of 0.01 .*class1/3.png",
    ):
        open_folder(folder, tmp_path / "cache", unreadable_share=0.01)


def test_a_changed_image_is_new_content(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "images")
    before = open_folder(folder, tmp_path / "cache").key
    assert open_folder(folder, tmp_path / "cache").key == before
    Image.new("RGB", (9, 9)).save(folder / "class0" / "0.png")
    assert open_folder(folder, tmp_path / "cache").key != before


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a folder of class folders: No such file"):
        open_folder(tmp_path / "nowhere", tmp_path / "cache")
    (tmp_path / "flat").mkdir()
    with pytest.raises(DataError, match="has 0 class folders; expected 2 or more"):
        open_folder(tmp_path / "flat", tmp_path / "cache")
    for name in ("a", "b"):
        (tmp_path / "hollow" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="has no images in its class folders"):
        open_folder(tmp_path / "hollow", tmp_path / "cache")
    folder = image_folder(tmp_path / "images")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="class 'empty' has no readable image for the train part"):
        open_folder(folder, tmp_path / "cache")


# --- superclasses ---


def test_superclasses_by_name_or_number(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("class_index,superclass\n0,dogs\n2,cats\n1,dogs\n")
    groups, names = read_superclasses(file, ["a", "b", "c"])
    assert (groups.tolist(), names) == ([0, 0, 1], ["dogs", "cats"])
    file.write_text("class,superclass,superclass_name\nc,1,cats\na,0,dogs\nz,7,none\nb,0,\n")
    groups, names = read_superclasses(file, ["a", "b", "c"])
    assert (groups.tolist(), names) == ([1, 1, 0], ["cats", "dogs"])


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfclass,superclass\ncaf\xc3\xa9,dogs\nb,cats\n",
        "class,superclass\ncafé,dogs\nb,cats\n".encode("utf-16"),
        b"class;superclass\r\ncaf\xe9;dogs\r\nb;cats\r\n",
        b"class, superclass\n\ncaf\xe9 , dogs\n b, cats\n",
        b'class\tsuperclass\n"caf\xe9"\tdogs\nb\tcats',
    ],
)
def test_superclasses_as_spreadsheets_save_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "groups.csv").write_bytes(content)
    groups, names = read_superclasses(tmp_path / "groups.csv", ["b", "café"])
    assert (groups.tolist(), names) == ([1, 0], ["dogs", "cats"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class_index,group\n0,a\n", r"has the columns class_index, group; expected the columns class \(a name\)"),
        ("class_index,superclass\nx,a\n", "line 2 got class_index 'x'; expected 0 to 1, or a column class with names"),
        ("class_index,superclass\n3,a\n", "line 2 got class_index '3'; expected 0 to 1"),
        ("class_index,superclass\n0,a\n1,\n", "line 3 got 1, ; expected the columns"),
        ("class_index,superclass\n1,a\n", "no superclass for 1 of 2 classes, the first is 'tabby'"),
        ("class,superclass\ntaby,a\npug,b\n", """the first is 'tabby' .*; did you mean "taby"\\?"""),
        ("", "has the columns nothing; expected"),
        ("a\0b", "it holds bytes that no text has"),
    ],
)
def test_bad_superclasses(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_superclasses(tmp_path / "groups.csv", ["tabby", "pug"])


# --- the user's own features ---


def arrays(**changes: object) -> dict[str, object]:
    rng = np.random.default_rng(0)
    return {
        "features": rng.standard_normal((12, 8), dtype=np.float32),
        "logits": rng.standard_normal((12, 3)).astype(np.float16),
        "labels": np.arange(12) % 3,
    } | changes


def features(folder: Path, **changes: object) -> Features:
    np.savez(folder / "train.npz", **arrays())
    kept = {name: value for name, value in arrays(**changes).items() if value is not None}
    np.savez(folder / "test.npz", **kept)  # type: ignore[arg-type]
    return open_features(folder / "train.npz", folder / "test.npz", None)


def test_features_are_read(tmp_path: Path) -> None:
    data = features(tmp_path)
    assert (data.test.feature_dim, data.test.classes, len(data.test.labels)) == (8, 3, 12)


def with_nan() -> np.ndarray:
    values = np.zeros((12, 8), dtype=np.float32)
    values[5, 2] = np.nan
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logits": None}, r"test.npz: has no array 'logits', only features, labels"),
        ({"features": with_nan()}, r"test.npz: features has NaN or infinity in 1 rows, the first is row 5"),
        (
            {"features": np.zeros((11, 8), np.float32)},
            r"features is float32 \[11, 8\]; expected floats \[12, .\], a row for each label",
        ),
        ({"features": np.zeros((12, 8), dtype="U1")}, r"features is <U1 \[12, 8\]; expected floats"),
        (
            {"features": np.full((12, 8), 1e300)},
            r"features holds .*1e\+300.*, which is beyond float32; scale the features",
        ),
        ({"features": np.zeros((12, 9), np.float32)}, r"features has 9 columns, and 8 in .*train.npz; they must agree"),
        ({"labels": np.full(12, 0.5)}, r"labels is float64 \[12\] and holds 0.5; expected integers, classes \[M\]"),
        ({"labels": np.full(12, "a")}, r"labels is <U1 \[12\]; expected integers, classes \[M\]"),
        ({"labels": np.full(12, np.nan)}, r"labels is float64 \[12\] and holds nan"),
        ({"labels": np.arange(12) - 1}, r"no negative number"),
        ({"labels": np.arange(12)}, r"labels go up to 11, and logits have 3 columns"),
        ({"labels": np.array([object()] * 12)}, r"cannot be read as an .npz file of plain arrays"),
    ],
)
def test_bad_features(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        features(tmp_path, **changes)


def test_what_numpy_users_save_is_converted_and_said(tmp_path: Path) -> None:
    """Doubles of either byte order, labels as floats, truth values as attributes: the same numbers as in their own types."""
    plain = features(tmp_path).test
    exact = {name: np.asarray(value, dtype=np.float64) for name, value in arrays().items()}
    swapped = {name: np.asarray(value, dtype=value.dtype.newbyteorder()) for name, value in exact.items()}  # type: ignore[attr-defined]
    for changes in (exact, swapped):
        found = features(tmp_path, **changes)
        assert np.array_equal(found.test.gather(np.arange(12))[0], plain.gather(np.arange(12))[0])
        assert found.test.labels.tolist() == (np.arange(12) % 3).tolist()
        assert found.test.labels.dtype == np.int64
        order = np.dtype(changes["features"].dtype)
        assert list(found.notes) == [
            f"test.npz: labels is {order} [12], read as integers",
            f"test.npz: features is {order} [12, 8], read as float32 (exactly)",
            f"test.npz: logits is {order} [12, 3], read as float32 (exactly)",
        ]
    assert list(features(tmp_path, features=np.full((12, 8), 0.1)).notes) == [
        "test.npz: features is float64 [12, 8], read as float32 (rounded to 7 digits)"
    ]
    assert list(features(tmp_path).notes) == []


def npy(shape: str, dtype: str, content: bytes) -> bytes:
    """An array's file with any header."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (
            "(10000000000000, 8)",
            "<f4",
            r"features.npy states float32 \[10000000000000, 8\], 320,000,000,000,\d+ bytes, and holds",
        ),
        ("(12, 8, 99999999999999999999)", "<f4", "cannot be read as an .npz file of plain arrays"),
        ("(12, 8)", "|O", "holds Python objects"),
        ("(-12, 8)", "<f4", "cannot be read as an .npz file of plain arrays"),
        ("(12, 8", "<f4", "cannot be read as an .npz file of plain arrays"),
    ],
)
def test_arrays_that_state_more_than_they_hold(tmp_path: Path, shape: str, dtype: str, message: str) -> None:
    features(tmp_path)
    with zipfile.ZipFile(tmp_path / "train.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["features.npy"] = npy(shape, dtype, b"\0" * 384)
    with zipfile.ZipFile(tmp_path / "train.npz", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=message):
        open_features(tmp_path / "train.npz", tmp_path / "test.npz", None)


def test_damaged_arrays_give_features_or_the_one_error(tmp_path: Path) -> None:
    features(tmp_path)
    content, rng = (tmp_path / "train.npz").read_bytes(), np.random.default_rng(2)
    for _ in range(300):
        (tmp_path / "train.npz").write_bytes(mutated(content, rng))
        with contextlib.suppress(DataError):
            open_features(tmp_path / "train.npz", tmp_path / "test.npz", None)


def test_more_than_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features(tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=500))
    with pytest.raises(DataError, match=r"train.npz: holds 0.0 GB of arrays, and this machine has 0.0 free"):
        open_features(tmp_path / "train.npz", tmp_path / "test.npz", None)


def test_what_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "train.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"train.npz: cannot be read as an .npz file"):
        open_features(tmp_path / "train.npz", tmp_path / "train.npz", None)
