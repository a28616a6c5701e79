"""What a drift process of your own is made of; `sim.testing.check_drift` checks one. Ours live in `sim.streams.drift`."""

from sim.streams.drift import At, Drift, Dwell, Every, GradualDrift, NoDrift, Plan, Positions, PriorDrift, SuddenDrift

__all__ = ["At", "Drift", "Dwell", "Every", "GradualDrift", "NoDrift", "Plan", "Positions", "PriorDrift", "SuddenDrift"]
