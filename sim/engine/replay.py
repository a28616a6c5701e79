"""One client of a run again, alone."""

import json
from pathlib import Path

import pandas as pd

from sim.addresses import Address, locate
from sim.cache import Cache
from sim.cloud.threads import torch_threads
from sim.cohort.simulator import CohortSimulator, PredictionFailed
from sim.engine.folder import check_modules, check_same, read_run
from sim.engine.parts import job_of, layout_of, prepare
from sim.engine.progress import Display
from sim.errors import ReportError
from sim.report.records import cohort_tables
from sim.scenario.scenario import Scenario


def replay(folder: str | Path | Address, client: int) -> pd.DataFrame:
    """Simulates one client of a run again, alone, in the calling process, to the same bits.

    Args:
        folder: The run's folder, here or at an address; the run need not be finished.
        client: The client's number.

    Returns:
        A row for each of its predictions, as in `events`.

    Raises:
        ReportError: The folder holds no run, or one of another platform or without such a client.
        Exception: Whatever an adapter raises, as it is, for a debugger.
    """
    place = locate(folder)
    found = read_run(place)
    scenario = Scenario.model_validate_json(json.dumps(found.get("scenario")))
    check_same(place, found, scenario)
    if not 0 <= client < scenario.clients.count:
        raise ReportError(f"{folder}: got client {client}; it has 0 to {scenario.clients.count - 1}")
    artifact = prepare(scenario, Cache(), Display(quiet=True).stage)
    check_modules(place, found, artifact.provenance)
    simulator = CohortSimulator(job_of(scenario, artifact))
    try:
        with torch_threads(1):
            result = simulator.replay(client)
    except PredictionFailed as failed:
        raise failed.cause from None
    layout = layout_of(scenario, place)
    rows, _ = cohort_tables(result, layout.adapters, layout.window, layout.horizon, True, layout.largest_bank)
    frame: pd.DataFrame = rows["events"].to_pandas()
    return frame
