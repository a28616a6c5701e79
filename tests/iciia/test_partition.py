"""A partitioned projection is the block-diagonal matrix it claims to be, shuffled as it says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from iciia import PartitionedLinear, feature_shuffle


def test_shuffle_interleaves_partitions() -> None:
    assert feature_shuffle(torch.tensor([0, 1, 2, 10, 11, 12]), 2).tolist() == [0, 10, 1, 11, 2, 12]


@given(st.integers(1, 6), st.integers(1, 6))
def test_shuffling_back_is_the_identity(partitions: int, width: int) -> None:
    x = torch.arange(partitions * width)
    assert torch.equal(feature_shuffle(feature_shuffle(x, partitions), width), x)


def test_one_partition_is_a_linear_layer() -> None:
    torch.manual_seed(0)
    layer, dense = PartitionedLinear(6, 12, 1), nn.Linear(6, 12)
    with torch.no_grad():
        dense.weight.copy_(layer.weight[0])
        dense.bias.copy_(layer.bias)
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer(x), dense(x))


@given(st.sampled_from([1, 2, 3, 4, 6, 12]), st.sampled_from([1, 2, 3]), st.integers(0, 10))
def test_partitions_are_a_shuffled_block_diagonal_matrix(partitions: int, ratio: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = PartitionedLinear(12, 12 * ratio, partitions)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 12)
    expected = feature_shuffle(x @ torch.block_diag(*layer.weight).T, partitions) + layer.bias
    torch.testing.assert_close(layer(x), expected)


def test_indivisible_partitions_name_divisors() -> None:
    with pytest.raises(
        ValueError, match="got 6 partitions, which does not divide the feature dimension 1280; 4, 5, 8 do"
    ):
        PartitionedLinear(1280, 1280, 6)
