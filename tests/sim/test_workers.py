"""Ray really started and really harmed: killed processes, a lost node, a full disk, an adapter that fails, Ctrl-C."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chaos
import numpy as np
import pandas as pd
import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

import sim
from iciia.adapters import IciiaAdapter
from sim.engine.schedule import ATTEMPTS

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 cohorts, committed two at a time."""
    path = tmp_path_factory.mktemp("chaos") / "chaos.yaml"
    path.write_text(json.dumps(chaos.SCENARIO))
    return path


@pytest.fixture(scope="module")
def untouched(scenario_file: Path) -> Path:
    return sim.run(scenario_file, out=scenario_file.parent / "untouched", workers=0, quiet=True).folder


def start(file: Path, folder: Path, *options: str, **arguments: Any) -> psutil.Popen:
    command = [sys.executable, "-m", "sim.cli", "run", str(file), "--out", str(folder), *options]
    return psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **arguments)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.05)


def committed(folder: Path) -> list[Path]:
    return sorted((folder / "clients").glob("*.parquet"))


def test_random_kills_change_nothing(scenario_file: Path, untouched: Path, tmp_path: Path) -> None:
    kills = chaos.interrupted_run(scenario_file, tmp_path / "r", ["worker", "driver", "collector", "worker"], seed=5)
    assert kills["worker"] + kills["driver"] >= 1
    assert chaos.differences(untouched, tmp_path / "r") == []


