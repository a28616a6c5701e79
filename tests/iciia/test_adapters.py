"""Checks that every adapter passes: causal, chunk equals steps, clients apart, state as large as stated and picklable."""

import pickle

import numpy as np
import pytest
import torch

from iciia import ICIIA, Adapter, BackboneAdapter, Chunk, IciiaAdapter, OracleAdapter
from iciia.policies import make_policy
from iciia.testing import check_adapter

K, T, D, C = 3, 9, 16, 5


def adapters() -> list[Adapter]:
    torch.manual_seed(0)
    module = ICIIA(features=D, classes=C, heads=2, partitions=2)
    torch.nn.init.normal_(module.classifier.weight)
    as_set = ICIIA(features=D, classes=C, heads=2, partitions=2, context="set")
    torch.nn.init.normal_(as_set.classifier.weight)
    replaced = ICIIA(features=D, classes=C, layers=1, heads=2, context="set", head="replaced")
    nobody = ICIIA(features=D, classes=C, heads=2, context="none", head="replaced")
    return [
        BackboneAdapter(),
        OracleAdapter(),
        IciiaAdapter(module, 0),
        IciiaAdapter(module, 4),
        IciiaAdapter(as_set, 0),
        IciiaAdapter(as_set, 4),
        IciiaAdapter(replaced, 7),
        IciiaAdapter(nobody, 0),
    ]


def chunk() -> Chunk:
    generator = torch.Generator().manual_seed(1)
    prior = torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0]).expand(K, T, C)
    return Chunk(torch.randn(K, T, D, generator=generator), torch.randn(K, T, C, generator=generator), prior)


every_adapter = pytest.mark.parametrize("adapter", adapters(), ids=lambda a: f"{a.kind}-{a.capacity}")


@every_adapter
def test_every_adapter_passes_the_shipped_checks(adapter: Adapter) -> None:
    check_adapter(adapter, chunk())


def test_diagnostics_tell_what_attention_used() -> None:
    """Weights of a target sum to one, over itself and what its bank holds; steps of arrival say which images these are."""
    module = ICIIA(features=D, classes=C, heads=2, partitions=2)
    watching = IciiaAdapter(module, 4, policy=make_policy("reservoir"), diagnostics=True)
    whole = chunk()
    first, second = (Chunk(whole.features[:, some], whole.logits[:, some]) for some in (slice(0, 5), slice(5, T)))
    _, state = watching.predict(watching.start(np.arange(K), 0), first)
    held = state.keeper.slots.step.copy()
    plain, _ = IciiaAdapter(module, 4, policy=make_policy("reservoir")).predict(
        pickle.loads(pickle.dumps(state)), second
    )
    scores, _ = watching.predict(state, second)
    assert torch.equal(scores, plain)
    assert watching.attention is not None
    assert watching.arrivals is not None
    assert watching.attention.shape == (K, T - 5, 4 + T - 5)
    torch.testing.assert_close(watching.attention.sum(dim=2), torch.ones(K, T - 5))
    assert np.array_equal(watching.arrivals[:, :4].numpy(), held)
    assert watching.arrivals[0, 4:].tolist() == list(range(5, T))
    attended = watching.attention[:, 0] > 0
    assert torch.equal(attended.sum(dim=1), torch.full((K,), 5))


def test_the_oracle_names_only_possible_classes() -> None:
    scores, _ = OracleAdapter().predict(None, chunk())
    assert set(scores.argmax(-1).flatten().tolist()) <= {0, 2}


def test_the_oracle_refuses_to_guess() -> None:
    with pytest.raises(ValueError, match="needs the true class prior"):
        OracleAdapter().predict(None, Chunk(torch.zeros(1, 1, D), torch.zeros(1, 1, C)))


def test_iciia_counts_its_second_classifier() -> None:
    cost = adapters()[3].cost()
    assert cost.macs_module == 6 * 2 * D * D // 2 + 2 * 2 * 5 * D
    assert cost.macs_per_image == cost.macs_module + D * C
