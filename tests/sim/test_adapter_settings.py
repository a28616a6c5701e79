"""Adapters in scenarios: every kind by name, own ones by import path and checked, bad ones refused; what reports say of each."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import recall_score

import sim
from iciia import Source
from iciia.adapters import ADAPTERS, T3aAdapter
from sim.bench.latency import measure_latency
from sim.cache import Cache
from sim.cloud.threads import torch_threads
from sim.cohort.adapters import build_adapters
from sim.cohort.simulator import CohortSimulator
from sim.engine.feasibility import check_data
from sim.engine.parts import job_of, prepare
from sim.engine.progress import Display
from sim.errors import ScenarioError
from sim.report.load import rendered
from sim.scenario.adapters import adapter_name
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.streams.stream import StreamChunk

Make = Callable[..., dict[str, Any]]

OWN = '''
import torch
from iciia import Adapter, Cost


class Sharper(Adapter):
    """The backbone's logits, multiplied."""

    kind = "sharper"

    def __init__(self, source, factor=2.0):
        if factor <= 0:
            raise ValueError(f"got a factor of {factor}; expected more than 0")
        self.factor = factor

    def start(self, clients, seed):
        return None

    def predict(self, state, chunk):
        return self.factor * chunk.logits, None

    def cost(self):
        return Cost()


class Crowd(Sharper):
    """Lets clients meet."""

    def predict(self, state, chunk):
        return chunk.logits - chunk.logits.mean(dim=0), None


class Nameless(Adapter):
    def __init__(self, source):
        pass

    def start(self, clients, seed):
        return None

    def predict(self, state, chunk):
        return chunk.logits, None

    def cost(self):
        return Cost()


class Wordless(Sharper):
    def predict(self, state, chunk):
        return 0 * chunk.logits / 0, None


class Nothing:
    pass
