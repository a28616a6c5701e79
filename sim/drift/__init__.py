"""How a client's class prior changes over its stream: a process per file, and what they have in common."""

from sim.drift.base import Drift, Plan
from sim.drift.gradual import GradualDrift
from sim.drift.incremental import IncrementalDrift
from sim.drift.none import NoDrift
from sim.drift.own import load_process
from sim.drift.positions import At, Dwell, Every, Positions
from sim.drift.prior import PriorDrift
from sim.drift.recurring import MatrixDrift, RecurringDrift
from sim.drift.sudden import SuddenDrift

__all__ = [
    "At", "Drift", "Dwell", "Every", "GradualDrift", "IncrementalDrift", "MatrixDrift", "NoDrift", "Plan", "Positions",
    "PriorDrift", "RecurringDrift", "SuddenDrift", "load_process",
]  # fmt: skip
