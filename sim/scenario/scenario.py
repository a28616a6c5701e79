"""The scenario: everything that decides what a run computes, as one validated object.

Field docstrings are the descriptions in `iciia schema`.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.scenario.adapters import AdapterSettings, adapter_from
from sim.scenario.base import Seed, Settings, class_from
from sim.scenario.clients import ClientsSettings
from sim.scenario.cloud import BackboneSettings, CloudSettings
from sim.scenario.data import Data, FeaturesData, ImageFolderData
from sim.scenario.drifts import OwnDriftSettings
from sim.scenario.modules import HUB, AnyModuleSettings, GivenSettings, OneModule
from sim.scenario.report import ReportSettings


class Scenario(Settings):
    """Everything that decides what a run computes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")]
    """Names the report's folder."""
    seed: Seed = 0
    """Seed of the streams, and of training unless `cloud.seed` is given."""
    protocol: Literal["stream", "paper_batch", "leave_one_out"] = "stream"
    """stream: predict, score, remember. The paper's two have no time. paper_batch: a client's images in sets of capacity + 1 that
    all see each other. leave_one_out: each image with the first others of its client, as many as the bank's capacity."""
    data: Data
    """What clients see."""
    backbone: BackboneSettings | None = None
    """The frozen feature extractor; needed for images, refused for ready features."""
    cloud: CloudSettings = CloudSettings()
    """How training happens."""
    modules: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")], OneModule] = {}
    """ICIIA modules by name."""
    clients: ClientsSettings
    """Who the clients are."""
    adapters: Annotated[list[AdapterSettings], Field(min_length=1)]
    """What turns features and a client's past into predictions; all see the same streams."""
    report: ReportSettings = ReportSettings()
    """What is written down."""
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Dotted keys and the values each takes: a run for every combination."""

    @property
    def cloud_seed(self) -> int:
        """The seed of training."""
        return self.seed if self.cloud.seed is None else self.cloud.seed

    @property
    def cohorts(self) -> int:
        """Number of cohorts; the last may hold fewer clients."""
        return -(-self.clients.count // self.clients.cohort)

    def digest(self) -> str:
        """Digest of all settings: runs with equal digests compute the same tables."""
        return hashlib.sha256(self.model_dump_json(exclude={"name"}).encode()).hexdigest()[:20]

    def relative_to(self, folder: Path) -> "Scenario":
        """The same scenario with relative paths taken from the given folder, and ~ from the user's own."""
        data = self.data
        names = ["path", "superclasses"]
        if isinstance(data, ImageFolderData | FeaturesData):
            names += ["train", "test"]
        if isinstance(data, ImageFolderData):
            names.append("clients")
        values = {name: getattr(data, name, None) for name in names}
        paths = {n: str(folder / Path(value).expanduser()) for n, value in values.items() if isinstance(value, str)}
        data = data.model_copy(update=paths)
        backbone = self.backbone
        if backbone is not None and backbone.weights_file:
            backbone = backbone.model_copy(update={"weights": str(folder / backbone.weights)})
        modules = {name: _module_from(folder, module) for name, module in self.modules.items()}
        clients, drift = self.clients, self.clients.drift
        if isinstance(drift, OwnDriftSettings):
            drift = drift.model_copy(update={"process": class_from(folder, drift.process)})
            clients = clients.model_copy(update={"drift": drift})
        adapters = [adapter_from(folder, adapter) for adapter in self.adapters]
        return self.model_copy(
            update={"data": data, "backbone": backbone, "modules": modules, "clients": clients, "adapters": adapters}
        )


def _module_from(folder: Path, module: AnyModuleSettings) -> AnyModuleSettings:
    """The same settings with a module's place taken from the given folder."""
    if not isinstance(module, GivenSettings) or module.weights.startswith(HUB):
        return module
    return module.model_copy(update={"weights": str(folder / Path(module.weights).expanduser())})
