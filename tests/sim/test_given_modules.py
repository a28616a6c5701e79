"""Modules that are not trained here: taken out of a run, from a folder, the hub or a checkpoint of the authors; what does not
fit is refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import sim
from iciia import ICIIA
from iciia.contexts.files import load_module
from sim.cache import Cache
from sim.cli import app
from sim.engine.feasibility import check_data
from sim.engine.parts import prepare
from sim.scenario.file import read
from sim.scenario.scenario import Scenario
from sim.scenario.validation import validate
from sim.stage import silent

Settings = dict[str, Any]
GOLDEN = Path(__file__).parents[1] / "golden"
CLIENTS = {"count": 4, "images": 24, "cohort": 4, "chunk": 8}

MODULES: Settings = {
    "priors": {"steps": 2, "streams": "as_clients"},
    "attention": {"context": "stream", "heads": 2, "partitions": 4, "steps": 32, "length": 16, "selection": "best"},
    "icrm": {"context": "icrm", "layers": 1, "heads": 2, "width": 16, "steps": 2, "length": 16},
    "arm": {"context": "arm_cml", "width": 16, "steps": 2, "length": 16},
}
ADAPTERS: list[Any] = [
    "backbone",
    {"kind": "iciia", "module": "priors", "name": "priors"},
    {"kind": "iciia", "module": "attention", "name": "attention", "bank": {"capacity": 8}},
    {"kind": "icrm", "module": "icrm"},
    {"kind": "arm_cml", "module": "arm"},
]


@pytest.fixture(scope="module")
def run_folder(tiny: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a module of every class."""
    folder = tmp_path_factory.mktemp("given") / "run"
    sim.run(tiny(modules=MODULES, clients=CLIENTS, adapters=ADAPTERS), out=folder, workers=0, quiet=True)
    return folder


def taken(run_folder: Path, folder: Path, name: str) -> Path:
    target = folder / name
    found = CliRunner().invoke(app, ["module", "save", str(run_folder), name, str(target)], catch_exceptions=False)
    assert found.exit_code == 0
    return target


def weights(**places: Any) -> Settings:
    return {name: {"weights": str(place)} for name, place in places.items()}


@pytest.mark.parametrize("by", ["folder", "run"])
def test_modules_of_one_run_predict_the_same_in_another(
    by: str, tiny: Callable[..., Settings], run_folder: Path, tmp_path: Path
) -> None:
    places = {name: taken(run_folder, tmp_path, name) if by == "folder" else f"{run_folder}#{name}" for name in MODULES}
    other = tiny(name="other", modules=weights(**places), clients=CLIENTS, adapters=ADAPTERS)
    report = sim.run(other, out=tmp_path / "other", workers=0, quiet=True)
    first = sim.load(run_folder)
    pd.testing.assert_frame_equal(report.events, first.events)
    pd.testing.assert_frame_equal(report.summary, first.summary)
    assert first.summary.set_index("adapter").knows["attention-8"] == "superclasses"
    said, trained = (one.run["provenance"]["modules"] for one in (report, first))
    assert {name: one["weights"] for name, one in said.items()} == {name: str(one) for name, one in places.items()}
    if by == "run":
        assert {name: one["digest"] for name, one in said.items()} == {n: one["digest"] for n, one in trained.items()}


def test_a_module_that_left_the_cache_is_trained_again_to_the_same_weights(run_folder: Path, tmp_path: Path) -> None:
    before = load_module(taken(run_folder, tmp_path, "attention")).state_dict()
    artifact = json.loads((run_folder / "run.json").read_text())["provenance"]["modules"]["attention"]["artifact"]
    shutil.rmtree(Cache().folder / "module" / artifact)
    with pytest.raises(sim.ScenarioError, match=r"its module attention is not in the cache .*iciia module save"):
        check({"weights": f"{run_folder}#attention"})
    after = load_module(taken(run_folder, tmp_path / "again", "attention")).state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())


def golden(name: str) -> dict[str, torch.Tensor]:
    """A state dict that the authors' code wrote."""
    with np.load(GOLDEN / f"reference_{name}.npz") as arrays:
        found = {key.removeprefix("state/"): value for key, value in arrays.items() if key.startswith("state/")}
    return {name: torch.from_numpy(np.array(value)) for name, value in found.items()}


