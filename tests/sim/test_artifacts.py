"""The cloud, end to end on images: shipped scenarios reduced, a folder of class folders, checkpoints, and what is cached."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import sim
from sim.cache import Cache
from sim.scenario.file import read, shipped


@pytest.mark.parametrize("name", sorted(name for name in shipped() if not name.startswith(("paper/", "photos/"))))
def test_shipped_scenarios_run(name: str, tmp_path: Path) -> None:
    """Every scenario as it is shipped, with few clients, at most 400 images each, few steps and the first cell of its sweep; all of
    one seed, so that they share a backbone. Those of data in files are in test_paper_data.py and test_photographs.py."""
    values = read(name).values
    epochs = 5 if values["data"]["kind"] == "digits" else 1  # so few digits make 25 steps an epoch
    count = 24 if values["clients"]["images"] < 100 else 3  # of few images a barely trained backbone may know none
    images = min(values["clients"]["images"], 400)
    overrides = ["seed=1", f"clients.count={count}", f"clients.cohort={count // 2 + 1}", f"clients.images={images}"]
    overrides += [f"backbone.epochs={epochs}", "backbone.batch=32"] if "backbone" in values else []
    overrides += ["cloud.threads=1"]
    overrides += [f"modules.{module}.steps=3" for module in values.get("modules", {})]
    for i, adapter in enumerate(values["adapters"]):
        if isinstance(adapter, dict) and adapter["kind"] == "iciia":
            overrides += [f"adapters.{i}.bank.capacity=[0, 4]"]
        elif isinstance(adapter, dict) and "capacity" in adapter:
            overrides += [f"adapters.{i}.capacity={[0, 4] if isinstance(adapter['capacity'], list) else 4}"]
    overrides += ["data.train_images=20"] if values["data"]["kind"] == "glyphs" else []
    sweep = {key: choices[0] for key, choices in values.get("sweep", {}).items() if key != "seed"}
    overrides += [f"{key}={choice}" for key, choice in sweep.items()] + ["sweep={}"]
    report = sim.run(name, overrides=overrides, out=tmp_path / "r", workers=0, quiet=True)
    assert report.summary.images.tolist() == [count * images] * len(report.summary)
    chance = 1 / len(report.classes.class_index.unique())
    assert report.summary.accuracy[report.summary.adapter == "backbone"].item() > 1.5 * chance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four classes that a network can tell apart: bright or dark, above or below."""
    rng = np.random.default_rng(0)
    for c in range(4):
        (tmp_path / "images" / f"class{c}").mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(60, 120, (32, 32, 3))
            pixels[(c % 2) * 16 : (c % 2) * 16 + 16] += 40 if c < 2 else -40
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / f"class{c}" / f"{i}.png")
    (tmp_path / "groups.csv").write_text("class_index,superclass\n0,bright\n1,bright\n2,dark\n3,dark\n")
    return tmp_path


def scenario(folder: Path, weights: str) -> dict[str, Any]:
    return {
        "name": "folder",
        "data": {"kind": "image_folder", "train": str(folder / "images"), "superclasses": str(folder / "groups.csv")},
        "backbone": {"model": "test_resnet", "weights": weights, "image_size": 32, "epochs": 40, "batch": 16},
        "modules": {"stream": {"heads": 2, "partitions": 2, "steps": 5, "length": 8, "drift_every": 4}},
        "clients": {"count": 4, "images": 8, "cohort": 4},
        "adapters": ["backbone", {"kind": "iciia", "module": "stream"}],
    }


def test_an_image_folder_from_training_to_report(folder: Path) -> None:
    report = sim.run(scenario(folder, "train"), out=folder / "r", workers=0, quiet=True)
    assert report.summary.accuracy[0] > 0.5
    assert report.classes.superclass.unique().tolist() == ["bright", "dark"]
    assert report.overhead.backbone_macs[0] == report.run["provenance"]["backbone"]["macs"] > 0
    parts = report.audit[report.audit.measure == "images_in_part"].set_index("name").drawn
    assert parts.to_dict() == {"backbone": 44, "module": 28, "calibration": 4, "validation": 8, "test": 36}


def test_a_backbone_of_our_own_from_training_to_report(tmp_path: Path) -> None:
    settings = {
        "name": "digits", "seed": 1, "cloud": {"threads": 1}, "data": {"kind": "digits"},
        "backbone": {"model": "femnist_cnn", "epochs": 1, "batch": 32},
        "clients": {"count": 4, "images": 8, "cohort": 4, "subset": {"classes": 3}},
        "adapters": ["backbone"],
    }  # fmt: skip
    report = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    backbone = report.run["provenance"]["backbone"]
    assert (backbone["feature_dim"], backbone["macs"]) == (2048, 17_211_904 - 52 * 2048)
    assert backbone["test_accuracy"] > 0.5


def test_a_checkpoint_in_place_of_training(folder: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=4)
    torch.save(model.state_dict(), folder / "weights.pth")
    report = sim.run(scenario(folder, str(folder / "weights.pth")), out=folder / "r", workers=0, quiet=True)
    parts = report.audit[report.audit.measure == "images_in_part"].set_index("name").drawn
    assert parts["backbone"] == 0
    other = timm.create_model("test_resnet", num_classes=7)
    torch.save(other.state_dict(), folder / "other.pth")
    with pytest.raises(sim.DataError, match=r"predicts 7 classes where the data have 4; take head: probe"):
        sim.run(scenario(folder, str(folder / "other.pth")), out=folder / "r2", workers=0, quiet=True)
    assert not (folder / "r2").exists()


def test_the_second_run_trains_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.run(scenario(folder, "train"), out=folder / "r1", workers=0, quiet=True)
    asked: list[str] = []
    get = Cache.get

    def watched(self: Cache, kind: str, key: Any, build: Any) -> Path:
        asked.append(kind)

        def refuse(folder: Path) -> None:
            raise AssertionError(f"{kind} was made again")

        return get(self, kind, key, refuse)

    monkeypatch.setattr(Cache, "get", watched)
    sim.run(scenario(folder, "train"), out=folder / "r2", workers=0, quiet=True)
    assert set(asked) == {"scan", "backbone", "features", "module", "vega"}


def test_too_few_images_for_every_part(folder: Path) -> None:
    for path in (folder / "images" / "class3").glob("*.png"):
        if int(path.stem) >= 3:
            path.unlink()
    settings = scenario(folder, "train")
    settings["clients"]["sampling"] = "with_replacement"
    with pytest.raises(
        sim.ScenarioError, match="class 'class3' has too few training images: none of them falls into the"
    ):
        sim.run(settings, out=folder / "r", workers=0, quiet=True)
    assert not (folder / "r").exists()
