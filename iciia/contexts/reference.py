"""The names and layouts of the authors' checkpoints, translated into ours."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_LAYER = "encoder.layers."


def translate(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings that a checkpoint of theirs implies, and its weights under our names.

    Args:
        state: Their state dict, float32. With P > 1 projections are [P, D_out/P, D_in/P], with P = 1 ordinary matrices inside
            `encoder_layers.0`.

    Returns:
        Arguments of `ICIIA` other than `heads`, and our state dict.

    Raises:
        ValueError: A weight is missing; the message names it.
    """
    try:
        classes, features = state["classifier.weight"].shape
        numbers = {int(name.removeprefix(_LAYER).split(".")[0]) for name in state if name.startswith(_LAYER)}
        ours: dict[str, Tensor] = {name: state[name] for name in ("classifier.weight", "classifier.bias")}
        partitions = 1
        for number in sorted(numbers):
            partitioned = f"{_LAYER}{number}.self_attn.in_proj_weight" in state
            theirs = f"{_LAYER}{number}." if partitioned else f"{_LAYER}{number}.encoder_layers.0."
            dot = "_" if partitioned else "."
            names = {
                "qkv.weight": "self_attn.in_proj_weight",
                "qkv.bias": "self_attn.in_proj_bias",
                "out.weight": f"self_attn.out_proj{dot}weight",
                "out.bias": f"self_attn.out_proj{dot}bias",
            }
            same = ("linear1", "linear2", "norm1", "norm2")
            names |= {f"{part}.{kind}": f"{part}.{kind}" for part in same for kind in ("weight", "bias")}
            for name, their_name in names.items():
                value = state[theirs + their_name]
                if name.endswith("weight") and not name.startswith("norm") and not partitioned:
                    value = value.unsqueeze(0)
                ours[f"layers.{number}.{name}"] = value
            partitions = ours[f"layers.{number}.qkv.weight"].shape[0]
    except KeyError as error:
        raise ValueError(f"not a checkpoint of the authors' code: {error.args[0]} is missing") from error
    settings = {"features": features, "classes": classes, "layers": len(numbers), "partitions": partitions}
    return settings, ours
