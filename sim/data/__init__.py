"""Data sets: what clients see, and what the cloud learns from."""

from sim.data.base import Classes, Features, Images
from sim.data.open import open_data

__all__ = ["Classes", "Features", "Images", "open_data"]
