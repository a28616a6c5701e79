"""A module of a run, taken out of it."""

import json
import shutil
import uuid
from pathlib import Path

from iciia.contexts.files import save_module as write_module
from sim.addresses import Location
from sim.cache import Cache
from sim.cloud.given import Place, kept
from sim.engine.folder import check_modules, check_same, read_run
from sim.engine.parts import prepare
from sim.errors import ReportError
from sim.scenario.scenario import Scenario
from sim.stage import StageProgress


def save_module(run: Location, name: str, folder: Path, cache: Cache, stage: StageProgress) -> None:
    """Writes a module of a run into a folder, in the layout of `save_pretrained`: completely or not at all.

    Args:
        run: The run's folder, finished or not.
        name: The module's in the run's scenario.
        folder: New or empty.
        cache: Where runs keep their modules. One that is there no longer is trained again, to the same weights.
        stage: Told how far that is.

    Raises:
        ReportError: There is no such run or module, or the folder is not empty or cannot be written.
        DataError: The module was given to the run, and is not there any more.
    """
    module = _find(run, name, cache, stage).read()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReportError(f"{folder}: is not empty; choose another folder")
    temporary = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        write_module(module, temporary)
        temporary.replace(folder)
    except OSError as error:
        raise ReportError(f"{folder}: the module cannot be written there ({error.strerror})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _find(run: Location, name: str, cache: Cache, stage: StageProgress) -> Place:
    """Where a run's module is, after it was trained again if need be."""
    found = read_run(run)
    if found.get("scenario", {}).get("sweep"):
        raise ReportError(f"{run}: is a sweep; take a module of one of its runs, {run / 'cells' / '0001'} for instance")
    modules = found.get("scenario", {}).get("modules", {})
    if name not in modules:
        raise ReportError(f"{run}: got module {name!r}, and the run has {', '.join(modules) or 'none'}")
    place = kept(found.get("provenance", {}).get("modules", {}).get(name, {}), cache)
    if place is None:
        scenario = Scenario.model_validate_json(json.dumps(found["scenario"]))
        check_same(run, found, scenario)
        provenance = prepare(scenario, cache, stage).provenance
        check_modules(run, found, provenance)
        place = kept(provenance["modules"][name], cache)
        assert place is not None  # it was made a moment ago
    return place
