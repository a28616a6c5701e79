"""From a scenario as it is written to a report: one run, or those of a sweep."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.addresses import Address, locate
from sim.cache import Cache
from sim.engine.context import Context, Share
from sim.engine.feasibility import check_data
from sim.engine.progress import Display
from sim.engine.single import run_one
from sim.engine.sweep import run_sweep
from sim.errors import Interrupted
from sim.outputs import dated
from sim.page.sinks import check_sinks
from sim.report.load import Report
from sim.scenario.file import read
from sim.scenario.validation import validate


def run(
    scenario: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    out: str | Path | Address | None = None,
    workers: int | None = None,
    address: str | None = None,
    cohorts: str | None = None,
    resume: bool = False,
    log: Sequence[str] = (),
    quiet: bool = False,
) -> Report:
    """Runs a scenario.

    Args:
        scenario: A YAML file, the name of a shipped scenario, or the settings as a dict.
        overrides: Assignments such as `clients.count=1000`.
        out: The report's folder, here or at an address such as `s3://bucket/folder`; `reports/NAME-DATE` if None. It must be new or
            empty, unless `resume` is set.
        workers: Worker actors; None takes one for each CPU, 0 simulates in the calling process without Ray.
        address: A Ray cluster to use, `auto` for the one that runs here; None starts one for this run.
        cohorts: Simulate only these, `0:5%` or `10:20`, widened to whole ranges of cohorts that are committed together. The report
            is of what is there; the rest can follow by `resume`.
        resume: Whether to go on with the run in `out`.
        log: Where to log the finished run as well: `tensorboard` (into the report's folder), `mlflow`, `wandb`.
        quiet: Whether to show no progress.

    Returns:
        The report. Its tables are the same to the bit for any number of workers.

    Raises:
        ScenarioError: The scenario has problems; nothing was written.
        RunError: The run failed, or was interrupted; what was committed stays and can be resumed.
        ReportError: `out` holds something else.
        AddressError: `out` is an address of a kind that is unknown.
    """
    place = None if out is None else locate(out)
    document = read(scenario).override(overrides)
    validated = validate(document)
    check_sinks(log)
    context = Context(workers, address, Share.parse(cohorts), resume, Display(quiet), Cache(), log)
    folder = dated(validated.name) if place is None else place
    try:
        if validated.sweep:
            return run_sweep(document, validated, folder, context)
        check_data(document, validated, context.cache, context.display.stage)
        return run_one(validated, folder, context)
    except KeyboardInterrupt:
        source = scenario if isinstance(scenario, str | Path) else "SCENARIO"
        sets = [part for assignment in overrides for part in ("--set", assignment)]
        again = shlex.join(["iciia", "run", str(source), *sets, "--resume", str(folder)])
        raise Interrupted(f"stopped; what was committed stays; go on with: {again}") from None
