"""Published data sets: what is read is what the files say, from every layout that people have; every kind of damage gets its one
message; nothing is opened twice."""

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from miniatures import ATTRIBUTES, CHARACTERS, WNIDS, femnist, leaf, moving_square, video, write_csv
from PIL import Image
from pydantic import TypeAdapter
from scipy.io import savemat

from sim.artifacts import split
from sim.cache import Cache
from sim.data import Images, open_data
from sim.errors import DataError, ScenarioError
from sim.feasibility import check_data
from sim.scenario import Data, Scenario
from sim.scenario_file import read
from sim.validation import validate

Miniature = Callable[[str], Path]
SEED = 3


def opened(folder: Path, kind: str, cache: Path | None = None, **settings: Any) -> Images:
    given = TypeAdapter(Data).validate_python({"kind": kind, "path": str(folder), **settings})
    data = open_data(given, SEED, 32, Cache(cache) if cache else Cache())
    assert isinstance(data, Images)
    return data


def refused(folder: Path, kind: str, **settings: Any) -> str:
    """The message, with the folder left out."""
    with pytest.raises(DataError) as caught:
        opened(folder, kind, **settings)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "DATA")


@pytest.fixture
def copy(miniature: Miniature, tmp_path: Path) -> Callable[[str], Path]:
    """A miniature that may be damaged."""
    return lambda kind: Path(shutil.copytree(miniature(kind), tmp_path / kind))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def halve(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


# --- FEMNIST ----------------------------------------------------------------------------------------------------------


def test_femnist_is_what_leaf_wrote(miniature: Miniature) -> None:
    folder = miniature("femnist")
    data = opened(folder, "femnist")
    assert "".join(data.classes.names) == CHARACTERS
    for half, source, clients in (("train", data.train, data.train_clients), ("test", data.test, data.test_clients)):
        files = [json.loads(file.read_text()) for file in sorted((folder / half).glob("*.json"))]
        people = {user: one for file in files for user, one in file["user_data"].items()}
        assert clients is not None
        place = 0
        for number, (_, one) in enumerate(sorted(people.items())):
            mine = np.flatnonzero(clients == number)
            assert source.labels[mine].tolist() == one["y"]
            pixels = source.read(mine)
            assert (pixels.shape, pixels.dtype) == ((len(mine), 1, 28, 28), torch.uint8)
            assert np.array_equal(pixels.reshape(len(mine), -1).numpy() / 255, np.array(one["x"]))
            place += len(mine)
        assert place == len(source.labels)


def test_femnist_is_cut_by_sample_or_by_writer(miniature: Miniature) -> None:
    data = opened(miniature("femnist"), "femnist", split="sample", test_share=0.25)
    assert data.train_clients is not None
    assert data.test_clients is not None
    assert np.bincount(data.test_clients).tolist() == [31] * 8
    assert np.bincount(data.train_clients).tolist() == [93] * 8
    assert np.bincount(np.concatenate([data.train.labels, data.test.labels])).tolist() == [16] * 62

    data = opened(miniature("femnist"), "femnist", split="user", test_share=0.25)
    assert sorted({*data.train_clients.tolist()} | {*data.test_clients.tolist()}) == list(range(8))  # type: ignore[union-attr]
    assert not {*data.train_clients.tolist()} & {*data.test_clients.tolist()}  # type: ignore[union-attr]
    assert len(data.test.labels) == 2 * 124


def test_femnist_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = femnist(tmp_path / "data", writers=2)
    before = opened(folder, "femnist", tmp_path / "cache")

    def refuse(file: Path) -> None:
        raise AssertionError("a JSON file was read again")

    monkeypatch.setattr("sim.data.femnist.read_users", refuse)
    again = opened(folder, "femnist", tmp_path / "cache")
    assert again.key == before.key
    assert torch.equal(again.test.read(np.arange(5)), before.test.read(np.arange(5)))
    (file,) = (folder / "test").glob("all_data_0*.json")
    file.write_text(file.read_text() + " ")
    with pytest.raises(AssertionError):
        opened(folder, "femnist", tmp_path / "cache")


def test_femnist_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path, "femnist") == (
        "train: has no LEAF .json file; run LEAF's preprocess.sh with -t sample or -t user, or set data.split: sample to cut "
        "all_data here"
    )
    assert refused(tmp_path, "femnist", split="user") == (
        "all_data: has no LEAF .json file; run LEAF's preprocess.sh, or set data.split: leaf to take its train and test"
    )


