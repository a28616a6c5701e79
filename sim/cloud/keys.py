"""What goes into the key of every artifact of the cloud."""

import platform
from importlib.metadata import version

import torch

FORMAT = 4
"""Part of every key; raised when code changes what an artifact holds."""
WEIGHTS = "model.safetensors"


def platform_key() -> dict[str, str]:
    """What must agree for two runs to agree to the last bit."""
    packages = ("torch", "timm", "numpy")
    return {
        "iciia_sim": version("iciia-sim"),
        **{package: version(package) for package in packages},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
