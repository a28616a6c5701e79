"""`iciia features`: what it writes is what a run on the images sees, it goes on where it was cut short, and it refuses what no file
can hold."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

import sim
from iciia.cloud.backbone import Backbone
from sim.cache import Cache
from sim.cli import app
from sim.engine.features import write_features
from sim.scenario.file import read
from sim.stage import silent

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of pictures of six people, with a day each, superclasses and a checkpoint."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    rows = ["file,client,time"]
    for c in range(4):
        (root / "images" / f"class{c}").mkdir(parents=True)
        for i in range(30):
            pixels = rng.integers(60, 120, (32, 32, 3))
            pixels[(c % 2) * 16 : (c % 2) * 16 + 16] += 40 if c < 2 else -40
            name = f"class{c}/{i}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / name)
            rows.append(f"{name},p{i % 6},2024-01-{1 + rng.integers(28):02d}")
    (root / "clients.csv").write_text("\n".join(rows))
    (root / "groups.csv").write_text(
        "class_index,superclass,superclass_name\n3,a,dark\n2,a,dark\n0,b,bright\n1,b,bright\n"
    )
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), root / "weights.pth")
    return root


def scenario(folder: Path, weights: str, **sections: Any) -> Settings:
    return {
        "name": "pictures",
        "cloud": {"threads": 1},
        "data": {
            "kind": "image_folder", "train": str(folder / "images"), "superclasses": str(folder / "groups.csv"),
            "clients": str(folder / "clients.csv"), "split": "image", "test_share": 0.5,
        },
        "backbone": {"model": "test_resnet", "weights": weights, "image_size": 32, "epochs": 2, "batch": 16},
        "modules": {"any": {"context": "stream", "heads": 2, "partitions": 2, "steps": 32, "length": 8, "selection": "best"}},
        "clients": {"count": 6, "cohort": 4, "chunk": 4, "source": "natural", "images": "all"},
        "adapters": ["backbone", "oracle", {"kind": "iciia", "module": "any"}, {"kind": "t3a"}, "last_label"],
        "report": {"window": 5, "horizon": 5, "events": True},
    } | sections  # fmt: skip


def written(settings: Settings, folder: Path) -> Settings:
    """The `data` that the command writes."""
    file = folder.with_suffix(".yaml")
    file.write_text(json.dumps(settings))
    found = CliRunner().invoke(app, ["features", str(file), "--out", str(folder)], catch_exceptions=False)
    line = found.stdout.removeprefix("data: ")
    assert sorted(path.name for path in folder.iterdir()) == ["superclasses.csv", "test.npz", "train.npz"]
    return dict(yaml.safe_load(line))


def differing(one: sim.Report, other: sim.Report) -> dict[str, set[str]]:
    """Columns that differ between two reports, by table."""
    found: dict[str, set[str]] = {}
    for path in sorted(one.folder.glob("*.parquet")) + sorted(one.folder.glob("*/0*.parquet")):
        name = path.stem if path.parent == one.folder else path.parent.name
        a, b = one.table(name), other.table(name)
        found[name] = {column for column in a if not a[column].equals(b[column])}
    return {name: columns for name, columns in found.items() if columns}


@pytest.mark.parametrize("source", ["natural", "drawn"])
def test_a_run_on_the_files_is_a_run_on_the_images(folder: Path, tmp_path: Path, source: str) -> None:
    clients = {} if source == "natural" else {"clients": {"count": 5, "images": 12, "cohort": 4}}
    settings = scenario(folder, str(folder / "weights.pth"), **clients)
    first = sim.run(settings, out=tmp_path / "images", workers=0, quiet=True)
    data = written(settings, tmp_path / "features")
    del settings["backbone"]
    second = sim.run(settings | {"data": data}, out=tmp_path / "run", workers=0, quiet=True)
    names_and_costs = {"audit": {"name"}, "classes": {"class_name"}, "overhead": {"backbone_macs", "macs_share"}}
    assert differing(first, second) == names_and_costs
    assert second.classes.class_name.unique().tolist() == ["0", "1", "2", "3"]
    assert second.overhead.backbone_macs.isna().all()
    with np.load(tmp_path / "features" / "train.npz") as arrays:
        assert sorted(arrays) == [
            "classifier_bias", "classifier_weight", "clients", "features", "labels", "logits", "times",
        ]  # fmt: skip


def test_a_backbone_trained_here_is_the_same_and_its_own_images_are_left_out(folder: Path, tmp_path: Path) -> None:
    """Modules are then trained on other images: what the backbone was trained on is gone, and the rest is cut anew."""
    settings = scenario(folder, "train", adapters=["backbone", "oracle", {"kind": "iciia", "module": "any"}])
    first = sim.run(settings, out=tmp_path / "images", workers=0, quiet=True)
    data = written(settings, tmp_path / "features")
    del settings["backbone"]
    second = sim.run(settings | {"data": data}, out=tmp_path / "run", workers=0, quiet=True)
    split = [
        report.audit[report.audit.measure == "images_in_part"].set_index("name").drawn for report in (first, second)
    ]
    parts = ("module", "calibration", "validation")
    assert split[1]["backbone"] == 0
    assert sum(split[0][part] for part in parts) == sum(split[1][part] for part in parts)
    one, other = (report.events[report.events.adapter != "iciia-16"] for report in (first, second))
    pd.testing.assert_frame_equal(one, other)


def test_it_goes_on_where_it_was_cut_short(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle of the training images: two batches are not computed again, and the files are the same to the bit."""
    settings = scenario(folder, str(folder / "weights.pth"))
    settings["backbone"]["image_size"] = 48  # nobody has computed these yet
    monkeypatch.setattr("sim.cloud.extraction.BATCHES", 1)
    monkeypatch.setattr("iciia.cloud.backbone.PIXELS", 16 * 48**2)  # so that they are several batches
    seen: list[int] = []
    forward = Backbone.forward

    def counted(self: Backbone, images: Any) -> Any:
        seen.append(len(images))
        if len(seen) == limit:
            raise KeyboardInterrupt
        return forward(self, images)

    monkeypatch.setattr(Backbone, "forward", counted)
    limit = 4  # the first is for the shapes
    with pytest.raises(KeyboardInterrupt):
        write_features(read(settings), tmp_path / "f", Cache(), silent)
    assert not (tmp_path / "f").exists()
    seen.clear()
    limit = -1
    written(settings, tmp_path / "f")
    resumed = len(seen)
    files = {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()}
    for kept in (Cache().folder / "features").iterdir():
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    seen.clear()
    written(settings, tmp_path / "f")
    assert resumed == len(seen) - 2
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()}


def test_what_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"

    def refused(settings: Settings, out: Path) -> str:
        file.write_text(json.dumps(settings))
        found = CliRunner().invoke(app, ["features", str(file), "--out", str(out)])
        assert isinstance(found.exception, sim.SimError)
        return str(found.exception)

    settings = scenario(folder, str(folder / "weights.pth"))
    camera = {**settings["clients"], "corruption": {"kind": "blur", "severity": 2}}
    settings["backbone"]["execution"] = "live"
    assert "clients.corruption" in refused(settings | {"clients": camera}, tmp_path / "f")
    assert "train.npz: cannot be written" in refused(settings, file / "f")
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.yaml"]
