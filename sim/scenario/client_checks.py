"""What can be wrong with clients and their drift, before any data are looked at."""

from collections.abc import Iterator
from pathlib import Path

from sim.errors import ScenarioError
from sim.scenario.clients import ClientsSettings, SizeRange
from sim.scenario.devices import read_profiles, unknown_device
from sim.scenario.drifts import DriftSettings, PositionSettings, PriorDriftSettings, RecurringDriftSettings
from sim.scenario.sections import Found, Sections
from sim.texts import read_rows

Below = Iterator[tuple[str, str]]
"""Key below `clients`, with dots, and what is wrong there."""


def check_clients(sections: Sections) -> Found:
    """What is wrong with `clients`, data apart."""
    clients: ClientsSettings | None = sections.get("clients")
    if clients is None:
        return
    yield from _device_problems(clients, sections.document.folder)
    if clients.source == "natural":
        yield from _natural_problems(clients)
        return
    if clients.images == "all":
        yield ("clients", "images"), 'got "all", which only natural clients have; give a number, or set source: natural'
        return
    if clients.order.by is not None:
        yield (
            ("clients", "order", "by"),
            "orders natural clients' images, and streams are drawn; remove it, or set source: natural",
        )
    for name, message in _drift_problems(clients, clients.images, sections.document.folder):
        yield ("clients", *name.split(".")), message


def _device_problems(clients: ClientsSettings, folder: Path) -> Found:
    """Devices that nobody knows, and shares that are not of one whole."""
    try:
        known = with_profiles(clients, folder).known_devices
    except ScenarioError as error:
        yield ("clients", "profiles"), str(error)
        return
    for name in clients.devices:
        if name not in known:
            yield ("clients", "devices", name), unknown_device(name, known)
    whole = sum(clients.devices.values())
    if clients.devices and abs(whole - 1) > 1e-6:
        yield ("clients", "devices"), f"got shares that sum to {whole:g}; expected 1"


def _natural_problems(clients: ClientsSettings) -> Found:
    """Natural clients leave nothing to draw."""
    drawn = {"subset": clients.subset, "drift": clients.drift, "sampling": clients.sampling}
    for name, value in drawn.items():
        if value != ClientsSettings.model_fields[name].get_default():
            yield ("clients", name), "describes drawn streams, and natural clients bring their own; remove it"
    if clients.order.run_length != 1.0:
        yield (
            ("clients", "order", "run_length"),
            "describes drawn streams, and natural clients bring their own order; remove it",
        )


def _drift_problems(clients: ClientsSettings, steps: int, folder: Path) -> Below:
    """All problems of `clients.drift` and of what it needs from `clients.subset`.

    Args:
        clients: The scenario's `clients`.
        steps: Images in a stream.
        folder: Where a relative path of a matrix starts.
    """
    classes, drift = clients.subset.classes, clients.drift
    if isinstance(classes, SizeRange) and classes.min > classes.max:
        yield "subset.classes", f"got min {classes.min} and max {classes.max}; expected min to be no more than max"
    if isinstance(drift, PriorDriftSettings):
        yield from _check_prior(clients, drift)
    if isinstance(drift, PositionSettings):
        if isinstance(drift, RecurringDriftSettings) and drift.matrix is not None:
            yield from _check_matrix(steps, drift, folder)
        else:
            yield from _check_positions(steps, drift)
            yield from _check_width(steps, drift)
    if isinstance(drift, RecurringDriftSettings) and drift.matrix is None and drift.pool is None:
        yield "drift.pool", "is missing; give the number of subsets to return to, for example pool: 3, or a matrix"


def _check_prior(clients: ClientsSettings, drift: PriorDriftSettings) -> Below:
    if clients.subset.prior == "uniform":
        yield (
            "subset.prior",
            "is uniform, and prior drift moves weights that differ; set {kind: zipf} or {kind: dirichlet}",
        )
    if drift.shape == "sine" and drift.every is None:
        yield "drift.every", "is missing; give the images in a period, for example every: 100"
    if drift.shape == "monotone" and drift.every is not None:
        yield "drift.every", "a monotone drift takes the whole stream and has no period; remove it"
    if drift.shape == "monotone" and drift.layout != "together":
        yield "drift.layout", "a monotone drift takes the whole stream for every client; remove it"


