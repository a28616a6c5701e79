"""`iciia export` as a person meets it: a run's adapter or module as a file, the documented example without torch, and one clear
error for what cannot be; and latency of exported steps in both runtimes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import sim
from iciia import ICIIA, ClientPriors
from sim.bench.device import measure_device
from sim.cache import Cache
from sim.cli.root import app
from sim.errors import ExportError, SimError
from sim.export.files import write_files
from sim.export.subject import Choice, subject
from sim.stage import silent

Make = Callable[..., dict[str, Any]]

DOCUMENT = Path(__file__).parents[2] / "docs" / "device.md"


@pytest.fixture(scope="module")
def of_features(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on features: a module of ICIIA, and banks that can and cannot be exported."""
    folder = tmp_path_factory.mktemp("features") / "run"
    adapters = [
        "backbone",
        "superclass_filter",
        {"kind": "iciia", "module": "stream", "bank": {"capacity": [3, 16], "storage": "int8"}},
        {"kind": "iciia", "module": "stream", "name": "kept", "bank": {"capacity": 3, "policy": "reservoir"}},
    ]
    scenario = tiny(adapters=adapters)
    scenario["clients"]["count"] = 2
    sim.run(scenario, out=folder, workers=0, quiet=True)
    return folder


@pytest.fixture(scope="module")
def of_images(miniature: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on photographs, exported with its backbone: the default module."""
    folder = tmp_path_factory.mktemp("images")
    scenario = {
        "name": "photographs",
        "data": {"kind": "image_folder", "train": str(miniature("image_folder"))},
        "backbone": {"model": "resnet10t", "weights": "train", "epochs": 4, "image_size": 32},
        "modules": {"any": {"steps": 2, "streams": "as_clients"}},
        "clients": {"count": 2, "images": 12, "sampling": "wrap_around", "subset": {"classes": {"min": 2, "max": 3}}},
        "adapters": ["backbone", {"kind": "iciia", "module": "any", "bank": {"capacity": 4}}],
    }
    sim.run(scenario, out=folder / "run", workers=0, quiet=True)
    found = subject(folder / "run", Choice(adapter="iciia-4"), True, Cache(), silent)
    write_files(found, folder / "phone", "onnx", 20)
    return folder


def test_an_adapter_of_a_run(of_features: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["export", str(of_features), "--adapter", "iciia-16", "--out", str(tmp_path / "phone"), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"files": [str(tmp_path / "phone" / name) for name in ("step.onnx", "step.json")]}
    about = json.loads((tmp_path / "phone" / "step.json").read_text())
    assert [about[key] for key in ("name", "capacity", "storage", "policy")] == ["iciia-16", 16, "int8", "fifo"]
    assert len(about["classes"]) == 24
    assert about["origin"]["run"] == "tiny"
    assert about["state_bytes"] == sim.load(of_features).summary.set_index("adapter").state_bytes["iciia-16"]


@pytest.mark.parametrize(
    ("choice", "name", "inputs"),
    [
        (Choice(capacity=2, storage="float16"), "stream", ["feature", "backbone_logits"]),
        (Choice(adapter="superclass_filter"), "superclass_filter", ["backbone_logits"]),
    ],
)
def test_a_module_with_another_bank_and_the_filter(
    of_features: Path, tmp_path: Path, choice: Choice, name: str, inputs: list[str]
) -> None:
    found = subject(of_features, choice, False, Cache(), silent)
    _, description = write_files(found, tmp_path / "phone", "torch", 20)
    about = json.loads(description.read_text())
    assert about["name"] == name
    assert [one["name"] for one in about["inputs"]] == inputs


@pytest.mark.parametrize("module", [ICIIA(8, 3, 1, 2, 2), ClientPriors(8, 3)], ids=["iciia", "priors"])
def test_a_module_from_its_folder(module: ICIIA | ClientPriors, tmp_path: Path) -> None:
    module.save_pretrained(tmp_path / "module")
    found = subject(tmp_path / "module", Choice(capacity=5), False, Cache(), silent)
    _, description = write_files(found, tmp_path / "phone", "torch", 20)
    about = json.loads(description.read_text())
    assert about["classes"] is None
    assert about["capacity"] == 5
    with pytest.raises(ExportError, match="holds one module and nothing else; leave out"):
        subject(tmp_path / "module", Choice(), True, Cache(), silent)


@pytest.mark.parametrize(
    ("choice", "with_backbone", "message"),
    [
        (Choice(adapter="kept-3"), False, "bank policy reservoir, which cannot be exported; fifo can"),
        (Choice(adapter="iciia-17"), False, 'got .iciia-17.; there are .*; did you mean "iciia-16"?'),
        (Choice(module="strem"), False, 'got .strem.; there are stream; did you mean "stream"?'),
        (Choice(storage="int4"), False, "got .int4.; expected one of float32, float16, bfloat16, int8"),
        (Choice(), True, "the run's data are ready features, of which no backbone is known"),
    ],
)
def test_what_is_refused(of_features: Path, tmp_path: Path, choice: Choice, with_backbone: bool, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        write_files(subject(of_features, choice, with_backbone, Cache(), silent), tmp_path / "phone", "onnx", 20)
    assert not (tmp_path / "phone").exists()


def test_weights_in_int8_say_what_they_cost(of_images: Path, of_features: Path, tmp_path: Path) -> None:
    """With the backbone: float32 is what the run says, and int8 is a smaller file that the run's own clients were put through."""
    found = subject(of_images / "run", Choice(adapter="iciia-4"), True, Cache(), silent)
    file, description = write_files(found, tmp_path / "phone", "onnx", 20, "int8")
    about = json.loads(description.read_text())
    assert about["weights"] == "int8"
    assert file.stat().st_size < 0.4 * (of_images / "phone" / "step.onnx").stat().st_size
    said, measured = sim.load(of_images / "run").summary.set_index("adapter").loc["iciia-4"], about["accuracy"]
    assert (measured["clients"], measured["images"]) == (said["clients"], said["images"])
    assert measured["float32"] == pytest.approx(said["accuracy"], abs=1.01 / said["images"])
    assert 0 <= measured["int8"] <= 1
    asked = ["--adapter", "iciia-4", "--with-backbone", "--weights", "int8", "--format", "torch"]
    command = ["export", str(of_images / "run"), *asked, "--out", str(tmp_path / "program")]
    assert re.search(
        r"accuracy [\d.]+% with float32 weights and [\d.]+% with int8", CliRunner().invoke(app, command).stdout
    )
    for choice, weights, message in (
        (Choice(), "int4", "--weights: got 'int4'; expected one of float32, int8"),
        (Choice(adapter="superclass_filter"), "int8", "superclass_filter: has no matrix of 10,000 numbers or more"),
    ):
        with pytest.raises(ExportError, match=message):
            write_files(subject(of_features, choice, False, Cache(), silent), tmp_path / "no", "onnx", 20, weights)


def test_folders_that_are_none_or_taken(of_features: Path, tmp_path: Path) -> None:
    with pytest.raises(SimError, match="holds no run"):
        subject(tmp_path, Choice(), False, Cache(), silent)
    (tmp_path / "config.json").write_text('{"features": 8}')
    with pytest.raises(ExportError, match="holds no module of ICIIA or of class priors that can be read"):
        subject(tmp_path, Choice(), False, Cache(), silent)
    with pytest.raises(SimError, match="is not empty; choose another folder for --out"):
        write_files(subject(of_features, Choice(), False, Cache(), silent), tmp_path, "onnx", 20)


def test_the_example_needs_no_torch(of_images: Path, miniature: Callable[[str], Path], tmp_path: Path) -> None:
    """The documented lines over a folder of photographs, beside the run's own backbone and a session."""
    (example,) = re.findall(r"```python\n(import json.*?)```", DOCUMENT.read_text(), re.DOTALL)
    without = "import sys\nsys.modules['torch'] = sys.modules['torchvision'] = sys.modules['iciia'] = None\n"
    (tmp_path / "example.py").write_text(without + example)
    photographs = miniature("image_folder") / "lamp"
    command = [sys.executable, tmp_path / "example.py", of_images / "phone", photographs]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    files = sorted(photographs.glob("*.jpg"))
    assert [line.split()[0] for line in lines] == [file.name for file in files]
    found = [line.split()[1] for line in lines]
    agree = np.mean([one == other for one, other in zip(found, _by_session(of_images / "run", files), strict=True)])
    assert agree >= 0.95  # torchvision's pixels are now and then one level from Pillow's
    assert found.count("lamp") > len(found) / 2


def _by_session(run: Path, files: list[Path]) -> list[str]:
    """What a session behind the run's backbone says of image files."""

    from sim.data.decode import decode

    found = subject(run, Choice(adapter="iciia-4"), True, Cache(), silent)
    assert found.backbone is not None
    assert found.classes is not None
    session, names = found.adapter.module.session(4), []  # type: ignore[attr-defined]
    backbone, _ = found.backbone
    backbone.model.eval()
    with torch.inference_mode():
        for file in files:
            feature, logits = backbone.forward(backbone.preprocessing(decode(file))[None])
            names.append(found.classes[int(session(feature[0], logits[0]).argmax())])
    return names


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_latency_of_a_single_stream(runtime: str) -> None:
    head, names, *rows = measure_device(runtime, seconds=0.0, queries=3, backbone="resnet10t")
    assert head.startswith(f"one image at a time, one thread, {runtime} ")
    assert names.split() == ["queries", "median", "ms", "p90", "ms", "x", "backbone"]
    assert [row[:24].strip() for row in rows] == ["backbone", "backbone and module", "module"]
    for row in rows:
        queries, median, worst, _ = (float(cell.replace(",", "")) for cell in row[24:].split())
        assert queries >= 3
        assert 0 < median <= worst


def test_an_unknown_runtime() -> None:
    with pytest.raises(ExportError, match="got 'tflite'; expected one of onnxruntime, torch"):
        next(measure_device("tflite"))
