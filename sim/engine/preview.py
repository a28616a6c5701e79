"""The streams of a scenario before it runs."""

from sim.cache import Cache
from sim.engine.parts import cloud_spec, largest_bank
from sim.scenario.scenario import Scenario
from sim.streams.preview import Preview, preview_streams


def preview(scenario: Scenario, cache: Cache, clients: int) -> Preview:
    """What a scenario's first clients see, and an audit of its streams. Trains nothing.

    Args:
        scenario: A scenario whose data have been checked.
        cache: Where scans of image folders are.
        clients: Clients to show; no more than there are.
    """
    data = cloud_spec(scenario).open(cache)
    return preview_streams(
        scenario.name, scenario.clients, scenario.seed, data, clients, scenario.report.window, largest_bank(scenario)
    )