@pytest.mark.parametrize("name", ["p1", "p4"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_checkpoint_of_the_authors_is_simulated(
    name: str, suffix: str, tiny: Callable[..., Settings], tmp_path: Path
) -> None:
    state, heads = golden(name), 2
    file = tmp_path / f"theirs{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": state}, file)
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, file)
    classes, features = state["classifier.weight"].shape
    data = tiny()["data"] | {"classes": classes, "features": features, "superclasses": 1}
    adapters = ["backbone", {"kind": "iciia", "module": "theirs", "bank": {"capacity": 3}}]
    modules = {"theirs": {"weights": str(file), "heads": heads}}
    scenario = tiny(data=data, modules=modules, clients=CLIENTS, adapters=adapters, protocol="paper_batch")
    scenario["clients"] = CLIENTS | {"images": 8}
    report = sim.run(scenario, out=tmp_path / "run", workers=0, quiet=True)
    assert report.run["provenance"]["modules"]["theirs"]["knows"] == "nothing"
    events = report.events.set_index(["adapter", "client", "step"])
    artifact = prepare(Scenario.model_validate_json(json.dumps(report.scenario)), Cache(), silent)
    own = ICIIA.from_reference(state, heads)
    for client in range(4):
        found = events.loc["iciia-3", client].sort_index()
        chunk, logits = artifact.test.gather(found.image.to_numpy())
        with torch.inference_mode():
            sets = own.forward_sets(chunk.view(2, 4, -1), logits.view(2, 4, -1)).flatten(0, 1)
        assert found.prediction.tolist() == sets.argmax(1).tolist()
    saved = load_module(taken(tmp_path / "run", tmp_path, "theirs"))
    assert saved.settings == own.settings


def check(module: Settings, adapter: Any = None, **sections: Any) -> None:
    """Whether a scenario with a module `m` is sound."""
    values = {
        "name": "given", "data": {"kind": "synthetic", "classes": 24, "superclasses": 4, "features": 32, "images_per_class": 40},
        "modules": {"m": module}, "clients": CLIENTS,
        "adapters": ["backbone", adapter or {"kind": "iciia", "module": "m"}],
    } | sections  # fmt: skip
    document = read(values)
    check_data(document, validate(document), Cache())


def test_what_does_not_fit_is_refused(run_folder: Path, tmp_path: Path) -> None:
    attention, priors, icrm = (f"{run_folder}#{name}" for name in ("attention", "priors", "icrm"))
    other = {"kind": "synthetic", "classes": 20, "superclasses": 4, "features": 64, "images_per_class": 40}
    cases: list[tuple[Settings, Settings, str]] = [
        ({"weights": attention}, {"data": other}, r"takes 32 features and predicts 24 classes, and the data have 64 and 20"),
        ({"weights": attention}, {"adapter": {"kind": "ff", "module": "m"}}, r"adapters.1.module +has a context to attend to"),
        ({"weights": icrm}, {}, r"adapters.1.module +has context icrm; set kind: icrm"),
        ({"weights": icrm}, {"adapter": {"kind": "icrm", "module": "m", "capacity": 100}}, r"more than the module's positions"),
        ({"weights": priors, "precision": "bfloat16"}, {}, r"computes in float32; remove precision"),
        ({"weights": f"{run_folder}#nobody"}, {}, r"got module 'nobody', and the run has priors, attention, icrm, arm"),
        ({"weights": str(run_folder)}, {}, r"got no name, and the run has priors, attention, icrm, arm"),
        ({"weights": "nowhere"}, {}, r"got '.*nowhere': no such file or folder, and no run; expected a folder of save_pretrained"),
        ({"weights": str(tmp_path)}, {}, r"holds no module: there is no config.json and no model.safetensors in it"),
        ({"weights": attention, "steps": 3}, {}, r"modules.m.steps +unknown key"),
    ]  # fmt: skip
    for module, sections, message in cases:
        with pytest.raises(sim.ScenarioError, match=message):
            check(module, **sections)
    check({"weights": attention, "precision": "bfloat16"})  # and what fits is not


