"""`iciia data check`: what it says about a data set is what is on disk, for people and for scripts, with and without damage."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from iciia.cloud.backbone import Backbone
from sim.cache import Cache
from sim.cli import app
from sim.data.check import DataReport, Spread, inspect_data
from sim.errors import DataError
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.stage import silent

Miniature = Callable[[str], Path]
Make = Callable[..., dict[str, Any]]


def inspected(scenario: str | dict[str, Any], *overrides: str) -> DataReport:
    found = validate(read(scenario).override(overrides))
    return inspect_data(found.data, found.cloud_seed, Cache(), silent)


def test_femnist(miniature: Miniature) -> None:
    folder = miniature("femnist")
    found = inspected("paper/femnist", f"data.path={folder}")
    assert (found.kind, found.task, found.classes, found.superclasses, found.channels) == (
        "femnist", "multi_class", 62, 0, 1,
    )  # fmt: skip
    assert (found.height, found.frames, list(found.missing), list(found.broken), list(found.problems)) == (
        None, None, [], [], [],
    )  # fmt: skip
    for name, half in (("train", found.train), ("test", found.test)):
        people = {}
        for file in (folder / name).glob("*.json"):
            for user, one in json.loads(file.read_text())["user_data"].items():
                people[user] = one["y"]
        count = np.bincount(np.concatenate(list(people.values())), minlength=62)
        assert half.images == count.sum()
        assert half.classes == (count > 0).sum()
        assert half.images_per_class == Spread(count.min(), np.median(count), count.max())
        assert half.clients == 8
        assert half.images_per_client == Spread.of(np.array([len(labels) for labels in people.values()]))
        assert half.classes_per_client == Spread.of(np.array([len(set(labels)) for labels in people.values()]))
    assert found.clients_on_both_sides == 8


def test_celeba_and_its_attributes(miniature: Miniature) -> None:
    found = inspected("paper/celeba", f"data.path={miniature('celeba')}")
    assert (found.task, found.classes, found.channels) == ("multi_label", 40, 3)
    assert (found.height, found.width) == (Spread(218, 218, 218), Spread(178, 178, 178))
    assert (found.train.clients, found.test.clients, found.clients_on_both_sides) == (7, 3, 0)
    assert found.test.images_per_client == Spread(6, 6, 6)
    rows = [line.split() for line in (miniature("celeba") / "list_attr_celeba.txt").read_text().splitlines()[2:]]
    has = np.array([[value == "1" for value in row[1:]] for row in rows])[42:]
    assert found.test.images_per_class == Spread.of(has.sum(axis=0))
    met = has.reshape(3, 6, 40).any(axis=1).sum(axis=1)
    assert found.test.classes_per_client == Spread.of(met)


def test_videos_without_pictures_being_read(miniature: Miniature, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without any model."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(Backbone, "__init__", refuse)
    found = inspected("paper/ucf101", f"data.path={miniature('ucf101')}")
    assert (found.frames, found.height, found.width) == (Spread(20, 20, 20), Spread(48, 48, 48), Spread(64, 64, 64))
    assert (found.superclasses, found.train.clients, found.clients_on_both_sides) == (3, None, None)
    assert (found.train.images, found.test.images) == (92, 32)


def test_data_without_files(tiny: Make) -> None:
    found = inspected(tiny())
    assert (found.kind, found.channels, found.height, found.train.images) == ("synthetic", None, None, 960)
    assert dict(found.rows())["task"] == "one of 24 classes in 4 superclasses"


def test_damage_is_counted_and_told_by_the_exit_code(miniature: Miniature, tmp_path: Path) -> None:
    """Through a real process: all bad files as JSON, and the reason why a run would be refused."""
    folder = shutil.copytree(miniature("celeba"), tmp_path / "celeba")
    for number in range(1, 6):
        (folder / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    for number in range(49, 55):
        whole = (folder / "img_align_celeba" / f"{number:06d}.jpg").read_bytes()
        (folder / "img_align_celeba" / f"{number:06d}.jpg").write_bytes(whole[: len(whole) // 2])
    done = subprocess.run(
        [sys.executable, "-m", "sim.cli", "data", "check", "paper/celeba", "--set", f"data.path={folder}", "--json"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        "11 of 60 files cannot be read, more than the allowed share of 0.01 (data.unreadable_share)",
        "clients.count: got 1000, and the data have 2 natural clients",
    ]
    found = json.loads(done.stdout)
    assert found["missing"] == [f"{number:06d}.jpg" for number in range(1, 6)]
    assert found["broken"] == [f"{number:06d}.jpg" for number in range(49, 55)]
    assert found["test"]["clients"] == 2
    assert found["train"]["images_per_client"] == {"min": 1.0, "median": 6.0, "max": 6.0}

    allowed = ["paper/celeba", "--set", f"data.path={folder}", "--set", "data.unreadable_share=0.2"]
    allowed += ["--set", "clients.count=2"]
    shown = CliRunner().invoke(app, ["data", "check", *allowed])
    assert shown.exit_code == 0
    lines = dict(line.split("  ", 1) for line in shown.stdout.splitlines() if "  " in line)
    assert lines["missing files"].strip() == "5 (000001.jpg, 000002.jpg, 000003.jpg, ...)"
    assert lines["broken files"].strip() == "6 (000049.jpg, 000050.jpg, 000051.jpg, ...)"
    assert lines["natural clients"].strip() == "train 7; test 2; on both sides 0"


def test_what_makes_no_sense_is_an_error(miniature: Miniature, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train: has no LEAF .json file; run LEAF's preprocess.sh"):
        inspected("paper/femnist", f"data.path={tmp_path}")
    result = CliRunner().invoke(app, ["data", "check", "paper/femnist", "--set", "data.kind=femnits"])
    assert 'did you mean "femnist"?' in str(result.exception)
