"""Checkpoints as frameworks for training leave them, and what is refused of them."""

from pathlib import Path

import pytest
import torch

from iciia.cloud.backbone import create_backbone
from iciia.cloud.checkpoints import unprefixed

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["test_resnet", "femnist_cnn"])
@pytest.mark.parametrize("prefix", ["backbone.", "model.", "net.backbone.", "module.model.", "_orig_mod.backbone."])
def test_what_all_names_begin_with_goes(prefix: str, name: str, tmp_path: Path) -> None:
    given = create_backbone(name, 1, CPU, classes=4, seed=5).model.state_dict()
    torch.save({"state_dict": {prefix + key: value for key, value in given.items()}}, tmp_path / "a.ckpt")
    found = create_backbone(name, 1, CPU, weights=tmp_path / "a.ckpt").model.state_dict()
    assert found.keys() == given.keys()
    assert all(torch.equal(found[key], value) for key, value in given.items())


def test_names_that_are_the_models_stay() -> None:
    """Half a model's weights that all lie in one part of it are not another model's in a wrapping."""
    model = create_backbone("test_resnet", 3, CPU).model
    part = {name: value for name, value in model.state_dict().items() if name.startswith("conv1.")}
    assert unprefixed(part, model) == part


def test_a_prefix_before_other_weights_is_refused_by_the_files_own_names(tmp_path: Path) -> None:
    torch.save({"backbone.a.weight": torch.zeros(1), "backbone.b.weight": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"has beside the model's backbone\.a\.weight, backbone\.b\.weight"):
        create_backbone("test_resnet", 3, CPU, weights=tmp_path / "a.pth")
