"""Bytes with a few cuts, flips, repeats, swaps and insertions, the same for the same seed."""

from __future__ import annotations

import random

BITES = (
    *(b"nan", b"NaN", b"-Infinity", b"1e999", b"9" * 40, b"0,5", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"\n", b"\r\n", b'"', b",", b";", b"{", b"[" * 50, b"-" * 9, b"../", b"<script>"),
)


def mutate(data: bytes, seed: int) -> bytes:
    """The bytes after one to twenty changes."""
    rng = random.Random(seed)
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(7):
            case 0:
                del data[a:]
            case 1:
                del data[a : min(b, a + 50)]
            case 2 if data:
                data[min(a, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 3:
                data[a:a] = data[a:b][:500]
            case 4:
                data[a:a] = rng.choice(BITES)
            case 5:
                data[a : a + 8] = rng.randbytes(8)
            case 6 if data:
                data[min(a, len(data) - 1)] = rng.choice(b'0123456789eE+-.,\n{}[]":')
    return bytes(data)