def test_damaged_modules_are_refused(run_folder: Path, tmp_path: Path) -> None:
    folder = taken(run_folder, tmp_path, "attention")
    config = json.loads((folder / "config.json").read_text())
    cases = [
        ({**config, "wings": 2}, r"config.json: is of no module that is known here; it says classes, .* wings"),
        ({**config, "classes": 25}, r"its weights are not of its config.json: .*classifier.weight"),
        ({**config, "heads": 5}, r"config.json: .*5"),
    ]
    for damaged, message in cases:
        (folder / "config.json").write_text(json.dumps(damaged))
        with pytest.raises(sim.ScenarioError, match=message):
            check({"weights": str(folder)})
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(sim.ScenarioError, match=r"got heads: 2, and .* says itself how many it has; remove heads"):
        check({"weights": str(folder), "heads": 2})
    shutil.copytree(run_folder, tmp_path / "torn")
    (tmp_path / "torn" / "run.json").write_text('{"complete": tr')
    with pytest.raises(sim.ScenarioError, match=r"its run.json cannot be read"):
        check({"weights": f"{tmp_path / 'torn'}#attention"})
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(sim.ScenarioError, match=r"cannot be read as a module"):
        check({"weights": str(folder)})
    file = tmp_path / "theirs.pth"
    torch.save({"state_dict": {"fc.weight": torch.zeros(2, 2)}}, file)
    with pytest.raises(sim.ScenarioError, match=r"not a checkpoint of the authors' code: classifier.weight is missing"):
        check({"weights": str(file)})
    file.write_text("nothing")
    with pytest.raises(sim.ScenarioError, match=r"theirs.pth: cannot be read as a checkpoint"):
        check({"weights": str(file)})


def test_weights_that_changed_since_are_not_mixed(
    tiny: Callable[..., Settings], run_folder: Path, tmp_path: Path
) -> None:
    """Neither a resumed run nor a replayed client may quietly use other weights than the run was begun with."""
    folder = taken(run_folder, tmp_path, "attention")
    adapters = ["backbone", {"kind": "iciia", "module": "attention", "bank": {"capacity": 8}}]
    scenario = tiny(modules=weights(attention=folder), clients=CLIENTS | {"cohort": 1}, adapters=adapters)
    sim.run(scenario, out=tmp_path / "r", workers=0, quiet=True, cohorts="0:1")
    assert len(sim.replay(tmp_path / "r", 0)) == 2 * 24
    changed = load_module(folder)
    with torch.no_grad():
        next(changed.parameters()).add_(1)
    changed.save_pretrained(folder)
    with pytest.raises(sim.ReportError, match=r"was run with another module attention"):
        sim.run(scenario, out=tmp_path / "r", workers=0, quiet=True, resume=True)
    with pytest.raises(sim.ReportError, match=r"was run with another module attention"):
        sim.replay(tmp_path / "r", 0)


def test_from_the_hub(run_folder: Path, tmp_path: Path) -> None:
    """As the hub's own cache has it; a name that it does not have is refused. No network is used."""
    folder = taken(run_folder, tmp_path, "attention")
    cached = tmp_path / "hub" / "models--me--mine"
    revision = "0" * 40
    shutil.copytree(folder, cached / "snapshots" / revision)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    code = (
        "from pathlib import Path; from sim.cache import Cache; from sim.cloud.given import given_module, locate\n"
        "from sim.scenario.modules import GivenSettings\n"
        "module, said = given_module(GivenSettings(weights='hf-hub:me/mine'), Cache())\n"
        f"from sim.cloud.given import Place; assert said['digest'] == Place(Path({str(folder)!r})).digest()\n"
        "try: locate('hf-hub:me/other', Cache())\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "DataError hf-hub:me/other: cannot be had from the Hugging Face hub" in found.stdout


def test_what_cannot_be_taken_out_of_a_run(run_folder: Path, tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        found = CliRunner().invoke(app, ["module", "save", *map(str, arguments)])
        assert isinstance(found.exception, sim.SimError)
        return str(found.exception)

    assert "got module 'nobody', and the run has priors, attention" in refused(run_folder, "nobody", tmp_path / "m")
    assert "holds no run" in refused(tmp_path, "attention", tmp_path / "m")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "letter.txt").write_text("mine")
    assert "is not empty" in refused(run_folder, "attention", tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
