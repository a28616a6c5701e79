"""The folder of a run: made, claimed and recognised by its `run.json`."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

from sim.addresses import Location
from sim.cloud.keys import platform_key
from sim.data import Features, Images
from sim.errors import ReportError, RunError
from sim.files import DISK, commit
from sim.outputs import RUN_FILE, unreadable
from sim.report import schema
from sim.scenario.scenario import Scenario


def claim(folder: Location, scenario: Scenario, resume: bool) -> None:
    """Makes the report's folder, or checks that it holds this very run.

    Raises:
        ReportError: It holds something else.
        RunError: It cannot be written.
    """
    try:
        occupied = folder.exists() and any(folder.iterdir())
    except OSError as error:
        raise RunError(f"{folder}: the report cannot be written there ({error.strerror})") from error
    if not occupied:
        if resume:
            raise ReportError(f"{folder}: holds no run that could be resumed")
        write_run(folder, scenario, complete=False)
        return
    if not resume:
        raise ReportError(f"{folder}: is not empty; choose another folder, or go on with an unfinished run by --resume")
    check_same(folder, read_run(folder), scenario)


def read_run(folder: Location) -> dict[str, Any]:
    """What `run.json` says of a folder's run.

    Raises:
        ReportError: There is none.
    """
    try:
        return dict(json.loads((folder / RUN_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ReportError(f"{folder}: holds no run that could be resumed ({unreadable(RUN_FILE, error)})") from error


def check_same(folder: Location, found: Mapping[str, Any], scenario: Scenario) -> None:
    """Checks that a folder's run is this scenario's, of this version, on this platform.

    Raises:
        ReportError: It is another.
    """
    here = {
        "schema_version": schema.SCHEMA_VERSION,
        "scenario_digest": scenario.digest(),
        "platform": platform_key(),
    }
    for name, value in here.items():
        if found.get(name) != value:
            advice = "; give the same scenario and the same --set options as then" if name == "scenario_digest" else ""
            raise ReportError(
                f"{folder}: holds a run with another {name.replace('_', ' ')} ({found.get(name)}, and here {value}); "
                f"its tables would not fit together{advice}"
            )


def keep_provenance(folder: Location, scenario: Scenario, provenance: Mapping[str, Any]) -> None:
    """Says in an unfinished run's folder where everything comes from, or checks that it still comes from there.

    Raises:
        ReportError: A module is another than when the run was begun.
        RunError: It cannot be written.
    """
    found = read_run(folder)
    check_modules(folder, found, provenance)
    if "provenance" not in found:
        write_run(folder, scenario, complete=False, provenance=provenance)


def check_modules(folder: Location, found: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """Checks that a folder's run has the very modules that are at hand, as far as it says so.

    Raises:
        ReportError: One is another.
    """
    for name, said in found.get("provenance", {}).get("modules", {}).items():
        here = provenance["modules"][name]["digest"]
        if said.get("digest", here) != here:
            raise ReportError(
                f"{folder}: was run with another module {name} ({said['digest']}, and here {here}): its weights have changed "
                "since, and its tables would not fit together; put back what was there, or run anew"
            )


def check_data_of(folder: Location, found: Mapping[str, Any], data: Images | Features) -> None:
    """Checks that a folder's run is of the very data that are at hand, as far as it says so.

    Raises:
        ReportError: They are others; the message says what differs.
    """
    said = found.get("provenance", {}).get("data")
    here = json.loads(json.dumps(dict(data.key)))
    if said is None or said == here:
        return
    differ = ", ".join(sorted(name for name in {*said, *here} if said.get(name) != here.get(name)))
    where = [found["scenario"]["data"].get(name) for name in ("path", "train", "test")]
    at = " and ".join(str(place) for place in where if place) or str(found["scenario"]["data"].get("kind"))
    gone = [*data.missing, *data.skipped] if isinstance(data, Images) else []
    named = f" ({len(gone)} files cannot be read, for example {', '.join(gone[:3])})" if gone else ""
    raise ReportError(
        f"{folder}: its data at {at} are no longer those of the run (another {differ}){named}; put back what was there, or run anew"
    )


def write_run(folder: Location, scenario: Scenario, complete: bool, **more: Any) -> None:
    """Writes `run.json`: what is run here, and once it is complete how it went."""
    content = {
        "schema_version": schema.SCHEMA_VERSION,
        "complete": complete,
        "name": scenario.name,
        "seed": scenario.seed,
        "scenario_digest": scenario.digest(),
        "scenario": scenario.model_dump(mode="json"),
        "platform": platform_key(),
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **more,
    }
    try:
        DISK.make_folder(folder)
        commit(DISK, folder / RUN_FILE, (json.dumps(content, indent=2) + "\n").encode())
    except OSError as error:
        raise RunError(f"{folder}: the report cannot be written there ({error.strerror})") from error
