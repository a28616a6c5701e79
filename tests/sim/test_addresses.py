"""Runs to addresses, against a real S3 server: tables equal to the bit, through kills and lost connections; one clear error each
for what cannot be."""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import chaos
import psutil
import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem
from typer.testing import CliRunner

import sim
import sim.addresses
from sim.addresses import Address, Location, locate
from sim.cli import app
from sim.files import DISK
from sim.report.listing import list_runs
from sim.report.schema import TABLES

Make = Callable[..., dict[str, Any]]

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}

PLAIN = {
    "name": "plain",
    "data": {"kind": "synthetic", "classes": 24, "superclasses": 4, "features": 32, "images_per_class": 40},
    "clients": {"count": 11, "images": 60, "cohort": 4, "chunk": 16},
    "adapters": ["backbone", "oracle"],
}


class Server:
    """An S3 server that can go and come back with all that it held."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        self.running = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.running.start()
        self.port = self.running.get_host_and_port()[1]

    def stop(self) -> None:
        self.running.stop()

    @property
    def query(self) -> str:
        return f"endpoint_override=127.0.0.1:{self.port}&scheme=http"

    def at(self, folder: str) -> str:
        return f"s3://bucket/{folder}?{self.query}"

    def refuse(self, requests: int | float) -> None:
        """Asks for credentials that it knows, after so many requests; it knows none."""
        url = f"http://127.0.0.1:{self.port}/moto-api/reset-auth"
        urlopen(Request(url, data=str(requests).encode(), headers={"Content-Type": "text/plain"})).close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # not a line for each request
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        server = Server()
        S3FileSystem(
            endpoint_override=f"127.0.0.1:{server.port}", scheme="http", allow_bucket_creation=True
        ).create_dir("bucket")
        yield server
        server.stop()


@pytest.fixture(scope="module")
def elsewhere(tiny: Make, server: Server) -> sim.Report:
    """The tiny run, its report at an address."""
    return sim.run(tiny(), out=server.at("runs/tiny"), workers=0, quiet=True)


def different(one: sim.Report, other: sim.Report) -> list[str]:
    return [name for name in TABLES if not one.table(name).equals(other.table(name))]


# --- what an address is -----------------------------------------------------------------------------------------------


def test_what_is_an_address() -> None:
    found = locate("s3://bucket/runs//one/?endpoint_override=h:1&scheme=http")
    assert found == Address("s3", "bucket", "runs/one", "endpoint_override=h:1&scheme=http")
    assert str(found / "clients") == "s3://bucket/runs/one/clients?endpoint_override=h:1&scheme=http"
    assert ((found / "a.yaml").name, (found / "a.yaml").parent, found.parent.name) == ("a.yaml", found, "runs")
    assert locate("reports/one") == Path("reports/one")
    assert locate("file:///tmp/a%20b") == Path("/tmp/a b")
    assert locate(str(found)) == found == locate(found)
    assert str(locate("gs://bucket")) == "gs://bucket"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ftp://host/run", "got ftp://; expected one of s3://, gs://, abfs://, abfss://, hdfs://, file://, or a path"),
        ("s3a://bucket/run", 'did you mean "s3"?'),
        ("s3:///run", "s3:///run: names no bucket; expected s3://BUCKET/FOLDER"),
        ("s3://key:hush@bucket/run", "s3://...bucket/run: holds a secret, and addresses are printed and kept in reports"),
        ("abfs://a@b/run?client_secret=hush", "holds a secret"),
        (Path("s3://bucket/run"), "s3:/bucket/run: give an address as text, not as a Path, which drops a slash"),
    ],
)  # fmt: skip
def test_what_is_none(given: str | Path, said: str) -> None:
    with pytest.raises(sim.AddressError) as raised:
        locate(given)
    assert said in str(raised.value)
    assert "hush" not in str(raised.value)


def test_files_at_an_address(server: Server) -> None:
    folder = locate(server.at("files"))
    assert isinstance(folder, Address)
    assert (folder.exists(), list(folder.iterdir())) == (False, [])
    (folder / "b.txt").write_bytes(b"two")
    (folder / "in" / "a.txt").write_bytes(b"one")
    (folder / "empty.txt").write_bytes(b"")  # as some stores show a file that is being written
    assert folder.inside() == [("b.txt", False), ("in", True)]
    assert (folder.is_dir(), folder.is_file(), (folder / "b.txt").is_file()) == (True, False, True)
    assert not (folder / "empty.txt").exists()
    assert (folder / "in" / "a.txt").read_text() == "one"
    with pytest.raises(FileNotFoundError):
        (folder / "c.txt").read_bytes()
    folder.remove()
    assert not folder.exists()
    folder.remove()


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_to_an_address_has_the_same_tables(elsewhere: sim.Report, tiny_report: sim.Report) -> None:
    assert different(elsewhere, tiny_report) == []
    assert sorted(path.name for path in elsewhere.folder.iterdir()) == sorted(
        path.name for path in tiny_report.folder.iterdir()
    )
    assert elsewhere.files("events")[0].read_bytes()[:4] == b"PAR1"
    assert (elsewhere.folder / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_commands_on_an_address(elsewhere: sim.Report, tiny_report: sim.Report, server: Server, tmp_path: Path) -> None:
    def asked(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    there, here = str(elsewhere.folder), str(tiny_report.folder)
    assert f"page: {server.at('runs/tiny/report.html')}" in asked("report", there, "--figures", server.at("figures"))
    assert (locate(server.at("figures")) / "gain.svg").is_file()
    found = json.loads(asked("compare", there, here, "--json", "--out", server.at("both.html")))
    assert (found["paired"], {row["difference"] for row in found["differences"]}) == (True, {0.0})
    assert locate(server.at("both.html")).is_file()
    asked("replay", there, "--client", "7", "--out", str(tmp_path / "events.csv"))
    events = tiny_report.events
    assert len((tmp_path / "events.csv").read_text().splitlines()) == 1 + (events.client == 7).sum()
    listed = asked("reports", server.at("runs"))
    assert [line.split()[0] for line in listed.splitlines()] == ["run", "tiny"]
    assert list_runs(locate(server.at("runs")))[0].state == "finished"


def test_a_sweep_at_an_address(tiny: Make, server: Server, tmp_path: Path) -> None:
    settings = tiny(adapters=["backbone", "oracle"], modules={}, sweep={"seed": [1, 2]})
    swept = sim.run(settings, out=server.at("swept"), workers=0, quiet=True)
    local = sim.run(settings, out=tmp_path / "swept", workers=0, quiet=True)
    assert swept.sweep.equals(local.sweep)
    assert sim.load(server.at("swept/cells/0002")).summary.equals(sim.load(tmp_path / "swept/cells/0002").summary)
    assert sim.run(settings, out=server.at("swept"), workers=0, quiet=True, resume=True).sweep.equals(local.sweep)


def test_killed_and_resumed_at_an_address(server: Server, tmp_path: Path) -> None:
    """The driver, then the collector, each by SIGKILL in the middle of it; a worker has nothing to do with where the report is."""
    clients = {**chaos.SCENARIO["clients"], "count": 144}  # type: ignore[dict-item]
    file = tmp_path / "chaos.yaml"
    file.write_text(json.dumps({**chaos.SCENARIO, "clients": clients, "report": {"events": True}}))
    untouched = sim.run(file, out=tmp_path / "untouched", workers=0, quiet=True)
    folder = locate(server.at("killed"))
    command = [sys.executable, "-m", "sim.cli", "run", str(file), "--workers", "1", "--quiet"]
    driver = psutil.Popen([*command, "--out", str(folder)], stdout=subprocess.DEVNULL)
    for target in ("driver", "collector"):
        before = committed(folder)
        for _ in range(1200):
            if committed(folder) > before + 3:
                break
            assert driver.poll() is None, "the run has ended before"
            time.sleep(0.1)
        assert chaos.kill(driver, target)
        if target == "driver":
            assert 0 < committed(folder) < 36
            driver = psutil.Popen([*command, "--resume", str(folder)], stdout=subprocess.DEVNULL)
    assert driver.wait(300) == 0
    assert different(untouched, sim.load(str(folder))) == []


def committed(folder: Location) -> int:
    return len(DISK.names(folder / "clients"))


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_for_a_while(tiny: Make, tiny_report: sim.Report, server: Server) -> None:
    """Longer than pyarrow asks again by itself."""
    folder = locate(server.at("lost"))

    def lose() -> None:
        while not committed(folder):
            time.sleep(0.01)
        server.stop()
        time.sleep(9)
        server.start()

    losing = threading.Thread(target=lose)
    losing.start()
    started = time.monotonic()
    report = sim.run(tiny(), out=str(folder), workers=0, quiet=True)
    losing.join()
    assert time.monotonic() - started > 9
    assert different(report, tiny_report) == []


def test_a_connection_that_is_lost_for_good(
    tiny: Make, tiny_report: sim.Report, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed stays, and the run goes on where it was."""
    monkeypatch.setattr(sim.addresses, "PATIENCE_S", 0.0)
    folder = locate(server.at("gone"))

    def lose() -> None:
        while not committed(folder):
            time.sleep(0.01)
        server.stop()

    losing = threading.Thread(target=lose)
    losing.start()
    with pytest.raises(sim.RunError, match=r"no server answers there\)"):
        sim.run(tiny(), out=str(folder), workers=0, quiet=True)
    losing.join()
    server.start()
    assert different(sim.run(tiny(), out=str(folder), workers=0, quiet=True, resume=True), tiny_report) == []