WHITE = [1.0] * 784


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d.pop("num_samples"),
            "cannot be read as a LEAF file with users, num_samples and user_data: no 'num_samples'",
        ),
        (lambda d: d["users"].append("b"), "users, num_samples and user_data do not list the same users"),
        (lambda d: d.update(users=["b"]), "user 'b' is listed and has no x and y in user_data"),
        (lambda d: d["user_data"]["a"]["x"].pop(), "user 'a' has 1 x, 2 y and num_samples 2; they must agree"),
        (lambda d: d.update(num_samples=[3]), "user 'a' has 2 x, 2 y and num_samples 3; they must agree"),
        (
            lambda d: d.update(num_samples=[0], user_data={"a": {"x": [], "y": []}}),
            "user 'a' has no images; remove it from users",
        ),
        (lambda d: d["user_data"]["a"]["x"][1].pop(), "image 1 of user 'a' has 783 pixels; expected 784"),
        (lambda d: d["user_data"]["a"].update(x=["000001.jpg"] * 2), "image 0 of user 'a' has str pixels; expected 784"),
        (lambda d: d["user_data"]["a"].update(y=[3, 62]), "user 'a' has class 62; expected 0 to 61"),
        (lambda d: d["user_data"]["a"].update(y=["A", 3]), "user 'a' has class 'A'; expected 0 to 61"),
        (lambda d: d["user_data"]["a"].update(x=[WHITE, [255] * 784]), "user 'a' has pixels from 1 to 255; expected 0 to 1"),
        (lambda d: d["user_data"]["a"].update(x=[WHITE, ["?"] * 784]), "user 'a' has pixels that are no numbers"),
    ],
)  # fmt: skip
def test_damaged_leaf_files(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    data = {"users": ["a"], "num_samples": [2], "user_data": {"a": {"x": [list(WHITE), list(WHITE)], "y": [3, 4]}}}
    change(data)
    (tmp_path / "all_data").mkdir()
    (tmp_path / "all_data" / "all_data_0.json").write_text(json.dumps(data))
    assert refused(tmp_path, "femnist", split="user") == f"all_data/all_data_0.json: {message}"


def test_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "all_data").mkdir()
    (tmp_path / "all_data" / "all_data_0.json").write_text('{"users": [')
    assert refused(tmp_path, "femnist", split="user").startswith(
        "all_data/all_data_0.json: cannot be read as a LEAF file with users, num_samples and user_data: Expecting value"
    )


# --- CelebA -----------------------------------------------------------------------------------------------------------


