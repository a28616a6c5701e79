"""What was run, on what, and how to run it again."""

import io
import shlex
from typing import Any

from ruamel.yaml import YAML

from sim.page.parts import Code, Table
from sim.report.load import Report

PROTOCOLS = {
    "stream": "Protocol: predict, score, then remember.",
    "paper_batch": "Protocol: the paper's batches, sets of images of one client that all see each other. There is no time in it.",
    "leave_one_out": "Protocol: the paper's, each image with the first others of its client. There is no time in it.",
}


def described(report: Report) -> str:
    """What was run, in a few sentences."""
    scenario, first = report.scenario, report.summary.iloc[0]
    clients, count = scenario["clients"], int(first["clients"])
    drift = clients["drift"]
    settings = ", ".join(
        f"{key} {value}" for key, value in drift.items() if key != "kind" and value not in (None, 0, {}, [])
    )
    labels = f"{report.classes['class_index'].nunique():,} {report.label_words[1]}"
    backbone = (scenario.get("backbone") or {}).get("model", "ready features")
    part = f" ({count:,} of {clients['count']:,} simulated)" if count < clients["count"] else ""
    images = first["images"] / count
    each = f"{images:,.0f} images each" if float(images).is_integer() else f"{images:,.1f} images each on average"
    of_drift = f"{drift['kind']} ({settings})" if settings else drift["kind"]
    if clients.get("source") == "natural":
        of_drift = "what the data's own clients bring"
    return (
        f"{clients['count']:,} clients{part} see {each}, of {labels} ({scenario['data']['kind']}), through {backbone}. "
        f"Drift: {of_drift}. {len(report.summary)} adapters see the same images. {PROTOCOLS[scenario.get('protocol', 'stream')]}"
    )


def facts_table(report: Report) -> Table:
    """Where everything came from."""
    run = report.run
    rows = [
        ["scenario", str(run["name"])],
        ["seed", str(run["seed"])],
        ["scenario digest", str(run["scenario_digest"])],
        *([["cohorts", f"{run['cohorts_done']} of {run['cohorts']}"]] if "cohorts" in run else []),
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
    commands = f"iciia run {name}.yaml --out {name}-again"
    if not report.run.get("sweep"):
        commands += f"\niciia compare {shlex.quote(str(report.folder))} {name}-again"
    return [
        Code(f"Save the scenario below as {name}.yaml, then", commands),
        Code("The scenario, with every setting", stream.getvalue(), folded=True),
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
