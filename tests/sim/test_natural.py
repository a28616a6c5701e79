"""Natural clients: each sees its own images once, in streams of different lengths; every table follows from the single
predictions; runs are equal however clients are cut; training sequences are of one client until another takes over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

import sim
from sim.cache import Cache
from sim.engine.preview import preview
from sim.errors import ScenarioError
from sim.scenario.clients import ClientsSettings, OrderSettings
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.streams.build import build_stream
from sim.streams.natural import NaturalStream, natural_sequences
from sim.streams.preview_chart import draw

Make = Callable[..., dict[str, Any]]
CLASSES = 6
SIZES = {3: 1, 5: 5, 6: 17, 11: 16, 12: 33, 20: 40, 21: 2, 30: 64, 31: 8}
"""Images of each natural client, whose numbers have gaps."""


def arrays(seed: int, times: int = 1) -> dict[str, NDArray[Any]]:
    """Features in clusters; a client's images are of two or three classes, and those of all clients are mixed."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((CLASSES, 16))
    clients = rng.permutation(np.repeat(list(SIZES), [n * times for n in SIZES.values()]))
    labels = (clients + rng.integers(0, 2 + clients % 2)) % CLASSES
    features = (centres[labels] + 1.2 * rng.standard_normal((len(labels), 16))).astype(np.float32)
    logits = (features @ centres.T).astype(np.float32)
    return {"features": features, "logits": logits, "labels": labels, "clients": clients}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("data")
    np.savez(found / "train.npz", **arrays(1, times=4))  # type: ignore[arg-type]
    np.savez(found / "test.npz", **arrays(2))  # type: ignore[arg-type]
    return found


@pytest.fixture(scope="module")
def natural(tiny: Make, folder: Path) -> Make:
    def make(**clients: Any) -> dict[str, Any]:
        data = {"kind": "features", "train": str(folder / "train.npz"), "test": str(folder / "test.npz")}
        chosen = {"source": "natural", "count": 9, "images": "all", "cohort": 4, "chunk": 7} | clients
        adapters = [
            "backbone",
            {"kind": "iciia", "module": "stream", "bank": {"capacity": [0, 3, 16], "diagnostics": True}},
            "oracle",
        ]
        return tiny(data=data, clients=chosen, adapters=adapters)

    return make