def attributes_of(folder: Path) -> dict[str, list[int]]:
    rows = (folder / "list_attr_celeba.txt").read_text().splitlines()[2:]
    return {row.split()[0]: [(int(value) + 1) // 2 for value in row.split()[1:]] for row in rows}


def test_celeba_is_what_its_lists_say(miniature: Miniature) -> None:
    folder = miniature("celeba")
    data = opened(folder, "celeba")
    assert data.classes.names == ATTRIBUTES.split()
    said = attributes_of(folder)
    assert data.train.labels.tolist() == [said[f"{number:06d}.jpg"] for number in range(1, 43)]
    assert data.test.labels.tolist() == [said[f"{number:06d}.jpg"] for number in range(43, 61)]
    assert data.train_clients is not None
    assert data.test_clients is not None
    assert data.train_clients.tolist() == np.repeat(np.arange(1, 8), 6).tolist()
    assert data.test_clients.tolist() == np.repeat(np.arange(8, 11), 6).tolist()
    assert data.shapes is not None
    assert np.unique(data.shapes, axis=0).tolist() == [[1, 218, 178]]


def test_one_attribute_is_two_classes(miniature: Miniature) -> None:
    data = opened(miniature("celeba"), "celeba", attribute="Smiling")
    column = ATTRIBUTES.split().index("Smiling")
    assert data.classes.names == ["not Smiling", "Smiling"]
    said = attributes_of(miniature("celeba"))
    assert data.test.labels.tolist() == [said[f"{number:06d}.jpg"][column] for number in range(43, 61)]
    assert refused(miniature("celeba"), "celeba", attribute="Smilling") == (
        f"list_attr_celeba.txt: has no attribute 'Smilling'; it has {', '.join(ATTRIBUTES.split())}"
    )


def test_celeba_by_leafs_split_and_in_the_authors_folders(copy: Callable[[str], Path]) -> None:
    folder = copy("celeba")
    official = opened(folder, "celeba")
    (file,) = (folder / "train").glob("*.json")
    found = json.loads(file.read_text())
    found["users"], found["num_samples"] = found["users"][:3], [6] * 3
    file.write_text(json.dumps(found))
    data = opened(folder, "celeba", split="leaf")
    assert data.train_clients is not None
    assert data.train_clients.tolist() == np.repeat([1, 2, 3], 6).tolist()
    assert np.array_equal(data.test.labels, official.test.labels)
    for place, name in (
        ("Img", "img_align_celeba"),
        ("Anno", "list_attr_celeba.txt"),
        ("Eval", "list_eval_partition.txt"),
    ):
        (folder / place).mkdir()
        (folder / name).rename(folder / place / name)
    assert opened(folder, "celeba").key == official.key


@pytest.mark.parametrize(
    "name", ["img_align_celeba", "list_attr_celeba.txt", "identity_CelebA.txt", "list_eval_partition.txt"]
)
def test_celeba_without_one_of_its_parts(copy: Callable[[str], Path], name: str) -> None:
    folder = copy("celeba")
    (folder / name).rename(folder / "elsewhere")
    assert refused(folder, "celeba") == f"DATA: has no {name}, neither there nor in Anno, Eval, Img, raw"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("list_attr_celeba.txt", "000002.jpg ", "000002.jpg 1 ", "line 4 has 41 attributes; expected 40"),
        ("list_attr_celeba.txt", " 1\n", " 0\n", "line {line} has attributes other than 1 and -1"),
        ("list_attr_celeba.txt", "000050.jpg", "000950.jpg", "has no line for 000050.jpg, which list_eval_partition.txt names"),
        ("identity_CelebA.txt", "000002.jpg 1", "000002.jpg",
         "line 2 is '000002.jpg'; expected an image and the number of a person"),
        ("identity_CelebA.txt", "000002.jpg 1", "000902.jpg 1", "has no line for 000002.jpg, which list_eval_partition.txt names"),
        ("list_eval_partition.txt", "000060.jpg 2", "000060.jpg 3", "line 60 is '000060.jpg 3'; expected an image and 0, 1 or 2"),
    ],
)  # fmt: skip
def test_damaged_lists_of_celeba(copy: Callable[[str], Path], file: str, old: str, new: str, message: str) -> None:
    folder = copy("celeba")
    lines = (folder / file).read_text().splitlines(keepends=True)
    where = next(number for number, line in enumerate(lines, start=1) if old in line)
    edit(folder / file, old, new)
    assert refused(folder, "celeba") == f"{file}: {message}".format(line=where)


def test_truncated_and_missing_faces(copy: Callable[[str], Path]) -> None:
    folder = copy("celeba")
    halve(folder / "img_align_celeba" / "000003.jpg")
    (folder / "img_align_celeba" / "000044.jpg").unlink()
    assert refused(folder, "celeba") == (
        "img_align_celeba: 2 of 60 images cannot be read, more than the allowed share of 0.01 (data.unreadable_share); for example "
        "000044.jpg, 000003.jpg"
    )
    data = opened(folder, "celeba", unreadable_share=0.05)
    assert (list(data.missing), list(data.skipped)) == (["000044.jpg"], ["000003.jpg"])
    said = attributes_of(folder)
    assert data.train.labels.tolist() == [said[f"{number:06d}.jpg"] for number in range(1, 43) if number != 3]
    assert data.test_clients is not None
    assert np.bincount(data.test_clients)[8:].tolist() == [5, 6, 6]


