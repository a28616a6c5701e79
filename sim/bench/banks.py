"""Speed of bank capacities: eleven in one pass against capacity 512 alone, beside what the formula says, for any policy.

python -m sim.bench.banks
python -m sim.bench.banks class_balanced
python -m sim.bench.banks --large     # one cohort of 64 clients x 600 images at capacity 512 and D=1280, and its peak memory
"""

import resource
import sys
import time
from dataclasses import replace

import torch

from iciia.adapters import IciiaAdapter
from iciia.contexts.iciia import ICIIA
from sim.cache import Cache
from sim.cohort.simulator import CohortSimulator
from sim.engine.parts import job_of, prepare
from sim.engine.progress import Display
from sim.scenario.file import read
from sim.scenario.validation import validate

CAPACITIES = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
ALLOWED = 1.25


def simulator(capacities: list[int], policy: str, classes: int, features: int, images: int) -> CohortSimulator:
    """A cohort of 64 clients with untrained modules of two layers: what they predict does not matter here."""
    document = read(
        {
            "name": "bank-speed",
            "data": {"kind": "synthetic", "classes": classes, "superclasses": 10, "features": features, "images_per_class": 100},
            "clients": {
                "count": 64, "images": images, "cohort": 64, "sampling": "with_replacement",
                "drift": {"kind": "sudden", "every": 200, "layout": "staggered"},
            },
            "adapters": ["backbone"],
        }
    )  # fmt: skip
    scenario = validate(document)
    artifact = prepare(scenario, Cache(), Display(quiet=True).stage)
    found = CohortSimulator(job_of(scenario, artifact))
    module = ICIIA(features, classes, layers=2, heads=4, partitions=16).eval()
    settings = {"kind": "iciia", "module": "stream", "bank": {"capacity": capacities, "policy": policy}}
    wanted = validate(read({**document.values, "modules": {"stream": {}}, "adapters": ["backbone", settings]}))
    found.adapters = CohortSimulator(job_of(wanted, replace(artifact, modules={"stream": module}))).adapters
    return found


def timed(capacities: list[int], policy: str) -> tuple[float, int]:
    """CPU seconds of one pass (other processes do not count), and the formula's MACs for an image, summed over the capacities."""
    cohort = simulator(capacities, policy, classes=200, features=512, images=1536)
    started = time.process_time()
    cohort.simulate(0)
    seconds = time.process_time() - started
    return seconds, sum(adapter.cost().macs_per_image for adapter in cohort.adapters.values())


def compare(policy: str) -> None:
    """Prints both passes and their ratios."""
    (alone, macs_alone), (together, macs_together) = timed([512], policy), timed(CAPACITIES, policy)
    print(f"{policy}, one thread, D=512, L=2, P=16, C=200, 64 clients x 1,536 images, 64 at a time in chunks of 50")
    print(f"{'':<28}{'CPU s':>10}{'MACs/image':>14}")
    print(f"{'capacity 512 alone':<28}{alone:>10.1f}{macs_alone:>14,}")
    print(f"{'0, 1, 2, 4, ... 512':<28}{together:>10.1f}{macs_together:>14,}")
    ratio, formula = together / alone, macs_together / macs_alone
    print(f"{'ratio':<28}{ratio:>10.2f}{formula:>14.2f}")
    print(f"{'time over formula':<28}{ratio / formula:>10.2f}   (at most {ALLOWED} wanted)")


def large() -> None:
    """Prints the time and the peak memory of one cohort with large banks."""
    cohort = simulator([512], "fifo", classes=100, features=1280, images=600)
    started = time.process_time()
    cohort.simulate(0)
    seconds = time.process_time() - started
    (adapter,) = [one for one in cohort.adapters.values() if isinstance(one, IciiaAdapter)]
    bank = 64 * adapter.cost().state_bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("fifo, one thread, D=1280, L=2, P=16, C=100, capacity 512, 64 clients x 600 images")
    print(
        f"CPU seconds {seconds:.1f}, banks of the cohort {bank / 1e9:.2f} GB, peak memory of the process {peak / 1e9:.2f} GB"
    )
    print(
        f"2,000 clients are 32 such cohorts, one after the other in each worker: {32 * seconds / 60:.1f} minutes on one thread"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    large() if "--large" in sys.argv else compare(sys.argv[1] if len(sys.argv) > 1 else "fifo")