@pytest.fixture(scope="module")
def report(natural: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    return sim.run(natural(), out=tmp_path_factory.mktemp("runs") / "r", workers=0, quiet=True)


def test_every_client_sees_each_of_its_images_once(report: sim.Report, folder: Path) -> None:
    owners = np.load(folder / "test.npz")["clients"]
    seen = report.events[report.events.adapter == "backbone"]
    natural = report.clients.drop_duplicates("client").set_index("client").natural_client
    assert natural.tolist() == sorted(SIZES)
    for client, rows in seen.groupby("client"):
        assert rows.step.tolist() == list(range(SIZES[natural[client]]))
        assert sorted(rows.image) == np.flatnonzero(owners == natural[client]).tolist()


def test_tables_follow_from_single_predictions(report: sim.Report) -> None:
    """Every table that counts, recomputed with pandas from `events`."""
    events = report.events.assign(right=lambda e: e.label == e.prediction, window=lambda e: e.step // 10)
    total = events.groupby("adapter", observed=True).right
    summary = report.summary.set_index("adapter")
    assert (summary.images == sum(SIZES.values())).all()
    pd.testing.assert_series_equal(summary.accuracy, total.mean(), check_names=False, check_index=False)

    by_client = events.groupby(["adapter", "client"], observed=True).right.agg(["size", "sum", "mean"])
    found = report.clients.set_index(["adapter", "client"]).sort_index()
    expected = by_client.loc[found.index]
    assert (found.images == expected["size"]).all()
    assert (found.correct == expected["sum"]).all()
    np.testing.assert_allclose(found.accuracy, expected["mean"])
    np.testing.assert_allclose(summary.accuracy_client_mean, by_client["mean"].groupby("adapter").mean()[summary.index])

    windows = events.groupby(["adapter", "client", "window"], observed=True).right.agg(["size", "sum"]).sort_index()
    found = report.windows.set_index(["adapter", "client", "window"]).loc[windows.index]
    assert len(found) == len(report.windows)
    assert (found.images == windows["size"]).all()
    assert (found.correct == windows["sum"]).all()

    classes = events.groupby(["adapter", "label"], observed=True).right.agg(["size", "sum"])
    for row in report.classes.itertuples():
        size, right = classes.loc[(row.adapter, row.class_index)]
        assert (row.images, row.correct) == (size, right)

    bins = report.calibration.groupby("adapter").images.sum()
    assert (bins == sum(SIZES.values())).all()
    stale = report.staleness.groupby("adapter").images.sum()
    assert (stale == sum(SIZES.values())).all()


def test_worst_decile_is_of_shares_not_counts(report: sim.Report) -> None:
    """Of 9 clients the worst one, whatever the length of its stream."""
    answers = report.answers.set_index("adapter")
    for name, rows in report.clients.groupby("adapter", observed=True):
        assert answers.worst_decile_accuracy[name] == pytest.approx(rows.accuracy.min(), abs=1e-6)
        assert answers.worst_decile_gain[name] == pytest.approx(rows.gain.min(), abs=1e-6)


def test_the_audit_counts_streams_as_they_are(report: sim.Report) -> None:
    audit = report.audit.set_index("measure")
    assert audit.drawn["images_per_client"] == pytest.approx(sum(SIZES.values()) / 9)
    assert audit.drawn["repeats_within_largest_bank"] == 0
    assert audit.drawn["drifts_per_client"] == 0
    shares = audit.loc["class_share"]
    np.testing.assert_allclose(shares.planned, shares.drawn)
    events = report.events[report.events.adapter == "backbone"].sort_values(["client", "step"])
    new = (events.label != events.groupby("client").label.shift()).sum()
    assert audit.drawn["mean_run_length"] == pytest.approx(len(events) / new)
    whole = [g.label.nunique() for (_, _), g in events.groupby(["client", events.step // 10]) if len(g) == 10]
    assert audit.drawn["distinct_classes_per_window"] == pytest.approx(np.mean(whole))


def test_the_oracle_knows_the_clients_own_classes(report: sim.Report) -> None:
    events = report.events[report.events.adapter == "oracle"]
    for _, rows in events.groupby("client"):
        assert set(rows.prediction) <= set(rows.label)


def test_workers_and_replay_change_nothing(report: sim.Report, natural: Make, tmp_path: Path) -> None:
    other = sim.run(natural(), out=tmp_path / "two", workers=2, quiet=True)
    keys = ["client", "step", "adapter"]
    events = [one.events.sort_values(keys).reset_index(drop=True) for one in (report, other)]
    pd.testing.assert_frame_equal(events[0], events[1], check_exact=True)
    for client in (0, 5, 8):
        alone = sim.replay(tmp_path / "two", client).sort_values(keys).reset_index(drop=True)
        same = events[1][events[1].client == client].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, same, check_exact=True, check_categorical=False)


def test_streams_end_at_the_most(natural: Make, tmp_path: Path) -> None:
    report = sim.run(natural(images=10), out=tmp_path / "r", workers=0, quiet=True)
    images = report.clients.drop_duplicates("client").images
    assert images.tolist() == [min(10, SIZES[number]) for number in sorted(SIZES)]


def stream(seed: int, owners: NDArray[np.int64], count: int, **more: Any) -> NaturalStream:
    return NaturalStream(seed, count, None, np.zeros(len(owners), dtype=np.int64), 1, owners, **more)


def test_a_client_is_the_same_in_any_company() -> None:
    owners = np.repeat([0, 2, 3, 4], [9, 4, 30, 1])
    found = stream(7, owners, 4)
    alone = np.concatenate([c.images for c in found.chunks(np.array([1]), 3)], axis=1)
    for clients, length in (([0, 1, 2, 3], 5), ([3, 1], 2), ([1, 1, 1], 50)):
        together = np.concatenate([c.images for c in found.chunks(np.array(clients), length)], axis=1)
        assert together[clients.index(1), :4].tolist() == alone[0, :4].tolist()
    assert all(c.images.shape == (4, 5) for c in found.chunks(np.arange(4), 5))


def built(owners: NDArray[np.int64], times: NDArray[np.float64] | None, **order: str) -> list[list[int]]:
    """The images of two clients in a chunk of four steps, as a scenario orders them."""
    clients = ClientsSettings(source="natural", count=2, images="all", order=OrderSettings(**order))  # type: ignore[arg-type]
    stream = build_stream(clients, 7, None, np.zeros(len(owners), dtype=np.int64), 1, owners, times)
    (chunk,) = stream.chunks(np.arange(2), 4)
    return chunk.images.tolist()


def test_orders_are_kept() -> None:
    owners = np.array([1, 0, 1, 1, 0, 1])
    times = np.array([9.0, 5.0, 7.0, 8.0, 4.0, 7.0])
    assert built(owners, None, by="stored") == built(owners, times, by="stored") == [[1, 4, 1, 4], [0, 2, 3, 5]]
    in_time = [[4, 1, 4, 1], [2, 5, 3, 0]]
    assert built(owners, times) == built(owners, times, by="time") == in_time
    assert built(owners, None) == built(owners, times, by="random") != in_time


def test_training_sequences_in_time_are_stretches() -> None:
    """Of 50 images of a client, taken in an order of their own, those of a part follow each other, from any start."""
    rng = np.random.default_rng(0)
    owners, times = np.repeat(np.arange(6), 50), rng.permutation(300).astype(np.float64)
    place = np.empty(300, dtype=np.int64)
    for owner in range(6):
        own = np.flatnonzero(owners == owner)
        place[own[np.argsort(times[own])]] = np.arange(50)
    starts = set()
    for row in natural_sequences(owners, 32, 10, times)(rng, 300):
        for part in np.split(row, np.flatnonzero(np.diff(owners[row])) + 1):
            assert np.diff(place[part]).tolist() == [1] * (len(part) - 1)
            starts.add((len(part), int(place[part[0]])))
    assert {start for length, start in starts if length == 10} == set(range(41))
    (short,) = natural_sequences(np.array([0, 0, 0]), 5, None, np.array([3.0, 1.0, 2.0]))(rng, 1)
    assert short[:3].tolist() == [1, 2, 0]


def test_orders_and_choices_are_equally_likely() -> None:
    """Which of 4 images comes first, and which of 5 clients are chosen, over 2,000 seeds. Each test rejects at 0.001: of all
    correct programs 2 in 1,000 fail here, and the seeds are fixed."""
    owners = np.repeat(np.arange(5), 4)
    first, chosen = np.zeros(4), np.zeros(5)
    for seed in range(2000):
        found = stream(seed, owners, 2)
        (chunk,) = found.chunks(np.arange(2), 4)
        assert all(
            sorted(row) == [4 * o + i for i in range(4)] for row, o in zip(chunk.images, found.chosen, strict=True)
        )
        first[chunk.images[0, 0] % 4] += 1
        chosen[found.chosen] += 1
    assert chisquare(first).pvalue > 0.001
    assert chosen.sum() == 4000
    # two draws without replacement vary less than a chi-square says: by (1 - 2/5) / (1 - 1/5)
    assert chisquare(chosen).pvalue > 0.001


def test_training_sequences_change_clients() -> None:
    owners = np.repeat(np.arange(6), 50)
    sample = natural_sequences(owners, 32, 10)
    rng = np.random.default_rng(0)
    firsts = set()
    for row in sample(rng, 200):
        changes = np.flatnonzero(np.diff(owners[row])) + 1
        firsts.add(int(changes[0]))
        assert changes.tolist() == list(range(changes[0], 32, 10))
        for part in np.split(row, changes):
            assert len(set(owners[part])) <= 1
            assert len(set(part)) == len(part)
    assert firsts == set(range(1, 11))


def test_sets_of_one_client_until_it_runs_out() -> None:
    owners = np.repeat([0, 1], [40, 3])
    for row in natural_sequences(owners, 16, None)(np.random.default_rng(1), 100):
        assert len(set(row)) == 16
        if owners[row[0]] == 0:
            assert (owners[row] == 0).all()
        else:
            assert sorted(row[:3]) == [40, 41, 42]
            assert (owners[row[3:]] == 0).all()


def test_preview_draws_natural_clients(natural: Make, tmp_path: Path) -> None:
    found = preview(validate(read(natural())), Cache(), 5)
    assert [len(seen) for seen in found.labels] == [SIZES[number] for number in sorted(SIZES)[:5]]
    draw(found, tmp_path / "p.svg")
    assert "natural clients" in (tmp_path / "p.svg").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 10}, "clients.count  got 10, and the data have 9 natural clients"),
        (
            {"drift": {"kind": "sudden", "every": 5}},
            "clients.drift  describes drawn streams, and natural clients bring their own; remove it",
        ),
        (
            {"order": {"run_length": 3.0}},
            "clients.order.run_length  describes drawn streams, and natural clients bring their own order; remove it",
        ),
        ({"source": "drawn"}, 'clients.images  got "all", which only natural clients have; give a number, or set source: natural'),
        (
            {"source": "drawn", "images": 5, "order": {"by": "stored"}},
            "clients.order.by  orders natural clients' images, and streams are drawn; remove it, or set source: natural",
        ),
        (
            {"order": {"by": "time"}},
            'clients.order.by  got "time", and these features data do not say when images were taken; set random or stored',
        ),
    ],
)  # fmt: skip
def test_refused(natural: Make, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        sim.run(natural(**change), workers=0, quiet=True)
    assert message in " ".join(str(raised.value).split("\n")[1].split()).replace(" ", "  ", 1)


def test_data_without_clients_are_refused(tiny: Make) -> None:
    with pytest.raises(
        ScenarioError, match='got "natural", and these synthetic data do not say whose an image is; set drawn'
    ):
        sim.run(tiny(clients={"source": "natural", "count": 3, "images": "all"}), workers=0, quiet=True)


@pytest.mark.parametrize(
    ("clients", "message"),
    [
        (None, "test.npz: has no array 'clients', and the other file has; give it in both or in none"),
        (np.zeros(4, dtype=np.int64), r"test.npz: clients is int64 \[4\]; expected integers \[186\] of 0 or more"),
        (np.full(186, -1), r"clients holds -1; expected integers \[186\] of 0 or more"),
        (np.full(186, 0.5), r"clients is float64 \[186\] and holds 0.5; expected integers \[186\] of 0 or more"),
    ],
)
def test_wrong_clients_arrays(natural: Make, folder: Path, tmp_path: Path, clients: Any, message: str) -> None:
    found = {k: v for k, v in (arrays(2) | {"clients": clients}).items() if v is not None}
    np.savez(tmp_path / "test.npz", **found)
    settings = natural()
    settings["data"]["test"] = str(tmp_path / "test.npz")
    with pytest.raises(ScenarioError, match=message):
        sim.run(settings, workers=0, quiet=True)


def test_an_order_of_an_earlier_version_means_the_same() -> None:
    assert OrderSettings.model_validate({"as_stored": True}) == OrderSettings(by="stored")
    assert OrderSettings.model_validate({"as_stored": False, "run_length": 2.0}) == OrderSettings(run_length=2.0)
