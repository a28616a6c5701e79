"""Some rows of a pretrained classifier: those of the data's classes, found by wnid, by name or by number."""

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import nn

from sim.errors import DataError


def subset_of(
    classifier: nn.Linear,
    model: nn.Module,
    names: Sequence[str],
    called: Mapping[str, str | int] = MappingProxyType({}),
) -> nn.Linear:
    """The classifier's rows of some classes, in their order.

    Args:
        classifier: Of the checkpoint.
        model: Whose it is; timm knows what the rows of a model of ImageNet are called.
        names: The data's classes: each a wnid (`n01440764`), one of a class's names (`tench`; `_` for a space, capitals do not
            count) or a row's number.
        called: What the classifier calls a class whose name is none of these.

    Raises:
        DataError: The classifier knows no such class, or several; the data have no class that is called something.
    """
    strange = sorted(set(called) - set(names))
    if strange:
        raise DataError(
            f"backbone.subset: the data have no class {strange[0]!r}; theirs are {', '.join(names[:5])} ..."
        )
    rows = _rows_by_name(model)
    numbers = [_row(str(called.get(name, name)), rows, classifier.out_features) for name in names]
    twice = [name for name, number in zip(names, numbers, strict=True) if numbers.count(number) > 1]
    if twice:
        raise DataError(f"backbone.head: subset: {' and '.join(twice)} are the same class of the checkpoint's head")
    picked = nn.Linear(classifier.in_features, len(numbers), bias=classifier.bias is not None)
    with torch.no_grad():
        picked.weight.copy_(classifier.weight[numbers])
        if classifier.bias is not None:
            picked.bias.copy_(classifier.bias[numbers])
    return picked


def _row(name: str, rows: dict[str, list[int]], count: int) -> int:
    found = rows.get(_plain(name), [])
    if not found and name.isdecimal() and int(name) < count:
        return int(name)
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"backbone.head: subset: {name!r} is the name of {len(found)} classes of the checkpoint's head, rows "
            f"{', '.join(map(str, found))}; call it by its wnid or by its row"
        )
    close = difflib.get_close_matches(_plain(name), rows, n=3, cutoff=0.6)
    meant = f"; did you mean {', '.join(map(repr, close))}?" if close else ""
    known = "wnids, names or rows" if rows else f"rows, 0 to {count - 1} (what they are called is not known)"
    raise DataError(
        f"backbone.head: subset: the checkpoint's head knows no class {name!r}{meant}; the data's classes have to be called by its "
        f"{known}, or say in backbone.subset which each is; for other classes take head: probe or finetune"
    )


def _rows_by_name(model: nn.Module) -> dict[str, list[int]]:
    """Rows by all that a class is called; nothing if timm does not know what the model was trained on."""
    subset = infer_imagenet_subset(model)
    if subset is None:
        return {}
    info, found = ImageNetInfo(subset), dict[str, list[int]]()
    for row, wnid in enumerate(info.label_names()):
        description = info.index_to_description(row)
        for name in {_plain(name) for name in (wnid, description, *description.split(", "))}:
            found.setdefault(name, []).append(row)
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ").casefold().strip()
