"""Features are what the model's classifier reads, for every backbone of the paper and other timm families; checkpoints of every
kind are loaded, or refused with what is wrong."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from iciia.cloud.backbone import Backbone, create_backbone, train_backbone
from iciia.paper import PAIRS
from iciia.testing import check_backbone

CPU = torch.device("cpu")


@pytest.mark.parametrize("model", sorted({pair.model for pair in PAIRS}))
def test_every_backbone_of_the_paper(model: str) -> None:
    """On starting weights; convolutional ones read a small image, Swin and ours their own size."""
    pair = next(pair for pair in PAIRS if pair.model == model)
    own_size = model.startswith(("swin", "femnist", "c3d"))
    backbone = create_backbone(model, pair.channels, CPU, pair.classes, None if own_size else 64)
    assert backbone.feature_dim == pair.feature_dim
    check_backbone(backbone)


def test_there_are_nine() -> None:
    assert len({pair.model for pair in PAIRS}) == 9


@pytest.mark.parametrize(
    ("name", "feature_dim", "size"),
    [("resnet10t", 512, 64), ("mobilenetv3_small_050", 1024, 64), ("test_vit", 64, 160), ("test_convnext", 64, 64)],
)
def test_other_families(name: str, feature_dim: int, size: int) -> None:
    backbone = create_backbone(name, channels=3, device=CPU, classes=7, image_size=size)
    assert backbone.feature_dim == feature_dim
    check_backbone(backbone, batch=2)


def test_the_check_finds_features_that_the_classifier_does_not_read() -> None:
    backbone = create_backbone("test_resnet", channels=3, device=CPU, classes=7, image_size=64)
    head = backbone.model.forward_head
    backbone.model.forward_head = lambda x, pre_logits=False: (
        head(x, pre_logits=pre_logits) * (1.01 if pre_logits else 1)
    )
    with pytest.raises(AssertionError, match="the classifier of the features is off by"):
        check_backbone(backbone)


def test_macs_are_the_published_ones() -> None:
    """MobileNetV3-L: 216.6 M multiply-adds in convolutions and linears, Swin-B 15.43 G; ours by hand, and C3D's usual 38.5 G."""
    with torch.device("meta"):
        counted = {
            name: create_backbone(name, channels, torch.device("meta"), classes).macs()
            for name, channels, classes in (
                ("mobilenetv3_large_100", 3, 1000),
                ("swin_base_patch4_window7_224", 3, 1000),
                ("femnist_cnn", 1, 62),
                ("c3d", 3, 101),
            )
        }
    assert counted["mobilenetv3_large_100"] == pytest.approx(216.6e6, rel=1e-3)
    assert counted["swin_base_patch4_window7_224"] == pytest.approx(15.43e9, rel=1e-3)
    assert counted["femnist_cnn"] == 28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 3136 * 2048 + 2048 * 62
    assert counted["c3d"] == pytest.approx(38.5e9, rel=2e-3)


