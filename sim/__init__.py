"""Streaming edge simulation of client-adaptive image recognition.

import sim
report = sim.run("quickstart")
report.summary

Names are imported when they are used: reading a report needs neither torch nor Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from sim.errors import (
    AddressError,
    CacheError,
    DataError,
    Interrupted,
    ReportError,
    RunError,
    ScenarioError,
    SimError,
    SimulationError,
)
from sim.views import View, lend

if TYPE_CHECKING:
    from sim.engine.before import plan, preview
    from sim.engine.look import look
    from sim.engine.plan import Plan
    from sim.engine.replay import replay
    from sim.engine.run import run
    from sim.report.compare import Comparison, compare
    from sim.report.load import Report, load
    from sim.streams.preview import Preview

_HOMES = {
    "Comparison": "sim.report.compare",
    "Plan": "sim.engine.plan",
    "Preview": "sim.streams.preview",
    "Report": "sim.report.load",
    "compare": "sim.report.compare",
    "load": "sim.report.load",
    "look": "sim.engine.look",
    "plan": "sim.engine.before",
    "preview": "sim.engine.before",
    "replay": "sim.engine.replay",
    "run": "sim.engine.run",
}

__all__ = [
    "AddressError",
    "CacheError",
    "Comparison",
    "DataError",
    "Interrupted",
    "Plan",
    "Preview",
    "Report",
    "ReportError",
    "RunError",
    "ScenarioError",
    "SimError",
    "SimulationError",
    "compare",
    "load",
    "look",
    "plan",
    "preview",
    "replay",
    "run",
]


lend(lambda: cast(View, import_module("sim.page.notebook")))


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
