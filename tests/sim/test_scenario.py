"""Bad scenarios: every problem at once, with its line and its exact text; good ones: what they say is what is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.cache import Cache
from sim.engine.feasibility import check_data
from sim.errors import ScenarioError
from sim.scenario.file import cells, find, read, shipped
from sim.scenario.validation import validate

BAD = """\
name: bad scenario
data: {kind: glyphs, train_imges: 3}
cloud:
  threads: many
modules:
  stream: {layers: 0, hedas: 4}
clients:
  count: many
  images: 100
  cohort: 1.5
  subset: {classes: superclas, prior: {kind: zipf, exponent: -1}, reserve_ratio: 2}
  drift: {kind: gradul, every: 100}
adapters:
  - backbon
  - {kind: iciia, module: strem, bank: {capacity: [0, -1]}}
  - {kind: iciia, bank: 3}
reprot: {}
"""

BAD_TEXT = """\
{file}: 16 problems
  line 1   name                           got "bad scenario"; expected letters, digits, '_', '.', '+' and '-' only
  line 2   data.train_imges               unknown key; did you mean "train_images"? (kind, train_images, test_images)
  line 4   cloud.threads                  got "many"; expected an integer
  line 6   modules.stream.hedas           unknown key; did you mean "heads"? (context, head, shortlist, shuffle, \
precision, layers, heads, partitions, width, positions, dropout, recipe, steps, batch, length, drift_every, learning_rate, \
evaluate_every, patience, selection)
  line 6   modules.stream.layers          got 0; expected 1 or more
  line 8   clients.count                  got "many"; expected an integer
  line 10  clients.cohort                 got 1.5; expected an integer
  line 11  clients.subset.classes         got "superclas"; did you mean "superclass"? (superclass) or an integer or keys and values
  line 11  clients.subset.prior.exponent  got -1; expected a number above 0
  line 11  clients.subset.reserve_ratio   got 2; expected 1 or less
  line 12  clients.drift.kind             got "gradul"; did you mean "gradual"? (none, sudden, gradual, \
incremental, recurring, prior, own)
  line 14  adapters.0.kind                got "backbon"; did you mean "backbone"? (backbone, oracle, oracle_prior, last_label, \
cofa, fth, tda, adapt, prototype, em_prior, bbse, prior_correction, majority_label, knn, lame, t3a, superclass_filter, hmm, \
flh_ftl, stata, iciia, ff, icrm, arm_cml, finetuned_head, prompt)
  line 15  adapters.1.bank.capacity.1     got -1; expected 0 or more
  line 16  adapters.2.bank                got 3; expected keys and values
  line 16  adapters.2.module              is missing
  line 17  reprot                         unknown key; did you mean "report"? (name, seed, protocol, data, backbone, \
cloud, modules, clients, adapters, report, sweep)"""

Make = Callable[..., dict[str, Any]]


def problems(settings: dict[str, Any] | str | Path, *overrides: str) -> list[str]:
    """The problems of settings as `where: message`."""
    try:
        document = read(settings).override(overrides)
        check_data(document, validate(document), Cache())
    except ScenarioError as error:
        return [f"{problem.where}: {problem.message}" for problem in error.problems]
    return []


def test_all_problems_at_once_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    with pytest.raises(ScenarioError) as caught:
        validate(read(file))
    assert str(caught.value) == BAD_TEXT.format(file=file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "line 1  YAML  while parsing a flow sequence expected ',' or ']', but got '<stream end>'"),
        (
            "a: 1\na: 2",
            'line 2  YAML  while constructing a mapping found duplicate key "a" with value "2" (original value: "1")',
        ),
        ("- 1", "file  got a list; expected keys such as name, data, clients, adapters"),
        ("", "file  got nothing; expected keys such as name, data, clients, adapters"),
        ("a: \x00", "unacceptable character"),
    ],
)
def test_what_is_not_a_scenario(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read(file)
    assert message in " ".join(str(caught.value).split(" " * 4))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("quikstart", 'did you mean "quickstart"? (`iciia scenarios` lists all)'),
        ("imagenet", 'did you mean "paper/imagenet"? (`iciia scenarios` lists all)'),
        ("zzz", "`iciia scenarios` lists them"),
    ],
)
def test_a_missing_file_names_what_is_shipped(name: str, advice: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(name)
    assert caught.value.problems[0].message == f"no such file, and no scenario of that name is shipped; {advice}"


def test_overrides(tiny: Make) -> None:
    document = read(tiny()).override(["clients.count=1000", "adapters.1.bank.capacity=[2, 5]", "name=other"])
    scenario = validate(document)
    assert scenario.clients.count == 1000
    assert scenario.adapters[1].bank.capacity == [2, 5]  # type: ignore[union-attr]
    assert scenario.name == "other"


def test_bad_overrides_are_told_together(tiny: Make) -> None:
    assert problems(tiny(), "clients.count", "seed=[", "adapters.9.name=x", "seed.x=3") == [
        "--set clients.count: got 'clients.count'; expected KEY=VALUE, for example clients.count=1000",
        "--set seed: '[' is not YAML: while parsing a flow node expected the node content, but found '<stream end>'",
        "--set adapters.9.name: got 9 inside a list of 3; expected 0 to 2",
        "--set seed.x: seed is 3 and holds no keys",
    ]


def test_an_override_out_of_range_has_no_line() -> None:
    with pytest.raises(ScenarioError, match=r"quickstart: 1 problem\n +clients\.count +got 0; expected 1 or more"):
        validate(read("quickstart").override(["clients.count=0"]))


CASES: list[tuple[list[str], str]] = [
    (["adapters.0=oracle", "adapters.2=backbone"], ""),
    (["adapters.0=oracle"], "adapters: has no `backbone`; add it, every gain is reported against it"),
    (["adapters.2=backbone"], "adapters.2: a second adapter is called 'backbone'; remove one"),
    (
        ["adapters.1.bank.capacity=[3, 3]"],
        "adapters.1: a second adapter is called 'iciia-3'; give one of them a `name`",
    ),
    (["adapters.1.module=strem"], 'adapters.1.module: got "strem"; did you mean "stream"? (stream)'),
    (
        ["clients.drift.every=60"],
        "clients.drift.every: got 60, and a stream has only 60 images; lower it, or set kind: none",
    ),
    (["clients.drift.overlap=1.0"], "clients.drift.overlap: got 1.0; expected a number below 1"),
    (["backbone={model: resnet10t}"], "backbone: synthetic data are ready features and take no backbone; remove it"),
    (["clients.subset={classes: 25}"], "clients.subset.classes: got 25, and the data have 24 classes"),
    (
        ["clients.subset={classes: 15}"],
        "clients.subset.classes: got 15: a drift brings 15 new ones, and the data have 24 classes in all",
    ),
    (
        ["clients.subset={classes: 2}", "clients.drift.overlap=0.9"],
        "clients.drift.overlap: got 0.9: of 2 classes it replaces none; lower it",
    ),
    (
        ["data.superclasses=1"],
        "clients.subset.classes: the data have a single superclass, and drift needs another to go to",
    ),
    *[
        ([f"clients.drift={drift}"], f"clients.{message}")
        for drift, message in [
            ("{kind: sudden}", "drift.every: is missing; give either every: 100, or the steps, at: [100, 250]"),
            (
                "{kind: sudden, every: 9, at: [3]}",
                "drift.every: stands beside `at`; give either every: 100, or the steps",
            ),
            ("{kind: sudden, at: [9, 9]}", "drift.at: got [9, 9]; expected ascending steps"),
            ("{kind: sudden, at: [60]}", "drift.at: got 60, and a stream has only 60 images; the last is 59"),
            ("{kind: sudden, at: [6], dwell: poisson}", "drift.dwell: got 'poisson', and `at` says where drifts fall"),
            (
                "{kind: sudden, at: [6], layout: staggered}",
                "drift.layout: got 'staggered', and `at` is the same for all",
            ),
            (
                "{kind: sudden, every: 9, dwell: poisson, layout: staggered}",
                "drift.layout: got 'staggered', which takes a fixed",
            ),
            (
                "{kind: sudden, every: 9, layout: random}",
                "drift.layout: got 'random', which takes a random dwell; set dwell",
            ),
            (
                "{kind: gradual, every: 20, width: 21}",
                "drift.width: got 21, and the next drift opens after 20 images; lower",
            ),
            (
                "{kind: gradual, at: [5, 9, 30], width: 5}",
                "drift.width: got 5, and the next drift opens after 4 images; lower",
            ),
            (
                "{kind: gradual, at: [10], width: 51}",
                "drift.width: got 51, and the stream ends 50 images after the drift at 10; lower it",
            ),
            ("{kind: incremental, every: 20}", "drift.width: is missing"),
            (
                "{kind: recurring, every: 20}",
                "drift.pool: is missing; give the number of subsets to return to, for example",
            ),
            (
                "{kind: recurring, every: 20, pool: 5}",
                "drift.pool: needs 5 subsets without common classes, and the data have 4",
            ),
            ("{kind: prior, every: 20}", "subset.prior: is uniform, and prior drift moves weights that differ; set"),
            ("{kind: prior}", "drift.every: is missing; give the images in a period, for example every: 100"),
            (
                "{kind: prior, shape: monotone, every: 9}",
                "drift.every: a monotone drift takes the whole stream and has no",
            ),
            (
                "{kind: recurring, every: 20, matrix: [[0], [1]]}",
                "drift.matrix: has 2 rows of 20 images, and a stream has 60; expected 3 rows",
            ),
            (
                "{kind: recurring, every: 20, matrix: [[0], [1], [1, 2]]}",
                "drift.matrix: row 3 has 2 columns, and row 1 has 1",
            ),
            (
                "{kind: recurring, every: 20, matrix: [[0], [4], [1]]}",
                "drift.matrix: needs 5 subsets without common classes",
            ),
            ("{kind: recurring, every: 20, pool: 2, matrix: [[0], [1], [1]]}", "drift.pool: stands beside a matrix"),
            (
                "{kind: recurring, matrix: [[0]]}",
                "drift.every: is missing; give the images that a row of the matrix lasts",
            ),
            ("{kind: recurring, every: 20, matrix: nowhere.csv}", "drift.matrix: "),
            (
                "{kind: own, process: 'nowhere:Thing'}",
                'drift.process: got "nowhere:Thing", which cannot be imported (ModuleNotFoundError: ',
            ),
            (
                "{kind: own, process: json.JSONDecoder, arguments: {a: 1}}",
                "drift.process: json.JSONDecoder cannot be made: TypeError: ",
            ),
        ]
    ],
    (
        ["clients.subset.classes={min: 5, max: 3}"],
        "clients.subset.classes: got min 5 and max 3; expected min to be no more",
    ),
    (["clients.order={run_length: 0.5}"], "clients.order.run_length: got 0.5; expected 1 or more"),
    (
        [
            "clients.subset={classes: 1}",
            "clients.images=200",
            "clients.drift.every=100",
            "clients.sampling=wrap_around",
        ],
        "",
    ),
    (
        ["modules.stream.partitions=6"],
        "modules.stream.partitions: got 6 partitions, which does not divide the feature dimension 32; 2, 4, 8 do",
    ),
    (["modules.stream.heads=5"], "modules.stream.heads: got 5, which does not divide the feature dimension 32"),
    (
        ["clients.subset={classes: 1}", "clients.images=200", "clients.drift.every=100"],
        "clients.sampling: some client meets 100 images of class",
    ),
    (["data={kind: digits}"], "backbone: is missing; digits data are images, for example"),
    (
        ["data={kind: digits}", "backbone={model: resnet99}"],
        "backbone.model: backbone 'resnet99': no such model; did you mean 'resnet",
    ),
    (
        ["data={kind: digits}", "backbone={model: test_resnet}"],
        "clients.subset.classes: digits data have no superclasses; give a number of classes, 1 to 10",
    ),
    (
        ["sweep={seed: [1, 2], modules.stream.layers: [1, 0]}"],
        "modules.stream.layers: with seed=1, modules.stream.layers=0: got 0; expected 1 or more",
    ),
    (["modules={}"], 'adapters.1.module: got "stream", and `modules` is empty; define it there'),
    (
        ["modules.stream.context=set"],
        "modules.stream.recipe: the set context is trained on sets; set recipe: paper, or context: stream",
    ),
    (
        ["modules.stream.context=none"],
        "adapters.1.module: has context none and attends to nothing; set kind: ff, or give a module of another context",
    ),
    (
        ["modules.stream.head=replaced", "modules.stream.shortlist=3"],
        "modules.stream.shortlist: a shortlist takes the residual head; remove it, or set head: residual",
    ),
    (["modules.stream.shortlist=50"], "modules.stream.shortlist: got 50, and the data have 24 classes"),
    (["modules.stream.evaluate_every=10"], "modules.stream.evaluate_every: got 10; expected a multiple of 32"),
    (
        ["data.images_per_class=5", "clients.sampling=with_replacement"],
        "data: has too few training images (120): none falls into the calibration part",
    ),
    (
        ["data={kind: digits}", "backbone={model: test_vit, image_size: 33}", "clients.subset={classes: 3}"],
        "backbone.image_size: test_vit cannot read 33 x 33 images: Input height (33) should be divisible by patch",
    ),
    (
        ["data={kind: digits}", "backbone={model: c3d}", "clients.subset={classes: 3}"],
        "backbone.model: c3d reads clips of 16 frames, and the data are images",
    ),
    (["sweep={seed.x: [1]}"], "sweep: seed is 3 and holds no keys"),
]


@pytest.mark.parametrize(("overrides", "message"), CASES, ids=[" ".join(overrides) for overrides, _ in CASES])
def test_impossible_wishes(tiny: Make, overrides: list[str], message: str) -> None:
    found = problems(tiny(), *overrides)
    assert any(text.startswith(message) for text in found) if message else not found


def test_problems_of_settings_do_not_hide_each_other(tiny: Make) -> None:
    found = problems(tiny(), "clients.drift.every=60", "adapters.1.module=strem", "seed=-1")
    assert [text.split(":")[0] for text in found] == ["adapters.1.module", "clients.drift.every", "seed"]


def test_errors_call_a_key_what_set_takes(tiny: Make) -> None:
    bad = "adapters.1.bank.capacity=[3, -1]"
    (found,) = problems(tiny(), bad)
    assert found == "adapters.1.bank.capacity.1: got -1; expected 0 or more"
    assert problems(tiny(), bad, f"{found.partition(':')[0]}=4") == []


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_scenarios_are_sound(name: str, miniature: Callable[[str], Path]) -> None:
    """Those of data sets in files with a miniature, which has fewer clients and images."""
    values = read(name).values
    small = []
    if "path" in values["data"]:
        small = [f"data.path={miniature(values['data']['kind'])}", "clients.count=3"]
        small += ["clients.sampling=wrap_around"] if "source" not in values["clients"] else []
        small += ["data.client=person"] if name == "photos/clothing" else []  # as the miniature calls them
    elif values["data"]["kind"] == "image_folder":
        small = [f"data.train={miniature('image_folder')}"]
    assert problems(name, *small) == []
    assert find(name).read_text().startswith(f"# iciia run {name}\n")


def test_scenarios_are_shipped() -> None:
    assert {"quickstart", "digits"} <= set(shipped())


def test_a_sweep_is_cut_into_cells(tiny: Make) -> None:
    document = read(tiny(sweep={"seed": [1, 2], "modules.stream.layers": [1, 3]}))
    found = [
        (chosen, cell.values["seed"], cell.values["modules"]["stream"]["layers"]) for chosen, cell in cells(document)
    ]
    assert [(seed, layers) for _, seed, layers in found] == [(1, 1), (1, 3), (2, 1), (2, 3)]
    assert found[1][0] == {"seed": 1, "modules.stream.layers": 3}
    assert "sweep" not in cells(document)[0][1].values


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        labels = np.repeat(np.arange(4), 30)
        np.savez(
            tmp_path / f"{part}.npz",
            features=rng.standard_normal((120, 8), dtype=np.float32),
            logits=rng.standard_normal((120, 4), dtype=np.float32),
            labels=labels,
        )
    (tmp_path / "s.yaml").write_text(
        "name: own\ndata: {kind: features, train: train.npz, test: test.npz}\n"
        "clients: {count: 2, images: 10, subset: {classes: 2}}\nadapters: [backbone]\n"
    )
    assert problems(tmp_path / "s.yaml") == []


def test_relative_paths_of_shipped_scenarios_start_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name and by file; with a `~`, in the user's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    for source in ("paper/femnist", find("paper/femnist")):
        assert validate(read(source)).data.path == str(tmp_path / "data" / "femnist")  # type: ignore[union-attr]
        there = validate(read(source).override(["data.path=~/femnist", "backbone.weights=my.pth"]))
        assert there.data.path == "/home/somebody/femnist"  # type: ignore[union-attr]
        assert there.backbone is not None
        assert there.backbone.weights == str(tmp_path / "my.pth")


def test_a_matrix_travels_with_the_scenario(tmp_path: Path, tiny: Make) -> None:
    """Its rows are part of the scenario, so that they are part of the digest and workers need no file."""
    (tmp_path / "m.csv").write_text("0,1\n1,0\n2,2\n")
    settings = tiny()
    settings["clients"]["drift"] = {"kind": "recurring", "every": 20, "matrix": str(tmp_path / "m.csv")}
    scenario = validate(read(settings))
    assert scenario.clients.drift.matrix == [[0, 1], [1, 0], [2, 2]]  # type: ignore[union-attr]
    assert problems(settings) == []
    (tmp_path / "m.csv").write_text("0,1\n1,x\n")
    assert problems(settings) == [
        f"clients.drift.matrix: {tmp_path}/m.csv, row 2: got 'x'; expected numbers of concepts, 0 or more"
    ]


OWN = """
from dataclasses import dataclass
from sim.streams.drift import At, SuddenDrift

@dataclass(frozen=True)
class Once:
    seed: int
    step: int
    scale: float = 1.0

    def plan(self, clients, steps, subsets, weights):
        plan = SuddenDrift(At((self.step,))).plan(clients, steps, subsets, weights)
        plan.priors[:] *= self.scale
        return plan
"""


def test_an_own_process_is_checked_before_it_runs(tmp_path: Path, tiny: Make) -> None:
    (tmp_path / "once.py").write_text(OWN)
    settings = tiny()
    process = f"{tmp_path / 'once.py'}:Once"
    settings["clients"]["drift"] = {"kind": "own", "process": process, "arguments": {"step": 20}}
    assert problems(settings) == []
    settings["clients"]["drift"]["arguments"]["scale"] = 0.5
    assert problems(settings) == [f"clients.drift.process: {process} gives client 0 at step 0 a prior that sums to 0.5"]
    settings["clients"]["drift"]["arguments"] = {}
    assert "missing 1 required positional argument: 'step'" in problems(settings)[0]
