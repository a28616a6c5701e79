"""The stream context: causal, equal for any split of a sequence, and what its bank holds is what it attends to."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from iciia import ICIIA, FeatureBank
from iciia.policies import Evidence


@pytest.fixture(scope="module")
def module() -> ICIIA:
    return trained_looking(ICIIA(features=16, classes=5, layers=2, heads=2, partitions=4))


def trained_looking(module: ICIIA) -> ICIIA:
    """Weights as after training: nothing is zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def stream(clients: int = 3, steps: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(clients, steps, 16, generator=generator), torch.randn(clients, steps, 5, generator=generator)


@given(st.integers(0, 6), st.lists(st.integers(1, 11), max_size=5))
def test_any_split_gives_the_same_answer(capacity: int, cuts: list[int]) -> None:
    module = trained_looking(ICIIA(features=16, classes=5, layers=2, heads=2, partitions=4))
    features, logits = stream()
    whole, bank_after = module(features, logits, module.empty_bank(3, capacity))
    bank, parts = module.empty_bank(3, capacity), []
    edges = [0, *sorted(set(cuts)), 12]
    for start, stop in itertools.pairwise(edges):
        part, bank = module(features[:, start:stop], logits[:, start:stop], bank)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(bank.entries, bank_after.entries, rtol=1e-5, atol=1e-5)
    assert bank.seen == bank_after.seen == 12


def test_the_future_changes_nothing(module: ICIIA) -> None:
    features, logits = stream()
    before, _ = module(features, logits, module.empty_bank(3, 4))
    changed = features.clone()
    changed[:, 7:] = 100.0
    after, _ = module(changed, logits, module.empty_bank(3, 4))
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_neighbours_change_nothing(module: ICIIA) -> None:
    features, logits = stream()
    together, _ = module(features, logits, module.empty_bank(3, 4))
    alone, _ = module(features[1:2], logits[1:2], module.empty_bank(1, 4))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-5, atol=1e-5)


def test_a_bank_forgets_what_has_left_it() -> None:
    """With one layer an image reaches back as far as the bank, and no further."""
    module = trained_looking(ICIIA(features=16, classes=5, layers=1, heads=2, partitions=1))
    features, logits = stream()
    changed = features.clone()
    changed[:, 3] += 1.0
    before, _ = module(features, logits, module.empty_bank(3, 4))
    after, _ = module(changed, logits, module.empty_bank(3, 4))
    same = [torch.equal(before[:, t], after[:, t]) for t in range(12)]
    assert same == [True] * 3 + [False] * 5 + [True] * 4


def test_one_layer_written_out(module: ICIIA) -> None:
    """One target with a bank of two, by the formulas of the paper."""
    one = trained_looking(ICIIA(features=4, classes=3, layers=1, heads=1, partitions=1))
    layer = one.layers[0]
    x = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    backbone = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(1))
    q, k, v = (x[0] @ layer.qkv.weight[0].T + layer.qkv.bias).chunk(3, dim=-1)
    attention = torch.softmax(q[2] @ k.T / 2.0, dim=-1) @ v
    h = layer.norm1(x[0, 2] + attention @ layer.out.weight[0].T + layer.out.bias)
    inner = torch.relu(h @ layer.linear1.weight[0].T + layer.linear1.bias)
    h = layer.norm2(h + inner @ layer.linear2.weight[0].T + layer.linear2.bias)
    expected = backbone[0, 2] + one.classifier(torch.relu(h))
    found, _ = one(x, backbone, one.empty_bank(1, 2))
    torch.testing.assert_close(found[0, 2], expected)


def test_a_new_module_is_the_backbone() -> None:
    features, logits = stream()
    module = ICIIA(features=16, classes=5).eval()
    assert torch.equal(module(features, logits, module.empty_bank(3, 4))[0], logits)


def test_visible_worked_out_by_hand() -> None:
    """A bank of two, image t in slot t mod 2. The plan's columns are its slots, then the arriving images."""
    bank = FeatureBank.empty(clients=1, capacity=2, vectors=1, features=1, classes=1)
    plan, after = bank.plan(evidence(3))
    assert plan.visible[0].int().tolist() == [[0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1]]
    bank.write(0, slice(None), (torch.arange(3.0).view(1, 1, 3), None), plan)
    assert after.entries.flatten().tolist() == [2.0, 1.0]
    assert after.plan(evidence(2))[0].visible[0].int().tolist() == [[1, 1, 1, 0], [1, 0, 1, 1]]


def evidence(steps: int) -> Evidence:
    return Evidence(torch.zeros(1, steps, 1), torch.zeros(1, steps, 1))


def test_a_negative_capacity_is_refused(module: ICIIA) -> None:
    with pytest.raises(ValueError, match="got a bank capacity of -1; expected 0 or more"):
        module.empty_bank(1, -1)


def test_indivisible_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="got 3 heads, which does not divide the feature dimension 16"):
        ICIIA(features=16, classes=5, heads=3)