def test_a_person_whose_images_are_gone_is_no_client(copy: Callable[[str], Path]) -> None:
    folder = copy("celeba")
    for number in range(49, 55):
        (folder / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    data = opened(folder, "celeba", unreadable_share=0.1)
    assert np.unique(data.test_clients).tolist() == [8, 10]  # type: ignore[arg-type]
    document = read("paper/celeba").override(
        [f"data.path={folder}", "data.unreadable_share=0.1", "clients.count=3", "sweep={}"]
    )
    with pytest.raises(ScenarioError) as caught:
        check_data(document, validate(document), Cache())
    assert str(caught.value) == ("paper/celeba: 1 problem\n  clients.count  got 3, and the data have 2 natural clients")


def test_leaf_names_people_by_number(copy: Callable[[str], Path]) -> None:
    folder = copy("celeba")
    leaf(folder / "test" / "more.json", {"f0000_14": {"x": ["000001.jpg"], "y": [1]}})
    assert refused(folder, "celeba", split="leaf") == "test/more.json: user 'f0000_14' is no number of a person"


# --- iNaturalist 2019 -------------------------------------------------------------------------------------------------


def test_inaturalist_is_what_the_mapping_says(copy: Callable[[str], Path]) -> None:
    folder = copy("inaturalist")
    data = opened(folder, "inaturalist")
    assert data.classes.names == [f"Genus species{c}" for c in range(5)]
    assert data.train.labels.tolist() == np.repeat(np.arange(5), 12).tolist()
    assert data.test_clients is not None
    assert data.test_clients.tolist() == [(label + place) % 6 for label in range(5) for place in range(6)]
    before = data.train.read(np.array([0, 59]))

    # test.csv in place of val.csv, other columns, paths that start in train_val2019
    mapping = folder / "client_data_mapping"
    (mapping / "val.csv").rename(mapping / "test.csv")
    for half in ("train", "test"):
        rows = [line.split(",") for line in (mapping / f"{half}.csv").read_text().splitlines()[1:]]
        chosen = [[row[3], row[1].removeprefix("train_val2019/"), row[0]] for row in rows]
        write_csv(mapping / f"{half}.csv", ["label_id", "data_path", "client_id"], chosen)  # type: ignore[arg-type]
    other = opened(folder, "inaturalist")
    assert other.classes.names == ["0", "1", "2", "3", "4"]
    assert np.array_equal(other.train.labels, data.train.labels)
    assert np.array_equal(other.test_clients, data.test_clients)  # type: ignore[arg-type]
    assert torch.equal(other.train.read(np.array([0, 59])), before)


@pytest.mark.parametrize(
    ("half", "old", "new", "message"),
    [
        ("train", "client_id", "client",
         "has the columns client, data_path, label_name, label_id; expected client_id, data_path, label_id"),
        ("val", "Genus species0,0", "Genus species0,0,9", "line 2 has 5 columns; expected 4"),
        ("train", "Genus species0,0", "Genus species0,-1", "line 2 has label_id '-1'; expected an integer of 0 or more"),
        ("train", "\n0,", "\nanna,", "line 2 has client_id 'anna'; expected an integer of 0 or more"),
        ("train", "Genus species0,0", "Genus species0,7", "has no image of class 5, and label_id goes up to 7"),
        ("val", "Genus species0,0", "Genus species0,7", "has label_id 7, and train.csv has 0 to 4 only"),
    ],
)  # fmt: skip
def test_damaged_mappings(copy: Callable[[str], Path], half: str, old: str, new: str, message: str) -> None:
    folder = copy("inaturalist")
    edit(folder / "client_data_mapping" / f"{half}.csv", old, new)
    assert refused(folder, "inaturalist") == f"client_data_mapping/{half}.csv: {message}"


def test_missing_mappings_and_images(copy: Callable[[str], Path]) -> None:
    folder = copy("inaturalist")
    (folder / "client_data_mapping" / "val.csv").rename(folder / "val.csv")
    assert refused(folder, "inaturalist").startswith(
        "client_data_mapping/test.csv: cannot be read as FedScale's client mapping: [Errno 2] No such file"
    )
    (folder / "client_data_mapping" / "val.csv").write_text("client_id,data_path,label_id\n")
    assert refused(folder, "inaturalist") == "client_data_mapping/val.csv: has no images"
    (folder / "val.csv").rename(folder / "client_data_mapping" / "val.csv")
    (folder / "train_val2019").rename(folder / "images")
    first = "train_val2019/Birds/0/train" + "0" * 30 + ".jpg"
    assert refused(folder, "inaturalist") == (
        f"DATA: {first}, which the mapping names, is neither there nor in train_val2019"
    )


# --- ImageNet-1K ------------------------------------------------------------------------------------------------------


def test_imagenet_has_its_classes_and_superclasses(miniature: Miniature) -> None:
    data = opened(miniature("imagenet"), "imagenet")
    assert [name.split(",")[0] for name in data.classes.names] == [
        "tench", "goldfish", "great white shark", "tiger shark", "Chihuahua", "Japanese spaniel",
    ]  # fmt: skip
    assert data.classes.superclass is not None
    assert data.classes.superclass.tolist() == [0, 0, 1, 1, 2, 2]
    assert list(data.classes.superclass_names) == ["bony fish, food fish", "cartilaginous fish", "toy dog"]
    assert np.bincount(data.train.labels).tolist() == [12] * 6
    assert np.bincount(data.test.labels).tolist() == [6] * 6


def flatten(folder: Path) -> dict[str, str]:
    """Takes the validation images out of their folders, as they are published; class by name."""
    found = {}
    for file in sorted((folder / "val").glob("*/*")):
        found[file.stem] = file.parent.name
        file.rename(folder / "val" / file.name)
    for wnid in WNIDS:
        (folder / "val" / wnid).rmdir()
    return found


def test_flat_validation_images_of_kaggle(copy: Callable[[str], Path]) -> None:
    folder = copy("imagenet")
    before = opened(folder, "imagenet")
    pixels = before.test.read(np.arange(36))
    inside = folder / "ILSVRC" / "Data" / "CLS-LOC"
    inside.mkdir(parents=True)
    wnids = flatten(folder)
    for half in ("train", "val"):
        (folder / half).rename(inside / half)
    assert refused(inside, "imagenet") == (
        "DATA: its val has no class folders, and there is neither LOC_val_solution.csv (there or up to 3 folders above) nor "
        "ILSVRC2012_validation_ground_truth.txt with meta.mat (there or in ILSVRC2012_devkit_t12/data) to say what the images show"
    )
    rows = [[name, f"{wnid} 85 1 499 272 "] for name, wnid in wnids.items()]
    write_csv(folder / "LOC_val_solution.csv", ["ImageId", "PredictionString"], rows)  # type: ignore[arg-type]
    data = opened(inside, "imagenet")
    assert np.array_equal(data.test.labels, before.test.labels)
    assert torch.equal(data.test.read(np.arange(36)), pixels)
    Image.new("RGB", (9, 9)).save(inside / "val" / "other.JPEG")
    assert refused(inside, "imagenet") == "val: other.JPEG has no class in the list of validation images"
    (folder / "LOC_val_solution.csv").write_text("ImageId\na\n")
    assert refused(inside, "imagenet") == (
        f"{folder}/LOC_val_solution.csv: expected the columns ImageId and PredictionString in every line"
    )


def test_flat_validation_images_with_the_development_kit(copy: Callable[[str], Path]) -> None:
    """Its numbers are not those of the sorted classes; wnids of classes without a folder are left out."""
    folder = copy("imagenet")
    before = opened(folder, "imagenet")
    wnids = flatten(folder)
    kit = folder / "ILSVRC2012_devkit_t12" / "data"
    kit.mkdir(parents=True)
    numbers = {wnid: number for number, wnid in enumerate(reversed(WNIDS), start=1)}
    synsets = np.array(
        [(number, wnid, "words") for wnid, number in numbers.items()],
        dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("words", object)],
    )
    savemat(kit / "meta.mat", {"synsets": synsets[:, None]})
    truth = kit / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("".join(f"{numbers[wnids[name]]}\n" for name in sorted(wnids)))
    assert np.array_equal(opened(folder, "imagenet").test.labels, before.test.labels)
    shutil.rmtree(folder / "train" / WNIDS[-1])
    assert np.bincount(opened(folder, "imagenet").test.labels).tolist() == [6] * 5
    truth.write_text("1001\n")
    assert refused(folder, "imagenet") == (
        "ILSVRC2012_devkit_t12/data: ILSVRC2012_validation_ground_truth.txt and meta.mat cannot be read together: 1001"
    )


