"""Sinks: what they hold is what the tables say. Where the package of one is missing, its test is skipped."""

import importlib.util
import json
import time
from pathlib import Path

import pytest

import sim
from sim.page.sinks import check_sinks, log_run


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"needs {package}: pip install 'iciia-sim[{package}]'")


@pytest.fixture
def copied(tiny_report: sim.Report, tmp_path: Path) -> sim.Report:
    """The report in a folder that may be written to."""
    for file in tiny_report.folder.rglob("*"):
        if file.is_file():
            (tmp_path / "report" / file.relative_to(tiny_report.folder)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "report" / file.relative_to(tiny_report.folder)).write_bytes(file.read_bytes())
    return sim.load(tmp_path / "report")


def last_window(report: sim.Report) -> float:
    rows = report.windows[(report.windows.adapter == "iciia-16") & (report.windows.step == 50)]
    return float(rows.correct.sum() / rows.images.sum())


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(copied: sim.Report) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log_run(copied, ["tensorboard"])
    found = EventAccumulator(str(copied.folder / "tensorboard"))
    found.Reload()
    events = found.Scalars("accuracy/iciia-16")
    assert [event.step for event in events] == [0, 10, 20, 30, 40, 50]
    assert events[-1].value == pytest.approx(last_window(copied))
    gain = copied.summary.set_index("adapter").gain["iciia-16"]
    assert found.Scalars("summary_gain/iciia-16")[0].value == pytest.approx(gain)


@needs("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow(copied: sim.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    log_run(copied, ["mlflow"])
    (run,) = mlflow.search_runs(experiment_names=["iciia-sim"], output_format="list")
    assert run.data.params["clients.drift.every"] == "20"
    assert run.data.metrics["stream_accuracy/iciia-16"] == pytest.approx(last_window(copied))
    assert run.data.metrics["gain/iciia-16"] == pytest.approx(copied.summary.set_index("adapter").gain["iciia-16"])


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb(copied: sim.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WANDB_MODE", "offline"), ("WANDB_SILENT", "true"), ("WANDB_DISABLE_GIT", "true")):
        monkeypatch.setenv(name, value)
    log_run(copied, ["wandb"])
    (written,) = copied.folder.glob("wandb/offline-run-*/run-*.wandb")
    value = json.dumps(last_window(copied)).encode()
    deadline = time.monotonic() + 60
    while value not in (content := written.read_bytes()):  # W&B's own process writes it, sooner or later
        assert time.monotonic() < deadline, content
        time.sleep(0.1)
    assert b"stream_accuracy/iciia-16" in content
    assert b"clients.drift.every" in content


def test_a_sink_that_is_not_there_is_told_before_anything_runs() -> None:
    with pytest.raises(sim.RunError, match="got sink 'excel'; expected one of tensorboard, mlflow, wandb"):
        check_sinks(["tensorboard", "excel"])