'''

EVERY = [
    "backbone", {"kind": "iciia", "module": "stream", "bank": {"capacity": [0, 4]}}, {"kind": "ff", "module": "ff"},
    {"kind": "knn", "capacity": [4, 16], "neighbours": 3}, "prototype", {"kind": "t3a", "supports": [2, "all"]},
    {"kind": "lame", "capacity": 8}, "em_prior", "bbse", "prior_correction", "oracle", "oracle_prior", "last_label",
    {"kind": "majority_label", "capacity": 10}, {"kind": "finetuned_head", "images": 20}, {"kind": "prompt", "images": 20},
    "superclass_filter", {"kind": "hmm", "capacity": [8, 64]}, "fth", {"kind": "flh_ftl", "experts": 4}, "cofa", "tda", "adapt",
    {"kind": "stata", "capacity": 8}, {"kind": "icrm", "module": "icrm"}, {"kind": "arm_cml", "module": "arm"},
    {"kind": "my_adapters.Sharper", "arguments": {"factor": 3.0}}, {"kind": "my_adapters:Sharper", "name": "mild"},
]  # fmt: skip

MODULES = {
    "stream": {"layers": 2, "heads": 2, "partitions": 4, "steps": 60, "length": 24, "batch": 4},
    "ff": {"context": "none", "layers": 1, "heads": 2, "partitions": 4, "steps": 32, "length": 24, "batch": 4},
    "icrm": {
        "context": "icrm",
        "layers": 2,
        "heads": 2,
        "width": 16,
        "positions": 20,
        "steps": 32,
        "length": 24,
        "batch": 4,
    },
    "arm": {"context": "arm_cml", "width": 16, "steps": 32, "length": 24, "batch": 4},
}


@pytest.fixture(scope="module", autouse=True)
def own_module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with `my_adapters.py` that Python can import from."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_adapters.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("my_adapters", None)


@pytest.fixture(scope="module")
def report(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    """A run of every kind of adapter, in runs of four images of a class on average."""
    clients = {"count": 6, "images": 60, "cohort": 4, "chunk": 16, "order": {"run_length": 4.0}}
    scenario = tiny(adapters=EVERY, modules=MODULES, clients=clients)
    return sim.run(scenario, out=tmp_path_factory.mktemp("runs") / "every", workers=0, quiet=True)


def test_every_kind_runs_under_its_name(report: sim.Report) -> None:
    assert set(report.summary.kind) == {*ADAPTERS, "sharper"}
    assert report.summary.adapter.tolist() == [
        "backbone", "iciia-0", "iciia-4", "ff", "knn-4", "knn-16", "prototype-64", "t3a-2", "t3a-all", "lame-8", "em_prior-64",
        "bbse-64", "prior_correction-64", "oracle", "oracle_prior", "last_label", "majority_label-10", "finetuned_head", "prompt",
        "superclass_filter", "hmm-8", "hmm-64", "fth", "flh_ftl", "cofa", "tda", "adapt", "stata-8", "icrm", "arm_cml", "Sharper",
        "mild",
    ]  # fmt: skip


def test_tables_say_what_adapters_see(report: sim.Report) -> None:
    sees = report.summary.set_index("adapter").sees
    past = {"last_label", "majority_label-10", "finetuned_head", "prompt"}
    assert set(sees[sees == "past_labels"].index) == past
    assert set(sees[sees == "prior"].index) == {"oracle", "oracle_prior"}
    assert report.overhead.set_index("adapter").sees.equals(sees)
    assert [column.header for column in rendered(report).columns[:3]] == ["adapter", "sees", "knows"]
    assert not report.answers.set_index("adapter").loc[sorted(past)].on_macs_frontier.any()


def test_tables_say_what_adapters_know(report: sim.Report, tiny: Make, tmp_path: Path) -> None:
    """The filter is told the superclasses, and modules have learned them from clients of one superclass at a time."""
    knows = report.summary.set_index("adapter").knows
    told = {"superclass_filter", "iciia-0", "iciia-4", "ff", "icrm", "arm_cml"}
    assert set(knows[knows == "superclasses"].index) == told
    assert set(knows[knows == "nothing"].index) == {*knows.index} - told
    assert report.overhead.set_index("adapter").knows.equals(knows)
    assert report.answers.set_index("adapter").knows.equals(knows)
    clients = tiny()["clients"] | {"subset": {"classes": 3}, "images": 20, "count": 2, "drift": {"kind": "none"}}
    adapters = ["backbone", {"kind": "arm_cml", "module": "arm"}]
    other = tiny(adapters=adapters, modules={"arm": MODULES["arm"]}, clients=clients)
    found = sim.run(other, out=tmp_path / "other", workers=0, quiet=True)
    assert found.summary.knows.tolist() == ["nothing", "nothing"]
    assert [column.header for column in rendered(found).columns[:2]] == ["adapter", "accuracy %"]


def test_the_worst_client_and_the_worst_tenth(report: sim.Report) -> None:
    """Of six clients the worst tenth is one."""
    summary = report.summary.set_index("adapter")
    for name, rows in report.clients.groupby("adapter", observed=True):
        for measure in ("accuracy", "gain"):
            assert summary[f"worst_client_{measure}"][name] == pytest.approx(rows[measure].min(), abs=1e-6)
            assert summary[f"worst_decile_{measure}"][name] == summary[f"worst_client_{measure}"][name]


def test_what_scores_do_not_tell_is_null(report: sim.Report) -> None:
    summary = report.summary.set_index("adapter")
    blind, ranking = ["last_label", "majority_label-10"], ["prototype-64", "t3a-2", "t3a-all"]
    others = summary.index.difference([*blind, *ranking])
    for column in ("nll", "ece"):
        assert summary[column].isna().loc[[*blind, *ranking]].all()
        assert summary[column].notna().loc[others].all()
    assert set(summary.index[summary.top5_accuracy.isna()]) == set(blind)
    events, clients = report.events, report.clients
    assert events[events.adapter.isin(blind)].confidence.isna().all()
    assert clients[clients.adapter.isin(ranking)].nll.isna().all()
    assert clients[clients.adapter == "knn-4"].nll.notna().all()


def test_accuracies_follow_from_events(report: sim.Report) -> None:
    summary = report.summary.set_index("adapter")
    events = report.events.sort_values(["client", "step"])
    for name, rows in events.groupby("adapter", observed=True):
        right = rows.prediction == rows.label
        assert summary.accuracy[name] == pytest.approx(right.mean())
        macro = recall_score(rows.label, rows.prediction, labels=rows.label.unique(), average="macro")
        assert summary.macro_accuracy[name] == pytest.approx(macro)
        before = rows.groupby("client").label.shift(fill_value=0)
        persistent = (rows.label == before).mean()
        assert summary.kappa_temporal[name] == pytest.approx((right.mean() - persistent) / (1 - persistent))
    assert summary.kappa_temporal["last_label"] == 0.0
    assert summary.accuracy["last_label"] > 0.6  # runs of four: three in four repeat
    assert (summary.top5_accuracy.dropna() >= summary.accuracy[summary.top5_accuracy.notna()]).all()


def test_top5_of_the_backbone(report: sim.Report, tiny: Make) -> None:
    """Counted again from the logits of the images that events name."""
    artifact = prepare(validate(read(tiny(modules={}, adapters=["backbone"]))), Cache(), Display(quiet=True).stage)
    rows = report.events[report.events.adapter == "backbone"]
    logits = artifact.test.gather(rows.image.to_numpy())[1].numpy()
    best = np.argsort(-logits, axis=1)[:, :5]
    hit = (best == rows.label.to_numpy()[:, None]).any(axis=1).mean()
    assert report.summary.set_index("adapter").top5_accuracy["backbone"] == pytest.approx(hit)


def test_a_worker_computes_the_same(
    report: sim.Report, tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", sys.path[0])  # where workers look for own classes
    scenario = report.scenario
    other = sim.run(scenario, out=tmp_path / "one", workers=1, quiet=True)
    for name in ("summary", "clients", "classes", "sums"):
        assert report.table(name).equals(other.table(name)), name


def test_tuning_starts_after_its_images(report: sim.Report) -> None:
    events = report.events.pivot(index=["client", "step"], columns="adapter", values="prediction").reset_index()
    early = events[events.step < 20]
    assert (early.finetuned_head == early.backbone).all()
    assert (early.prompt == early.backbone).all()
    assert (events.finetuned_head != events.backbone).any()
    training = report.overhead.set_index("adapter").macs_training
    assert training["finetuned_head"] == 2 * 20 * 10 * 24 * 32
    assert (training.drop(["finetuned_head", "prompt"]) == 0).all()


def problems(settings: dict[str, Any] | Path) -> list[str]:
    try:
        document = read(settings)
        check_data(document, validate(document), Cache())
    except ScenarioError as error:
        return [f"{problem.where}: {problem.message}" for problem in error.problems]
    return []


def test_own_classes_stand_in_a_file_beside_the_scenario(tiny: Make, tmp_path: Path) -> None:
    own = "from iciia.policies import Fifo\nfrom sim.drift import At, SuddenDrift\n"
    own += "class Mine(Fifo):\n    name = 'mine'\nclass Once:\n    def __new__(cls, seed):\n        return SuddenDrift(At((20,)))\n"
    (tmp_path / "own.py").write_text(OWN + own)
    adapters = [
        "backbone",
        {"kind": "own.py:Sharper"},
        {"kind": "iciia", "module": "stream", "bank": {"policy": "own.py:Mine"}},
    ]
    clients = tiny()["clients"] | {"drift": {"kind": "own", "process": "own.py:Once"}}
    (tmp_path / "mine.yaml").write_text(json.dumps(tiny(adapters=adapters, clients=clients)))
    assert problems(tmp_path / "mine.yaml") == []
    _, sharper, iciia = validate(read(tmp_path / "mine.yaml")).adapters
    assert sharper.kind == f"{tmp_path}/own.py:Sharper"
    assert adapter_name(sharper, None) == "Sharper"
    assert iciia.bank.policy.kind == f"{tmp_path}/own.py:Mine"  # type: ignore[union-attr]
    (tmp_path / "mine.yaml").write_text(json.dumps(tiny(adapters=["backbone", "own.py:Nothing"])))
    assert 'own.py:Nothing", which is no subclass of Adapter' in problems(tmp_path / "mine.yaml")[0]


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        ("knnn", 'adapters.1.kind: got "knnn"; did you mean "knn"?'),
        ({"kind": "knn", "neighbors": 3}, 'adapters.1.neighbors: unknown key; did you mean "neighbours"?'),
        ({"kind": "lame", "capacity": [16, 100]}, "adapters.1.capacity: got a capacity of 100: LAME multiplies all pairs"),
        ({"kind": "majority_label", "capacity": 0}, "adapters.1.capacity: got a capacity of 0; expected an integer of 1"),
        ({"kind": "ff", "module": "stream"}, "adapters.1.module: has a context to attend to, and ff takes none"),
        ({"kind": "iciia", "module": "ff"}, "adapters.1.module: has context none and attends to nothing; set kind: ff"),
        ({"kind": "icrm", "module": "stream"}, "adapters.1.module: has context stream; set kind: iciia, or give a module of"),
        ({"kind": "iciia", "module": "arm"}, "set kind: arm_cml, or give a module of context priors, stream or set"),
        ({"kind": "icrm", "module": "icrm", "capacity": [4, 20]}, "adapters.1.capacity: got 20, and with the target that is more"),
        ({"kind": "ff", "module": "icrm"}, "has context icrm; set kind: icrm, or give a module of context none"),
        ({"kind": "hmm", "persistence": 2}, "adapters.1.persistence: got 2; expected 1 or less"),
        ({"kind": "hmm", "capacity": -1}, "adapters.1.capacity: got -1; expected 0 or more"),
        ({"kind": "stata", "anchor": 0}, "adapters.1.anchor: got 0; expected a number above 0"),
        ({"kind": "superclass_filter", "hazard": 2}, "adapters.1.hazard: got 2; expected 1 or less"),
        ({"kind": "ff", "module": "fff"}, 'adapters.1.module: got "fff"; did you mean "ff"?'),
        ({"kind": "no.such.Adapter"}, 'adapters.1.kind: got "no.such.Adapter", which cannot be imported (ModuleNotFound'),
        ({"kind": "my_adapters.Nothing"}, 'got "my_adapters.Nothing", which is no subclass of Adapter'),
        ({"kind": "my_adapters.Sharper", "arguments": {"factr": 2}}, "got an unexpected keyword argument 'factr'; it takes factor"),
        ({"kind": "my_adapters.Sharper", "factor": 2}, "adapters.1.factor: unknown key; expected kind, arguments, name"),
        ({"kind": "my_adapters.Sharper", "arguments": {"factor": -1.0}}, "cannot be made: ValueError: got a factor of -1.0"),
        ({"kind": "my_adapters.Nameless"}, "check_adapter: its `kind` is None; give the class a string, by which reports call it"),
        ({"kind": "my_adapters.Wordless"}, "check_adapter: scores of 72 of 72 images are not numbers"),
        ({"kind": "my_adapters.Crowd"}, "fails iciia.testing.check_adapter: a client alone scores differently"),
    ],
)  # fmt: skip
def test_bad_adapters_are_refused(tiny: Make, adapter: Any, message: str) -> None:
    found = problems(tiny(adapters=["backbone", adapter], modules=MODULES))
    assert len(found) == 1
    assert message in found[0]


def test_labels_are_no_part_of_the_papers_protocols(tiny: Make) -> None:
    clients = {"count": 4, "images": 20, "cohort": 4}
    found = problems(
        tiny(
            protocol="paper_batch",
            clients=clients,
            adapters=["backbone", "last_label", {"kind": "knn", "capacity": 20}],
        )
    )
    assert found == [
        "adapters.1: last_label sees past labels, and paper_batch has no past; remove it",
        "adapters.2.capacity: got 20, and each of a client's 20 images has 19 others; lower it",
    ]


def features(path: Path, **more: Any) -> str:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 40)
    z = (rng.standard_normal((160, 8)) + 3 * np.eye(8)[labels]).astype(np.float32)
    np.savez(path, features=z, logits=z[:, :4], labels=labels, **more)
    return str(path)


def test_a_classifier_comes_with_features(tmp_path: Path) -> None:
    weight = np.eye(4, 8)
    scenario = {
        "name": "own",
        "clients": {"count": 2, "images": 20, "cohort": 2, "subset": {"classes": 2}},
        "adapters": ["backbone", "t3a", "adapt", {"kind": "stata", "capacity": 4}],
    }
    test = features(tmp_path / "test.npz")
    without = {"kind": "features", "train": features(tmp_path / "without.npz"), "test": test}
    for number, (kind, found) in enumerate(
        zip(("t3a", "adapt", "stata"), problems({**scenario, "data": without}), strict=True)
    ):
        expected = f"adapters.{number + 1}: {kind} needs the backbone's classifier; give classifier_weight [C, D]"
        assert found.startswith(expected)
    wrong = {**without, "train": features(tmp_path / "wrong.npz", classifier_weight=weight.T)}
    (found,) = problems({**scenario, "data": wrong})
    assert "classifier_weight is float64 [8, 4]; expected finite floats [4, 8]" in found
    alone = {**without, "train": features(tmp_path / "alone.npz", classifier_bias=np.zeros(4))}
    (found,) = problems({**scenario, "data": alone})
    assert "has classifier_bias and no classifier_weight" in found
    given = {**without, "train": features(tmp_path / "given.npz", classifier_weight=weight)}
    report = sim.run({**scenario, "data": given}, out=tmp_path / "out", workers=0, quiet=True)
    assert report.summary.accuracy.min() > 0.8


def test_settings_become_arguments(tiny: Make) -> None:
    settings = validate(
        read(tiny(adapters=["backbone", {"kind": "t3a", "supports": ["all", 3], "name": "mine"}]))
    ).adapters
    found = build_adapters(list(settings), {}, Source.blank(32, 24))
    (everything, few) = (found["mine-all"], found["mine-3"])
    assert isinstance(everything, T3aAdapter)
    assert isinstance(few, T3aAdapter)
    assert everything.supports is None
    assert few.supports == 3


def test_other_labels_change_only_what_may_see_them(report: sim.Report) -> None:
    """The same images with labels of others beside them, straight through the simulator."""
    scenario = validate(read(report.scenario))
    artifact = prepare(scenario, Cache(), Display(quiet=True).stage)
    job = job_of(scenario, artifact)
    simulator, other = CohortSimulator(job), CohortSimulator(job)
    chunks = other.stream.chunks

    def mislabelled(*arguments: Any, **more: Any) -> Iterator[StreamChunk]:
        for chunk in chunks(*arguments, **more):
            yield replace(chunk, labels=np.roll(chunk.labels, 1, axis=0))

    other.stream.chunks = mislabelled  # type: ignore[method-assign]
    with torch_threads(1):
        right, wrong = simulator.simulate(0), other.simulate(0)
    assert (right.labels != wrong.labels).any()
    for number, (name, adapter) in enumerate(simulator.adapters.items()):
        same = np.array_equal(right.predictions[number], wrong.predictions[number])
        assert same == (adapter.sees != "past_labels"), name


def test_latency_is_of_single_images(tiny: Make, tmp_path: Path) -> None:
    adapters = [
        "backbone",
        {"kind": "iciia", "module": "stream", "bank": {"capacity": 4}},
        {"kind": "lame", "capacity": 8},
    ]
    file = tmp_path / "tiny.yaml"
    YAML(typ="safe").dump(tiny(adapters=[*adapters, "last_label"]), file)
    title, header, *lines = measure_latency(str(file), seconds=0.0)
    assert title == "one image at a time, one thread, D=32, C=24, after 128 images"
    assert header.split() == ["adapter", "MACs/image", "median", "us", "p95", "us"]
    rows = {name: numbers for name, *numbers in (line.split() for line in lines)}
    assert list(rows) == ["backbone", "iciia-4", "lame-8", "last_label"]
    macs, median, p95 = (float(number.replace(",", "")) for number in rows["iciia-4"])
    assert macs == 6 * 2 * 32 * 32 // 4 + 2 * 2 * 5 * 32 + 32 * 24
    assert 0 < median <= p95
