"""Commands about data sets on disk."""

import sys

import typer

from sim.cli.options import JsonOption, ScenarioArgument, SetOption
from sim.cli.output import print_json
from sim.scenario.file import read

app = typer.Typer(help="Data sets on disk.", no_args_is_help=True)


@app.command("check")
def data_check(
    scenario: ScenarioArgument,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect a scenario's data: counts, sizes, classes, clients, times, bad files; exit code 2 if a run would refuse them."""
    from sim.cache import Cache
    from sim.data import Features, Images
    from sim.data.check import inspect_data
    from sim.engine.feasibility import data_problems
    from sim.engine.progress import Display
    from sim.scenario.validation import validate as validate_document

    validated = validate_document(read(scenario).override(overrides or ()))

    def judge(data: Images | Features) -> list[str]:
        return [f"{'.'.join(map(str, key))}: {message}" for key, message in data_problems(validated, data)]

    found = inspect_data(validated.data, validated.cloud_seed, Cache(), Display().stage, judge)
    if as_json:
        print_json(found.as_dict())
    else:
        for name, value in found.rows():
            print(f"{name:<23}{value}")
    for problem in found.problems:
        print(problem, file=sys.stderr)
    if found.problems:
        raise typer.Exit(2)
