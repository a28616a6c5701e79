"""Classes of devices, and what a step of an adapter is estimated to take there: milliseconds, millijoules, and whether it fits.

Estimates, not measurements. Time is a roofline: computing or moving bytes, whichever takes longer (Williams, Waterman and
Patterson, "Roofline", CACM 52(4), 2009). Energy is MACs times that of a multiply-add and bytes times that of a byte, between what
two published tables give; `devices.yaml` names them. What a device draws while it does nothing is in neither.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from sim.errors import Problem, ScenarioError, did_you_mean
from sim.scenario.base import PositiveFloat, PositiveInt, Settings
from sim.scenario.yaml_text import BadYamlError, lines_of, parse, plain

if TYPE_CHECKING:  # whoever reads a report has profiles, and no torch
    from iciia.overhead import Cost

NO_ROOM = "does not fit"

Said = Annotated[str, Field(min_length=1)]
"""Where a number is from."""


class Number(Settings):
    """A number, and where it is from."""

    value: PositiveFloat
    """The number."""
    source: Said
    """Where it is from."""


class WholeNumber(Settings):
    """A count, and where it is from."""

    value: PositiveInt
    """The count."""
    source: Said
    """Where it is from."""


class Bounds(Settings):
    """A low and a high number, and where they are from."""

    low: PositiveFloat
    """What is least."""
    high: PositiveFloat
    """What is most."""
    source: Said
    """Where they are from."""

    @model_validator(mode="after")
    def _ordered(self) -> "Bounds":
        if self.low > self.high:
            raise ValueError(f"got low {self.low:g} above high {self.high:g}; exchange them")
        return self


class Profile(Settings):
    """A class of devices."""

    title: Said
    """What it is."""
    macs_per_s: Number
    """Multiply-adds that it gets done in a second."""
    bytes_per_s: Number
    """Bytes a second from the memory where weights and banks lie."""
    adapter_bytes: WholeNumber
    """Room for an adapter's weights and one client's bank."""
    word_bytes: WholeNumber
    """Bytes of a weight."""
    pj_per_mac: Bounds
    """Picojoules of a multiply-add."""
    pj_per_byte: Bounds
    """Picojoules of a byte that is moved."""


@dataclass(frozen=True)
class Counted:
    """What an estimate takes of an adapter's cost, as tables have it.

    Args:
        macs_per_image: Multiply-adds of one image beside the backbone's.
        state_bytes: Bytes of one client's state.
        parameters: Shared weights.
    """

    macs_per_image: int
    state_bytes: int
    parameters: int


@dataclass(frozen=True)
class Estimate:
    """What an image is estimated to take on a device.

    Args:
        milliseconds: The larger of computing and moving bytes.
        millijoules_low: Energy by the lower figures.
        millijoules_high: Energy by the higher ones.
        fits: Whether what has to be held has room.
    """

    milliseconds: float
    millijoules_low: float
    millijoules_high: float
    fits: bool

    @property
    def time(self) -> str:
        """Milliseconds to two digits. 0.0134 is 0.013 ms."""
        return f"{_two_digits(self.milliseconds)} ms"

    @property
    def energy(self) -> str:
        """Both ends in millijoules, to two digits: 0.016 to 0.35 mJ."""
        low, high = self.millijoules_low, self.millijoules_high
        return "0 mJ" if high == 0 else f"{_two_digits(low)} to {_two_digits(high)} mJ"


def _two_digits(value: float) -> str:
    if value == 0:
        return "0"
    digits = f"{value:.1e}"
    places = max(0, 1 - int(digits.partition("e")[2]))
    return f"{float(digits):,.{places}f}"


def estimate(profile: Profile, macs: int, moved_bytes: int, held_bytes: int) -> Estimate:
    """What an image takes.

    10 million MACs and 1 MB on the phone: 2.4 ms of computing, 0.067 ms of moving; 0.0169 + 0.00175 to 0.221 + 0.325 mJ.

    Args:
        profile: The device.
        macs: Multiply-adds.
        moved_bytes: Bytes read and written.
        held_bytes: Bytes that stay between images.
    """
    joules = [
        1e-12 * (macs * of_mac + moved_bytes * of_byte)
        for of_mac, of_byte in (
            (profile.pj_per_mac.low, profile.pj_per_byte.low),
            (profile.pj_per_mac.high, profile.pj_per_byte.high),
        )
    ]
    seconds = max(macs / profile.macs_per_s.value, moved_bytes / profile.bytes_per_s.value)
    low, high = (1e3 * one for one in joules)
    return Estimate(1e3 * seconds, low, high, held_bytes <= profile.adapter_bytes.value)


def estimate_adapter(profile: Profile, cost: "Cost | Counted", capacity: int | None) -> Estimate:
    """What an adapter takes beside the backbone.

    Moved for an image are all weights and the whole state, read once, and a slot of the bank, written: the state's bytes over the
    capacity, or the whole state where there is none. An adapter that computes nothing moves nothing. Held are weights and state.

    Args:
        profile: The device.
        cost: What the adapter costs.
        capacity: N, of an adapter with a bank.
    """
    if not cost.macs_per_image and not cost.state_bytes:
        return estimate(profile, 0, 0, 0)
    weights = cost.parameters * profile.word_bytes.value
    written = -(-cost.state_bytes // capacity) if capacity else cost.state_bytes
    return estimate(profile, cost.macs_per_image, weights + cost.state_bytes + written, weights + cost.state_bytes)


@cache
def built_in() -> Mapping[str, Profile]:
    """The profiles that come with the package, by name."""
    return read_profiles(Path(__file__).with_suffix(".yaml"))


def profiles_of(name: str) -> Mapping[str, Profile]:
    """A built-in profile by name, or all of a YAML file.

    Raises:
        ScenarioError: There is no such profile or file, or the file's numbers are not all there.
    """
    if name in built_in():
        return {name: built_in()[name]}
    if Path(name).suffix in (".yaml", ".yml") or Path(name).is_file():
        return read_profiles(Path(name))
    raise ScenarioError("devices", [Problem(name, unknown_device(name, built_in()))])


def unknown_device(name: str, known: Iterable[str]) -> str:
    """What to say of a name that no profile has."""
    names = list(known)
    listed, meant = ", ".join(names), did_you_mean(name, names)
    return f"no device of that name; {f'{meant} ({listed})' if meant else f'there are {listed}'}"


def read_profiles(path: Path) -> Mapping[str, Profile]:
    """The profiles of a YAML file, by name.

    Raises:
        ScenarioError: It cannot be read, or its numbers are not all there and above 0; all problems are told, with their lines.
    """
    try:
        tree = parse(path.read_text(encoding="utf-8"))
    except BadYamlError as error:
        raise ScenarioError(str(path), [Problem("YAML", str(error), error.line)]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(str(path), [Problem("file", f"cannot be read: {error}")]) from error
    if not isinstance(tree, dict) or not tree:
        raise ScenarioError(str(path), [Problem("file", "expected profiles by name, as docs/device.md has them")])
    lines = lines_of(tree)
    try:
        return TypeAdapter(dict[str, Profile]).validate_python(plain(tree))
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            key = tuple(part for part in detail["loc"] if isinstance(part, str | int))
            line = next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), None)
            problems.append(
                Problem(".".join(map(str, key)), _said(detail["type"], detail["msg"], detail["input"]), line)
            )
        raise ScenarioError(str(path), problems) from error


def _said(kind: str, message: str, got: object) -> str:
    """A problem of a profile in our words."""
    if kind == "missing":
        return "is missing; a profile has every number, each with its source"
    if kind == "extra_forbidden":
        return f"unknown key; expected {', '.join(Profile.model_fields)}, with value, or low and high, and source"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    wanted = {"greater_than": "a number above 0", "greater_than_equal": "1 or more", "int_type": "an integer"}
    wanted |= {"float_type": "a number", "string_type": "text", "finite_number": "a finite number"}
    shown = "keys and values" if isinstance(got, dict) else "nothing" if got is None else repr(got)
    return f"got {shown}; expected {wanted.get(kind, 'a number and its source: {value: 1, source: text}')}"
