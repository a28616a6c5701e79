"""Costs: the published figures, and formulas that count what the plain path really multiplies."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from iciia import ICIIA
from iciia.overhead import bank_bytes, cost_of, macs_paper, macs_set, macs_stream

MOBILENET = {"features": 1280, "layers": 3, "partitions": 256, "capacity": 15}


def test_published_figures() -> None:
    assert macs_paper(**MOBILENET) == 3_810_816
    assert f"{macs_paper(**MOBILENET) / 234.8e6:.2%}" == "1.62%"
    swin = macs_paper(features=1024, layers=3, partitions=256, capacity=15)
    assert swin == 2_754_048
    assert f"{swin / 15.43e9:.2%}" == "0.02%"


def test_what_we_compute_instead() -> None:
    assert macs_set(**MOBILENET) == 2_522_880
    assert macs_stream(**MOBILENET) == 238_080
    assert macs_set(1280, 1, 256, 15) == macs_stream(1280, 1, 256, 15)


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("context", ["stream", "set", "none"])
@pytest.mark.parametrize("head", ["residual", "replaced"])
def test_formulas_count_what_one_image_multiplies(context: str, head: str, layers: int, partitions: int) -> None:
    """One image at a full bank, counted by PyTorch. A replaced head costs what the backbone's did, so it is not charged."""
    module = ICIIA(16, 6, layers, 2, partitions, context=context, head=head).eval()  # type: ignore[arg-type]
    capacity = 5
    with torch.inference_mode():
        _, bank = module(torch.randn(1, 7, 16), torch.randn(1, 7, 6), module.empty_bank(1, capacity))
        with FlopCounterMode(display=False) as counter:
            module(torch.randn(1, 1, 16), torch.randn(1, 1, 6), bank)
    counted = counter.get_total_flops() // 2
    assert counted == cost_of(module, capacity).macs_module + 16 * 6


@pytest.mark.parametrize("context", ["stream", "set"])
def test_a_residual_head_without_a_bank_computes_nothing(context: str) -> None:
    module = ICIIA(16, 6, 2, 2, context=context, head="residual").eval()  # type: ignore[arg-type]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        module(torch.randn(1, 3, 16), torch.randn(1, 3, 6), module.empty_bank(1, 0))
    cost = cost_of(module, 0)
    assert counter.get_total_flops() == cost.macs_per_image == cost.macs_module == cost.state_bytes == 0


def test_a_shortlist_pays_for_its_rows() -> None:
    module = ICIIA(16, 6, head="residual", shortlist=2)
    cost = cost_of(module, 5)
    assert cost.macs_per_image - cost.macs_module == 2 * 16


@pytest.mark.parametrize("storage", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("context", ["stream", "set", "none"])
def test_bytes_are_those_of_the_bank(context: str, storage: torch.dtype) -> None:
    module = ICIIA(16, 6, 2, 2, context=context)  # type: ignore[arg-type]
    bank = module.empty_bank(3, 7, storage)
    assert cost_of(module, 7, storage).state_bytes == bank.state_bytes == bank.entries.nbytes // 3 + 7 * 4


def test_bytes_by_hand() -> None:
    assert bank_bytes(vectors=4, features=512, capacity=16) == 131_136
