"""Checkpoint files: read without executing anything in them, and put into a model by name or by order."""

import importlib.util
from pathlib import Path
from typing import Literal

from timm.models import load_state_dict
from torch import Tensor, nn

Match = Literal["name", "order"]
State = dict[str, Tensor]

PACKAGE = "package:"
"""What the place of a checkpoint begins with that lies in an installed package: `package:NAME/file/in/it`."""


def checkpoint_path(place: str) -> Path:
    """The file of a checkpoint.

    Args:
        place: A path, or `package:NAME/file/in/it`; the package is found and not run.

    Raises:
        ValueError: There is no such package, or no such file.
    """
    path = Path(place)
    if place.startswith(PACKAGE):
        name, _, inside = place.removeprefix(PACKAGE).partition("/")
        found = importlib.util.find_spec(name) if name.isidentifier() else None
        if found is None or not found.submodule_search_locations:
            raise ValueError(f"{place}: no package {name!r} is installed here; install it, or name a file")
        path = Path(found.submodule_search_locations[0], inside)
    if not path.is_file():
        raise ValueError(f"{place}: no such checkpoint file")
    return path


def read_checkpoint(path: Path) -> State:
    """The weights in a file, safetensors or PyTorch's, without the wrappings that training leaves around them: averaged weights
    first (`state_dict_ema`, `model_ema`), then `state_dict` or `model`, or the weights themselves; `module.` and `_orig_mod.` go
    from names.

    Raises:
        ValueError: It holds no weights.
    """
    try:
        found = load_state_dict(str(path), weights_only=True)
    except AttributeError:  # it holds something else, and timm asks that for its items
        found = {}
    if not found or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path} holds no state dict; expected one, or a dict with one under state_dict or model")
    return found


def unprefixed(state: State, model: nn.Module) -> State:
    """The same weights without what stands before the model's names: `backbone.`, `model.`, `net.`, as frameworks for training name
    the model inside theirs."""
    first = next(iter(model.state_dict()))
    longer = [name for name in state if name.endswith(f".{first}")]
    if first in state or not longer:
        return state
    before = min(longer, key=len).removesuffix(first)
    return {name.removeprefix(before): value for name, value in state.items()}


def in_order(state: State, model: nn.Module, path: Path) -> State:
    """The same weights under the model's names, the first for the first and so on.

    Raises:
        ValueError: They are more or fewer, or a shape differs (that of the classifier apart, which `load` looks at).
    """
    wanted, found = _weights(model.state_dict()), _weights(state)
    if len(wanted) != len(found):
        raise ValueError(
            f"{path} does not fit by order: it holds {len(found)} tensors, and the model has {len(wanted)}"
        )
    heads = {f"{classifier_name(model)}.{part}" for part in ("weight", "bias")}
    for place, (name, other) in enumerate(zip(wanted, found, strict=True)):
        shape, there = model.state_dict()[name].shape, state[other].shape
        if shape != there and name not in heads:
            pair = f"{other} {list(there)} in the file and {name} {list(shape)} in the model"
            raise ValueError(f"{path} does not fit by order: tensor {place} is {pair}")
    return model.state_dict() | {name: state[other] for name, other in zip(wanted, found, strict=True)}


def _weights(state: State) -> list[str]:
    """Names without those of counters, which batch normalisation keeps and some checkpoints leave out."""
    return [name for name, value in state.items() if value.is_floating_point()]


def classes_of(state: State, model: nn.Module) -> int | None:
    """How many classes the weights' own classifier predicts; None if they have none under the model's name."""
    weight = state.get(f"{classifier_name(model)}.weight")
    return None if weight is None else len(weight)


def classifier_name(model: nn.Module) -> str:
    """What a model calls its classifier."""
    classifier = model.get_classifier()  # type: ignore[operator]
    return next(name for name, module in model.named_modules() if module is classifier)


def load(model: nn.Module, state: State, path: Path) -> None:
    """Puts weights into a model; all of them have to fit.

    Args:
        model: Changed in place.
        state: By the model's names.
        path: Where they are from.

    Raises:
        ValueError: They do not fit; the message names a few that differ.
    """
    wanted = model.state_dict()
    wrong = [
        f"{name} is {list(state[name].shape)} in the file and {list(value.shape)} in the model"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    problems = {
        "lacks": [name for name in wanted if name not in state],
        "has beside the model's": [name for name in state if name not in wanted],
    }
    wrong += [f"the file {what} {_few(names)}" for what, names in problems.items() if names]
    if wrong:
        advice = (
            "; if only names differ: weights_match: order"
            if len(state) == len(wanted) and any(problems.values())
            else ""
        )
        raise ValueError(f"{path} does not fit: {_few(wrong, '; ')}{advice}")
    model.load_state_dict(state)


def _few(names: list[str], between: str = ", ") -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return between.join(names[:3]) + more
