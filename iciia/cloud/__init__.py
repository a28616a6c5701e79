"""The cloud: backbones, features, calibration, and the training of modules on simulated clients.

May import every other room of `iciia`. Nothing on a device needs it.
"""

from iciia.cloud.train import HeldOut, Recipe, Sampler, TrainingHistory, train

__all__ = ["HeldOut", "Recipe", "Sampler", "TrainingHistory", "train"]
