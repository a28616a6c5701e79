"""A client's page: what it tells is what was simulated, it shows the images that the backbone read, it can be stepped through in a
real browser, and what cannot be looked at is refused in one line."""

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tabs import BACKGROUND, SIZES, Tab
from typer.testing import CliRunner

import sim
from sim.cli import app
from sim.engine.look import steps_of
from sim.engine.replay import again
from sim.page import PAGE_FILE, client_page, write_report
from sim.page.client_page import runs
from sim.page.thumbnails import thumbnail

Make = Callable[..., dict[str, Any]]
Open = Callable[..., Tab]
CLIENT = 5


def content(page: Path) -> dict[str, Any]:
    """What a page's script shows."""
    found = re.search(r'id="content">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    told: dict[str, Any] = json.loads(found[1])
    return told


def unrolled(text: str) -> list[int]:
    ends = [[int(end) for end in part.split("-")] for part in text.split(",") if part]
    return [step for part in ends for step in range(part[0], part[-1] + 1)]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images that each client's own camera made worse; with a page of one client."""
    settings = {
        "name": "digits",
        "seed": 3,
        "cloud": {"threads": 1},
        "data": {"kind": "digits"},
        "backbone": {
            "model": "resnet10t", "weights": "train", "image_size": 32, "epochs": 6, "batch": 32, "execution": "live",
            "arguments": {"channels": [16, 16, 32, 32], "stem_type": "", "replace_stem_pool": True},
        },
        "modules": {
            "stream": {"layers": 1, "heads": 2, "partitions": 4, "steps": 10, "length": 12, "batch": 4},
            "any": {"context": "priors", "steps": 4},
        },
        "clients": {
            "count": 8, "images": 60, "cohort": 4, "chunk": 17, "subset": {"classes": 3},
            "drift": {"kind": "sudden", "every": 25}, "corruption": {"kind": "camera", "severity": 3},
        },
        "adapters": [
            "backbone",
            {"kind": "iciia", "module": "stream", "bank": {"capacity": [0, 4]}},
            {"kind": "iciia", "name": "priors", "module": "any", "bank": {"capacity": [9], "policy": "reservoir"}},
            {"kind": "knn", "capacity": 6}, "last_label", "oracle",
        ],
        "report": {"window": 20, "horizon": 20, "events": True},
    }  # fmt: skip
    report = sim.run(settings, out=tmp_path_factory.mktemp("digits") / "r", workers=0, quiet=True)
    sim.look(report, CLIENT)
    return report.folder


@pytest.fixture
def plain(tiny_report: sim.Report, tmp_path: Path) -> Path:
    """A run on features, in a folder that may be written to."""
    return Path(shutil.copytree(tiny_report.folder, tmp_path / "run"))


# --- what it tells ---


def check(folder: Path, page: Path) -> dict[str, Any]:
    """Everything on a page against the run's own events; what it holds."""
    told = content(page)
    events = sim.load(folder).events.query(f"client == {told['client']}")
    names = [adapter["name"] for adapter in told["adapters"]]
    assert names == sim.load(folder).summary.adapter.tolist()
    for number, name in enumerate(names):
        rows = events[events.adapter == name].sort_values("step")
        rows = rows.iloc[told["first"] : told["first"] + len(told["frames"])]
        answers = [frame[2][number] for frame in told["frames"]]
        assert [right for _, _, right in answers] == (rows.prediction == rows.label).astype(int).tolist()
        same = [
            told["words"][word] == told["words"][frame[1]]
            for frame, (word, _, _) in zip(told["frames"], answers, strict=True)
        ]
        assert same == (rows.prediction == rows.label).tolist()
        sure = rows.confidence.to_numpy()
        expected = np.where(np.isnan(sure), -1, np.rint(1000 * sure))
        assert [round_ for _, round_, _ in answers] == expected.tolist()
    return told


def test_a_page_tells_what_was_simulated(plain: Path) -> None:
    page = sim.look(plain, CLIENT)
    assert page == plain / f"client-{CLIENT}.html"
    told = check(plain, page)
    assert (told["first"], told["length"], len(told["frames"])) == (0, 60, 60)
    drifts = sim.load(plain).drifts.query(f"client == {CLIENT} and adapter == 'backbone'")
    assert [step for step, _ in told["drifts"]] == drifts.step.tolist() != []
    assert all("→" in said or "%" in said for _, said in told["drifts"])
    names = [adapter["name"] for adapter in told["adapters"]]
    for number, capacity in ((names.index("iciia-3"), 3), (names.index("iciia-16"), 16)):
        for step, frame in enumerate(told["frames"]):
            text, weights = frame[3][str(number)]
            assert unrolled(text) == list(range(max(0, step - capacity), step))
            assert len(weights) == min(step, capacity)
            assert (0 < sum(weights) < 10_000) if step else weights == []
    assert [one["name"] for one in told["adapters"] if one["remembers"]] == ["iciia-3", "iciia-16"]
    assert told["pictures"] == []
    assert "features without images" in page.read_text(encoding="utf-8")


def test_what_it_explains_is_what_was_predicted(digits: Path) -> None:
    """The prediction that the shown weights belong to is the run's, in a pass of its own, image by image."""
    from sim.cohort.memories import memories

    found, told = again(digits, CLIENT), content(digits / f"client-{CLIENT}.html")
    names = [adapter["name"] for adapter in told["adapters"]]
    explained = 0
    for one in memories(found.simulator, CLIENT, range(60)):
        for name, memory in one.memories.items():
            if memory.scores is None:
                continue
            number = names.index(name)
            confidence = float(torch.softmax(memory.scores, 0).max())
            assert int(memory.scores.argmax()) == found.result.predictions[number, 0, one.step]
            assert confidence == pytest.approx(float(found.result.confidences[number, 0, one.step]), rel=1e-4)
            explained += 1
    assert explained == 60 * 3


def test_images_are_those_that_the_backbone_read(digits: Path) -> None:
    told = check(digits, digits / f"client-{CLIENT}.html")
    found = again(digits, CLIENT)
    events = sim.load(digits).events.query(f"client == {CLIENT} and adapter == 'backbone'").sort_values("step")
    store = found.simulator.store
    for step in (0, 31, 59):
        picture = Image.open(io.BytesIO(base64.b64decode(told["pictures"][told["frames"][step][0]].partition(",")[2])))
        plain = store.source.read(events.image.to_numpy()[[step]])  # type: ignore[union-attr]
        seen = store.corruption.apply(plain, np.array([CLIENT]), np.array([step]))  # type: ignore[union-attr]
        assert np.array_equal(np.asarray(picture), seen[0, 0].numpy())
        assert not np.array_equal(seen, plain)
    kinds = {
        one["name"]: (one["remembers"], one["weights"].partition(":")[2].split(" ")[1:3]) for one in told["adapters"]
    }
    assert kinds["iciia-4"] == (True, ["by", "which"])
    assert kinds["priors-9"] == (True, ["share", "of"])
    assert kinds["knn-6"][0]
    assert not any(kinds[name][0] for name in ("backbone", "iciia-0", "last_label", "oracle"))


def test_a_part_of_the_stream_brings_the_past_that_is_remembered(plain: Path, tmp_path: Path) -> None:
    whole = content(sim.look(plain, CLIENT, out=tmp_path / "whole.html"))
    page = sim.look(plain, CLIENT, steps="40:50", out=tmp_path / "part.html")
    told = content(page)
    assert (told["first"], len(told["frames"])) == (40, 10)
    names = [adapter["name"] for adapter in told["adapters"]]
    number = str(names.index("iciia-16"))
    for place, frame in enumerate(told["frames"]):
        assert frame[3][number] == whole["frames"][40 + place][3][number]
        assert [told["words"][word] for word, _, _ in frame[2]] == [
            whole["words"][word] for word, _, _ in whole["frames"][40 + place][2]
        ]
    assert sorted(map(int, told["past"])) == list(range(24, 40))
    text = page.read_text(encoding="utf-8")
    assert "This page shows the steps 40 to 49." in text
    assert f"iciia look {plain} --client {CLIENT} --steps 50:60 --out FILE" in text
    assert not (plain / f"client-{CLIENT}.html").exists()


def test_a_long_stream_is_cut_at_the_limit(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_page, "MOST_BYTES", 8_000)
    page = sim.look(digits, CLIENT, out=tmp_path / "short.html")
    told = content(page)
    assert 3 < len(told["frames"]) < 60
    text = page.read_text(encoding="utf-8")
    assert f"shows the steps 0 to {len(told['frames']) - 1}, as many as keep it under 5 MB" in text
    assert f"--steps {len(told['frames'])}:60 --out FILE" in text
    size = len(json.dumps(told))
    assert 8_000 < size < 11_000


def test_thumbnails_keep_small_pictures_and_shrink_large_ones() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 64), dtype=np.uint8)
    kind, _, data = thumbnail(pixels).partition(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), pixels.transpose(1, 2, 0))
    clip = np.zeros((3, 16, 240, 320), dtype=np.uint8)
    clip[0, 8] = 255
    kind, _, data = thumbnail(clip).partition(",")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (kind, picture.size) == ("data:image/webp;base64", (128, 96))
    assert np.asarray(picture.convert("RGB"))[..., 0].min() > 200


