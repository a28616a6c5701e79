"""What modules are trained on unless told otherwise: streams of many kinds, so that one training serves every scenario."""

from sim.scenario.clients import DirichletPrior, OrderSettings, SizeRange, SubsetSettings
from sim.scenario.drifts import DriftSettings, GradualDriftSettings, NoDriftSettings, SuddenDriftSettings
from sim.scenario.modules import StreamShare

ORDERS = ((0.5, 1.0), (0.25, 4.0), (0.25, 12.0))
"""Weights and mean lengths of runs."""

DRIFTS: tuple[tuple[float, DriftSettings], ...] = (
    (0.3, NoDriftSettings()),
    (0.3, SuddenDriftSettings(kind="sudden", every=24, dwell="geometric", layout="random")),
    (0.3, SuddenDriftSettings(kind="sudden", every=64, dwell="geometric", layout="random")),
    (0.1, GradualDriftSettings(kind="gradual", every=48, width=16, layout="staggered")),
)
"""Weights and drifts."""


def mixed(classes: int, grouped: bool) -> list[StreamShare]:
    """The default mixture.

    Two fifths of the streams are of superclasses, where classes are grouped. The others are of random subsets, most of them small,
    some with uneven class shares, and every sixth of them is of all classes.

    Args:
        classes: C.
        grouped: Whether there are superclasses to go from one to the other of.
    """
    few, some = SizeRange(min=2, max=min(20, classes)), SizeRange(min=min(10, classes), max=min(60, classes))
    subsets = [
        (0.25, SubsetSettings(classes=few)),
        (0.125, SubsetSettings(classes=few, prior=DirichletPrior(kind="dirichlet"))),
        (0.125, SubsetSettings(classes=some)),
        (0.1, SubsetSettings(classes=classes)),
    ]
    if grouped:
        subsets += [(0.35, SubsetSettings()), (0.05, SubsetSettings(reserve_ratio=0.8))]
    return [
        StreamShare(weight=a * b * c, subset=subset, order=OrderSettings(run_length=run), drift=drift)
        for a, subset in subsets
        for b, run in ORDERS
        for c, drift in (DRIFTS if subset.classes != classes else DRIFTS[:1])
    ]
