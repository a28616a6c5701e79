"""Data sets: what clients see, and what the cloud learns from.

May import `sim.scenario` for the settings of `data`, and `iciia`. Each kind of data set lives in a file of its own.
"""

from sim.data.base import Classes, Features, Images
from sim.data.open import open_data

__all__ = ["Classes", "Features", "Images", "open_data"]