def test_damaged_imagenet(copy: Callable[[str], Path]) -> None:
    folder = copy("imagenet")
    (folder / "val" / WNIDS[1]).rename(folder / "val" / "n99999999")
    assert refused(folder, "imagenet") == f"val: its class folders differ from those of train: {WNIDS[1]}, n99999999"
    (folder / "train" / WNIDS[1]).rename(folder / "train" / "n99999999")
    assert (
        refused(folder, "imagenet") == "train: n99999999 is none of the 1,000 classes of ImageNet-1K, such as n01440764"
    )
    shutil.rmtree(folder / "train" / "n99999999")
    shutil.rmtree(folder / "val" / "n99999999")
    for file in (folder / "val" / WNIDS[0]).iterdir():
        halve(file)
    assert refused(folder, "imagenet") == (
        "DATA: 6 of 90 images cannot be read, more than the allowed share of 0.01 (data.unreadable_share); for example "
        f"{WNIDS[0]}/ILSVRC2012_val_00000001.JPEG, {WNIDS[0]}/ILSVRC2012_val_00000002.JPEG, "
        f"{WNIDS[0]}/ILSVRC2012_val_00000003.JPEG"
    )
    assert refused(folder, "imagenet", unreadable_share=0.1) == (
        f"val: class {WNIDS[0]} (tench, Tinca tinca) has no readable image"
    )
    shutil.rmtree(folder / "val")
    assert refused(folder, "imagenet") == "val: no such folder; expected the validation images"
    shutil.rmtree(folder / "train")
    assert (
        refused(folder, "imagenet") == "train: cannot be read as a folder of class folders: No such file or directory"
    )