class Clips:
    """A source of random clips, uint8 [M, 3, 16, 20, 24]: of another size than C3D reads."""

    channels, frames = 3, 16
    labels = np.zeros(3, dtype=np.int64)

    def read(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.randint(256, (3, 3, 16, 20, 24), generator=torch.Generator().manual_seed(0))[indices].byte()


def test_clips_are_normalised_frame_by_frame_and_resized() -> None:
    backbone = create_backbone("c3d", 3, CPU, classes=5)
    seen: list[Tensor] = []

    def watch(x: Tensor) -> Tensor:
        seen.append(x)
        return x.new_zeros(len(x), 512, 1, 4, 4)

    backbone.model.forward_features = watch
    clips = Clips().read(np.arange(2))
    backbone.forward(clips)
    for frame in (0, 7, 15):  # each as an image of its own would be
        image = torch.nn.functional.interpolate(
            clips[:, :, frame] / 255, size=(112, 112), mode="bilinear", antialias=True
        )
        expected = (image - backbone.mean[:, :, 0]) / backbone.std[:, :, 0]
        torch.testing.assert_close(seen[0][:, :, frame], expected)
    with pytest.raises(
        ValueError, match=r"got a batch of shape \[2, 3, 20, 24\]; the backbone reads clips \[B, channels, 16"
    ):
        backbone.forward(clips[:, :, 0])
    with pytest.raises(ValueError, match=r"the backbone reads images \[B, channels, height, width\]"):
        create_backbone("test_resnet", 3, CPU).forward(clips)


def test_large_images_and_clips_go_in_smaller_batches() -> None:
    with torch.device("meta"):
        meta = torch.device("meta")
        assert create_backbone("test_resnet", 3, meta, image_size=32).batch == 128
        assert create_backbone("test_resnet", 3, meta, image_size=448).batch == 32
        assert create_backbone("c3d", 3, meta).batch == 32


def test_our_own_backbone_learns() -> None:
    """Two classes of bright and dark squares, told apart after a few steps."""

    class Squares:
        channels, labels = 1, np.tile(np.arange(2), 32)

        def read(self, indices: NDArray[np.int64]) -> Tensor:
            noise = torch.randint(100, (64, 1, 10, 10), generator=torch.Generator().manual_seed(0))
            return (noise + 100 * torch.from_numpy(self.labels).view(-1, 1, 1, 1))[indices].byte()

    backbone = create_backbone("femnist_cnn", 1, CPU, classes=2)
    source = Squares()
    train_backbone(backbone, source, np.arange(64), epochs=3, batch=16, learning_rate=1e-3, seed=0)
    found: list[Tensor] = []
    backbone.extract(source, np.arange(64), lambda first, features, logits: found.append(logits))
    assert (torch.cat(found).argmax(1).numpy() == source.labels).all()


# --- weights ---


def save(model: nn.Module, path: Path) -> Path:
    """A checkpoint in one of the forms that people have, told by its name."""
    state = model.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    elif path.stem == "trained":  # as timm's training script leaves it
        args = argparse.Namespace(model="test_resnet", lr=0.1)
        torch.save({"epoch": 3, "arch": "test_resnet", "state_dict": state, "optimizer": {}, "args": args}, path)
    elif path.stem == "parallel":
        torch.save({"model": {f"module.{name}": value for name, value in state.items()}}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["plain.pth", "weights.safetensors", "trained.pth.tar", "parallel.pt"])
@pytest.mark.parametrize("name", ["test_resnet", "femnist_cnn"])
def test_checkpoints_are_loaded(name: str, file: str, tmp_path: Path) -> None:
    source = create_backbone(name, 1, CPU, classes=4, seed=5)
    path = save(source.model, tmp_path / file)
    backbone = create_backbone(name, 1, CPU, classes=4, weights=path)
    for wanted, value in source.model.state_dict().items():
        assert torch.equal(backbone.model.state_dict()[wanted], value)


def refused(**changes: object) -> str:
    settings = {"name": "test_resnet", "channels": 1, "device": CPU, "classes": 4} | changes
    with pytest.raises(ValueError, match=r"^(backbone|nowhere)") as caught:
        create_backbone(**settings)  # type: ignore[arg-type]
    return str(caught.value)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = save(timm.create_model("test_resnet", num_classes=7, in_chans=1), tmp_path / "seven.pth")
    assert refused(weights=path) == (
        f"backbone 'test_resnet': {path} does not fit: fc.weight is [7, 96] in the file and [4, 96] in the model; "
        "fc.bias is [7] in the file and [4] in the model"
    )
    path = save(create_backbone("femnist_cnn", 1, CPU, classes=4).model, tmp_path / "other.safetensors")
    assert refused(weights=path) == (
        f"backbone 'test_resnet': {path} does not fit: the file lacks conv1.0.weight, conv1.1.weight, conv1.1.bias and 89 more; "
        "the file has beside the model's conv1.bias, conv1.weight, conv2.bias and 5 more"
    )
    (tmp_path / "junk.safetensors").write_bytes(b"no weights")
    assert refused(weights=tmp_path / "junk.safetensors").startswith("backbone 'test_resnet': ")
    for content in ({"model": 3}, [1], {"weights": {"a": 1}}):
        torch.save(content, tmp_path / "other.pth")
        assert f"{tmp_path / 'other.pth'} holds no state dict; expected one" in refused(weights=tmp_path / "other.pth")
    assert refused(weights=Path("nowhere.pth")) == "nowhere.pth: no such checkpoint file"


def test_what_cannot_be_made_is_named() -> None:
    assert refused(name="resnet153") == (
        "backbone 'resnet153': no such model; did you mean 'resnet152'? (femnist_cnn, c3d, or any timm model)"
    )
    assert refused(name="femnist_cn").startswith("backbone 'femnist_cn': no such model; did you mean 'femnist_cnn'?")
    assert refused(name="c3d", pretrained=True) == (
        "backbone 'c3d': it has no published weights; train it here, or give a checkpoint file"
    )
    assert "Invalid pretrained tag" in refused(name="resnet152.never_was", pretrained=True)
    assert "backbone 'femnist_cnn': " in refused(name="femnist_cnn", arguments={"depth": 3})


def test_statistics_of_another_training() -> None:
    overlay = {"pretrained_cfg_overlay": {"mean": [0.5], "std": [0.25]}}
    for name in ("femnist_cnn", "test_resnet"):
        backbone: Backbone = create_backbone(name, 1, CPU, classes=4, arguments=overlay)
        assert (backbone.mean.item(), backbone.std.item()) == (0.5, 0.25)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "pwned"),))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="test_resnet"):
        create_backbone("test_resnet", 1, CPU, weights=tmp_path / "evil.pth")
    assert not (tmp_path / "pwned").exists()
