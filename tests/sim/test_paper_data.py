"""The scenarios of the paper's data sets, each run whole, by all its protocols, on a miniature copy in the published layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miniatures import MINIATURES
from torch import Tensor, nn

import sim
from iciia.cloud.backbones import OWN
from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data import Images, open_data
from sim.scenario.file import cells, read, shipped
from sim.scenario.scenario import Scenario
from sim.scenario.validation import validate

Miniature = Callable[[str], Path]
PAPER = sorted(name for name in shipped() if name.startswith("paper/"))
CLIENTS, STEPS = 3, 8


class SmallC3D(nn.Module):
    """As C3D on clips of 16 frames of any size, 8 channels wide."""

    def __init__(self, num_classes: int = 101, in_chans: int = 3) -> None:
        super().__init__()
        self.pretrained_cfg = {"input_size": (3, 16, 24, 24), "mean": (0.5,) * 3, "std": (0.25,) * 3}
        self.convolution = nn.Conv3d(in_chans, 8, 3, stride=2)
        self.classifier = nn.Linear(8, num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.convolution(x).relu()

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        features = x.mean((2, 3, 4))
        return features if pre_logits else self.classifier(features)

    def get_classifier(self) -> nn.Linear:
        return self.classifier


BACKBONES = {
    "femnist": {"epochs": 4, "batch": 32, "learning_rate": 0.002},
    "ucf101": {"model": "small_c3d", "epochs": 6, "batch": 8, "learning_rate": 0.02},
}
OTHER_BACKBONE = {"model": "test_resnet", "weights": "train", "image_size": 24, "epochs": 20, "batch": 8}


def with_bank(adapter: str | dict[str, Any]) -> bool:
    return isinstance(adapter, dict) and adapter["kind"] == "iciia"


def reduced(name: str, folder: Path) -> list[str]:
    """Overrides: a miniature, few clients, few steps."""
    values = read(name).values
    backbone = BACKBONES.get(values["data"]["kind"], OTHER_BACKBONE)
    natural = values["clients"].get("source") == "natural"
    drawn = [] if natural else [f"clients.images={STEPS}", "clients.sampling=wrap_around"]
    drift = ["clients.drift.every=4"] if "every" in values["clients"].get("drift", {}) else []
    partitions = 64 if values["data"]["kind"] == "femnist" else 2
    modules = {
        "heads": 2,
        "partitions": partitions,
        "steps": 3,
        "evaluate_every": 32,
        "length": 8,
        "batch": 1,
        "drift_every": 4,
    }
    return [
        f"data.path={folder}", "cloud.threads=1", f"clients.count={CLIENTS}", "clients.cohort=2", *drawn, *drift,
        *(f"backbone.{key}={value}" for key, value in backbone.items()),
        *(f"modules.{module}.{key}={value}" for module in values["modules"] for key, value in modules.items()),
        *(f"adapters.{i}.bank.capacity=[0, 3]" for i, one in enumerate(values["adapters"]) if with_bank(one)),
    ]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _small_c3d() -> Any:
    OWN["small_c3d"] = SmallC3D  # type: ignore[index]
    yield
    del OWN["small_c3d"]  # type: ignore[attr-defined]


def opened(scenario: Scenario) -> Images:
    data = open_data(scenario.data, scenario.cloud_seed, Preprocessing(24), Cache())
    assert isinstance(data, Images)
    return data


@pytest.mark.parametrize("name", PAPER)
def test_a_scenario_from_files_to_report(name: str, miniature: Miniature, tmp_path: Path) -> None:
    document = read(name).override(reduced(name, miniature(read(name).values["data"]["kind"])))
    for place, (chosen, cell) in enumerate(cells(document)):
        scenario = validate(cell)
        report = sim.run(cell.values, out=tmp_path / str(place), workers=0, quiet=True)
        data = opened(scenario)
        clients = report.clients.drop_duplicates("client")
        if scenario.clients.source == "natural":
            owners = np.bincount(np.asarray(data.test_clients))
            assert clients.images.tolist() == owners[clients.natural_client].tolist()
        else:
            assert clients.images.tolist() == [STEPS] * CLIENTS
            superclasses = report.classes.superclass.unique().tolist()
            assert set(superclasses) <= set(data.classes.superclass_names)
        assert report.summary.images.tolist() == [clients.images.sum()] * len(report.summary)
        modules = [row.adapter for row in report.summary.itertuples() if row.kind in ("iciia", "ff")]
        banks = [f"{one}-{capacity}" for one in ("ICIIA-B", "ICIIA-T", "stream") for capacity in (0, 3)]
        assert modules == (banks if "drift" in name else ["ff", *banks])
        assert report.run["scenario"]["protocol"] == chosen.get("protocol", "stream")
        chance = 0.5 if data.test.labels.ndim == 2 else 1 / len(data.classes)
        accuracy = report.summary.set_index("adapter").accuracy["backbone"]
        assert accuracy > (0.9 if data.test.labels.ndim == 2 else 1.5) * chance


def test_every_data_set_of_the_paper_has_scenarios() -> None:
    assert {read(name).values["data"]["kind"] for name in PAPER} == set(MINIATURES) - {"image_folder", "image_table"}
