"""Preview: the picture shows what clients really see, the audit what the run's own says, and nothing is trained."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_cli import iciia

import sim
from sim.cache import Cache
from sim.engine.preview import preview
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.streams.preview import OTHERS, Preview
from sim.streams.preview_chart import draw

Make = Callable[..., dict[str, Any]]


def preview_of(settings: dict[str, Any], folder: Path, clients: int = 4) -> Preview:
    return preview(validate(read(settings)), Cache(folder), clients)


def test_the_timeline_is_what_a_run_sees(tiny: Make, tmp_path: Path) -> None:
    """Labels are those of the run's events; shares fill every column; drifts are those of the run's table."""
    settings = tiny(modules={}, adapters=["backbone"])
    found = preview_of(settings, tmp_path / "cache")
    report = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    labels = report.events.label.to_numpy().reshape(11, 60)
    assert np.array_equal(found.labels, labels[:4])
    pairs = zip(found.drift_clients.tolist(), found.drift_steps.tolist(), strict=True)
    assert sorted(pairs) == sorted(zip(report.drifts.client, report.drifts.step, strict=True))
    height = np.zeros((4, 60))
    for row in found.shares():
        client, start, stop = int(str(row["client"]).split()[1]), int(str(row["step"])), int(str(row["stop"]))
        share = float(str(row["high"])) - float(str(row["low"]))
        height[client, start:stop] += share
        group = int(str(row["group"]).split()[1])
        seen = labels[client, start:stop] // 6 == group  # four superclasses of six classes
        assert seen.mean() == pytest.approx(share, abs=1e-3)
    np.testing.assert_allclose(height, 1.0, atol=1e-3)


def test_the_audit_is_the_runs(tiny: Make, tmp_path: Path) -> None:
    settings = tiny(modules={}, adapters=["backbone"])
    found = preview_of(settings, tmp_path / "cache").audit
    audit = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True).audit
    audit = audit[audit.measure != "images_in_part"]
    rows = [row for row in found if row["measure"] != "images_in_part"]
    assert [row["measure"] for row in rows] == audit.measure.tolist()
    assert [row["drawn"] for row in rows] == audit.drawn.tolist()


def test_run_lengths_and_distinct_classes_by_hand(tiny: Make, tmp_path: Path) -> None:
    """Recomputed in plain loops."""
    settings = tiny(modules={}, adapters=["backbone"])
    settings["clients"] |= {"order": {"run_length": 3.0}, "sampling": "wrap_around"}
    report = sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    labels = report.events.label.to_numpy().reshape(11, 60)
    runs = sum(1 + sum(a != b for a, b in itertools.pairwise(row)) for row in labels.tolist())
    distinct = [len(set(row[start : start + 10])) for row in labels.tolist() for start in range(0, 60, 10)]
    drawn = report.audit.set_index("measure").drawn
    assert drawn["mean_run_length"] == pytest.approx(labels.size / runs)
    assert drawn["distinct_classes_per_window"] == pytest.approx(np.mean(distinct))


def test_many_classes_share_a_colour(tiny: Make, tmp_path: Path) -> None:
    settings = tiny()
    settings["clients"]["subset"] = {"classes": 6}
    names, place = preview_of(settings, tmp_path, clients=11).groups()
    assert len(names) == 17
    assert names[-1] == OTHERS
    assert len(place) == 24
    assert place.max() == 16


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<svg"), (".png", b"\x89PNG"), (".html", b"<!DOCTYPE html>")])
def test_pictures_of_every_kind(tiny: Make, tmp_path: Path, suffix: str, begins: bytes) -> None:
    path = tmp_path / f"p{suffix}"
    draw(preview_of(tiny(), tmp_path), path)
    assert path.read_bytes().strip().startswith(begins)
    if suffix == ".svg":
        text = path.read_text()
        assert all(word in text for word in ("client 3", "superclass 0", "where drifts open"))


def test_the_command_trains_nothing(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICIIA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "s.yaml").write_text(json.dumps(tiny()))
    done = iciia("preview", tmp_path / "s.yaml", "--clients", "3", "--out", tmp_path / "p.svg")
    assert done.returncode == 0, done.stderr
    assert "drifts per client" in done.stdout
    assert done.stdout.rstrip().endswith(f"picture: {tmp_path / 'p.svg'}")
    assert not (tmp_path / "cache" / "module").exists()
    bad = iciia("preview", tmp_path / "s.yaml", "--out", tmp_path / "p.pdf")
    assert bad.returncode == 2
    assert "expected a name that ends in .svg, .png or .html" in " ".join(bad.stderr.replace("│", "").split())
