"""What was run, on what, and how to run it again."""

import io
from typing import Any

from ruamel.yaml import YAML

from sim.page.parts import Code, Table
from sim.report import Report


def described(report: Report) -> str:
    """What was run, in a sentence or three."""
    scenario, summary = report.scenario, report.summary
    clients, count = scenario["clients"], int(summary["clients"].iloc[0])
    drift = clients["drift"]
    settings = ", ".join(
        f"{key} {value}" for key, value in drift.items() if key != "kind" and value not in (None, 0, 0.0, {}, [])
    )
    classes = len(report.classes["class_index"].unique())
    backbone = (scenario.get("backbone") or {}).get("model", "ready features")
    part = f" ({count:,} of {clients['count']:,} simulated)" if count < clients["count"] else ""
    of_drift = f"{drift['kind']} ({settings})" if settings else drift["kind"]
    return (
        f"{clients['count']:,} clients{part} see {clients['images']:,} images each, of {classes:,} classes "
        f"({scenario['data']['kind']}), through {backbone}. Drift: {of_drift}. {len(summary)} adapters see the same streams: "
        "predict, score, then remember."
    )


def facts_table(report: Report) -> Table:
    """Where everything came from."""
    run = report.run
    rows = [
        ["scenario", str(run["name"])],
        ["seed", str(run["seed"])],
        ["scenario digest", str(run["scenario_digest"])],
        ["cohorts", f"{run.get('cohorts_done', '–')} of {run.get('cohorts', '–')}"],
        ["written", str(run["written"])],
        ["table schema", str(run["schema_version"])],
    ]
    rows += [[f"platform: {name.replace('_', ' ')}", str(value)] for name, value in run["platform"].items()]
    rows += _flat(run.get("provenance", {}))
    return Table("Facts", ["fact", "value"], rows, half=True)


def reproduce(report: Report) -> list[Code]:
    """The scenario as it was run, and the commands that run it again."""
    name = report.run["name"]
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 110
    yaml.dump(report.scenario, stream)
    commands = f"iciia run {name}.yaml --out {name}-again\niciia compare {report.folder} {name}-again"
    return [
        Code(f"Save the scenario below as {name}.yaml, then", commands, half=True),
        Code("The scenario, with every setting", stream.getvalue(), folded=True, half=True),
    ]


def _flat(tree: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """Facts of nested provenance that are single values."""
    rows: list[list[str]] = []
    for name, value in tree.items():
        key = f"{prefix}{name.replace('_', ' ')}"
        if name == "platform" and not prefix:
            continue
        if isinstance(value, dict):
            rows += _flat(value, f"{key}: ")
        elif isinstance(value, float):
            rows.append([key, f"{value:.4g}"])
        elif isinstance(value, list):
            rows += [[key, f"{len(value)} values"]] if value else []
        else:
            rows.append([key, f"{value:,}" if isinstance(value, int) and name not in ("seed",) else str(value)])
    return rows
