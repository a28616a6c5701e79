"""Checks that every adapter passes: causal, chunk equals steps, clients apart, state as large as stated and picklable."""

import pickle

import numpy as np
import pytest
import torch

from iciia import ICIIA, Adapter, BackboneAdapter, Chunk, IciiaAdapter, OracleAdapter

K, T, D, C = 3, 9, 16, 5


def adapters() -> list[Adapter]:
    torch.manual_seed(0)
    module = ICIIA(features=D, classes=C, heads=2, partitions=2)
    torch.nn.init.normal_(module.classifier.weight)
    return [BackboneAdapter(), OracleAdapter(), IciiaAdapter(module, 0), IciiaAdapter(module, 4)]


def chunk() -> Chunk:
    generator = torch.Generator().manual_seed(1)
    prior = torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0]).expand(K, T, C)
    return Chunk(torch.randn(K, T, D, generator=generator), torch.randn(K, T, C, generator=generator), prior)


def part(whole: Chunk, clients: slice, steps: slice) -> Chunk:
    assert whole.prior is not None
    return Chunk(whole.features[clients, steps], whole.logits[clients, steps], whole.prior[clients, steps])


every_adapter = pytest.mark.parametrize("adapter", adapters(), ids=lambda a: f"{a.kind}-{a.capacity}")


@every_adapter
def test_chunk_equals_steps(adapter: Adapter) -> None:
    whole, _ = adapter.predict(adapter.start(np.arange(K), 0), chunk())
    state, steps = adapter.start(np.arange(K), 0), []
    for t in range(T):
        scores, state = adapter.predict(state, part(chunk(), slice(None), slice(t, t + 1)))
        steps.append(scores)
    assert whole.shape == (K, T, C)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-5, atol=1e-5)


@every_adapter
def test_clients_do_not_meet(adapter: Adapter) -> None:
    whole, _ = adapter.predict(adapter.start(np.arange(K), 0), chunk())
    alone, _ = adapter.predict(adapter.start(np.array([2]), 0), part(chunk(), slice(2, 3), slice(None)))
    torch.testing.assert_close(whole[2:3], alone, rtol=1e-5, atol=1e-5)


@every_adapter
def test_states_travel(adapter: Adapter) -> None:
    _, state = adapter.predict(adapter.start(np.arange(K), 0), part(chunk(), slice(None), slice(0, 5)))
    rest = part(chunk(), slice(None), slice(5, T))
    travelled = pickle.loads(pickle.dumps(state))  # before it is used up
    here, _ = adapter.predict(state, rest)
    there, _ = adapter.predict(travelled, rest)
    assert torch.equal(here, there)


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