def test_runs_of_numbers() -> None:
    assert [runs([]), runs([3]), runs([3, 7, 8, 9, 11])] == ["", "3", "3,7-9,11"]


# --- in a browser ---


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_stepping_through(open_page: Open, digits: Path, size: str, scheme: str) -> None:
    tab = open_page(digits / f"client-{CLIENT}.html", size, scheme)
    told, page = content(digits / f"client-{CLIENT}.html"), tab.page

    def at(step: int) -> None:
        """Whatever is on the page is of that step."""
        frame = told["frames"][step]
        assert page.locator("#step").inner_text().startswith(f"Step {step} of 0 to 59")
        assert page.locator("#truth").inner_text() == told["words"][frame[1]]
        assert page.locator("#picture img").get_attribute("src") == told["pictures"][frame[0]]
        rows = page.locator("#answers tbody tr")
        assert [rows.nth(n).locator("td").nth(0).inner_text() for n in range(rows.count())] == [
            "✗✓"[a[2]] for a in frame[2]
        ]
        assert page.locator("#film .frame.here").get_attribute("data-step") == str(step)
        assert page.locator("#slider").input_value() == str(step)
        assert page.url.endswith(f"#step={step}") or step == 0

    at(0)
    assert page.locator("#bank li").count() == 0
    for key, step in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("PageDown", 11),
        ("End", 59),
        ("ArrowRight", 59),
    ):
        page.keyboard.press(key)
        at(step)
    page.keyboard.press("Home")
    page.get_by_title("The next drift").click()
    drift = told["drifts"][0][0]
    at(drift)
    assert "▼ drift: " in page.locator("#step").inner_text()
    page.get_by_title("One image on").click()
    at(drift + 1)
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    at(drift + 2)
    page.locator("#film .frame").last.click()
    at(int(page.locator("#film .frame.here").get_attribute("data-step")))
    page.locator("#lanes svg").first.click(position={"x": 1, "y": 9})
    at(0)
    page.keyboard.press("End")
    names = [adapter["name"] for adapter in told["adapters"]]
    page.get_by_role("radio", name="priors-9").click()
    text, weights = told["frames"][59][3][str(names.index("priors-9"))]
    items = page.locator("#bank li")
    assert [int(text.split()[-1]) for text in items.locator(".age").all_inner_texts()] == unrolled(text)[::-1]
    assert items.locator(".weight").all_inner_texts() == [f"{weight / 100:.1f} %" for weight in weights[::-1]]
    sources = [one.get_attribute("src") for one in items.locator("img").all()]
    assert sources == [told["pictures"][told["frames"][step][0]] for step in unrolled(text)[::-1]]
    page.get_by_role("radio", name="priors-9").press("ArrowRight")
    assert page.locator('.chosen [aria-checked="true"]').inner_text() == "knn-6"
    assert page.locator("#bank li").count() == 6
    assert page.locator("#bank .weight").count() == 0
    assert (tab.said, tab.asked) == ([], [tab.url])
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == BACKGROUND[scheme]


