"""A scenario taken apart: what the cloud, a cohort and the collector each get of it. Nobody below the engine sees a whole one."""

from sim.addresses import Location
from sim.cache import Cache
from sim.cloud.prepare import CloudArtifact
from sim.cloud.prepare import prepare as prepare_cloud
from sim.cloud.spec import CloudSpec
from sim.cohort.simulator import Job
from sim.engine.collector import Layout
from sim.report import schema
from sim.scenario.adapters import HmmAdapterSettings, adapter_name, capacities, expand
from sim.scenario.scenario import Scenario
from sim.stage import StageProgress


def cloud_spec(scenario: Scenario) -> CloudSpec:
    """What the cloud gets."""
    return CloudSpec(
        data=scenario.data,
        backbone=scenario.backbone,
        modules=scenario.modules,
        clients=scenario.clients,
        cloud=scenario.cloud,
        seed=scenario.cloud_seed,
        stream_seed=scenario.seed,
        prompts=any(adapter.kind == "prompt" for adapter in scenario.adapters),
        covariance=any(adapter.kind == "adapt" for adapter in scenario.adapters),
        persistence=any(isinstance(one, HmmAdapterSettings) and one.persistence is None for one in scenario.adapters),
    )


def prepare(scenario: Scenario, cache: Cache, stage: StageProgress) -> CloudArtifact:
    """What the cloud gives; see `sim.cloud.prepare.prepare`."""
    return prepare_cloud(cloud_spec(scenario), cache, stage)


def job_of(scenario: Scenario, artifact: CloudArtifact) -> Job:
    """What a cohort gets."""
    return Job(
        scenario.clients, scenario.adapters, scenario.protocol, scenario.seed, artifact.classes.superclass, artifact.test,
        artifact.modules, artifact.source, artifact.owners, artifact.times,
    )  # fmt: skip


def layout_of(scenario: Scenario, folder: Location) -> Layout:
    """What the collector gets: what a run writes, and where."""
    return Layout(
        folder=folder,
        cohorts=scenario.cohorts,
        adapters=[adapter_name(one, variant) for one in scenario.adapters for variant in expand(one)],
        sharded=schema.sharded_tables(scenario.report.events),
        window=scenario.report.window,
        horizon=scenario.report.horizon,
        largest_bank=largest_bank(scenario),
        metadata=metadata_of(scenario),
    )


def metadata_of(scenario: Scenario) -> dict[str, str]:
    """What every file of a report carries."""
    return schema.metadata(scenario.model_dump_json(), scenario.digest(), scenario.seed, scenario.protocol)


def largest_bank(scenario: Scenario) -> int:
    """Largest capacity among the adapters."""
    return max((capacity for one in scenario.adapters for capacity in capacities(one)), default=0)
