"""The experiments run on data of one's own by another `data`, and have the published grid by `--set`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sim
from sim.cache import Cache
from sim.engine.feasibility import check_data
from sim.scenario.file import Document, cells, read, shipped
from sim.scenario.validation import validate
from sim.stage import silent

EXPERIMENTS = sorted(name for name in shipped() if name.startswith("experiments/"))
GRID = ["modules.iciia.layers=1,2,3,4,5", "modules.iciia.partitions=1,2,4,8,16,32,64,128,256"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is set for class folders and for features of eight classes in two superclasses."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (folder / "groups.csv").write_text("class_index,superclass\n" + "".join(f"{c},{'ab'[c // 4]}\n" for c in range(8)))
    for half, count in (("train", 40), ("test", 12)):
        for label in range(8):
            place = folder / half / f"class {label}"
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 32 * (label + 1), (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
        labels = np.repeat(np.arange(8), count)
        features = rng.standard_normal((len(labels), 256)).astype(np.float32)
        features[:, :8] += 2 * np.eye(8, dtype=np.float32)[labels]
        classifier = np.eye(8, 256, dtype=np.float32)
        np.savez(
            folder / f"{half}.npz",
            features=features,
            logits=features[:, :8],
            labels=labels,
            classifier_weight=classifier,
        )
    where = f"train: {folder}/train, test: {folder}/test, superclasses: {folder}/groups.csv"
    files = f"train: {folder}/train.npz, test: {folder}/test.npz, superclasses: {folder}/groups.csv"
    return {
        "images": [f"data={{kind: image_folder, {where}}}"],
        "features": [f"data={{kind: features, {files}}}", "backbone=null"],
    }


def check(document: Document) -> int:
    """Validates every cell, and one of them against its data; how many there are."""
    found = cells(document)
    scenarios = [validate(cell) for _, cell in found]
    check_data(found[0][1], scenarios[0], Cache(), silent)
    return len(found)


@pytest.mark.parametrize("data", ["images", "features"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_take_other_data(name: str, data: str, own: dict[str, list[str]]) -> None:
    assert check(read(name).override(own[data])) == len(cells(read(name)))


def test_an_experiment_runs_on_images_of_ones_own(own: dict[str, list[str]], tmp_path: Path) -> None:
    small = ["sweep={seed: [1]}", "backbone.epochs=1", "modules.iciia.steps=32", "modules.iciia.evaluate_every=32"]
    small += ["clients.count=3", "clients.images=32", "clients.drift.every=16"]
    report = sim.run(
        "experiments/stream/shuffling", overrides=[*own["images"], *small], out=tmp_path / "run", workers=0, quiet=True
    )
    assert set(report.sweep["adapter"]) == {"backbone", "iciia-16", "oracle"}
    assert (report.sweep["images"] == 3 * 32).all()


@pytest.mark.parametrize("protocol", ["paper", "stream"])
def test_the_published_grid(protocol: str) -> None:
    assert check(read(f"experiments/{protocol}/layers_partitions").override(GRID)) == 3 * 5 * 9
