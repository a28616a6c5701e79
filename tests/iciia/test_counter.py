"""Draws are Philox's, depend on nothing but their counter, and look uniform."""

import numpy as np
from scipy import stats

from iciia.counter import generator, philox, uniforms


def test_known_answers() -> None:
    """The known-answer vectors published with Random123."""
    ones = 0xFFFFFFFF
    cases = {
        ((0, 0, 0, 0), (0, 0)): "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        ((ones, ones, ones, ones), (ones, ones)): "408f276d 41c83b0e a20bc7c6 6d5451fd",
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
        ): "d16cfe09 94fdcceb 5001e420 24126ea1",
    }
    for (counter, key), expected in cases.items():
        assert " ".join(f"{int(word):08x}" for word in philox(counter, key)) == expected


def test_a_draw_does_not_depend_on_its_company() -> None:
    together = uniforms(1, "x", np.arange(100)[:, None], np.arange(10)[None])
    assert uniforms(1, "x", 42, 7) == together[42, 7]


def test_seed_and_purpose_matter() -> None:
    draws = {float(uniforms(seed, purpose, 0)) for seed in (0, 1) for purpose in ("a", "b")}
    assert len(draws) == 4


def test_client_numbers_use_all_64_bits() -> None:
    assert uniforms(0, "x", 5) != uniforms(0, "x", 5 + 2**32)


def test_uniform() -> None:
    """Kolmogorov-Smirnov on 100,000 draws of a fixed seed; fails one seed in a million."""
    draws = uniforms(11, "test", np.arange(1000)[:, None], np.arange(100)[None]).ravel()
    assert stats.kstest(draws, "uniform").pvalue > 1e-6


def test_generators_repeat() -> None:
    assert generator(3, "x", 1).random() == generator(3, "x", 1).random() != generator(3, "x", 2).random()
