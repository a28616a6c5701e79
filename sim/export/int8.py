"""What weights in int8 cost in accuracy: some of the run's own clients, with the weights as trained and as they are exported."""

import copy
from dataclasses import replace
from typing import Any

from iciia.adapters import Adapter
from iciia.cloud.backbone import Backbone
from iciia.cloud.images import ImageSource
from iciia.export.weights import to_int8
from sim.cloud.live import LiveStore
from sim.cloud.prepare import CloudArtifact
from sim.cloud.threads import torch_threads
from sim.cohort.simulator import CohortSimulator
from sim.engine.parts import cloud_spec, job_of
from sim.scenario.scenario import Scenario

CLIENTS = 32
"""Clients that are simulated at most, the first."""


def accuracies(
    scenario: Scenario, artifact: CloudArtifact, adapter: Adapter, backbone: tuple[Backbone, ImageSource] | None
) -> dict[str, Any]:
    """Accuracy of an adapter on the streams of the run's first clients, with float32 and with int8 weights.

    Args:
        scenario: The run's.
        artifact: What the cloud made for it.
        adapter: The adapter, its weights in float32.
        backbone: The backbone and the images that it reads, if it is exported too and its weights are in int8 as well.

    Returns:
        `clients`, `images`, `float32` and `int8`, for the description of a step.
    """
    count = min(CLIENTS, scenario.clients.count)
    few = scenario.clients.model_copy(update={"count": count, "cohort": count})
    job = replace(job_of(scenario, artifact), clients=few, protocol="stream")
    found: dict[str, Any] = {}
    for weights in ("float32", "int8"):
        judged, store = adapter, job.store
        if weights == "int8":
            judged = copy.deepcopy(adapter)
            if (module := getattr(judged, "module", None)) is not None:
                to_int8(module)
            if backbone is not None:
                rounded = copy.deepcopy(backbone[0])
                to_int8(rounded.model)
                store = LiveStore.of(backbone[1], rounded, cloud_spec(scenario).camera)
        simulator = CohortSimulator(replace(job, store=store))
        simulator.adapters = {"judged": judged}
        with torch_threads(1):
            result = simulator.simulate(0)
        images = int(result.lengths.sum())
        found |= {"clients": count, "images": images, weights: float(result.correct.sum()) / images}
    return found