def test_one_clear_error_for_what_cannot_be(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text(json.dumps(PLAIN))

    def refused(*arguments: str) -> str:
        with pytest.raises(sim.SimError) as raised:  # the command prints it, and nothing else
            CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        return str(raised.value)

    run = ("run", str(file), "--workers", "0", "--quiet")
    nowhere = f"s3://nowhere/run?{server.query}"
    denied = "access is denied: credentials are missing, are wrong, or do not allow it"
    assert refused(*run, "--out", nowhere) == f"{nowhere}: the report cannot be written there (there is no such bucket)"
    assert refused("report", nowhere) == f"{nowhere}: is not a report (no readable run.json in it)"
    assert refused("reports", nowhere) == f"{nowhere}: no such folder; give one that holds runs, such as reports"
    assert "expected one of s3://" in refused(*run, "--out", "ftp://host/run")
    query = "s3://bucket/run?nonsense=1"
    assert refused(*run, "--out", query) == f"{query}: Unexpected query parameter in S3 URI: 'nonsense'"
    silent = "s3://bucket/run?endpoint_override=127.0.0.1:9&scheme=http"
    assert refused(*run, "--out", silent) == f"{silent}: the report cannot be written there (no server answers there)"
    server.refuse(0)
    try:
        run_at = server.at("denied")
        assert refused(*run, "--out", run_at) == f"{run_at}: the report cannot be written there ({denied})"
        assert refused("report", run_at) == f"{run_at}: is not a report (run.json in it cannot be read: {denied})"
    finally:
        server.refuse(float("inf"))
    assert not locate(server.at("denied")).exists()


def test_what_cannot_be_prepared_leaves_nothing(server: Server) -> None:
    """A run that fails before its first cohort is not there."""
    settings = {**PLAIN, "data": {"kind": "features", "train": "none.npz", "test": "none.npz"}}
    with pytest.raises(sim.SimError):
        sim.run(settings, out=server.at("unprepared"), workers=0, quiet=True)
    assert not locate(server.at("unprepared")).exists()
