"""The scenarios for photographs of one's own run as they are shipped, on miniatures, and their page says what they print."""

from collections.abc import Callable
from pathlib import Path

import pytest

import sim
from sim.scenario.file import shipped

Miniature = Callable[[str], Path]

FILES = {"photos/own_folder": ("data.train", "image_folder"), "photos/own_table": ("data.path", "image_table")}
"""What says where the files are, and their miniature."""

SMALL = ["cloud.threads=1", "modules.stream.steps=20", "backbone.batch=32"]


def test_all_are_here() -> None:
    assert {name for name in shipped() if name.startswith("photos/own")} == set(FILES)


@pytest.mark.parametrize("name", sorted(FILES))
def test_photographs_of_ones_own(name: str, miniature: Miniature, tmp_path: Path) -> None:
    """Five colours, which a network of two epochs tells apart."""
    key, kind = FILES[name]
    overrides = [f"{key}={miniature(kind)}", *SMALL, "backbone.epochs=4"]
    overrides += ["clients.count=4", "clients.images=60"] if kind == "image_folder" else []
    report = sim.run(name, overrides=overrides, out=tmp_path / "r", workers=0, quiet=True)
    summary = report.summary.set_index("adapter")
    assert list(summary.index) == ["backbone", "iciia-0", "iciia-4", "iciia-16", "oracle"]
    assert summary.images.tolist() == [4 * 60 if kind == "image_folder" else 10 * 12] * 5
    assert summary.accuracy["backbone"] > 0.3


def test_clothing_on_other_photographs(miniature: Miniature, tmp_path: Path) -> None:
    """As it is shipped, with the pretrained weights out of the package and a head by probe, on smaller pictures of five colours."""
    overrides = [f"data.path={miniature('image_table')}", "data.client=person", "sweep={}", "clients.count=10"]
    small = ["cloud.threads=1", "backbone.image_size=64", "modules.any.steps=3"]
    report = sim.run("photos/clothing", overrides=overrides + small, out=tmp_path / "r", workers=0, quiet=True)
    summary = report.summary.set_index("adapter")
    assert {"backbone", "iciia-4", "iciia-16", "iciia-64", "oracle"} < set(summary.index)
    assert summary.accuracy["backbone"] > 0.5  # chance is 0.2
    backbone = report.run["provenance"]["backbone"]
    assert (backbone["feature_dim"], backbone["classes"]) == (1280, 5)
