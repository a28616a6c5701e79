"""Settings of `report`: what is written down."""

from sim.scenario.base import PositiveInt, Settings


class ReportSettings(Settings):
    """What is written down."""

    window: PositiveInt = 50
    """Images in a window of prequential accuracy, also before and after a drift."""
    horizon: PositiveInt = 100
    """Images after a drift that the drift-aligned tables cover."""
    events: bool = False
    """Whether to write a row for every prediction."""
