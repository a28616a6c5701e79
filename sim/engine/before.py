"""What can be known of a scenario before it runs: what it will take, and what its clients will see. Neither trains anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.cache import Cache
from sim.engine.feasibility import check_data
from sim.engine.plan import Plan, plans
from sim.engine.preview import preview as preview_streams
from sim.engine.progress import Display
from sim.engine.workers import cpus_here
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.streams.preview import Preview, check_suffix
from sim.streams.preview_chart import draw


def plan(
    scenario: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = (), workers: int | None = None
) -> list[Plan]:
    """Says what a run will take: memory, files, multiply-adds and time, from one cohort that is timed here.

    Args:
        scenario: A YAML file, the name of a shipped scenario, or the settings as a dict.
        overrides: Assignments such as `clients.count=1000`.
        workers: Worker processes of the run; None takes one for each CPU, 0 is a run in the calling process.

    Returns:
        One plan; of a sweep, one for each of its cells. `Plan.check` refuses what does not fit into the memory that is free.

    Raises:
        ScenarioError: The scenario has problems.
        RunError: A single worker would need more memory than is free.
        ValueError: `workers` is negative.
    """
    if workers is not None and workers < 0:
        raise ValueError(f"got {workers} workers; expected 0 or more, or None for one for each CPU")
    document = read(scenario).override(overrides)
    return list(plans(document, Cache(), cpus_here() if workers is None else workers))


def preview(
    scenario: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    clients: int = 8,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Preview:
    """Draws what a scenario's clients see and when they drift, and audits the streams.

    Args:
        scenario: A YAML file, the name of a shipped scenario, or the settings as a dict.
        overrides: Assignments such as `clients.count=1000`.
        clients: Clients to show; no more than there are.
        out: A picture to draw, .svg, .png or .html; none if None.
        quiet: Whether to show no progress while image files are looked through.

    Returns:
        The class of every image of the clients shown, where they drift, and the rows of the table `audit`.

    Raises:
        ScenarioError: The scenario has problems.
        ValueError: `out` ends in something else, or no client would be shown.
    """
    if clients < 1:
        raise ValueError(f"got {clients} clients to show; expected 1 or more")
    if out is not None:
        check_suffix(Path(out))
    document = read(scenario).override(overrides)
    validated, cache = validate(document), Cache()
    check_data(document, validated, cache, Display(quiet).stage)
    found = preview_streams(validated, cache, clients)
    if out is not None:
        draw(found, Path(out))
    return found
