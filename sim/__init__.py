"""Streaming edge simulation of client-adaptive image recognition.

import sim
report = sim.run("quickstart")
report.summary
"""

from sim.engine import run
from sim.errors import CacheError, DataError, ReportError, RunError, ScenarioError, SimError
from sim.report import Report, load

__all__ = [
    "CacheError",
    "DataError",
    "Report",
    "ReportError",
    "RunError",
    "ScenarioError",
    "SimError",
    "load",
    "run",
]
