"""The paper's protocols: what a run reports is what the module, called directly, gives for the sets that a plain loop puts
together; and their figures never pass for those of a stream."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import sim
from iciia import ICIIA
from iciia.adapters import Adapter, BackboneAdapter, Chunk, Cost, IciiaAdapter
from sim.cache import Cache
from sim.cloud.prepare import CloudArtifact
from sim.cohort.protocols import predict_sets
from sim.cohort.simulator import CohortSimulator
from sim.engine.parts import job_of, prepare
from sim.engine.progress import Display
from sim.errors import ScenarioError
from sim.page.comparison_page import comparison_page
from sim.report.compare import rendered_comparison
from sim.report.load import rendered
from sim.scenario.file import read
from sim.scenario.validation import validate

Make = Callable[..., dict[str, Any]]
PROTOCOLS = ("paper_batch", "leave_one_out")
CAPACITIES = [0, 1, 4, 15]
IMAGES = 22
"""Neither 2, 5 nor 16 divides it, so that every capacity above 0 leaves a smaller set."""


@pytest.fixture(scope="module")
def settings(tiny: Make) -> Make:
    def make(protocol: str, **sections: Any) -> dict[str, Any]:
        trained = {"heads": 2, "partitions": 4, "steps": 60, "length": 16, "batch": 4}
        paper = {"recipe": "paper", "learning_rate": 0.05}
        bank = {"capacity": CAPACITIES}
        return tiny(
            protocol=protocol,
            modules={
                "set": {"context": "set", "head": "replaced", "layers": 2} | paper | trained,
                "residual": {"context": "set", "head": "residual", "layers": 1} | paper | trained,
                "ff": {"context": "none", "head": "replaced", "layers": 1} | paper | trained,
                "stream": {"context": "stream", "head": "residual", "layers": 2} | trained,
            },
            clients={"count": 6, "images": IMAGES, "cohort": 4, "chunk": 7},
            adapters=[
                "backbone",
                *({"kind": "iciia", "name": name, "module": name, "bank": bank} for name in ("set", "residual", "stream")),
                {"kind": "ff", "module": "ff"},
                "oracle",
            ],
            report={"window": 10, "events": True},
        ) | sections  # fmt: skip

    return make


@pytest.fixture(scope="module")
def reports(settings: Make, tmp_path_factory: pytest.TempPathFactory) -> dict[str, sim.Report]:
    folder = tmp_path_factory.mktemp("protocols")
    return {name: sim.run(settings(name), out=folder / name, workers=0, quiet=True) for name in PROTOCOLS}


@pytest.fixture(scope="module")
def artifact(settings: Make, reports: dict[str, sim.Report]) -> CloudArtifact:
    return prepare(validate(read(settings("paper_batch"))), Cache(), Display(quiet=True).stage)


def others_of(protocol: str, target: int, capacity: int, images: int) -> list[int]:
    """Places of the images that a target is predicted with, told in words: its set, or the first others."""
    if protocol == "paper_batch":
        first = target - target % (capacity + 1)
        return [place for place in range(first, min(first + capacity + 1, images)) if place != target]
    return [place for place in range(images) if place != target][:capacity]


def by_hand(module: ICIIA, capacity: int, features: Tensor, logits: Tensor) -> Tensor:
    """Logits [C] of the last of some images, [n, D] and [n, C], that are a whole set."""
    if len(features) == 1 and module.context != "none":  # nothing to be calibrated by
        if module.head == "residual":
            return logits[0]
        return module.forward_sets(features[None], logits[None])[0, 0]
    if module.context == "stream":
        session = module.session(capacity)
        return [session(feature, own) for feature, own in zip(features, logits, strict=True)][-1]
    return module.forward_sets(features[None], logits[None])[0, -1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_run_is_the_module_on_the_sets(
    protocol: str, reports: dict[str, sim.Report], artifact: CloudArtifact
) -> None:
    events = reports[protocol].events
    backbone = events[events.adapter == "backbone"]
    images = backbone.image.to_numpy().reshape(6, IMAGES)
    for name, module in artifact.modules.items():
        for capacity in CAPACITIES if module.context != "none" else [0]:
            rows = events[events.adapter == (name if module.context == "none" else f"{name}-{capacity}")]
            confidences = rows.confidence.to_numpy().reshape(6, IMAGES)
            predictions = rows.prediction.to_numpy().reshape(6, IMAGES)
            for client in (0, 5):
                for target in range(IMAGES):
                    places = [*others_of(protocol, target, capacity, IMAGES), target]
                    features, logits = artifact.test.gather(images[client, places])
                    with torch.inference_mode():
                        expected = by_hand(module, capacity, features, logits).softmax(dim=0)
                    assert confidences[client, target] == pytest.approx(expected.max().item(), rel=1e-4)
                    assert predictions[client, target] == expected.argmax()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_other_image_changes_nothing(protocol: str, reports: dict[str, sim.Report]) -> None:
    """With a residual head; others change predictions."""
    events = reports[protocol].events.set_index("adapter").prediction
    for name in ("residual", "stream"):
        assert events[f"{name}-0"].tolist() == events["backbone"].tolist() != events[f"{name}-15"].tolist()


def test_both_protocols_show_the_same_images(reports: dict[str, sim.Report]) -> None:
    """And those that a stream of the same scenario shows; an adapter without a bank does not feel the difference."""
    one, other = (reports[name].events for name in PROTOCOLS)
    for adapter in ("backbone", "oracle", "ff"):
        pd.testing.assert_frame_equal(
            one[one.adapter == adapter].drop(columns="confidence"),
            other[other.adapter == adapter].drop(columns="confidence"),
        )
    assert not one[one.adapter == "set-4"].prediction.equals(other[other.adapter == "set-4"].prediction)


# --- the authors' own figures ---


def test_the_authors_sets_give_the_authors_logits() -> None:
    """A golden set of 16 as one client's images: `paper_batch` gives all its rows, `leave_one_out` with 15 others too."""
    path = Path(__file__).parent.parent / "golden" / "reference_p8_l3.npz"
    with np.load(path) as file:
        arrays = dict(file)
    state = {
        name.removeprefix("state/"): torch.from_numpy(v) for name, v in arrays.items() if name.startswith("state/")
    }
    module = ICIIA.from_reference(state, heads=json.loads(str(arrays["config"]))["heads"])
    features, expected = (torch.from_numpy(arrays[f"set16/{name}"]) for name in ("features", "logits"))
    streams = Chunk(features.expand(2, -1, -1), torch.zeros(2, *expected.shape))
    for protocol in PROTOCOLS:
        found = predict_sets(protocol, IciiaAdapter(module, 15), np.arange(2), 0, streams, lengths=np.array([16, 16]))
        torch.testing.assert_close(found, expected.expand(2, -1, -1), rtol=1e-5, atol=1e-5)


