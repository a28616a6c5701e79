"""From a document to a scenario, or to every problem it has.

Fields are judged one by one first. What takes several fields to judge is checked wherever the sections it needs are sound,
so that one bad line does not hide another.
"""

from typing import Any

from pydantic import ValidationError

from sim.errors import Problem, ScenarioError
from sim.scenario.adapter_checks import check_adapters, check_protocol
from sim.scenario.client_checks import check_clients, with_matrix, with_profiles
from sim.scenario.cloud_checks import check_backbone, check_data, check_live, check_modules
from sim.scenario.file import Document, cells
from sim.scenario.scenario import Scenario
from sim.scenario.sections import Sections
from sim.scenario.wording import field_problems


def validate(document: Document) -> Scenario:
    """Validates a document without looking at any data.

    Raises:
        ScenarioError: It has problems; all of them are listed, in the order of their lines.
    """
    scenario, found = inspect(document)
    if scenario is None or found:
        raise ScenarioError(document.source, found)
    return scenario


def inspect(document: Document) -> tuple[Scenario | None, list[Problem]]:
    """The scenario, if it is sound, and otherwise all problems."""
    problems = []
    scenario = None
    try:
        scenario = Scenario.model_validate(document.values)
        unsound: set[Any] = set()
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = field_problems(document, details)
        unsound = {detail["loc"][0] for detail in details}
    sections = Sections(document, unsound)
    checks = (
        check_clients, check_data, check_backbone, check_live, check_modules, check_adapters, check_protocol,
    )  # fmt: skip
    for check in checks:
        problems += [document.problem(key, message) for key, message in check(sections)]
    if "sweep" not in unsound and document.values.get("sweep"):
        problems += _sweep_problems(document, quiet=bool(problems))
    problems.sort(key=lambda problem: (problem.line or 0, problem.where))
    if scenario is None or problems:
        return None, problems
    clients = with_profiles(scenario.clients, document.folder)
    drift = with_matrix(clients.drift, document.folder)
    scenario = scenario.model_copy(update={"clients": clients.model_copy(update={"drift": drift})})
    return scenario.relative_to(document.data_folder), []


def _sweep_problems(document: Document, quiet: bool) -> list[Problem]:
    """Problems that only some cell of a sweep has."""
    try:
        runs = cells(document)
    except ValueError as error:
        return [document.problem(("sweep",), str(error))]
    if quiet:  # the cells would repeat the document's own problems
        return []
    found: dict[str, Problem] = {}
    for chosen, cell in runs:
        for problem in inspect(cell)[1]:
            text = f"with {', '.join(f'{key}={value}' for key, value in chosen.items())}: {problem.message}"
            found.setdefault(problem.where, Problem(problem.where, text, document.line(("sweep",))))
    return list(found.values())
