"""FEMNIST, CelebA and iNaturalist 2019, whose images are somebody's: what is read is what the files say, from every layout that
people have; every kind of damage gets its one message."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import Miniature, edit, halve, opened, refused
from miniatures import ATTRIBUTES, CHARACTERS, femnist, leaf, write_csv

from sim.cache import Cache
from sim.engine.feasibility import check_data
from sim.errors import ScenarioError
from sim.scenario.file import read
from sim.scenario.validation import validate

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
        "img_align_celeba: 2 of 60 files cannot be read (1 missing, 1 broken), more than the allowed share of "
        "0.01 (data.unreadable_share); for example "
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