# --- streams of different lengths ---


class Counting(Adapter):
    """Scores each class by the images of it, told by the largest logit, that are in the past; and notes what it was shown."""

    kind = "counting"

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity

    def start(self, clients: NDArray[np.int64], seed: int) -> int:
        return 0

    def predict(self, state: int, chunk: Chunk) -> tuple[Tensor, int]:
        return chunk.logits.cumsum(dim=1) - chunk.logits, state

    def cost(self) -> Cost:
        return Cost()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("capacity", [0, 1, 3, 8, 30])
def test_clients_with_few_images(protocol: str, capacity: int) -> None:
    """An adapter that counts its past: every image has exactly the others that the protocol says, also where there are fewer."""
    lengths = np.array([1, 4, 9, 23, 8])
    logits = torch.randn(5, 24, 3, generator=torch.Generator().manual_seed(0))
    found = predict_sets(protocol, Counting(capacity), np.arange(5), 0, Chunk(logits, logits), lengths)
    for client, length in enumerate(lengths):
        for target in range(length):
            expected = logits[client, others_of(protocol, target, capacity, length)].sum(dim=0)
            torch.testing.assert_close(found[client, target], expected, rtol=1e-5, atol=1e-5)
        assert (found[client, length:] == 0).all()


def test_an_adapter_without_a_bank_sees_the_image_alone() -> None:
    logits = torch.randn(2, 5, 3)
    found = predict_sets("paper_batch", BackboneAdapter(), np.arange(2), 0, Chunk(logits, logits), np.array([5, 3]))
    assert torch.equal(found[0], logits[0])
    assert torch.equal(found[1, :3], logits[1, :3])


