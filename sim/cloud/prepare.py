"""What the cloud gives to the simulation: feature stores and trained modules, each made once and cached by content."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.adapters.source import Source
from iciia.cloud.features import FeatureStore
from iciia.contexts.module import Module
from sim.cache import Cache
from sim.cloud.features import features_of
from sim.cloud.keys import platform_key
from sim.cloud.modules import make_module
from sim.cloud.source import make_source
from sim.cloud.spec import CloudSpec
from sim.cloud.threads import torch_threads
from sim.data import Classes
from sim.stage import StageProgress


@dataclass(frozen=True)
class CloudArtifact:
    """Everything that clients are simulated with.

    Args:
        classes: The classes.
        test: Features of the images that clients see.
        modules: Trained modules by name, in evaluation mode.
        split: Images of each part.
        backbone_macs: Multiply-adds of the backbone for one image; None if only its features are known.
        source: What adapters are told; temperature and confusion measured on the calibration part.
        provenance: Where everything came from: digests, versions, how training went.
        owners: Natural client of each image that clients see, int64 [M]; None if the data have none.
        times: When each of them was taken, float64 [M]; None if the data do not say.
    """

    classes: Classes
    test: FeatureStore
    modules: dict[str, Module]
    split: dict[str, int]
    backbone_macs: int | None
    source: Source
    provenance: dict[str, Any]
    owners: NDArray[np.int64] | None
    times: NDArray[np.float64] | None


def prepare(spec: CloudSpec, cache: Cache, stage: StageProgress) -> CloudArtifact:
    """Trains what has to be trained and computes what has to be computed, or finds it in the cache.

    Args:
        spec: What is asked for.
        cache: Where artifacts are.
        stage: Opens a stage of progress.

    Raises:
        DataError: The data cannot be used.
        CacheError: The cache cannot be written.
    """
    with torch_threads(spec.cloud.threads):
        data = spec.open(cache, stage)
        cloud = features_of(spec, data, cache, stage)
        modules, said = {}, {}
        for name, settings in spec.modules.items():
            modules[name], said[name] = make_module(spec, name, settings, cloud, cache, stage)
    source = make_source(spec, cloud, cache, stage)
    provenance = {
        **cloud.provenance,
        "temperature": source.temperature,
        "data": dict(data.key),
        "data_notes": list(data.notes),
        "modules": said,
        "platform": platform_key(),
    }
    return CloudArtifact(
        cloud.classes,
        cloud.test,
        modules,
        cloud.split,
        cloud.backbone_macs,
        source,
        provenance,
        data.test_clients,
        data.test_times,
    )
