"""Streaming edge simulation of client-adaptive image recognition.

import sim
report = sim.run("quickstart")
report.summary
"""

from sim.engine import replay, run
from sim.errors import (
    CacheError,
    DataError,
    Interrupted,
    ReportError,
    RunError,
    ScenarioError,
    SimError,
    SimulationError,
)
from sim.report import Report, load

__all__ = [
    "CacheError",
    "DataError",
    "Interrupted",
    "Report",
    "ReportError",
    "RunError",
    "ScenarioError",
    "SimError",
    "SimulationError",
    "load",
    "replay",
    "run",
]
