"""Checkpoints as frameworks for training leave them, and what is refused of them."""

from pathlib import Path

import pytest
import torch

from iciia.cloud.backbone import create_backbone
from iciia.cloud.checkpoints import unprefixed

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["test_resnet", "femnist_cnn"])
@pytest.mark.parametrize("prefix", ["backbone.", "model.", "net.backbone.", "module.model.", "_orig_mod.backbone."])
def test_what_stands_before_the_models_names_goes(prefix: str, name: str, tmp_path: Path) -> None:
    given = create_backbone(name, 1, CPU, classes=4, seed=5).model.state_dict()
    stored = {prefix + key: value for key, value in reversed(given.items())}  # no order is relied on
    torch.save({"state_dict": stored}, tmp_path / "a.ckpt")
    found = create_backbone(name, 1, CPU, weights=tmp_path / "a.ckpt").model.state_dict()
    assert found.keys() == given.keys()
    assert all(torch.equal(found[key], value) for key, value in given.items())


def test_the_models_own_names_stay() -> None:
    """A later layer's name may end as the first one's does."""
    model = create_backbone("test_resnet", 3, CPU).model
    given = model.state_dict()
    first = next(iter(given))
    again = given | {f"layer1.0.{first}": given[first]}
    assert unprefixed(again, model) == again


def test_what_the_file_holds_beside_the_model_is_named(tmp_path: Path) -> None:
    given = create_backbone("test_resnet", 3, CPU).model.state_dict()
    stored = {f"model.{name}": value for name, value in given.items()} | {"criterion.weight": torch.ones(2)}
    torch.save({"state_dict": stored}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match=r"does not fit: the file has beside the model's criterion\.weight$"):
        create_backbone("test_resnet", 3, CPU, weights=tmp_path / "a.ckpt")
