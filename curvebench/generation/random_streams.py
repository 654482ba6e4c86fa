"""Random numbers that depend on nothing but a seed and the names of what they are for.

A stream is the counter-based generator Philox 4x64-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw 2011,
"Parallel random numbers: as easy as 1, 2, 3") under a key that is hashed from the master seed and the names. Only the
generator's raw 64-bit words are used, which NumPy keeps stable; the maps to distributions are ours and made of
operations that are exact everywhere, so that a stream has the same bits on every machine and with every NumPy.

There is no global state: who asks first, or from which process, changes nothing. Within one stream, of course, the
second call gets what comes after the first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.generation.portable_math import Float64, normal_quantile

Shape = int | tuple[int, ...]

_DOMAIN = "curvebench random stream, version 1"


def stream(master_seed: int, *key: int | str) -> Stream:
    """The stream of random numbers that belongs to a seed and a purpose.

    Args:
        master_seed: any integer, usually the recipe's.
        key: integers and strings that say what the numbers are for; `1` and `"1"` are different.

    Raises:
        TypeError: a part of the key is neither an integer nor a string.

    >>> stream(7, "moons", 3).integers(10, 5).tolist() == stream(7, "moons", 3).integers(10, 5).tolist()
    True
    """
    return Stream(_philox_key(master_seed, *key))


class Stream:
    """Random numbers from one Philox key, in the order in which they are asked for.

    Shapes are an integer or a tuple; `()`, the default, gives a 0-d array.
    """

    def __init__(self, key: tuple[int, int]) -> None:
        self._generator = np.random.Philox(key=np.array(key, dtype=np.uint64))

    def words(self, shape: Shape = ()) -> NDArray[np.uint64]:
        """Raw 64-bit words, uint64."""
        shape = _as_tuple(shape)
        raw = self._generator.random_raw(math.prod(shape))
        return np.asarray(raw, dtype=np.uint64).reshape(shape)

    def uniform(self, shape: Shape = (), low: float = 0.0, high: float = 1.0) -> Float64:
        """Uniform numbers of 53 bits; in [0, 1), or stretched to `low` … `high`, float64."""
        unit = (self.words(shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return np.asarray(low + (high - low) * unit)

    def normal(self, shape: Shape = ()) -> Float64:
        """Standard normal numbers by the inverse distribution function, float64, within ±8.2."""
        middle_of_cell = (self.words(shape) >> np.uint64(12)).astype(np.float64) + 0.5
        return normal_quantile(middle_of_cell * 2.0**-52)

    def integers(self, n: int, shape: Shape = ()) -> NDArray[np.int64]:
        """Integers below n, each exactly as likely, int64: the top bits of a word, drawn again until below n.

        Raises:
            ValueError: n is not in 1 … 2**63.
        """
        if not 1 <= n <= 2**63:
            raise ValueError(f"there are no integers below n = {n}; n must be from 1 to 2**63")
        shape = _as_tuple(shape)
        unused_bits = np.uint64(64 - max(1, (n - 1).bit_length()))
        accepted = np.empty(0, dtype=np.uint64)
        while (n_missing := math.prod(shape) - accepted.size) > 0:
            candidates = self.words(n_missing) >> unused_bits
            accepted = np.concatenate([accepted, candidates[candidates < np.uint64(n)]])
        return accepted.astype(np.int64).reshape(shape)

    def permutation(self, n: int) -> NDArray[np.int64]:
        """The integers below n in random order, (n,) int64."""
        return self.permutations(n, 1).reshape(n)

    def permutations(self, n: int, count: int) -> NDArray[np.int64]:
        """Independent permutations, (count, n) int64: the order of n random words, equal ones in their own order."""
        return np.asarray(np.argsort(self.words((count, n)), axis=-1, kind="stable"), dtype=np.int64)

    def choice(self, weights: ArrayLike, shape: Shape = ()) -> NDArray[np.int64]:
        """Indices drawn with the given weights, int64.

        Args:
            weights: (n,) numbers ≥ 0 that need not sum to one; an index of weight 0 is never drawn.
            shape: of the result.

        Raises:
            ValueError: the weights are empty, negative, not finite or all zero.
        """
        parts = np.asarray(weights, dtype=np.float64)
        if parts.ndim != 1 or not np.all(np.isfinite(parts)) or np.any(parts < 0.0) or not np.any(parts > 0.0):
            raise ValueError("weights must be a list of finite numbers that are not negative and not all zero")
        limits = np.array(list(itertools.accumulate(parts.tolist())))
        drawn = np.searchsorted(limits, self.uniform(shape) * limits[-1], side="right")
        last = np.flatnonzero(parts)[-1]
        return np.asarray(np.minimum(drawn, last), dtype=np.int64)


def _philox_key(*parts: int | str) -> tuple[int, int]:
    """Two words from the SHA-256 of the parts as JSON, which keeps apart what is different."""
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, int | str | np.integer):
            raise TypeError(f"the key of a random stream is made of integers and strings, not {part!r}")
    plain = [part if isinstance(part, str) else int(part) for part in parts]
    digest = hashlib.sha256(json.dumps([_DOMAIN, *plain]).encode("ascii")).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def _as_tuple(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)
