"""Other places to look at runs: TensorBoard, MLflow, Weights & Biases. Off unless asked for; each takes what the tables say.

Every sink gets the same: the scenario's settings, the summary's figures as `gain/iciia-16`, and accuracy over the stream as
`accuracy/iciia-16` by step.
"""

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sim.errors import RunError
from sim.files import DISK
from sim.page import PAGE_FILE
from sim.page.aggregates import over_stream
from sim.report.load import Report

PROJECT = "iciia-sim"
"""What MLflow calls the experiment and W&B the project."""


@dataclass(frozen=True)
class _Logged:
    """What a sink is given.

    Args:
        report: The finished run.
        settings: The scenario, flat.
        figures: The summary's figures by name.
        stream: Accuracies by step and name.
    """

    report: Report
    settings: Mapping[str, Any]
    figures: Mapping[str, float]
    stream: Mapping[int, Mapping[str, float]]


def check_sinks(names: Sequence[str]) -> None:
    """Checks, before anything runs, that sinks exist and their packages are installed.

    Raises:
        RunError: One does not, or is not.
    """
    for name in names:
        if name not in SINKS:
            raise RunError(f"got sink {name!r}; expected one of {', '.join(SINKS)}")
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise RunError(
                f"the sink {name} needs a package; install it with: pip install 'iciia-sim[{name}]'"
            ) from error


def log_run(report: Report, names: Sequence[str]) -> None:
    """Logs a finished run.

    Args:
        report: Of a single run.
        names: Sinks that have been checked.
    """
    if not names:
        return
    summary = report.summary.set_index("adapter").select_dtypes("number")
    figures = {
        f"{name}/{adapter}": float(value) for name in summary for adapter, value in summary[name].dropna().items()
    }
    stream: dict[int, dict[str, float]] = {}
    for row in over_stream(report).to_dict("records"):
        stream.setdefault(int(row["first"]), {})[f"accuracy/{row['adapter']}"] = float(row["accuracy"])
    settings = pd.json_normalize(report.scenario).iloc[0].to_dict()
    for name in names:
        SINKS[name](_Logged(report, {str(key): value for key, value in settings.items()}, figures, stream))


def _tensorboard(logged: _Logged) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with _folder(logged.report, "tensorboard") as folder, SummaryWriter(str(folder)) as writer:
        writer.add_text("scenario", "\n".join(f"    {key}: {value}" for key, value in logged.settings.items()))
        for step, values in logged.stream.items():
            for name, value in values.items():
                writer.add_scalar(name, value, step)
        for name, value in logged.figures.items():
            writer.add_scalar(f"summary_{name}", value, 0)


def _mlflow(logged: _Logged) -> None:
    import mlflow

    mlflow.set_experiment(PROJECT)
    with mlflow.start_run(run_name=logged.report.folder.name):
        mlflow.log_params({key: str(value)[:500] for key, value in logged.settings.items()})
        mlflow.log_metrics(dict(logged.figures))
        for step, values in logged.stream.items():
            mlflow.log_metrics({f"stream_{name}": value for name, value in values.items()}, step=step)
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / PAGE_FILE
            page.write_bytes(DISK.read(logged.report.folder / PAGE_FILE))
            mlflow.log_artifact(str(page))


def _wandb(logged: _Logged) -> None:
    import wandb

    with _folder(logged.report) as folder:
        run = wandb.init(project=PROJECT, name=logged.report.folder.name, config=dict(logged.settings), dir=str(folder))
        for step, values in logged.stream.items():
            run.log({f"stream_{name}": value for name, value in values.items()}, step=step)
        run.summary.update(dict(logged.figures))
        run.finish()


@contextlib.contextmanager
def _folder(report: Report, *inside: str) -> Iterator[Path]:
    """A folder of the report's, or one in it, for others to write to; what they write is copied to a report that is elsewhere."""
    if isinstance(report.folder, Path):
        yield report.folder.joinpath(*inside)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).joinpath(*inside)
        yield folder
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            DISK.write(report.folder / file.relative_to(temporary).as_posix(), file.read_bytes())


SINKS: Mapping[str, Callable[[_Logged], None]] = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
