"""What ships: a session equals the chunked path, and so does what was saved, loaded or kept in less storage."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from iciia import ICIIA

VARIANTS: list[dict[str, Any]] = [
    {"context": "stream", "head": "residual"},
    {"context": "stream", "head": "residual", "shortlist": 2},
    {"context": "stream", "head": "replaced"},
    {"context": "set", "head": "replaced"},
    {"context": "set", "head": "residual", "layers": 1},
    {"context": "set", "head": "residual", "layers": 3},
    {"context": "none", "head": "replaced"},
    {"context": "stream", "head": "residual", "shuffle": False},
]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))


def make(variant: dict[str, Any]) -> ICIIA:
    torch.manual_seed(1)
    module = ICIIA(**({"features": 16, "classes": 5, "layers": 2, "heads": 2, "partitions": 4} | variant))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def stream(clients: int = 1, steps: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(clients, steps, 16, generator=generator), torch.randn(clients, steps, 5, generator=generator)


@every_variant
@pytest.mark.parametrize("storage", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("capacity", [0, 3, 20])
def test_a_session_equals_the_chunk(variant: dict[str, Any], storage: torch.dtype, capacity: int) -> None:
    module = make(variant)
    features, logits = stream()
    whole, bank = module(features, logits, module.empty_bank(1, capacity, storage))
    session = module.session(capacity, storage)
    steps = torch.stack([session(*pair) for pair in zip(features[0], logits[0], strict=True)])
    torch.testing.assert_close(steps, whole[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(session.bank.entries.float(), bank.entries.float(), rtol=1e-2, atol=1e-2)


@every_variant
def test_saved_and_loaded(variant: dict[str, Any], tmp_path: Path) -> None:
    module = make(variant)
    module.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    assert json.loads((tmp_path / "config.json").read_text())["features"] == 16
    loaded = ICIIA.from_pretrained(tmp_path).eval()
    assert loaded.settings == module.settings
    features, logits = stream(2)
    assert torch.equal(
        loaded(features, logits, loaded.empty_bank(2, 4))[0], module(features, logits, module.empty_bank(2, 4))[0]
    )


@pytest.mark.parametrize("layers", [1, 3])
def test_a_set_is_what_the_whole_set_says_of_its_last_image(layers: int) -> None:
    """The shortcuts of the set context change nothing: every target equals the all-to-all pass over its bank and itself."""
    module = make({"context": "set", "head": "replaced", "layers": layers})
    features, logits = stream(2, 7)
    found, _ = module(features, logits, module.empty_bank(2, 4))
    for t in range(7):
        members = slice(max(0, t - 4), t + 1)
        whole = module.forward_sets(features[:, members], logits[:, members])
        torch.testing.assert_close(found[:, t], whole[:, -1], rtol=1e-5, atol=1e-5)


def test_the_order_of_a_set_is_irrelevant() -> None:
    module = make({"context": "set", "head": "replaced", "layers": 3})
    features, logits = stream(1, 6)
    order = torch.tensor([3, 1, 4, 0, 2])
    there, _ = module(features, logits, module.empty_bank(1, 5))
    shuffled = torch.cat([features[:, order], features[:, 5:]], dim=1)
    again, _ = module(shuffled, logits, module.empty_bank(1, 5))
    torch.testing.assert_close(again[:, -1], there[:, -1], rtol=1e-5, atol=1e-5)


def test_set_equals_stream_for_one_layer() -> None:
    one, other = (make({"context": context, "head": "residual", "layers": 1}) for context in ("set", "stream"))
    features, logits = stream(2)
    assert torch.equal(
        one(features, logits, one.empty_bank(2, 4))[0], other(features, logits, other.empty_bank(2, 4))[0]
    )


@pytest.mark.parametrize("context", ["set", "stream"])
def test_a_partly_filled_bank_equals_the_short_one(context: str) -> None:
    """Three images in a bank of 8 are three images in a bank of 3: slots that are not in use are not seen."""
    module = make({"context": context, "head": "residual"})
    features, logits = stream(2, 4)
    roomy, _ = module(features, logits, module.empty_bank(2, 8))
    tight, _ = module(features, logits, module.empty_bank(2, 3))
    torch.testing.assert_close(roomy, tight, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shortlist", [None, 2])
def test_an_empty_bank_leaves_the_backbone_alone(shortlist: int | None) -> None:
    module = make({"context": "stream", "head": "residual", "shortlist": shortlist})
    features, logits = stream(2)
    assert torch.equal(module(features, logits, module.empty_bank(2, 0))[0], logits)
    found, _ = module(features, logits, module.empty_bank(2, 4))
    assert torch.equal(found[:, 0], logits[:, 0])
    assert not torch.isclose(found[:, 1:], logits[:, 1:]).all(dim=-1).any()


def test_a_shortlist_corrects_only_what_the_backbone_ranks_highest() -> None:
    module = make({"context": "stream", "head": "residual", "shortlist": 2})
    features, logits = stream(3)
    found, _ = module(features, logits, module.empty_bank(3, 4))
    changed = found[:, 1:] != logits[:, 1:]
    listed = torch.zeros_like(changed).scatter(-1, logits[:, 1:].topk(2, dim=-1).indices, True)
    assert torch.equal(changed, listed)


def test_a_shortlist_needs_the_residual_head() -> None:
    with pytest.raises(ValueError, match="got a shortlist of 2; it takes the residual head and 1 to 5 classes"):
        ICIIA(features=16, classes=5, head="replaced", shortlist=2)


def test_bfloat16_is_close() -> None:
    module = make({"context": "stream", "head": "residual"})
    features, logits = stream(4, 20)
    full, _ = module(features, logits, module.empty_bank(4, 8))
    half = module.to(torch.bfloat16)
    found, _ = half(features, logits, half.empty_bank(4, 8, torch.bfloat16))
    assert found.dtype == torch.float32
    assert (found - full).abs().max() < 0.25


def test_without_shuffle_blocks_stay_apart() -> None:
    """By hand: each of queries, keys and values is the block-diagonal product, not interleaved."""
    module = make({"context": "stream", "shuffle": False})
    layer = module.layers[0]
    x = torch.randn(16, 1, 3)
    q, k, v = layer.project(x)  # type: ignore[operator]
    blocks = layer.qkv.weight.view(4, 3, 4, 4)  # type: ignore[union-attr]
    for number, found in enumerate((q, k, v)):
        dense = torch.block_diag(*blocks[:, number])
        expected = dense @ x[:, 0] + layer.qkv.bias[number * 16 : number * 16 + 16, None]  # type: ignore[union-attr,index]
        torch.testing.assert_close(found[0], expected)
