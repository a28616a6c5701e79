"""The features of a scenario's images as files, for others and for other scenarios."""

from dataclasses import replace
from pathlib import Path

from sim.cache import Cache
from sim.cloud.feature_files import write_feature_files
from sim.cloud.features import features_of
from sim.cloud.threads import torch_threads
from sim.engine.feasibility import check_data
from sim.engine.parts import cloud_spec
from sim.errors import ScenarioError
from sim.scenario.file import Document
from sim.scenario.validation import validate
from sim.stage import StageProgress


def write_features(document: Document, folder: Path, cache: Cache, stage: StageProgress) -> dict[str, Path]:
    """Computes features, logits and labels of a scenario's images, or finds them in the cache, and writes them as files.

    What was computed before the work was cut short is found again.

    Args:
        document: The scenario; of a sweep, its own settings.
        folder: Where the files go; those of the same names are replaced.
        cache: Where features are kept while they are computed.
        stage: Told how far it is.

    Returns:
        The files, by the names of the settings that read them.

    Raises:
        ScenarioError: It has problems, or its clients' cameras change every image anew, which no file can hold.
        ReportError: The files cannot be written.
    """
    scenario = validate(document)
    if scenario.clients.corruption is not None:
        message = "changes what clients see image by image, and a file holds images as they are; remove it"
        raise ScenarioError(document.source, [document.problem(("clients", "corruption"), message)])
    check_data(document, scenario, cache, stage)
    spec = cloud_spec(scenario)
    if spec.backbone is not None:
        spec = replace(spec, backbone=spec.backbone.model_copy(update={"execution": "store"}))
    with torch_threads(spec.cloud.threads):
        data = spec.open(cache, stage)
        cloud = features_of(spec, data, cache, stage)
    return write_feature_files(folder, data, cloud, stage)
