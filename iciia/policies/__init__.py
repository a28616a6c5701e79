"""Bank policies: which images a full bank keeps. One small file each.

A policy of one's own is a subclass of `Policy`, named in a scenario by its import path, `package.module:Class`;
`iciia.testing.check_policy` checks it.
"""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

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
        kind: A name in `POLICIES`, or `package.module:Class`.
        arguments: Keyword arguments of its class.

    Raises:
        ValueError: There is no such policy, or it does not take these arguments; the message says what is allowed.
    """
    chosen = _by_path(kind) if ":" in kind else POLICIES.get(kind)
    if chosen is None:
        close = difflib.get_close_matches(kind, POLICIES, n=1, cutoff=0.5)
        meant = f'did you mean "{close[0]}"? ' if close else ""
        raise ValueError(f'got "{kind}"; {meant}({", ".join(POLICIES)}, or package.module:Class)')
    try:
        return chosen(**(arguments or {}))
    except TypeError as error:
        raise ValueError(f"{kind} does not take these arguments: {error}") from error


def _by_path(path: str) -> type[Policy]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f'got "{path}", which cannot be imported: {error}') from error
    if not (isinstance(found, type) and issubclass(found, Policy)):
        raise ValueError(f'got "{path}", which is no subclass of iciia.policies.Policy')
    return found
