"""Modules as files, of any kind: in the layout of `save_pretrained`, weights in safetensors and settings in a small JSON file, or
as the authors' code saves them."""

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.constants import CONFIG_NAME, SAFETENSORS_SINGLE_FILE
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.module import Module
from iciia.contexts.priors import ClientPriors

FILES = (CONFIG_NAME, SAFETENSORS_SINGLE_FILE)
"""What a module's folder holds."""

KNOWS = "knows"
"""Beside a module's arguments in its settings: what it was told of clients, where nothing else says it."""

CLASSES: tuple[type[Module], ...] = (ArmCml, ClientPriors, Icrm, ICIIA)
"""Settings tell which class they are of: the first that takes all of them."""


def save_module(module: Module, folder: Path) -> None:
    """Writes a module as `save_pretrained` does, and what it knows of clients beside its settings."""
    module.save_pretrained(folder)
    config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    (folder / CONFIG_NAME).write_text(json.dumps({**config, KNOWS: module.knows}, indent=2), encoding="utf-8")


def load_module(folder: Path) -> Module:
    """The module in a folder that `save_pretrained` or `save_module` left, in evaluation mode. Nothing in it is executed.

    Raises:
        ValueError: It holds none, or one whose weights and settings do not belong together; the message says what was found.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: holds no module: there is no {' and no '.join(missing)} in it")
    try:
        config: dict[str, Any] = dict(json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")))
        weights = load_file(folder / SAFETENSORS_SINGLE_FILE)
    except (ValueError, TypeError, OSError, SafetensorError) as error:
        raise ValueError(f"{folder}: cannot be read as a module: {error}") from error
    knows = config.pop(KNOWS, None)
    module = _filled(_create(folder, config), weights, folder)
    if knows is not None and not isinstance(module, ClientPriors):  # which knows it by its settings
        module.knows = knows
    return module


def load_reference(path: Path, heads: int) -> ICIIA:
    """The module in a checkpoint file of the authors' code, safetensors or PyTorch's. Nothing in it is executed.

    Args:
        path: Of a state dict, in either of their layouts, or of a dict with one under `state_dict` or `model`.
        heads: H, which it does not say.

    Raises:
        ValueError: It is something else; the message says what was found.
    """
    try:
        safe = path.suffix == ".safetensors"
        held = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a file that is no checkpoint torch raises whatever comes
        raise ValueError(f"{path}: cannot be read as a checkpoint: {str(error).strip().splitlines()[0]}") from error
    for name in ("state_dict", "model"):
        held = held.get(name, held) if isinstance(held, dict) else {}
    state = {name: value.float() for name, value in held.items() if isinstance(value, Tensor)}
    try:
        return ICIIA.from_reference(state, heads)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _create(folder: Path, config: dict[str, Any]) -> Module:
    kind = next((one for one in CLASSES if {"features", "classes"} <= set(config) <= _arguments(one)), None)
    if kind is None:
        raise ValueError(
            f"{folder / CONFIG_NAME}: is of no module that is known here; it says {', '.join(sorted(config)) or 'nothing'}"
        )
    with torch.random.fork_rng(devices=[]):
        try:
            return kind(**config)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{folder / CONFIG_NAME}: {error}") from error


def _arguments(kind: type[Module]) -> set[str]:
    return set(inspect.signature(kind.__init__).parameters) - {"self"}


def _filled(module: Module, weights: dict[str, Tensor], folder: Path) -> Module:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()  # after a headline, a line for each that differs
        raise ValueError(f"{folder}: its weights are not of its {CONFIG_NAME}: {first}") from error
    return module.eval()
