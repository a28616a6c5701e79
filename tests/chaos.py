"""Random kills: workers, the collector, the whole process tree. `make chaos` runs a hundred, the tests a handful.

A run is started as a person would start it, its processes are killed by SIGKILL at random moments, and it is resumed until it is
done. Its tables must be those of an untouched run.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

import sim
from sim.report.schema import TABLES

SCENARIO = {
    "name": "chaos",
    "cloud": {"threads": 1},
    "data": {"kind": "synthetic", "classes": 24, "superclasses": 4, "features": 64, "images_per_class": 200},
    "modules": {"stream": {"layers": 2, "heads": 2, "partitions": 4, "steps": 5, "length": 24, "batch": 4}},
    "clients": {
        "count": 1200, "images": 60, "cohort": 4, "chunk": 20, "drift": {"kind": "sudden", "every": 25, "layout": "staggered"},
    },
    "adapters": ["backbone", {"kind": "iciia", "module": "stream", "bank": {"capacity": [4, 16]}}],
}  # fmt: skip
"""300 cohorts, committed two at a time, so that the collector holds something that is lost with it."""

TARGETS = ("worker", "collector", "driver")


def interrupted_run(file: Path, folder: Path, targets: Sequence[str], seed: int) -> Counter[str]:
    """Runs a scenario to its end, through kills (not all of them if it ends before).

    Args:
        file: The scenario.
        folder: The report's folder.
        targets: Whom to kill, one after the other.
        seed: When.

    Returns:
        How often each target was killed.
    """
    rng, done = random.Random(seed), Counter[str]()
    process: psutil.Popen | None = None
    while True:
        if process is None:
            go_on = ["--resume"] if (folder / "run.json").is_file() else ["--out"]
            command = [sys.executable, "-m", "sim.cli", "run", str(file), "--workers", "2", "--quiet"]
            process = psutil.Popen([*command, *go_on, str(folder)], stdout=subprocess.DEVNULL)
        if done.total() == len(targets):
            if process.wait(600):
                raise RuntimeError(f"the run ended with {process.returncode} after {dict(done)}")
            return done
        try:
            if process.wait(rng.uniform(0.5, 4.0)):
                raise RuntimeError(f"the run ended with {process.returncode} after {dict(done)}")
            return done
        except psutil.TimeoutExpired:
            pass
        target = targets[done.total()]
        if kill(process, target):
            done[target] += 1
            if target == "driver":
                process = None


def kill(driver: psutil.Process, target: str) -> bool:
    """Kills one worker, the collector, or the driver with all that it started; whether there was such a process."""
    tree = [driver, *driver.children(recursive=True)]
    if target == "driver":
        victims = tree
    else:
        name = {"worker": "ray::_Worker", "collector": "ray::Collector"}[target]
        victims = [process for process in tree if _title(process).startswith(name)][:1]
    for process in victims:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if target == "driver":
        psutil.wait_procs(victims, timeout=30)
    return bool(victims)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def differences(one: Path, other: Path) -> list[str]:
    """Tables of two reports that are not equal to the bit."""
    a, b = sim.load(one), sim.load(other)
    there = [name for name in TABLES if (one / f"{name}.parquet").exists() or (one / name).is_dir()]
    return [name for name in there if not a.table(name).equals(b.table(name))]


def main(kills: int, seed: int) -> None:
    """Kills so many processes, over as many runs as it takes."""
    done: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "chaos.yaml"
        file.write_text(json.dumps(SCENARIO))  # JSON is YAML
        untouched = sim.run(file, out=Path(temporary) / "untouched", workers=0, quiet=True)
        number = 0
        while done.total() < kills:
            folder = Path(temporary) / f"run{number}"
            started = time.perf_counter()
            targets = random.Random(seed + number).choices(TARGETS, weights=(4, 3, 1), k=kills - done.total())
            here = interrupted_run(file, folder, targets, seed + number)
            found = differences(untouched.folder, folder)
            seconds = time.perf_counter() - started
            print(f"run {number}: {dict(here)} killed, {seconds:.0f} s, tables {found or 'equal'}", flush=True)
            if found:
                sys.exit(1)
            done += here
            number += 1
    print(f"{done.total()} kills {dict(done)} in {number} runs: all tables equal those of an untouched run")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
