"""Whether two checkouts give the same tables to the bit: for changes that must move no figure.

    git worktree add ../before main
    python tests/compare_checkouts.py ../before .

Each scenario runs in both, reduced, each checkout with a cache of its own, so that training is compared too; about ten minutes
on two cores. Prints a line for each and ends with 1 if some table differs. Not part of `make test`, which has one checkout.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

SHORT = ("cloud.threads=1", "backbone.epochs=1", "modules.stream.steps=256")
"""Training is compared too, and need not be long for that; one thread is quicker than two on a machine that does other work."""

FEW = ("cloud.threads=1", "modules.stream.steps=256", "clients.count=64")
SETS = (*SHORT, "clients.drift={kind: none}", "clients.count=32", "clients.images=80")
SCENARIOS: dict[str, tuple[str, ...]] = {
    "quickstart": SHORT,
    **{
        f"drift/{kind}": FEW
        for kind in ("none", "sudden", "gradual", "incremental", "recurring", "prior", "random", "matrix")
    },
    "bank_stress": (*SHORT, "clients.count=16", "clients.cohort=16", "clients.images=600"),
    "quickstart paper_batch": (*SETS, "protocol=paper_batch"),
    "quickstart leave_one_out": (*SETS, "protocol=leave_one_out"),
}
"""Names of shipped scenarios, a word after them to tell them apart, and what is set."""


def run(checkout: Path, scenario: str, overrides: tuple[str, ...], out: Path) -> str:
    """Runs a scenario of a checkout; what it says if it fails, else nothing."""
    sets = [part for assignment in overrides for part in ("--set", assignment)]
    command = [sys.executable, "-m", "sim.cli", "run", str(checkout / "scenarios" / f"{scenario}.yaml"), *sets]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "ICIIA_CACHE": str(out.parent / "cache")}
    done = subprocess.run(
        [*command, "--workers", "0", "--quiet", "--out", str(out)],
        env=environment, cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit {done.returncode}"


def differences(one: Path, other: Path) -> list[str]:
    """Tables that are not the same in two reports, metadata apart."""
    names = sorted(
        {path.relative_to(folder).as_posix() for folder in (one, other) for path in folder.rglob("*.parquet")}
    )
    found = []
    for name in names:
        if not (one / name).is_file() or not (other / name).is_file():
            found.append(f"{name} (only in one)")
        elif not pq.read_table(one / name).equals(pq.read_table(other / name)):
            found.append(name)
    return found if names else ["no table at all"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--only", help="a word that the scenario's name has")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for title, overrides in SCENARIOS.items():
            if arguments.only and arguments.only not in title:
                continue
            outs = []
            for side in ("before", "after"):
                out = Path(folder) / side / title.replace("/", "-").replace(" ", "-")
                out.parent.mkdir(exist_ok=True)
                said = run(getattr(arguments, side).resolve(), title.split()[0], overrides, out)
                if said:
                    print(f"{title}: {side} failed: {said}", flush=True)
                outs.append(out)
            found = differences(*outs)
            failed = failed or bool(found)
            print(f"{title}: {'the same' if not found else 'DIFFERS in ' + ', '.join(found)}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
