"""How a client's class prior changes over its stream: a process per file, and what they have in common."""

from sim.streams.drift.base import Drift, Plan
from sim.streams.drift.gradual import GradualDrift
from sim.streams.drift.incremental import IncrementalDrift
from sim.streams.drift.none import NoDrift
from sim.streams.drift.own import load_process
from sim.streams.drift.positions import At, Dwell, Every, Positions
from sim.streams.drift.prior import PriorDrift
from sim.streams.drift.recurring import MatrixDrift, RecurringDrift
from sim.streams.drift.sudden import SuddenDrift

__all__ = [
    "At", "Drift", "Dwell", "Every", "GradualDrift", "IncrementalDrift", "MatrixDrift", "NoDrift", "Plan", "Positions",
    "PriorDrift", "RecurringDrift", "SuddenDrift", "load_process",
]  # fmt: skip