def test_a_swipe_moves_on(browser: Any, digits: Path) -> None:
    context = browser.new_context(viewport=SIZES["phone"], has_touch=True, offline=True)
    page = context.new_page()
    page.goto((digits / f"client-{CLIENT}.html").as_uri() + "#step=30")
    assert page.locator("#step").inner_text().startswith("Step 30 ")
    page.evaluate(
        """() => {
             const at = (x) => new Touch({ identifier: 1, target: document.getElementById("picture"), clientX: x, clientY: 5 });
             const send = (kind, x) => document.getElementById("picture").dispatchEvent(
               new TouchEvent(kind, { touches: kind === "touchend" ? [] : [at(x)], changedTouches: [at(x)], bubbles: true }));
             send("touchstart", 200); send("touchend", 100);
           }"""
    )
    assert page.locator("#step").inner_text().startswith("Step 31 ")
    context.close()


def test_from_the_runs_page_to_the_client(open_page: Open, digits: Path) -> None:
    tab = open_page(digits / PAGE_FILE)
    rows = tab.page.locator("#clients table").last.locator("tbody tr")
    commands = rows.locator("button.copy").all()
    assert [one.get_attribute("data-copy") for one in commands] == [
        f"iciia look {digits} --client {one.inner_text().strip()}" for one in rows.locator("th").all()
    ]
    tab.page.get_by_role("link", name="its page").click()
    tab.ready()
    assert tab.page.url.endswith(f"client-{CLIENT}.html")
    tab.page.go_back()
    tab.page.get_by_role("link", name=f"Page of client {CLIENT}").click()
    tab.ready()
    assert tab.said == []


