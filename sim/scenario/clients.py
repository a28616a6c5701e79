"""Settings of `clients`: who they are, which classes they meet, in which order."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sim.scenario.base import PositiveFloat, PositiveInt, Settings, Share
from sim.scenario.devices import Profile, built_in
from sim.scenario.drifts import DriftSettings, NoDriftSettings


class ZipfPrior(Settings):
    """Class weights rank ** -exponent, over a random order of the subset's classes."""

    kind: Literal["zipf"]
    exponent: PositiveFloat = 1.0
    """Exponent."""


class DirichletPrior(Settings):
    """Class shares drawn from a symmetric Dirichlet distribution over the subset's classes."""

    kind: Literal["dirichlet"]
    alpha: PositiveFloat = 1.0
    """Concentration: the smaller, the fewer classes dominate."""


class SizeRange(Settings):
    """A number of classes drawn for every subset anew."""

    min: PositiveInt
    """Fewest classes."""
    max: PositiveInt
    """Most classes."""


class SubsetSettings(Settings):
    """The classes a client meets at a time."""

    classes: Literal["superclass"] | PositiveInt | SizeRange = "superclass"
    """`superclass` (all classes of one), a number of classes, or a range {min: 3, max: 8}."""
    prior: Literal["uniform"] | Annotated[ZipfPrior | DirichletPrior, Field(discriminator="kind")] = "uniform"
    """How often each is met: uniform, {kind: zipf, exponent: 1.0} or {kind: dirichlet, alpha: 1.0}."""
    reserve_ratio: Share = 1.0
    """Share of images that come from the subset; the rest come from everybody's classes."""


class OrderSettings(Settings):
    """In which order images come."""

    run_length: Annotated[float, Field(ge=1)] = 1.0
    """Images in a run on average. The images of a run are of one class as long as the prior stays; the prior itself is
    kept at every step."""
    by: Literal["time", "stored", "random"] | None = None
    """In which order natural clients' images come. time: as they were taken, the default where the data say it. stored: as the data
    have them. random: the default elsewhere."""

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_written(cls, value: Any) -> Any:
        """`as_stored: true` of earlier scenarios and reports is `by: stored`, and `as_stored: false` says nothing."""
        if not isinstance(value, dict) or not isinstance(value.get("as_stored"), bool) or "by" in value:
            return value
        rest = {key: one for key, one in value.items() if key != "as_stored"}
        return {**rest, "by": "stored"} if value["as_stored"] else rest

    def chosen(self, timed: bool) -> Literal["time", "stored", "random"]:
        """`by`, or its default for data that say when images were taken, or do not."""
        return self.by or ("time" if timed else "random")


class CorruptionSettings(Settings):
    """Domain shift beside class drift: what a client's camera does to its images. Needs `backbone.execution: live`."""

    kind: Literal["blur", "noise", "brightness", "jpeg", "camera"]
    """One of them at full strength for every client, or camera: all four, each with a strength of the client's own."""
    severity: Annotated[int, Field(ge=1, le=5)] = 3
    """How strong, 1 to 5."""


class ClientsSettings(Settings):
    """Who the clients are and what they see."""

    source: Literal["drawn", "natural"] = "drawn"
    """Where their streams come from. drawn: from class subsets, as `subset`, `drift`, `order` and `sampling` say. natural: from the
    data's own clients, each with its own images; `count` beyond which they are not all taken are a random choice."""
    count: PositiveInt
    """Number of clients."""
    images: PositiveInt | Literal["all"]
    """Images in each client's stream; of natural clients at most so many, or `all` that each has."""
    cohort: PositiveInt = 64
    """Clients simulated together; part of what decides the last bits of a result."""
    chunk: PositiveInt = 50
    """Steps simulated together; likewise."""
    subset: SubsetSettings = SubsetSettings()
    """The classes a client meets at a time."""
    drift: DriftSettings = NoDriftSettings()
    """How they change."""
    order: OrderSettings = OrderSettings()
    """In which order images come."""
    sampling: Literal["without_replacement", "with_replacement", "wrap_around"] = "without_replacement"
    """without_replacement: no client meets an image twice, and running out is refused before the run. wrap_around: a client that
    has met all images of a class meets them again, in a new order. with_replacement: any image, any time."""
    corruption: CorruptionSettings | None = None
    """What clients' cameras do to their images."""
    devices: dict[str, PositiveFloat] = {}
    """Share of the clients that have each device, {phone: 0.6, microcontroller: 0.4}, together 1: microcontroller, phone,
    single_board, desktop, or one of `profiles`. The report says accuracy by device, and a bank can be fitted to it
    (`bank.by_device`)."""
    profiles: str | dict[str, Profile] = {}
    """Devices of your own: a YAML file as in docs/device.md, or what stands in it."""

    @property
    def known_devices(self) -> Mapping[str, Profile]:
        """The devices that come with the package, and those of `profiles`, once a file is read."""
        return {**built_in(), **(self.profiles if isinstance(self.profiles, dict) else {})}
