"""One client of a run again, alone."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sim.addresses import Address, Location, locate
from sim.cache import Cache
from sim.cloud.prepare import CloudArtifact
from sim.cloud.threads import torch_threads
from sim.cohort.result import CohortResult
from sim.cohort.simulator import CohortSimulator, PredictionFailed
from sim.engine.folder import check_data_of, check_modules, check_same, read_run
from sim.engine.parts import cloud_spec, job_of, layout_of, prepare
from sim.engine.progress import Display
from sim.errors import ReportError
from sim.report.records import cohort_tables
from sim.scenario.scenario import Scenario


@dataclass(frozen=True)
class Again:
    """One client of a run, simulated again.

    Args:
        scenario: The run's scenario.
        artifact: What the cloud gave.
        simulator: What simulated it.
        result: What happened to it.
    """

    scenario: Scenario
    artifact: CloudArtifact
    simulator: CohortSimulator
    result: CohortResult


def replay(folder: str | Path | Address, client: int) -> pd.DataFrame:
    """Simulates one client of a run again, alone, in the calling process, to the same bits.

    Args:
        folder: The run's folder, here or at an address; the run need not be finished.
        client: The client's number.

    Returns:
        A row for each of its predictions, as in `events`.

    Raises:
        ReportError: The folder holds no run, or one of another platform or without such a client, or its data have changed.
        Exception: Whatever an adapter raises, as it is, for a debugger.
    """
    place = locate(folder)
    found = again(place, client)
    layout = layout_of(found.scenario, place)
    rows, _ = cohort_tables(found.result, layout.adapters, layout.window, layout.horizon, True, layout.largest_bank)
    frame: pd.DataFrame = rows["events"].to_pandas()
    return frame


def again(folder: Location, client: int) -> Again:
    """Simulates one client of a run again; see `replay`."""
    found = read_run(folder)
    scenario = Scenario.model_validate_json(json.dumps(found.get("scenario")))
    check_same(folder, found, scenario)
    if not 0 <= client < scenario.clients.count:
        raise ReportError(f"{folder}: got client {client}; it has 0 to {scenario.clients.count - 1}")
    stage = Display(quiet=True).stage
    check_data_of(folder, found, cloud_spec(scenario).open(Cache(), stage))
    artifact = prepare(scenario, Cache(), stage)
    check_modules(folder, found, artifact.provenance)
    simulator = CohortSimulator(job_of(scenario, artifact))
    try:
        with torch_threads(1):
            return Again(scenario, artifact, simulator, simulator.replay(client))
    except PredictionFailed as failed:
        raise failed.cause from None
