"""Random streams: known bits, sound distributions, no dependence on anything but the key."""

import hashlib
import json
import math

import numpy as np
import pytest

from curvebench.generation.random_streams import Stream, stream

MASK = 2**64 - 1


def philox_block(key, counter):
    """Philox 4x64-10 as in the paper: four words from a key of two and a counter of four."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & MASK, (p0 >> 64) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return [c0, c1, c2, c3]


def test_plain_philox_reproduces_its_published_answer():
    # Known-answer test of Random123 1.14, `kat_vectors`: philox4x64 10, all zeros.
    expected = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox_block((0, 0), (0, 0, 0, 0)) == expected


def test_words_are_plain_philox_under_the_hashed_key():
    text = json.dumps(["curvebench random stream, version 1", 5, "weights", 2])
    digest = hashlib.sha256(text.encode()).digest()
    key = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")
    expected = philox_block(key, (1, 0, 0, 0)) + philox_block(key, (2, 0, 0, 0))
    assert stream(5, "weights", 2).words(8).tolist() == expected


def test_bits_are_what_they_were():
    """A new hash here means that every data set changes: decide it, do not let it happen."""
    numbers = stream(2024, "golden", 1)
    digest = hashlib.sha256()
    for drawn in (
        numbers.words(5),
        numbers.uniform((3, 4)),
        numbers.uniform(10, -2.0, 5.0),
        numbers.normal(2000),
        numbers.integers(10, 100),
        numbers.permutations(20, 3),
        numbers.choice([0.1, 0.0, 0.7, 0.2], 50),
    ):
        digest.update(drawn.astype(drawn.dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest() == "00cc63a920f847cd3ffb8964a55559b2fccfba68776466e1a395e42666943081"
    assert stream(0).integers(100, 6).tolist() == [99, 15, 32, 42, 74, 72]


def test_same_key_same_numbers_whatever_was_drawn_before():
    first = stream(1, "a", 2).normal((4, 3))
    stream(1, "b").normal(1000)
    assert np.array_equal(stream(1, "a", 2).normal((4, 3)), first)
    assert np.array_equal(stream(np.int64(1), "a", np.int32(2)).normal((4, 3)), first)


def test_a_stream_drawn_in_pieces_is_the_stream_drawn_at_once():
    pieces = stream(1, "pieces")
    drawn = np.concatenate([pieces.words(n) for n in (1, 2, 6, 3)])
    assert np.array_equal(drawn, stream(1, "pieces").words(12))


def test_keys_that_differ_in_anything_give_different_streams():
    keys = [(1,), (1, 1), (1, "1"), (11,), ("1",), (1, "a", "b"), (1, "ab"), (1, 'a", "b'), (1, ""), (-1,), (2**70,)]
    assert len({tuple(stream(0, *key).words(2).tolist()) for key in keys}) == len(keys)
    assert stream(0, 1).words().item() != stream(1, 0).words().item()


@pytest.mark.parametrize("part", [True, 1.0, None, b"x"])
def test_other_types_in_a_key_are_refused(part):
    with pytest.raises(TypeError, match="integers and strings"):
        stream(0, part)


def test_streams_of_neighbouring_keys_are_uncorrelated():
    draws = np.stack([stream(3, "seed", k).normal(4000) for k in range(8)])
    off_diagonal = np.corrcoef(draws)[~np.eye(8, dtype=bool)]
    assert np.abs(off_diagonal).max() < 4.5 / math.sqrt(4000)


def test_uniform_numbers_are_uniform():
    n = 20_000
    drawn = np.sort(stream(1, "uniform").uniform(n))
    assert drawn[0] >= 0.0
    assert drawn[-1] < 1.0
    assert kolmogorov_distance(drawn) < 1.95 / math.sqrt(n)


def test_normal_numbers_are_normal():
    n = 20_000
    drawn = np.sort(stream(1, "normal").normal(n))
    probabilities = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in drawn])
    assert kolmogorov_distance(probabilities) < 1.95 / math.sqrt(n)
    assert abs(drawn.mean()) < 4 / math.sqrt(n)
    assert abs((drawn**2).mean() - 1) < 4 * math.sqrt(2 / n)


def kolmogorov_distance(ordered):
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return max(np.abs(ordered - steps[:-1]).max(), np.abs(ordered - steps[1:]).max())


def test_the_extreme_words_stay_finite():
    class Extremes(Stream):
        def words(self, shape=()):
            return np.array([0, 2**64 - 1], dtype=np.uint64)

    drawn = Extremes((0, 0)).normal(2)
    assert drawn[0] == -drawn[1]
    assert 8.0 < drawn[1] < 8.3
    assert Extremes((0, 0)).uniform(2)[1] < 1.0
    assert Extremes((0, 0)).choice([1.0, 2.0, 0.0], 2).tolist() == [0, 1]


@pytest.mark.parametrize("n", [1, 2, 7, 64, 100])
def test_integers_are_equally_likely(n):
    drawn = stream(1, "integers", n).integers(n, 200 * n)
    counts = np.bincount(drawn, minlength=n)
    assert counts.size == n
    assert ((counts - 200) ** 2 / 200).sum() < n + 5 * math.sqrt(2 * n)


def test_integers_refuse_an_empty_range():
    with pytest.raises(ValueError, match="n must be from 1"):
        stream(1).integers(0)
    assert stream(1).integers(2**63, 3).min() >= 0


def test_permutations_hold_everything_once_and_are_equally_likely():
    drawn = stream(1, "permutations").permutations(4, 4800)
    assert np.array_equal(np.sort(drawn, axis=1), np.tile(np.arange(4), (4800, 1)))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert counts.size == 24
    assert ((counts - 200) ** 2 / 200).sum() < 23 + 5 * math.sqrt(46)
    assert sorted(stream(1).permutation(9).tolist()) == list(range(9))


def test_choice_follows_the_weights():
    weights = np.array([0.0, 1.0, 3.0, 0.0, 6.0, 0.0])
    counts = np.bincount(stream(1, "choice").choice(weights, 5000), minlength=6)
    assert counts[weights == 0].sum() == 0
    expected = 500 * weights[weights > 0]
    assert ((counts[weights > 0] - expected) ** 2 / expected).sum() < 14


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -1.0], [1.0, math.nan], [[1.0]]])
def test_choice_refuses_weights_that_mean_nothing(weights):
    with pytest.raises(ValueError, match="weights must be"):
        stream(1).choice(weights)


@pytest.mark.parametrize("draw", ["words", "uniform", "normal"])
def test_shapes_are_as_asked(draw):
    for shape, expected in (((), ()), (3, (3,)), ((2, 0), (2, 0)), ((2, 3, 4), (2, 3, 4))):
        assert getattr(stream(1), draw)(shape).shape == expected
