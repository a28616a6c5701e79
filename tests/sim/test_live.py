"""The live backbone: what a store would give, in any company; cameras that are their clients' own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import sim
from iciia.cloud.backbone import create_backbone
from sim.cloud.corruption import Corruption
from sim.cloud.live import BATCH, LiveStore
from sim.data.digits import open_digits

Make = Callable[..., dict[str, Any]]


def settings(execution: str, **clients: Any) -> dict[str, Any]:
    return {
        "name": "live",
        "seed": 3,
        "cloud": {"threads": 1},
        "data": {"kind": "digits"},
        "backbone": {
            "model": "resnet10t", "weights": "train", "image_size": 32, "epochs": 6, "batch": 32, "execution": execution,
            "arguments": {"channels": [16, 16, 32, 32], "stem_type": "", "replace_stem_pool": True},
        },
        "modules": {"stream": {"layers": 1, "heads": 2, "partitions": 4, "steps": 10, "length": 12, "batch": 4}},
        "clients": {
            "count": 9, "images": 60, "cohort": 4, "chunk": 17, "subset": {"classes": 3},
            "drift": {"kind": "sudden", "every": 25},
        } | clients,
        "adapters": ["backbone", {"kind": "iciia", "module": "stream", "bank": {"capacity": 4}}],
        "report": {"window": 20, "horizon": 20, "events": True},
    }  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> sim.Report:
    return sim.run(settings("live"), out=tmp_path_factory.mktemp("live") / "r", workers=0, quiet=True)


@pytest.fixture(scope="module")
def store() -> LiveStore:
    backbone = create_backbone("test_resnet", 1, torch.device("cpu"), classes=10, image_size=32)
    return LiveStore.of(open_digits(0).test, backbone, None)


def test_live_predicts_what_a_store_does(live: sim.Report, tmp_path: Path) -> None:
    stored = sim.run(settings("store"), out=tmp_path / "r", workers=0, quiet=True)
    pd.testing.assert_frame_equal(live.events.drop(columns=["prediction", "confidence"]),
                                  stored.events.drop(columns=["prediction", "confidence"]))  # fmt: skip
    assert (live.events.prediction == stored.events.prediction).mean() >= 0.999
    np.testing.assert_allclose(live.events.confidence, stored.events.confidence, rtol=1e-3)


def test_live_features_are_a_stores(store: LiveStore) -> None:
    images = np.random.default_rng(0).integers(0, len(store.labels), (5, 31))
    features, logits = store.gather(images)
    whole = create_backbone("test_resnet", 1, torch.device("cpu"), classes=10, image_size=32)
    whole.model.eval()
    with torch.inference_mode():
        expected, expected_logits = whole.forward(store.source.read(images.ravel()))
    scale = expected.abs().max()
    assert (features.flatten(0, 1) - expected).abs().max() <= 1e-4 * scale
    assert (logits.flatten(0, 1) - expected_logits).abs().max() <= 1e-4 * expected_logits.abs().max()


def test_the_number_of_images_changes_no_bit(store: LiveStore) -> None:
    images = np.arange(3 * BATCH + 5)[None] % len(store.labels)
    features, _ = store.gather(images)
    fewer, _ = store.gather(images[:, : BATCH + 1])
    assert torch.equal(features[:, :BATCH], fewer[:, :BATCH])


def test_workers_and_replay_are_equal_to_the_bit(live: sim.Report, tmp_path: Path) -> None:
    other = sim.run(settings("live"), out=tmp_path / "r", workers=1, quiet=True)
    pd.testing.assert_frame_equal(live.events, other.events, check_exact=True)
    alone = sim.replay(live.folder, 6)
    events = live.events[live.events.client == 6]
    assert (
        alone.sort_values(["adapter", "step"]).confidence.tolist()
        == events.sort_values(["adapter", "step"]).confidence.tolist()
    )


def test_a_camera_of_ones_own_costs_accuracy(live: sim.Report, tmp_path: Path) -> None:
    camera = {"kind": "camera", "severity": 5}
    bad = sim.run(settings("live", corruption=camera), out=tmp_path / "r", workers=0, quiet=True)
    assert (bad.events.image == live.events.image).all()  # the streams are the same
    assert bad.summary.accuracy[0] < live.summary.accuracy[0] - 0.02
    alone = sim.replay(bad.folder, 6)
    events = bad.events[bad.events.client == 6]
    assert (
        alone.sort_values(["adapter", "step"]).prediction.tolist()
        == events.sort_values(["adapter", "step"]).prediction.tolist()
    )


@pytest.mark.parametrize("kind", ["blur", "noise", "brightness", "jpeg", "camera"])
@pytest.mark.parametrize("channels", [1, 3])
def test_corruptions_are_pure_functions(kind: Any, channels: int) -> None:
    images = torch.randint(0, 256, (6, channels, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    corruption = Corruption(1, kind, 4)
    clients, steps = np.array([0, 0, 1, 2, 3, 4]), np.array([5, 6, 5, 5, 5, 5])
    torch.manual_seed(1)
    together = corruption.apply(images, clients, steps)
    torch.manual_seed(2)  # no draw comes from the global generator
    apart = torch.cat([corruption.apply(images[i : i + 1], clients[i : i + 1], steps[i : i + 1]) for i in range(6)])
    assert torch.equal(together, apart)
    assert together.shape == images.shape
    assert together.dtype == torch.uint8
    assert not torch.equal(together, images)


def test_more_severe_is_further_from_the_image() -> None:
    """A smooth image, as photographs are: each kind moves it further with each step of severity."""
    ramp = torch.linspace(40, 200, 32).outer(torch.linspace(0.6, 1.0, 32)).to(torch.uint8)
    image = ramp.expand(1, 3, 32, 32).contiguous()
    for kind in ("blur", "noise", "brightness", "jpeg"):
        one = np.array([0])
        moved = [
            (Corruption(2, kind, s).apply(image, one, one).float() - image).square().mean().item() for s in (1, 3, 5)
        ]
        assert moved[0] < moved[1] < moved[2], kind


def test_a_camera_differs_between_clients() -> None:
    image = torch.full((2, 1, 16, 16), 128, dtype=torch.uint8)
    a, b = Corruption(1, "camera", 5).apply(image, np.array([0, 1]), np.array([0, 0]))
    assert not torch.equal(a, b)


def test_every_frame_of_a_clip_is_corrupted() -> None:
    """All by the same camera: without noise, a clip of one picture stays a clip of one picture, the corrupted one."""
    clip = torch.arange(3 * 12 * 12).view(1, 3, 1, 12, 12).remainder(256).byte().expand(1, 3, 5, 12, 12)
    one = np.array([3])
    for kind in ("blur", "brightness", "jpeg"):
        corruption = Corruption(2, kind, 4)  # type: ignore[arg-type]
        found = corruption.apply(clip, one, one)
        image = corruption.apply(clip[:, :, 0].contiguous(), one, one)
        assert torch.equal(found, image.unsqueeze(2).expand(clip.shape)), kind
        assert not torch.equal(found, clip), kind
    noisy = Corruption(2, "noise", 4).apply(clip, one, one)
    assert not torch.equal(noisy[:, :, 0], noisy[:, :, 1])


def test_corruption_needs_images(tiny: Make) -> None:
    clients = tiny()["clients"] | {"corruption": {"kind": "blur", "severity": 9}}
    with pytest.raises(sim.ScenarioError, match=r"clients.corruption.severity  got 9; expected 5 or less"):
        sim.run(tiny(clients=clients))
    clients["corruption"] = {"kind": "blur"}
    with pytest.raises(
        sim.ScenarioError, match=r"clients.corruption  corrupts images, .* set backbone.execution: live"
    ):
        sim.run(tiny(clients=clients))
