"""Bank policies: which images a full bank keeps. One small file each.

A policy of one's own is a subclass of `Policy`, named in a scenario by its import path, `package.module.Class` or `file.py:Class`;
`iciia.testing.check_policy` checks it.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from iciia.imports import import_class
from iciia.policies.base import Arrival, Evidence, Policy, Slots
from iciia.policies.class_balanced import ClassBalanced
from iciia.policies.confident import Confident
from iciia.policies.cstu import Cstu
from iciia.policies.decay import Decay
from iciia.policies.diverse import Diverse
from iciia.policies.drift_reset import DriftReset
from iciia.policies.fifo import Fifo
from iciia.policies.reservoir import Reservoir

__all__ = [
    "POLICIES",
    "Arrival",
    "ClassBalanced",
    "Confident",
    "Cstu",
    "Decay",
    "Diverse",
    "DriftReset",
    "Evidence",
    "Fifo",
    "Policy",
    "Reservoir",
    "Slots",
    "make_policy",
]

POLICIES: Mapping[str, type[Policy]] = {
    policy.name: policy for policy in (Fifo, Reservoir, ClassBalanced, Cstu, Diverse, Confident, Decay, DriftReset)
}
"""The policies that come with the package, by name."""


def make_policy(kind: str, arguments: Mapping[str, Any] | None = None) -> Policy:
    """A policy by name or import path.

    Args:
        kind: A name in `POLICIES`, or an import path; see `iciia.imports.import_class`.
        arguments: Keyword arguments of its class.

    Raises:
        ValueError: There is no such policy, or it does not take these arguments; the message says what is allowed.
    """
    chosen = import_class(kind, Policy) if {".", ":"} & set(kind) else POLICIES.get(kind)
    if chosen is None:
        close = difflib.get_close_matches(kind, POLICIES, n=1, cutoff=0.5)
        meant = f'did you mean "{close[0]}"? ' if close else ""
        raise ValueError(f'got "{kind}"; {meant}({", ".join(POLICIES)}, package.module.Class or file.py:Class)')
    try:
        return chosen(**(arguments or {}))
    except TypeError as error:
        raise ValueError(f"{kind} does not take these arguments: {error}") from error
