"""What can only be judged with the data at hand: whether the scenario asks of them what they have."""

import torch

from iciia.policies import make_policy
from sim.cache import Cache
from sim.cloud.feasibility import backbone_problems, dimension_problems, empty_parts
from sim.cloud.given import described, given_module, misfit
from sim.cloud.spec import feature_dim
from sim.cohort.feasibility import adapter_problems, bank_problems
from sim.data import Features, Images
from sim.engine.parts import cloud_spec
from sim.errors import DataError, ScenarioError
from sim.scenario.adapter_checks import adapter_class, module_problems
from sim.scenario.adapters import IciiaAdapterSettings, module_of
from sim.scenario.file import Document, Key
from sim.scenario.modules import RIVALS, GivenSettings, ModuleSettings, PriorsSettings, TrainedSettings
from sim.scenario.scenario import Scenario
from sim.scenario.sections import Found
from sim.stage import StageProgress, silent
from sim.streams.feasibility import share_problems, stream_problems


def check_data(document: Document, scenario: Scenario, cache: Cache, stage: StageProgress = silent) -> None:
    """Opens the data and checks everything that depends on them. Trains and computes nothing.

    Args:
        document: Where the scenario came from.
        scenario: A validated scenario.
        cache: Where it is remembered what files hold.
        stage: Told how far the first look at files is.

    Raises:
        ScenarioError: All problems found.
    """
    found = list(_problems(scenario, cache, stage))
    if found:
        raise ScenarioError(document.source, [document.problem(key, message) for key, message in found])


def _problems(scenario: Scenario, cache: Cache, stage: StageProgress) -> Found:
    spec = cloud_spec(scenario)
    if scenario.cloud.device == "cuda" and not torch.cuda.is_available():
        yield ("cloud", "device"), 'got "cuda", and torch finds no GPU here; set auto or cpu'
    try:
        data = spec.open(cache, stage)
    except ValueError as error:
        yield ("backbone", "model"), str(error)
        return
    except DataError as error:
        yield ("data",), str(error)
        return
    yield from data_problems(scenario, data)
    yield from adapter_problems(scenario.adapters, data)
    backbone = list(backbone_problems(spec, data))
    yield from backbone
    if not backbone and (isinstance(data, Features) or scenario.backbone is not None):
        features = feature_dim(spec, data)
        modules = {name: one for name, one in scenario.modules.items() if not isinstance(one, GivenSettings)}
        yield from dimension_problems(modules, features, len(data.classes))
        given, found = _given(scenario, data, features, cache)
        yield from found
        yield from bank_problems(scenario.adapters, modules | given, scenario.clients.cohort, features)


def _given(
    scenario: Scenario, data: Images | Features, features: int, cache: Cache
) -> tuple[dict[str, TrainedSettings], list[tuple[Key, str]]]:
    """What modules that are not trained here are, of those that fit, and what is wrong with them or with their adapters."""
    given: dict[str, TrainedSettings] = {}
    found: list[tuple[Key, str]] = []
    for name, settings in scenario.modules.items():
        if not isinstance(settings, GivenSettings):
            continue
        try:
            module, _ = given_module(settings, cache)
            wrong = misfit(settings, module, features, len(data.classes), data.test.labels.ndim == 2)
        except DataError as error:
            wrong = str(error)
        if wrong is None:
            given[name] = described(module)
        else:
            found.append((("modules", name, "weights"), wrong))
    for index, adapter in enumerate(scenario.adapters):
        wanted = module_of(adapter)
        if wanted in given:
            found += module_problems(("adapters", index), adapter, given[wanted])
    return given, found


def data_problems(scenario: Scenario, data: Images | Features) -> Found:
    """Whether the data have the clients, classes and images that a scenario asks for, whatever backbone looks at them."""
    if data.test.labels.ndim == 2:
        yield from _attribute_problems(scenario)
    yield from stream_problems(scenario.clients, scenario.seed, scenario.data.kind, data)
    for name, module in scenario.modules.items():
        if isinstance(module, PriorsSettings) and isinstance(module.streams, list):
            yield from share_problems(
                module.streams, ("modules", name, "streams"), module.length, scenario.data.kind, data
            )
    yield from empty_parts(cloud_spec(scenario), data)


def _attribute_problems(scenario: Scenario) -> Found:
    """What makes no sense where an image has several attributes and not one class."""
    kind = f"{scenario.data.kind} data have several attributes an image, not one class"
    if scenario.clients.source == "drawn":
        yield ("clients", "source"), f'got "drawn", and {kind} to draw subsets of; set natural'
    for name, module in scenario.modules.items():
        if not isinstance(module, ModuleSettings):
            continue
        if module.context in RIVALS:
            yield ("modules", name, "context"), f"{module.context} chooses one class, and {kind}; remove it"
        if module.shortlist is not None:
            yield ("modules", name, "shortlist"), f"ranks classes, and {kind}; remove it"
    for index, adapter in enumerate(scenario.adapters):
        if adapter_class(adapter).of_classes:
            yield (
                ("adapters", index),
                f"{adapter.kind} chooses one class, and {kind}; remove it (backbone, iciia and ff are allowed)",
            )
        elif isinstance(adapter, IciiaAdapterSettings):
            policy = adapter.bank.policy
            if make_policy(policy.kind, policy.arguments).of_classes:
                yield (
                    ("adapters", index, "bank", "policy"),
                    f"{policy.kind} goes by classes, and {kind}; set fifo, reservoir or diverse",
                )