# --- what cannot be looked at ---


def refused(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["look", *map(str, arguments)])
    assert isinstance(done.exception, sim.SimError), done.output
    assert done.exception.exit_code == 2
    message = str(done.exception)
    assert "\n" not in message
    return message


def test_bad_questions_are_refused(plain: Path, tmp_path: Path) -> None:
    assert "got client 11; it has 0 to 10" in refused(plain, "--client", "11")
    expected = "expected FIRST:STOP within 0:60, the stream of client 5, for example 0:60"
    for steps in ("50:70", "9:9", "20:10", "x", "5", "-3:4"):
        assert f"got steps '{steps}'; {expected}" in refused(plain, "--client", "5", f"--steps={steps}")
    assert "is not a report" in refused(tmp_path / "nowhere", "--client", "5")
    run = json.loads((plain / "run.json").read_text())
    for change, said in (
        ({"complete": False}, "the run is not finished; finish it with"),
        ({"sweep": ["seed"]}, "is a sweep; look at a client of one of its runs"),
        ({"platform": "another CPU"}, "holds a run with another platform (another CPU, and here"),
    ):
        (plain / "run.json").write_text(json.dumps({**run, **change}))
        assert said in refused(plain, "--client", "5")
    assert not list(plain.glob("client-*.html"))


def test_steps_of() -> None:
    assert [steps_of(text, 0, 60) for text in (None, "7:", ":9", "3:4")] == [
        range(60),
        range(7, 60),
        range(9),
        range(3, 4),
    ]


def test_data_that_are_gone_or_others_are_named(tiny: Make, miniature: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(miniature("image_folder"), tmp_path / "photographs"))
    settings = tiny(
        data={"kind": "image_folder", "train": str(folder)},
        backbone={"model": "test_resnet", "weights": "train", "image_size": 32, "epochs": 1},
        modules={},
        clients={"count": 3, "images": 12, "cohort": 3, "chunk": 6, "subset": {"classes": 2}},
        adapters=["backbone", {"kind": "knn", "capacity": 4}],
    )
    run = sim.run(settings, out=tmp_path / "run", workers=0, quiet=True).folder
    told = content(sim.look(run, 1))
    assert told["pictures"][0].startswith("data:image/png")
    page = (run / "client-1.html").read_text(encoding="utf-8")
    gone = next(folder.rglob("*.jpg"), None) or next(folder.rglob("*.png"))
    moved = gone.rename(tmp_path / gone.name)
    message = refused(run, "--client", "1")
    assert f"its data at {folder} are no longer those of the run (another content)" in message
    with pytest.raises(sim.ReportError, match="no longer those of the run"):
        sim.replay(run, 1)
    moved.rename(gone)
    sim.look(run, 1)
    assert (run / "client-1.html").read_text(encoding="utf-8") == page
    folder.rename(tmp_path / "elsewhere")
    assert str(folder) in refused(run, "--client", "1")


def test_a_page_made_again_is_linked(plain: Path) -> None:
    (plain / "client-3.html").write_text("x")
    (plain / "client-x.html").write_text("x")
    write_report(sim.load(plain), sim.cache.Cache())
    page = (plain / PAGE_FILE).read_text(encoding="utf-8")
    assert re.findall(r'href="(client-[^"]*)">Page', page) == ["client-3.html"]
