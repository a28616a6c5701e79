"""Counter-based random numbers: every draw of a stream is a pure function of (seed, purpose, client, step).

A sequential generator would make a client's stream depend on how many draws came before it, and so on its
cohort. Philox maps a counter to four random words with no state at all, which makes one client alone, a cohort
of 7 and a cohort of 64 draw the same numbers, in a few vectorised operations for the whole cohort.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10). NumPy's own Philox is
4x64 and cannot be evaluated for an array of counters at once.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ROUNDS = 10


def philox(counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Philox4x32-10.

    Args:
        counter: Four arrays of 32-bit values that broadcast against each other to a shape S.
        key: Two 32-bit values.

    Returns:
        Four random 32-bit words for each counter, uint64 [4, *S].
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(part, dtype=np.uint64) for part in counter))
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0 = (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0)
        c2 = (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def stream_key(seed: int, purpose: str) -> tuple[int, int]:
    """The Philox key of one seed and one purpose, so that no two purposes share a draw."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def uniforms(seed: int, purpose: str, client: ArrayLike, i: ArrayLike = 0, j: ArrayLike = 0) -> NDArray[np.float64]:
    """Uniform draws in [0, 1), one for each (client, i, j).

    Args:
        seed: The scenario's seed.
        purpose: What the draws are for ("labels", say); different purposes are independent.
        client: Client numbers below 2**64, any shape that broadcasts with `i` and `j`.
        i: First index below 2**32, a step for instance.
        j: Second index below 2**32.

    Returns:
        float64 with 53 random bits, of the broadcast shape.
    """
    clients = np.asarray(client, dtype=np.uint64)
    words = philox((clients & _LOW, clients >> _SHIFT, i, j), stream_key(seed, purpose))
    return ((words[0] >> np.uint64(5)) * 67108864.0 + (words[1] >> np.uint64(6))) / 9007199254740992.0


def generator(seed: int, purpose: str, *counter: int) -> np.random.Generator:
    """A NumPy generator of its own for (seed, purpose, counter), where draws need no vectorising over clients."""
    entropy: Any = [*stream_key(seed, purpose), *counter]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
