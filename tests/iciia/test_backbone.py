"""Features are what the model's classifier reads, for every family of timm models that we name."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from iciia.backbone import create_backbone

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "feature_dim", "size"),
    [("resnet10t", 512, 64), ("mobilenetv3_small_050", 1024, 64), ("test_vit", 64, 160), ("test_convnext", 64, 64)],
)
def test_classifier_of_features_is_the_model(name: str, feature_dim: int, size: int) -> None:
    backbone = create_backbone(name, channels=3, device=CPU, classes=7, image_size=size)
    backbone.model.eval()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, size, size), dtype=np.uint8))
    with torch.inference_mode():
        features, logits = backbone.forward(images)
        whole = backbone.model((images.float() / 255 - backbone.mean) / backbone.std)
    assert backbone.feature_dim == feature_dim == features.shape[1]
    torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-5)


def test_macs_are_the_published_ones() -> None:
    """MobileNetV3-L: 216.6 M multiply-adds in convolutions and linears, as METHOD's figures count them."""
    backbone = create_backbone("mobilenetv3_large_100", channels=3, device=CPU)
    assert backbone.feature_dim == 1280
    assert backbone.macs() == pytest.approx(216.6e6, rel=1e-3)


def test_a_checkpoint_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = timm.create_model("test_resnet", num_classes=4, in_chans=1)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    backbone = create_backbone("test_resnet", 1, CPU, classes=4, weights=tmp_path / "weights.pth")
    assert torch.equal(backbone.classifier.weight, model.get_classifier().weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"name": "resnet_that_never_was"}, "resnet_that_never_was"), ({"weights": Path("nowhere.pth")}, "nowhere.pth")],
)
def test_what_cannot_be_made_is_named(arguments: dict[str, object], message: str) -> None:
    settings = {"name": "test_resnet", "channels": 1, "device": CPU} | arguments
    with pytest.raises(ValueError, match=message):
        create_backbone(**settings)  # type: ignore[arg-type]


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "pwned"),))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="test_resnet"):
        create_backbone("test_resnet", 1, CPU, weights=tmp_path / "evil.pth")
    assert not (tmp_path / "pwned").exists()
