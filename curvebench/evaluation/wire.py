"""How an evaluation and an isolated diagnoser talk: frames of JSON and arrays in npy format, never pickles.

A frame is two lengths (little-endian, 4 and 8 bytes), a JSON object of the first length, and arrays of the second,
one npy file after the other. The evaluation trusts no frame: it knows the shape and type of the array that it asked
for, and takes no other.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from curvebench.spec import Action, Remedy

LENGTHS = struct.Struct("<IQ")
"""What a frame begins with."""

MOST_HEADER_BYTES = 1 << 16
"""The JSON of an answer is short; a longer one is none."""


class BrokenFrame(Exception):  # noqa: N818 - a frame that is broken is no error of ours
    """What came is no frame, or has another array than it must."""


def encode(header: Mapping[str, Any], *arrays: NDArray[Any]) -> bytes:
    """A frame. Arrays of Python objects are refused by numpy (ValueError)."""
    body = io.BytesIO()
    for array in arrays:
        np.save(body, array, allow_pickle=False)
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), body.getbuffer().nbytes) + text + body.getvalue()


def is_whole(received: bytes | bytearray) -> bool:
    """Whether a frame has come to its end."""
    return len(received) >= LENGTHS.size and len(received) >= LENGTHS.size + sum(LENGTHS.unpack_from(received))


def most_bytes(shape: Sequence[int], dtype: DTypeLike) -> int:
    """How long an answer with such an array may be."""
    return LENGTHS.size + MOST_HEADER_BYTES + len(_npy_header(shape, dtype)) + _n_bytes(shape, dtype)


def read_header(frame: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON object of a frame that may be anything, and the bytes behind it.

    Raises:
        BrokenFrame: it has none.
    """
    n_header, n_body = LENGTHS.unpack_from(frame)
    text, body = frame[LENGTHS.size : LENGTHS.size + n_header], frame[LENGTHS.size + n_header :]
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if n_header > MOST_HEADER_BYTES or len(body) != n_body or not isinstance(header, dict):
        raise BrokenFrame("The answer is broken.")
    return header, body


def read_array(body: bytes, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """The one array that a body may hold.

    Args:
        body: anything.
        shape: of the array that must be there.
        dtype: its type.

    Raises:
        BrokenFrame: it holds something else.
    """
    header = _npy_header(shape, dtype)
    if not body.startswith(header) or len(body) != len(header) + _n_bytes(shape, dtype):
        raise BrokenFrame(f"The answer is no array of the shape {tuple(shape)}.")
    return np.frombuffer(body, dtype, offset=len(header)).reshape(shape)


def read_arrays(body: bytes, n_arrays: int) -> list[NDArray[Any]]:
    """The arrays of a frame of our own making."""
    stream = io.BytesIO(body)
    return [np.load(stream, allow_pickle=False) for _ in range(n_arrays)]


def _n_bytes(shape: Sequence[int], dtype: DTypeLike) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _npy_header(shape: Sequence[int], dtype: DTypeLike) -> bytes:
    """What stands before the numbers of such an array in npy format 1.0."""
    stream = io.BytesIO()
    described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()


# ------------------------------------------------------------------------------------------- remedies

_ACTIONS = list(Action)
NO_NAMED_REMEDY = -1.0


def remedies_to_array(remedies: Sequence[Remedy | None]) -> NDArray[np.float64]:
    """(n, 3) float64: number of the action (-1 for None), factor and start."""
    rows = [
        (NO_NAMED_REMEDY, 1.0, 0.0) if r is None else (float(_ACTIONS.index(r.action)), r.factor, r.at)
        for r in remedies
    ]
    return np.array(rows, dtype=np.float64).reshape(len(remedies), 3)


def remedies_from_array(array: NDArray[np.float64]) -> list[Remedy | None]:
    """The inverse of `remedies_to_array`.

    Raises:
        BrokenFrame: there is no action of such a number.
    """
    remedies: list[Remedy | None] = []
    for action, factor, at in array.tolist():
        if action != NO_NAMED_REMEDY and action not in range(len(_ACTIONS)):
            raise BrokenFrame(f"There is no action {action}.")
        remedies.append(None if action == NO_NAMED_REMEDY else Remedy(_ACTIONS[int(action)], factor, at))
    return remedies
