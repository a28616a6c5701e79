"""Images with several attributes: scored one by one, counted as shares, through streams, training, adapters and tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

import sim
from iciia.cloud.calibration import fit_temperature
from sim.cache import Cache
from sim.cohort.scoring import score
from sim.engine.preview import preview
from sim.errors import ScenarioError
from sim.page import page_of
from sim.page.parts import Table
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.streams.preview import rendered_audit

Make = Callable[..., dict[str, Any]]
ATTRIBUTES, FEATURES = 5, 16


def arrays(seed: int, clients: int, images: int) -> dict[str, NDArray[Any]]:
    """Attributes that a client mostly has or mostly lacks, so that its past tells of its next image; logits of a noisy, badly
    scaled classifier."""
    fixed = np.random.default_rng(0)
    directions = fixed.standard_normal((ATTRIBUTES, FEATURES))
    rng = np.random.default_rng(seed)
    count = images + 3 * np.arange(clients)
    owners = rng.permutation(np.repeat(np.arange(clients), count))
    habit = rng.choice([0.05, 0.95], (clients, ATTRIBUTES))
    labels = (rng.random((len(owners), ATTRIBUTES)) < habit[owners]).astype(np.int64)
    features = ((2 * labels - 1) @ directions / 4 + rng.standard_normal((len(owners), FEATURES))).astype(np.float32)
    logits = (2.5 * features @ np.linalg.pinv(directions)).astype(np.float32)
    return {"features": features, "logits": logits, "labels": labels, "clients": owners}


@pytest.fixture(scope="module")
def settings(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("data")
    np.savez(folder / "train.npz", **arrays(1, 60, 30))  # type: ignore[arg-type]
    np.savez(folder / "test.npz", **arrays(2, 12, 20))  # type: ignore[arg-type]

    def make(**sections: Any) -> dict[str, Any]:
        return tiny(
            data={"kind": "features", "train": str(folder / "train.npz"), "test": str(folder / "test.npz")},
            modules={"stream": {"heads": 2, "partitions": 4, "steps": 384, "length": 24, "learning_rate": 0.002}},
            clients={"source": "natural", "count": 12, "images": "all", "cohort": 5, "chunk": 9},
            adapters=[
                "backbone",
                {"kind": "iciia", "module": "stream", "bank": {"capacity": [0, 16]}},
                {"kind": "iciia", "name": "diverse", "module": "stream", "bank": {"capacity": 4, "policy": "diverse"}},
            ],
        ) | sections  # fmt: skip

    return make


@pytest.fixture(scope="module")
def report(settings: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    return sim.run(settings(), out=tmp_path_factory.mktemp("runs") / "r", workers=0, quiet=True)


def test_scores_of_attributes() -> None:
    scores = torch.tensor([[[2.0, -1.0, 0.5]]])
    prediction, confidence, loss, rank = score(scores, torch.tensor([[[1, 1, 0]]]))
    assert rank.tolist() == [[-1]]  # attributes are not ranked
    p = 1 / (1 + np.exp(-np.array([2.0, -1.0, 0.5])))
    assert prediction.tolist() == [[[1, 0, 1]]]
    np.testing.assert_allclose(confidence[0, 0], [p[0], 1 - p[1], p[2]], rtol=1e-6)
    np.testing.assert_allclose(loss, [[-(np.log(p[0]) + np.log(p[1]) + np.log(1 - p[2])) / 3]], rtol=1e-6)


def test_temperature_of_attributes() -> None:
    """Logits that are twice too large give 2, within the error of 40,000 decisions (standard error of about 0.02)."""
    rng = np.random.default_rng(0)
    true = rng.normal(0, 1.5, (10_000, 4))
    labels = (rng.random(true.shape) < 1 / (1 + np.exp(-true))).astype(np.int64)
    assert fit_temperature(2 * true, labels) == pytest.approx(2, abs=0.1)


def test_tables_follow_from_single_decisions(report: sim.Report) -> None:
    events = report.events.assign(right=lambda e: (e.label == e.prediction).astype(float))
    assert sorted(events.attribute.unique()) == list(range(ATTRIBUTES))
    images = events.groupby(["adapter", "client", "step"], observed=True).right.mean()
    summary = report.summary.set_index("adapter")
    np.testing.assert_allclose(summary.accuracy, images.groupby("adapter", observed=True).mean()[summary.index])
    by_client = images.groupby(["adapter", "client"], observed=True).mean()
    found = report.clients.set_index(["adapter", "client"])
    np.testing.assert_allclose(found.accuracy, by_client.loc[found.index])
    np.testing.assert_allclose(found.correct / found.images, found.accuracy)
    windows = images.reset_index().assign(window=lambda f: f.step // 10)
    windows = windows.groupby(["adapter", "client", "window"], observed=True).right.agg(["size", "sum"])
    found = report.windows.set_index(["adapter", "client", "window"]).loc[windows.index]
    assert len(found) == len(report.windows)
    assert (found.images == windows["size"]).all()
    np.testing.assert_allclose(found.correct, windows["sum"])
    attributes = events.groupby(["adapter", "attribute"], observed=True).right.agg(["size", "sum"])
    for row in report.classes.itertuples():
        assert (row.images, row.correct) == tuple(attributes.loc[(row.adapter, row.class_index)])
    for name, rows in events.groupby("adapter", observed=True):
        bins = np.minimum((rows.confidence * 15).astype(int), 14)
        gaps = rows.groupby(bins).agg(
            right=("right", "mean"), confidence=("confidence", "mean"), size=("right", "size")
        )
        ece = ((gaps.right - gaps.confidence).abs() * gaps["size"]).sum() / len(rows)
        assert summary.ece[name] == pytest.approx(ece, abs=1e-6)


def test_the_past_tells_of_the_next_image(report: sim.Report) -> None:
    """Habits of clients are there to be learned: a bank gains, and nothing depends on the last bits."""
    accuracy = report.summary.set_index("adapter").accuracy
    assert accuracy["iciia-16"] > accuracy["iciia-0"] + 0.01
    assert accuracy["iciia-16"] > accuracy["backbone"] + 0.03


def test_the_audit_counts_attributes(report: sim.Report, settings: Make) -> None:
    labels = np.load(settings()["data"]["test"])["labels"]
    shares = report.audit[report.audit.measure == "class_share"]
    np.testing.assert_allclose(shares.drawn, labels.sum(axis=0) / labels.sum())
    np.testing.assert_allclose(shares.planned, shares.drawn)
    found = preview(validate(read(settings())), Cache(), 3)
    assert [seen.shape for seen in found.labels] == [(20, 5), (23, 5), (26, 5)]
    heights = pd.DataFrame(found.shares())
    assert (heights.high <= 1).all()


def test_the_page_and_the_preview_speak_of_attributes(report: sim.Report, settings: Make) -> None:
    page, _ = page_of(report)
    assert f"of {ATTRIBUTES} attributes (features)" in page.lead
    tables = [part for section in page.sections for part in section.parts if isinstance(part, Table)]
    assert "mean over attributes" in next(table for table in tables if table.caption == "Metrics").header
    audit = [str(row[0]) for table in tables if table.caption == "Audit of the streams" for row in table.rows]
    assert "attributes met" in audit
    assert any(name.startswith("attribute share farthest off") for name in audit)
    rows = rendered_audit(preview(validate(read(settings())), Cache(), 3)).columns[0].cells
    assert "attributes met" in list(rows)


def test_workers_change_nothing(report: sim.Report, settings: Make, tmp_path: Path) -> None:
    other = sim.run(settings(), out=tmp_path / "two", workers=2, quiet=True)
    keys = ["client", "step", "adapter", "attribute"]
    found = [one.events.sort_values(keys).reset_index(drop=True) for one in (report, other)]
    pd.testing.assert_frame_equal(found[0], found[1], check_exact=True)
    pd.testing.assert_frame_equal(report.summary, other.summary, check_exact=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"clients": {"count": 3, "images": 20}},
            '"drawn", and features data have several attributes an image, not one class to draw subsets of; set natural',
        ),
        ({"adapters": ["backbone", "oracle"]}, "oracle chooses one class, and features data have several attributes"),
        (
            {
                "adapters": [
                    "backbone",
                    {"kind": "iciia", "module": "stream", "bank": {"capacity": 4, "policy": "class_balanced"}},
                ]
            },
            "class_balanced goes by classes, and features data have several attributes",
        ),
        (
            {"modules": {"stream": {"heads": 2, "partitions": 4, "shortlist": 3}}},
            "ranks classes, and features data have",
        ),
    ],
)
def test_refused(settings: Make, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        sim.run(settings(**change), workers=0, quiet=True)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.zeros((438, 4), dtype=np.int64),
            r"expected integers, classes \[M\] or attributes of 0 and 1 as logits, \[438, 5\]",
        ),
        (np.full((438, 5), 2), r"labels has attributes up to 2; expected 0 and 1"),
        (np.zeros(438, dtype=np.int64), r"labels are classes in one file and attributes in the other"),
    ],
)
def test_wrong_labels(settings: Make, tmp_path: Path, labels: NDArray[Any], message: str) -> None:
    np.savez(tmp_path / "test.npz", **(arrays(2, 12, 20) | {"labels": labels}))  # type: ignore[arg-type]
    changed = settings()
    changed["data"]["test"] = str(tmp_path / "test.npz")
    with pytest.raises(ScenarioError, match=message):
        sim.run(changed, workers=0, quiet=True)