def test_a_killed_collector_loses_only_what_it_held(scenario_file: Path, untouched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    process = start(scenario_file, folder, "--workers", "1")
    wait_for(lambda: committed(folder))
    assert chaos.kill(process, "collector")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert chaos.differences(untouched, folder) == []


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on(by: int, scenario_file: Path, untouched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    process = start(scenario_file, folder, "--workers", "1", start_new_session=True)
    wait_for(lambda: committed(folder))
    os.killpg(process.pid, by)  # what a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.rstrip().endswith(f"go on with: iciia run {scenario_file} --resume {folder}")
    assert "Traceback" not in errors
    files = committed(folder)
    assert 0 < len(files) < 150
    resumed = sim.run(scenario_file, out=folder, workers=0, resume=True, quiet=True)
    assert chaos.differences(untouched, resumed.folder) == []


def test_a_full_disk_corrupts_nothing(scenario_file: Path, untouched: Path, tmp_path: Path) -> None:
    """No file may grow beyond 20 kB: the first tables fit, a larger one does not."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    folder = tmp_path / "r"
    sim.run(scenario_file, out=tmp_path / "warm", cohorts="0:2", workers=0, quiet=True)  # the cache is filled
    process = start(scenario_file, folder, "--workers", "0", "--set", "clients.cohort=400", preexec_fn=limited)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot be written (File too large); what was committed before stays" in errors
    assert "Traceback" not in errors
    assert not list(folder.rglob("*.tmp"))
    overrides = ["clients.cohort=400"]
    whole = sim.run(scenario_file, overrides=overrides, out=tmp_path / "whole", workers=0, quiet=True)
    resumed = sim.run(scenario_file, overrides=overrides, out=folder, workers=0, resume=True, quiet=True)
    assert chaos.differences(whole.folder, resumed.folder) == []


def test_a_part_of_the_cohorts_and_then_the_rest(scenario_file: Path, untouched: Path, tmp_path: Path) -> None:
    part = sim.run(scenario_file, out=tmp_path / "r", cohorts="0:5%", workers=0, quiet=True)
    assert part.summary.clients.tolist() == [64] * 3  # 15 cohorts of 4, widened to 16
    assert (part.run["cohorts_done"], part.run["cohorts"]) == (16, 300)
    whole = sim.run(scenario_file, out=tmp_path / "r", workers=0, resume=True, quiet=True)
    assert chaos.differences(untouched, whole.folder) == []


@pytest.mark.parametrize("cohorts", ["5", "a:b", "300:", "5:5"])
def test_bad_parts_are_refused(cohorts: str, scenario_file: Path, tmp_path: Path) -> None:
    with pytest.raises(sim.RunError, match="got cohorts"):
        sim.run(scenario_file, out=tmp_path / "r", cohorts=cohorts, workers=0, quiet=True)


@pytest.mark.parametrize("client", [0, 5, 10])
def test_one_client_alone_is_the_same_to_the_bit(client: int, tiny: Make, tmp_path: Path) -> None:
    report = sim.run(tiny(), out=tmp_path / "r", workers=0, quiet=True)
    alone = sim.replay(report.folder, client).astype({"adapter": str})
    events = report.events[report.events.client == client].astype({"adapter": str})
    order = ["adapter", "step"]
    pd.testing.assert_frame_equal(
        alone.sort_values(order, ignore_index=True), events.sort_values(order, ignore_index=True), check_exact=True
    )
    with pytest.raises(sim.ReportError, match="got client 11; it has 0 to 10"):
        sim.replay(report.folder, 11)


@pytest.fixture
def poisoned(tiny: Make, tmp_path: Path) -> dict[str, Any]:
    """Finite features, one of which is so large that a module makes NaN of it."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 60)
    for part in ("train", "test"):
        features = rng.standard_normal((240, 8)).astype(np.float32)
        logits = np.eye(4, dtype=np.float32)[labels]
        features[7] = 3e38 if part == "test" else 0
        np.savez(tmp_path / f"{part}.npz", features=features, logits=logits, labels=labels)
    data = {"kind": "features", "train": str(tmp_path / "train.npz"), "test": str(tmp_path / "test.npz")}
    clients = {"count": 40, "images": 20, "cohort": 4, "chunk": 7, "subset": {"classes": 2}}
    return tiny(data=data, clients=clients)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_adapter_that_fails_is_named(poisoned: dict[str, Any], tmp_path: Path, workers: int) -> None:
    folder = tmp_path / "r"
    with pytest.raises(sim.SimulationError) as caught:
        sim.run(poisoned, out=folder, workers=workers, quiet=True)
    healthy = sim.run(poisoned | {"adapters": ["backbone"]}, out=tmp_path / "healthy", workers=0, quiet=True)
    events = healthy.events
    met = events[events.image == 7].sort_values("client")
    first = met[met.client // 4 == met.client.iloc[0] // 4].iloc[0]  # the first cohort that met it, its first client
    message = str(caught.value)
    step = max(first.step, 1)  # with an empty bank ICIIA keeps the backbone's logits
    assert message.startswith(f"client {first.client}, step {step}, adapter 'iciia-3', seed 3: ValueError")
    assert f"iciia replay {folder} --client {first.client}\n" in message
    with pytest.raises(ValueError, match="scores that are not numbers"):
        sim.replay(folder, int(first.client))
    fine = next(client for client in range(40) if client not in set(met.client))
    assert len(sim.replay(folder, fine)) == 20 * 5
    if workers == 0:  # what came before stays
        assert len(committed(folder)) == first.client // 4


def test_a_cohort_that_keeps_killing_its_worker_fails_the_run(tiny: Make, tmp_path: Path) -> None:
    """As when memory runs out: whatever worker simulates the cohort is killed, here by SIGKILL."""
    over = threading.Event()

    def reaper() -> None:
        while not over.wait(0.02):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if " ".join(process.cmdline()).startswith("ray::_Worker.simulate"):
                        process.kill()

    clients = tiny()["clients"] | {"count": 4000, "cohort": 4000}
    thread = threading.Thread(target=reaper)
    thread.start()
    try:
        with pytest.raises(sim.RunError, match=f"cohort 0 failed {ATTEMPTS} times.*lower clients.cohort"):
            sim.run(tiny(clients=clients), out=tmp_path / "r", workers=1, quiet=True)
    finally:
        over.set()
        thread.join()


def test_what_cannot_fit_is_refused(tiny: Make, tmp_path: Path) -> None:
    clients = tiny()["clients"] | {"cohort": 1_000_000}
    with pytest.raises(sim.RunError, match=r"needs about .* of memory, and .* are free; lower clients.cohort"):
        sim.run(tiny(clients=clients), out=tmp_path / "r", workers=0, quiet=True)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield found
    ray.shutdown()
    found.shutdown()


def test_a_lost_node_is_survived(cluster: Cluster, scenario_file: Path, untouched: Path, tmp_path: Path) -> None:
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    folder = tmp_path / "r"
    process = start(scenario_file, folder, "--address", cluster.address)
    wait_for(lambda: len(committed(folder)) > 10)
    cluster.remove_node(other, allow_graceful=False)
    assert len(committed(folder)) < 150
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert sim.load(folder).run["timings"]["workers"] == 2
    assert chaos.differences(untouched, folder) == []


def test_no_cluster_there(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(sim.RunError, match=r"no Ray cluster answers at '127.0.0.1:1'"):
        sim.run(tiny(), out=tmp_path / "r", address="127.0.0.1:1", quiet=True)


def test_ray_exports_our_metrics(tiny: Make, tmp_path: Path) -> None:
    port = 18_761
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _metrics_export_port=port)
    try:
        sim.run(tiny(), out=tmp_path / "r", workers=1, quiet=True)
        text = ""

        def exported() -> bool:
            nonlocal text
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                return False
            return "ray_iciia_images_total" in text and "ray_iciia_cohorts_in_flight" in text

        wait_for(exported)
    finally:
        ray.shutdown()
    value = {line.split("{")[0]: float(line.split()[-1]) for line in text.splitlines() if line.startswith("ray_iciia")}
    assert value["ray_iciia_images_total"] == 12 * 60 - 60
    assert value["ray_iciia_cohorts_total"] == 3
    assert value["ray_iciia_bank_bytes"] == 4 * (3 + 16) * (2 * 2 * 32 * 4 + 4)
    assert "ray_iciia_cohorts_in_flight" in value


def test_what_an_adapter_raised_is_told(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that raises is reported with what it raised."""

    def broken(self: IciiaAdapter, state: Any, chunk: Any) -> Any:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr(IciiaAdapter, "predict", broken)
    with pytest.raises(sim.SimulationError, match="client 0, step 0, adapter 'iciia-0', seed 3: ZeroDivisionError"):
        sim.run(tiny(), out=tmp_path / "r", workers=0, quiet=True)
