"""A model reads a photograph here as timm's own validation reads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor

from iciia.cloud.backbone import Backbone, create_backbone
from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data import Images, open_data
from sim.scenario.data import ImageFolderData

SIZES = ((640, 480), (300, 500), (97, 211), (480, 480))
MODELS = (
    ("lcnet_050", {}, ("bicubic", 0.875, "center", 224)),
    ("tf_mobilenetv3_small_minimal_100", {}, ("bilinear", 0.875, "center", 224)),
    ("test_resnet", {}, ("bilinear", 0.95, "center", 160)),
    ("test_vit", {}, ("bicubic", 0.95, "center", 160)),
    ("resnet18", {}, ("bicubic", 1.0, "center", 288)),
    ("test_resnet", {"pretrained_cfg_overlay": {"crop_mode": "squash", "crop_pct": 1.0}}, ("bilinear", 1.0, "squash", 160)),
    ("test_resnet", {"pretrained_cfg_overlay": {"crop_mode": "border", "crop_pct": 0.9}}, ("bilinear", 0.9, "border", 160)),
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of two JPEGs each, of several proportions, with edges that interpolations treat differently."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(4)
    for number, size in enumerate(SIZES):
        coarse = rng.integers(0, 255, (size[1] // 24 + 1, size[0] // 24 + 1, 3)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST)
        for _ in range(40):
            line = [tuple(rng.integers(0, size).tolist()) for _ in range(2)]
            ImageDraw.Draw(picture).line(line, fill=tuple(rng.integers(0, 255, 3).tolist()), width=3)
        place = folder / f"class{number // 2}"
        place.mkdir(exist_ok=True)
        picture.save(place / f"{number}.jpg", quality=92)
    return folder


def logits_here(backbone: Backbone, folder: Path, preprocessing: Preprocessing) -> Tensor:
    settings = ImageFolderData(kind="image_folder", train=str(folder), test=str(folder))
    data = open_data(settings, 1, preprocessing, Cache())
    assert isinstance(data, Images)
    backbone.model.eval()
    with torch.inference_mode():
        return backbone.forward(data.test.read(np.arange(len(SIZES))))[1]


def logits_of_timm(backbone: Backbone, folder: Path) -> Tensor:
    """As timm's validation script does it, which tests at a model's test size."""
    config = resolve_model_data_config(backbone.model, use_test_size=True)
    transform = create_transform(**config, is_training=False)
    pictures = [Image.open(path).convert("RGB") for path in sorted(folder.glob("*/*.jpg"))]
    with torch.inference_mode():
        found: Tensor = backbone.model(torch.stack([transform(picture) for picture in pictures]))
    return found


@pytest.mark.parametrize(("name", "arguments", "reads"), MODELS, ids=lambda value: str(value))
def test_logits_are_those_of_timms_validation(
    name: str, arguments: dict[str, object], reads: tuple[str, float, str, int], photographs: Path
) -> None:
    backbone = create_backbone(name, 3, torch.device("cpu"), classes=9, arguments=arguments, seed=5)
    own = backbone.preprocessing
    assert (own.interpolation, own.crop_pct, own.crop_mode, own.size) == reads
    here, there = logits_here(backbone, photographs, own), logits_of_timm(backbone, photographs)
    scale = there.std(dim=0).max()  # starting weights give logits of any size
    torch.testing.assert_close(here / scale, there / scale, atol=1e-4, rtol=0)
    other = replace(own, crop_pct=0.6)
    assert (logits_here(backbone, photographs, other) - there).abs().max() / scale > 1e-2


def test_a_size_of_ones_own_keeps_the_rest() -> None:
    backbone = create_backbone("test_resnet", 3, torch.device("cpu"), classes=4, image_size=64)
    assert backbone.preprocessing == Preprocessing(64, "bilinear", 0.95, "center", backbone.preprocessing.mean)


def test_features_of_another_preprocessing_are_computed_anew(photographs: Path, tmp_path: Path) -> None:
    """Else a model would be served what another one read."""
    settings = ImageFolderData(kind="image_folder", train=str(photographs), test=str(photographs))
    keys = [open_data(settings, 1, Preprocessing(32, crop_pct=share), Cache()).key for share in (0.875, 1.0)]
    assert keys[0] != keys[1]