@pytest.fixture(scope="module")
def natural(settings: Make, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Natural clients of 1 to 20 images."""
    folder = tmp_path_factory.mktemp("natural")
    rng = np.random.default_rng(0)
    for part, times in (("train", 6), ("test", 1)):
        clients = np.repeat(np.arange(6), np.array([1, 3, 20, 16, 7, 12]) * times)
        labels = (clients + rng.integers(0, 2, len(clients))) % 5
        features = (np.eye(8)[labels] + 0.5 * rng.standard_normal((len(labels), 8))).astype(np.float32)
        np.savez(folder / f"{part}.npz", features=features, logits=4 * features[:, :5], labels=labels, clients=clients)

    def make(protocol: str) -> dict[str, Any]:
        module = {
            "context": "set",
            "layers": 2,
            "heads": 2,
            "partitions": 2,
            "recipe": "paper",
            "steps": 20,
            "length": 8,
        }
        return settings(
            protocol,
            data={"kind": "features", "train": str(folder / "train.npz"), "test": str(folder / "test.npz")},
            modules={"set": module},
            clients={"source": "natural", "count": 6, "images": "all", "cohort": 4},
            adapters=["backbone", {"kind": "iciia", "module": "set", "bank": {"capacity": [4, 8]}}],
        )

    return make


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_replay_and_resume_give_the_same_bits(protocol: str, natural: Make, tmp_path: Path) -> None:
    """Also among natural clients, whose company differs in length."""
    report = sim.run(natural(protocol), out=tmp_path / "r", workers=0, quiet=True)
    assert (report.summary.images == 59).all()
    for client in (0, 2, 4):
        again = sim.replay(report.folder, client)
        whole = report.events[report.events.client == client]
        pd.testing.assert_frame_equal(
            again.sort_values(["adapter", "step"], ignore_index=True), whole.reset_index(drop=True), check_exact=True
        )
    sim.run(natural(protocol), out=tmp_path / "part", workers=0, quiet=True, cohorts="0:1")
    resumed = sim.run(natural(protocol), out=tmp_path / "part", workers=0, quiet=True, resume=True)
    for name in ("summary", "clients", "classes", "events"):
        pd.testing.assert_frame_equal(report.table(name), resumed.table(name), check_exact=True)


def test_workers_give_the_same_tables(settings: Make, reports: dict[str, sim.Report], tmp_path: Path) -> None:
    other = sim.run(settings("leave_one_out"), out=tmp_path / "r", workers=2, quiet=True)
    for name in ("summary", "clients", "windows", "classes", "events"):
        pd.testing.assert_frame_equal(reports["leave_one_out"].table(name), other.table(name), check_exact=True)


def test_a_failure_names_client_and_image(settings: Make, artifact: CloudArtifact) -> None:
    class Broken(Counting):
        def predict(self, state: int, chunk: Chunk) -> tuple[Tensor, int]:
            scores, state = super().predict(state, chunk)
            return scores.masked_fill((chunk.logits == worst).all(dim=-1, keepdim=True), float("nan")), state

    scenario = validate(read(settings("paper_batch")))
    simulator = CohortSimulator(job_of(scenario, artifact))
    (chunk,) = simulator.stream.chunks(np.arange(4), IMAGES)
    place = next(place for place in range(15, 20) if (chunk.images == chunk.images[2, place]).sum() == 1)
    worst = artifact.test.gather(chunk.images[2:3, place : place + 1])[1][0, 0]
    simulator.adapters = {"broken": Broken(4)}
    with pytest.raises(Exception, match="scores that are not numbers") as caught:
        simulator.simulate(0)
    told = str(simulator.explain(0, caught.value, Path("folder")))
    assert told.startswith("client 2, step 15, adapter 'broken', seed 3: ValueError('scores that are not numbers')")


# --- never mixed with streams ---


def test_every_table_says_the_protocol(reports: dict[str, sim.Report]) -> None:
    for protocol, report in reports.items():
        for name in ("summary", "clients", "classes", "windows", "answers"):
            assert (report.table(name).protocol == protocol).all(), name
        for file in report.folder.rglob("*.parquet"):
            assert pq.read_schema(file).metadata[b"protocol"] == protocol.encode()
        table = rendered(report)
        assert table.columns[0].header == "protocol"
        assert list(table.columns[0].cells) == [protocol] * len(table.rows)


def test_a_comparison_says_the_protocols(reports: dict[str, sim.Report]) -> None:
    """The same clients see the same images, so that they can be paired: what differs is the protocol, and that is said."""
    found = sim.compare(reports["paper_batch"].folder, reports["leave_one_out"].folder)
    assert (found.paired, found.protocols) == (True, ["paper_batch", "leave_one_out"])
    columns = {column.header: list(column.cells) for column in rendered_comparison(found).columns}
    assert set(columns["protocol"]) == {"leave_one_out"}
    assert set(columns["first protocol"]) == {"paper_batch"}
    page, _ = comparison_page(found)
    assert any("by different protocols" in text for text in page.sections[0].text)


def test_a_sweep_over_protocols(settings: Make, tmp_path: Path) -> None:
    adapters = ["backbone", {"kind": "iciia", "module": "set", "bank": {"capacity": [1, 4]}}]
    swept = settings("stream", adapters=adapters, sweep={"protocol": ["stream", *PROTOCOLS]})
    report = sim.run(swept, out=tmp_path / "r", workers=0, quiet=True)
    assert report.sweep.groupby("protocol").adapter.count().to_dict() == {
        "stream": 3,
        "paper_batch": 3,
        "leave_one_out": 3,
    }
    assert [column.header for column in rendered(report).columns[:2]] == ["protocol", "adapter"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"clients.drift": {"kind": "sudden", "every": 5}},
            "clients.drift  paper_batch has no time in which anything could drift; set kind: none, or protocol: stream",
        ),
        (
            {"adapters.1.bank": {"capacity": 4, "policy": "reservoir"}},
            "adapters.1.bank.policy  is of a stream's bank, and with paper_batch a bank is the other images of a set; remove it",
        ),
        ({"adapters.1.bank": {"capacity": 4, "storage": "int8"}}, "adapters.1.bank.storage  is of a stream's bank"),
        ({"adapters.3.bank": {"capacity": 4, "diagnostics": True}}, "adapters.3.bank.diagnostics  is of a stream's"),
        (
            {"adapters.1.bank": {"capacity": [4, 22]}},
            "adapters.1.bank.capacity  got 22, and each of a client's 22 images has 21 others; lower it",
        ),
        (
            {"adapters.3.bank": {"capacity": 300}, "clients.images": 400},
            "adapters.3.bank.capacity  got 300: paper_batch computes every set anew; 256 or less",
        ),
        ({"protocol": "papr_batch"}, 'protocol  got "papr_batch"; did you mean "paper_batch"? (stream, paper_batch, leave'),
    ],
)  # fmt: skip
def test_what_makes_no_sense(settings: Make, changes: dict[str, Any], message: str) -> None:
    document = read(settings("paper_batch"))
    for key, value in changes.items():
        document = document.put(key, value)
    with pytest.raises(ScenarioError) as caught:
        validate(document)
    assert message in [f"{problem.where}  {problem.message}"[: len(message)] for problem in caught.value.problems]