def _check_positions(steps: int, drift: PositionSettings) -> Below:
    if (drift.every is None) == (drift.at is None):
        fault = "is missing" if drift.every is None else "stands beside `at`"
        yield "drift.every", f"{fault}; give either every: 100, or the steps, at: [100, 250]"
    if drift.every is not None and drift.every >= steps:
        yield (
            "drift.every",
            f"got {drift.every}, and a stream has only {steps} images; lower it, or set kind: none",
        )
    if drift.at is not None:
        if any(later <= earlier for earlier, later in zip(drift.at, drift.at[1:], strict=False)):
            yield "drift.at", f"got {drift.at}; expected ascending steps"
        if max(drift.at) >= steps:
            yield (
                "drift.at",
                f"got {max(drift.at)}, and a stream has only {steps} images; the last is {steps - 1}",
            )
        if drift.dwell != "fixed":
            yield "drift.dwell", f"got {drift.dwell!r}, and `at` says where drifts fall; remove one of them"
        if drift.layout != "together":
            yield "drift.layout", f"got {drift.layout!r}, and `at` is the same for all clients; remove one of them"
        return
    if drift.layout == "staggered" and drift.dwell != "fixed":
        yield "drift.layout", "got 'staggered', which takes a fixed dwell; set layout: random, or dwell: fixed"
    if drift.layout == "random" and drift.dwell == "fixed":
        yield (
            "drift.layout",
            "got 'random', which takes a random dwell; set dwell: poisson or geometric, or layout: staggered",
        )


def _check_width(steps: int, drift: PositionSettings) -> Below:
    width = getattr(drift, "width", 0)
    if drift.every is not None and width > drift.every:
        yield "drift.width", f"got {width}, and the next drift opens after {drift.every} images; lower it"
    if drift.at and width > (left := steps - max(drift.at)) > 0:
        yield (
            "drift.width",
            f"got {width}, and the stream ends {left} images after the drift at {max(drift.at)}; lower it",
        )
    gaps = [later - earlier for earlier, later in zip(drift.at or [], (drift.at or [])[1:], strict=False)]
    if gaps and width > min(gaps) > 0:
        yield "drift.width", f"got {width}, and the next drift opens after {min(gaps)} images; lower it"


def _check_matrix(steps: int, drift: RecurringDriftSettings, folder: Path) -> Below:
    for name in ("pool", "at"):
        if getattr(drift, name) is not None:
            yield f"drift.{name}", "stands beside a matrix, which says it all; remove it"
    for name, default in (("dwell", "fixed"), ("layout", "together"), ("order", "cycle")):
        if getattr(drift, name) != default:
            yield f"drift.{name}", "stands beside a matrix, which says it all; remove it"
    if drift.every is None:
        yield "drift.every", "is missing; give the images that a row of the matrix lasts, for example every: 100"
        return
    if drift.width > drift.every:
        yield "drift.width", f"got {drift.width}, and the next drift may open after {drift.every} images; lower it"
    try:
        rows = read_matrix(drift.matrix, folder)
    except ValueError as error:
        yield "drift.matrix", str(error)
        return
    if len(rows) * drift.every < steps:
        yield (
            "drift.matrix",
            f"has {len(rows)} rows of {drift.every} images, and a stream has {steps}; expected "
            f"{-(-steps // drift.every)} rows",
        )


def read_matrix(matrix: str | list[list[int]] | None, folder: Path) -> list[list[int]]:
    """The rows of a matrix of concepts, of a CSV file or as they stand.

    Raises:
        ValueError: The file cannot be read, an entry is no number from 0, or rows differ in length.
    """
    if isinstance(matrix, str):
        path = folder / matrix
        try:
            texts = read_rows(path).cells
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        for line, row in enumerate(texts, start=1):
            wrong = [entry for entry in row if not entry.isdecimal()]
            if wrong:
                raise ValueError(f"{path}, row {line}: got {wrong[0]!r}; expected numbers of concepts, 0 or more")
        rows = [[int(entry) for entry in row] for row in texts]
    else:
        rows = matrix or []
    for line, numbers in enumerate(rows, start=1):
        if len(numbers) != len(rows[0]) or not numbers:
            raise ValueError(
                f"row {line} has {len(numbers)} columns, and row 1 has {len(rows[0])}; expected a column for each client"
            )
    if not rows:
        raise ValueError("has no rows")
    return rows


def with_profiles(clients: ClientsSettings, folder: Path) -> ClientsSettings:
    """The settings with the profiles of a file in place of its name.

    Raises:
        ScenarioError: The file cannot be read, or its numbers are not all there.
    """
    if not isinstance(clients.profiles, str):
        return clients
    return clients.model_copy(update={"profiles": dict(read_profiles(folder / clients.profiles))})


def with_matrix(drift: DriftSettings, folder: Path) -> DriftSettings:
    """The settings with the rows of their matrix in place of the file's name: workers need no file, and the digest covers it."""
    if not isinstance(drift, RecurringDriftSettings) or not isinstance(drift.matrix, str):
        return drift
    return drift.model_copy(update={"matrix": read_matrix(drift.matrix, folder)})
