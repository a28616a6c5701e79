"""Modules that are not trained here: found, read, and held against the data."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.files import FILES, load_module, load_reference
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.module import Module
from iciia.contexts.priors import ClientPriors
from sim.cache import Cache
from sim.errors import DataError
from sim.outputs import RUN_FILE
from sim.scenario.modules import HUB, GivenSettings, ModuleSettings, PriorsSettings, TrainedSettings

ARTIFACT = "module"
"""Kind of a module in the cache."""

Knows = Literal["nothing", "superclasses"]


@dataclass(frozen=True)
class Place:
    """Where a module was found.

    Args:
        path: A folder of `save_pretrained`, or a checkpoint file of the authors' code.
        knows: What it was told of clients, as a run or a scenario says; None if the folder says it, or nobody.
        heads: H of a checkpoint of the authors' code, likewise; 4 if None.
    """

    path: Path
    knows: Knows | None = None
    heads: int | None = None

    def digest(self) -> str:
        """Digest of its content: of its weights and settings, 20 hexadecimal digits."""
        found = hashlib.sha256()
        for file in [self.path / name for name in FILES] if self.path.is_dir() else [self.path]:
            with file.open("rb") as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
        return found.hexdigest()[:20]

    def read(self) -> Module:
        """The module, in evaluation mode.

        Raises:
            DataError: It cannot be read, or a folder is asked for with heads, which it says itself.
        """
        if self.path.is_dir() and self.heads is not None:
            raise DataError(f"got heads: {self.heads}, and {self.path} says itself how many it has; remove heads")
        try:
            module = load_module(self.path) if self.path.is_dir() else load_reference(self.path, self.heads or 4)
        except ValueError as error:
            raise DataError(str(error)) from error
        if self.knows is not None and not isinstance(module, ClientPriors):  # which knows it by its settings
            module.knows = self.knows
        return module


def given_module(settings: GivenSettings, cache: Cache) -> tuple[Module, dict[str, Any]]:
    """A module as it was found, in evaluation mode, and what a report says of where it comes from.

    Raises:
        DataError: It is not there, or cannot be read; the message says what was found.
    """
    found = locate(settings.weights, cache)
    place = Place(found.path, settings.knows or found.knows, settings.heads or found.heads)
    module = place.read()
    said = {"weights": settings.weights, "heads": place.heads, "digest": place.digest(), "knows": module.knows}
    return module, said


def locate(weights: str, cache: Cache) -> Place:
    """Where a module is.

    Args:
        weights: As `modules.NAME.weights` says it.
        cache: Where runs keep their modules.

    Raises:
        DataError: There is none; the message says what there is.
    """
    if weights.startswith(HUB):
        return Place(_from_hub(weights.removeprefix(HUB)))
    path = Path(weights)
    if (path / RUN_FILE).is_file():
        return of_run(path, None, cache)
    if path.exists():
        return Place(path)
    folder, _, name = weights.rpartition("#")
    if folder and (Path(folder) / RUN_FILE).is_file():
        return of_run(Path(folder), name, cache)
    raise DataError(
        f"got {weights!r}: no such file or folder, and no run; expected a folder of save_pretrained, RUN#NAME for a module of a "
        f"finished run, a checkpoint of the authors' code, or {HUB}OWNER/NAME"
    )


def of_run(folder: Path, name: str | None, cache: Cache) -> Place:
    """A module of a finished run.

    Args:
        folder: The run's.
        name: The module's in its scenario; None for the only one.
        cache: Where it is kept.

    Raises:
        DataError: The run is unfinished, a sweep, has no such module, or the module is gone from the cache or has changed.
    """
    try:
        run: dict[str, Any] = dict(json.loads((folder / RUN_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder}: its {RUN_FILE} cannot be read: {error}") from error
    if not run.get("complete"):
        raise DataError(f"{folder}: the run is not finished; finish it with: iciia run SCENARIO --resume {folder}")
    if run.get("sweep"):
        raise DataError(
            f"{folder}: is a sweep; take a module of one of its runs, {folder / 'cells' / '0001'} for instance"
        )
    modules = run.get("provenance", {}).get("modules", {})
    name = name or (next(iter(modules)) if len(modules) == 1 else "")
    if name not in modules:
        there = ", ".join(modules) or "none"
        raise DataError(
            f"{folder}: got {f'module {name!r}' if name else 'no name'}, and the run has {there}; write {folder}#NAME"
        )
    place = kept(modules[name], cache)
    if place is None:
        raise DataError(
            f"{folder}: its module {name} is not in the cache ({cache.folder}) any more; train it again, to the same weights, "
            f"with: iciia module save {folder} {name} FOLDER"
        )
    return place


def kept(said: Mapping[str, Any], cache: Cache) -> Place | None:
    """Where a module is of which a run says where it comes from; None if it was trained, and the cache has it no longer.

    Raises:
        DataError: It was given to the run, and is not there or has changed since.
    """
    if "weights" not in said:
        folder = cache.find(ARTIFACT, said["artifact"]) if "artifact" in said else None
        return None if folder is None else Place(folder, said["knows"])
    place = locate(said["weights"], cache)
    if place.digest() != said["digest"]:
        raise DataError(f"{place.path}: has changed since it was used in a run")
    return Place(place.path, said["knows"], said["heads"])


def _from_hub(name: str) -> Path:
    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise DataError(f"{HUB}{name}: cannot be had from the Hugging Face hub: {first}") from error


def described(module: Module) -> TrainedSettings:
    """The settings that would make such a module, as far as anybody asks for them before a simulation."""
    if isinstance(module, ClientPriors):
        return PriorsSettings(keep=module.keep)
    sizes = module.settings
    if isinstance(module, Icrm):
        return ModuleSettings(context="icrm", layers=sizes["layers"], width=sizes["width"], positions=module.positions)
    if isinstance(module, ArmCml):
        return ModuleSettings(context="arm_cml", width=sizes["width"])
    named = ("context", "head", "shortlist", "shuffle", "layers", "heads", "partitions")
    return ModuleSettings(**{name: sizes[name] for name in named})


def misfit(settings: GivenSettings, module: Module, features: int, classes: int, attributes: bool) -> str | None:
    """What does not go together in a module and the data; None if all does.

    Args:
        settings: Where the module is from.
        module: As it was found.
        features: D of the data.
        classes: C of the data.
        attributes: Whether their images have attributes in place of one class.
    """
    takes, predicts = (module.settings[name] for name in ("features", "classes"))
    if (takes, predicts) != (features, classes):
        return (
            f"{settings.weights} takes {takes} features and predicts {predicts} classes, and the data have {features} and "
            f"{classes}; give a module for these, or train one here (remove weights)"
        )
    ranks = isinstance(module, Icrm | ArmCml) or (isinstance(module, ICIIA) and module.shortlist is not None)
    of_attributes = module.settings["attributes"] if isinstance(module, ClientPriors) else attributes and not ranks
    if of_attributes != attributes:
        kinds = ("several attributes an image", "one class an image")
        has, wants = kinds if attributes else kinds[::-1]
        return f"{settings.weights} is for {wants}, and the data have {has}"
    if isinstance(module, ClientPriors) and settings.precision != "float32":
        return f"{settings.weights} is a module of priors, which computes in float32; remove precision"
    return None
