"""Protocols of others, as shipped in `scenarios/baselines`, reduced to small data: what a figure is of, and that all of it runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim
from sim.scenario.file import read

Make = Callable[..., dict[str, Any]]


def reduced(tiny: Make, name: str, **clients: Any) -> dict[str, Any]:
    """A shipped scenario's adapters, protocol and clients on tiny data of 24 classes."""
    values = read(name).values
    modules = {
        one: {**settings, "steps": 32, "batch": 2, **({"layers": 1, "heads": 2, "width": 8} if one == "icrm" else {})}
        for one, settings in values.get("modules", {}).items()
    }
    modules = {one: settings | ({"partitions": 4} if one == "stream" else {}) for one, settings in modules.items()}
    return tiny(
        protocol=values.get("protocol", "stream"),
        modules=modules,
        clients={**values["clients"], "count": 3, "cohort": 3, **clients},
        adapters=values["adapters"],
    )


@pytest.mark.parametrize("least", [1, 2])
def test_a_batch_of_few_classes(tiny: Make, tmp_path: Path, least: int) -> None:
    """StatA's grid: every image is predicted with the 63 others of its batch, and a batch has as few classes as is said."""
    settings = reduced(tiny, "baselines/stata_batch", subset={"classes": {"min": least, "max": 4}})
    report = sim.run(settings, out=tmp_path / "run", workers=0, quiet=True)
    assert set(report.summary.protocol) == {"paper_batch"}
    assert set(report.summary.images) == {3 * 64}
    met = report.events.groupby("client").label.nunique()
    assert met.between(least, 4).all()
    summary = report.summary.set_index("adapter")
    assert summary.accuracy["stata-63"] > summary.accuracy["backbone"]
    assert summary.accuracy["oracle"] >= summary.accuracy["backbone"]


@pytest.mark.parametrize(
    "subset", [{"classes": 12, "prior": {"kind": "dirichlet", "alpha": alpha}} for alpha in (0.1, 0.001)] + [{"classes": 1}]
)  # fmt: skip
def test_streams_of_dirichlet_shares(tiny: Make, tmp_path: Path, subset: dict[str, Any]) -> None:
    """The smaller alpha, the fewer classes in 64 images; one class has as many kinds of images as it says."""
    settings = reduced(tiny, "baselines/stata_streams", subset=subset, images=128)
    report = sim.run(settings, out=tmp_path / "run", workers=0, quiet=True)
    events = report.events[report.events.adapter == "backbone"]
    met = events.assign(segment=events.step // 64).groupby(["client", "segment"]).label.nunique()
    if subset["classes"] == 1 or subset["prior"]["alpha"] == 0.001:
        assert np.median(met) <= 2
    else:
        assert np.median(met) > 2
    assert report.summary.accuracy.notna().all()
    assert set(report.drifts.drift) == {1}


def test_contexts_of_0_to_100_images(tiny: Make, tmp_path: Path) -> None:
    """ICRM's protocol: without others every context is the image alone, and with 100 each is another figure."""
    settings = reduced(tiny, "baselines/icrm_contexts", images=104, count=2, cohort=2)
    report = sim.run(settings, out=tmp_path / "run", workers=0, quiet=True)
    summary = report.summary.set_index("adapter")
    for kind in ("iciia", "icrm", "arm_cml"):
        assert [name for name in summary.index if name.startswith(f"{kind}-")] == [
            f"{kind}-{n}" for n in (0, 25, 50, 75, 100)
        ]
    assert summary.accuracy["iciia-0"] == summary.accuracy["backbone"]
    clients = report.clients.groupby("adapter", observed=True).accuracy
    assert summary.worst_client_accuracy.to_numpy() == pytest.approx(clients.min()[summary.index].to_numpy(), abs=1e-6)
    assert summary.accuracy_client_mean.to_numpy() == pytest.approx(clients.mean()[summary.index].to_numpy())
    events = report.events.pivot(index=["client", "step"], columns="adapter", values="confidence")
    assert (events["icrm-0"] != events["icrm-100"]).all()
