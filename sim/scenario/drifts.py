"""Settings of `clients.drift`: how the classes that a client meets change."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sim.scenario.base import Count, ImportPath, PositiveInt, Settings

Overlap = Annotated[float, Field(ge=0, lt=1)]


class NoDriftSettings(Settings):
    """One subset for the whole stream."""

    kind: Literal["none"] = "none"


class PositionSettings(Settings):
    """Where drifts fall: `every` or `at`."""

    every: PositiveInt | None = None
    """Images between two drifts; on average, if the dwell is random."""
    at: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    """Steps of the drifts, in place of `every`."""
    dwell: Literal["fixed", "poisson", "geometric"] = "fixed"
    """How long a subset lasts: `every` images, or random with that mean: 1 + Poisson, or geometric (a drift is equally likely
    at every step)."""
    layout: Literal["together", "staggered", "random"] = "together"
    """Over clients. together: all drift at the same steps. staggered: each client's first drift falls on a step of its own, 1 to
    `every`. random: each client draws dwell times of its own."""


class SuddenDriftSettings(PositionSettings):
    """The subset is replaced from one image to the next."""

    kind: Literal["sudden"]
    overlap: Overlap = 0.0
    """Share of the old subset's classes that stay."""


class GradualDriftSettings(PositionSettings):
    """Old and new subset mix inside a window."""

    kind: Literal["gradual"]
    width: PositiveInt
    """Images in the window. Before it the old subset alone, after it the new one alone."""
    overlap: Overlap = 0.0
    """Share of the old subset's classes that stay."""


class IncrementalDriftSettings(PositionSettings):
    """Classes are swapped one at a time."""

    kind: Literal["incremental"]
    width: PositiveInt
    """Images over which the swaps are spread."""
    overlap: Overlap = 0.0
    """Share of the old subset's classes that stay."""


class RecurringDriftSettings(PositionSettings):
    """A pool of subsets without common classes, visited again and again."""

    kind: Literal["recurring"]
    pool: Annotated[int, Field(ge=2)] | None = None
    """Subsets in a client's pool."""
    order: Literal["cycle", "random"] = "cycle"
    """cycle: one after the other. random: any but the present one."""
    width: Count = 0
    """Images over which old and new subset mix, as in gradual drift."""
    matrix: str | Annotated[list[list[Count]], Field(min_length=1)] | None = None
    """In place of `pool`: a CSV file (or rows) of concept numbers by time and client. A row lasts `every` images, client c has
    column c modulo the number of columns, and concepts are the same for all clients."""


class PriorDriftSettings(Settings):
    """The classes stay; how often each is met moves between two draws of the weights."""

    kind: Literal["prior"]
    shape: Literal["sine", "monotone"] = "sine"
    """sine: to the other weights and back. monotone: to the other weights over the whole stream."""
    every: PositiveInt | None = None
    """Images in a period of the sine."""
    layout: Literal["together", "staggered"] = "together"
    """Whether every client's sine has a phase of its own."""


class OwnDriftSettings(Settings):
    """A drift process of your own."""

    kind: Literal["own"]
    process: ImportPath
    """`package.module.Class` or `file.py:Class`; see sim.drift.Drift and sim.testing."""
    arguments: dict[str, Any] = {}
    """What the class is called with, beside the seed."""


DriftSettings = Annotated[
    NoDriftSettings
    | SuddenDriftSettings
    | GradualDriftSettings
    | IncrementalDriftSettings
    | RecurringDriftSettings
    | PriorDriftSettings
    | OwnDriftSettings,
    Field(discriminator="kind"),
]