# --- UCF101 -----------------------------------------------------------------------------------------------------------


def test_ucf101_is_what_its_lists_say(miniature: Miniature) -> None:
    data = opened(miniature("ucf101"), "ucf101")
    assert list(data.classes.names) == ["ApplyLipstick", "Archery", "HandstandPushups", "Bowling"]
    assert data.classes.superclass is not None
    assert [data.classes.superclass_names[s] for s in data.classes.superclass] == [
        "Human-Object Interaction", "Sports", "Body-Motion Only", "Sports",
    ]  # fmt: skip
    assert np.bincount(data.train.labels).tolist() == [18 + 5] * 4  # groups 8 to 25, two clips of each fourth
    assert np.bincount(data.test.labels).tolist() == [7 + 1] * 4
    assert data.shapes is not None
    assert np.unique(data.shapes, axis=0).tolist() == [[20, 48, 64]]
    other = opened(miniature("ucf101"), "ucf101", fold=3)
    assert np.bincount(other.test.labels).tolist() == [7 + 2] * 4
    assert other.key != data.key


def test_a_clip_is_the_middle_of_its_video(copy: Callable[[str], Path]) -> None:
    """Of 21 and of 16 frames that grow brighter; the compression is off by a few of 255."""
    folder = copy("ucf101")
    for group, count in ((8, 21), (9, 16)):
        grey = [np.full((48, 64, 3), 10 * t, np.uint8) for t in range(count)]
        video(folder / "UCF-101" / "ApplyLipstick" / f"v_ApplyLipstick_g{group:02d}_c01.avi", grey)
    data = opened(folder, "ucf101")
    assert data.train.frames == 16  # type: ignore[attr-defined]
    names = list(data.train.names)  # type: ignore[attr-defined]
    places = [names.index(f"ApplyLipstick/v_ApplyLipstick_g{group:02d}_c01.avi") for group in (9, 8)]
    clips = data.train.read(np.array(places))
    assert (clips.shape, clips.dtype) == ((2, 3, 16, 32, 32), torch.uint8)
    for clip, first in zip(clips, (0, 2), strict=True):
        np.testing.assert_allclose(clip.float().mean((0, 2, 3)), 10 * (first + np.arange(16)), atol=4)


def test_groups_stay_together_in_every_part(miniature: Miniature) -> None:
    """Also where the cloud's images are cut, with a backbone trained here and with one that is given."""
    data = opened(miniature("ucf101"), "ucf101")
    names = np.array(data.train.names)  # type: ignore[attr-defined]
    groups = np.array([name.rsplit("_", 1)[0] for name in names])
    for weights in ("train", "pretrained"):
        scenario = Scenario.model_validate(
            {
                "name": "x", "seed": 5, "data": {"kind": "ucf101", "path": "x"}, "backbone": {"model": "c3d", "weights": weights},
                "clients": {"count": 1, "images": 8}, "adapters": ["backbone"],
            }
        )  # fmt: skip
        parts = split(scenario, data)
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(names)))
        seen = [set(groups[part]) for part in parts.values()]
        for place, one in enumerate(seen):
            assert not any(one & other for other in seen[place + 1 :])
        for part in ("module", "validation"):
            assert np.bincount(data.train.labels[parts[part]], minlength=4).min() >= 1


