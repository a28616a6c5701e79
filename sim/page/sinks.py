"""Other places to look at runs: TensorBoard, MLflow, Weights & Biases. Off unless asked for; each takes what the tables say.

Every sink gets the same: the scenario's settings, the summary's figures as `gain/iciia-16`, and accuracy over the stream as
`accuracy/iciia-16` by step.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sim.errors import RunError
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

    with SummaryWriter(str(logged.report.folder / "tensorboard")) as writer:
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
        mlflow.log_artifact(str(logged.report.folder / PAGE_FILE))


def _wandb(logged: _Logged) -> None:
    import wandb

    run = wandb.init(
        project=PROJECT, name=logged.report.folder.name, config=dict(logged.settings), dir=str(logged.report.folder)
    )
    for step, values in logged.stream.items():
        run.log({f"stream_{name}": value for name, value in values.items()}, step=step)
    run.summary.update(dict(logged.figures))
    run.finish()


SINKS: Mapping[str, Callable[[_Logged], None]] = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
