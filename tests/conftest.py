"""What all tests share: a cache of their own, and a scenario that takes seconds."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from miniatures import MINIATURES
from tabs import Tab

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads that spin while they wait make a shared machine ten times slower

# machines are shared and noisy: no test is timed
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

Settings = dict[str, Any]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["ICIIA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Settings]:
    """Makes a scenario of synthetic features; keyword arguments replace whole sections."""

    def make(**sections: Any) -> Settings:
        return {
            "name": "tiny",
            "seed": 3,
            "data": {
                "kind": "synthetic", "classes": 24, "superclasses": 4, "features": 32, "images_per_class": 40, "noise": 1.0,
            },
            "modules": {"stream": {"layers": 2, "heads": 2, "partitions": 4, "steps": 60, "length": 24, "batch": 4}},
            "clients": {
                "count": 11, "images": 60, "cohort": 4, "chunk": 16,
                "drift": {"kind": "sudden", "every": 20, "layout": "staggered"},
            },
            "adapters": ["backbone", {"kind": "iciia", "module": "stream", "bank": {"capacity": [0, 3, 16]}}, "oracle"],
            "report": {"window": 10, "horizon": 20, "events": True},
        } | sections  # fmt: skip

    return make


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a miniature data set by `data.kind`, written once; not to be changed."""
    found: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in found:
            found[kind] = MINIATURES[kind](tmp_path_factory.mktemp(kind))
        return found[kind]

    return folder


@pytest.fixture(scope="session")
def tiny_report(tiny: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The report of that scenario. Nothing may be written into its folder."""
    import sim

    return sim.run(tiny(), out=tmp_path_factory.mktemp("tiny") / "report", workers=0, quiet=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium. Where there is none the test is skipped, in CI it fails."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        message = "needs Chromium, for instance: sudo apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )  # as root Chromium has no sandbox
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Tab]]:
    tabs: list[Tab] = []

    def opened(*arguments: Any) -> Tab:
        tabs.append(Tab(browser, *arguments))
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.context.close()


@pytest.fixture(scope="session")
def old_report() -> Path:
    """The folder of a report with schema version 1, as it was written then."""
    return Path(__file__).parent / "data" / "schema_1"


@pytest.fixture
def copy(miniature: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A miniature that may be damaged."""
    return lambda kind: Path(shutil.copytree(miniature(kind), tmp_path / kind))