LISTS = "ucfTrainTestlist"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("classInd.txt", "2 Archery", "3 Archery", "line 2 is '3 Archery'; expected '2 CLASS'"),
        ("classInd.txt", "2 Archery", "2 Arrows", "Arrows is none of the 101 classes of UCF101, such as ApplyEyeMakeup"),
        ("testlist01.txt", "Archery/", "Arrows/", "line 9 names the class Arrows, which classInd.txt does not"),
        ("trainlist01.txt", "_c01.avi 1", "_c01.avi 2", "line 1 numbers ApplyLipstick 2, and classInd.txt 1"),
        (
            "trainlist01.txt", "_g08_c01.avi 1", "_c01.avi 1",
            "line 1 is 'ApplyLipstick/v_ApplyLipstick_c01.avi 1'; expected CLASS/v_CLASS_gXX_cXX.avi and at most the number of its "
            "class",
        ),
        (
            "testlist01.txt", "_g04_c01.avi", "_g24_c01.avi",
            "ApplyLipstick/v_ApplyLipstick_g24_c01.avi is of the same group as ApplyLipstick/v_ApplyLipstick_g24_c01.avi in "
            "trainlist01.txt",
        ),
    ],
)  # fmt: skip
def test_damaged_lists_of_ucf101(copy: Callable[[str], Path], file: str, old: str, new: str, message: str) -> None:
    folder = copy("ucf101")
    edit(folder / LISTS / file, old, new)
    assert refused(folder, "ucf101") == f"{LISTS}/{file}: {message}"


def test_missing_lists_and_videos(copy: Callable[[str], Path]) -> None:
    folder = copy("ucf101")
    (folder / LISTS / "testlist01.txt").write_text("\n")
    assert refused(folder, "ucf101") == f"{LISTS}/testlist01.txt: names no videos"
    (folder / LISTS / "testlist01.txt").unlink()
    assert refused(folder, "ucf101").startswith(f"{LISTS}/testlist01.txt: cannot be read: [Errno 2] No such file")
    (folder / "UCF-101").rename(folder / "videos")
    assert refused(folder, "ucf101") == "UCF-101: no such folder; expected the folders of classes of UCF101.rar"


def test_truncated_short_and_foreign_videos(copy: Callable[[str], Path]) -> None:
    folder = copy("ucf101")
    archery = folder / "UCF-101" / "Archery"
    halve(archery / "v_Archery_g01_c01.avi")
    video(archery / "v_Archery_g02_c01.avi", moving_square(np.random.default_rng(0), 0.5, frames=15))
    (archery / "v_Archery_g08_c01.avi").write_text("no video")
    with av.open(str(archery / "v_Archery_g09_c01.avi"), "w") as container:  # sound alone
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    (archery / "v_Archery_g10_c01.avi").unlink()
    data = opened(folder, "ucf101", unreadable_share=0.05)
    assert list(data.missing) == ["Archery/v_Archery_g10_c01.avi"]
    assert sorted(data.skipped) == [f"Archery/v_Archery_g{group}_c01.avi" for group in ("01", "02", "08", "09")]
    assert refused(folder, "ucf101") == (
        "UCF-101: 5 of 124 images cannot be read, more than the allowed share of 0.01 (data.unreadable_share); for example "
        "Archery/v_Archery_g10_c01.avi, Archery/v_Archery_g08_c01.avi, Archery/v_Archery_g09_c01.avi"
    )
    for file in archery.glob("*_g0[1-7]_*"):
        file.unlink()
    assert refused(folder, "ucf101", unreadable_share=0.1) == (
        f"{LISTS}/testlist01.txt: class Archery has no readable video"
    )


def test_videos_need_pyav(copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy("ucf101")
    monkeypatch.setitem(sys.modules, "av", None)
    assert refused(folder, "ucf101") == (
        "videos are read by PyAV, which is not installed; pip install 'iciia-sim[video]'"
    )


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
