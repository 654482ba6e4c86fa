"""What a diagnoser said, as a file of arrays: NumPy's npz without pickle, the same bytes for the same answers."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.evaluation.evaluate import Answers
from curvebench.remedies import is_prescribable
from curvebench.spec import DIAGNOSES, Action, Float, InputError, Int, Remedy

MAX_BYTES = 64 * 1024**2
"""Of a file of predictions."""

MAX_INFLATED_BYTES = 512 * 1024**2
"""Of all its arrays."""

MAX_ARRAYS = 1000

_ACTIONS = tuple(Action)
_NOTHING = (-1.0, 0.0, 0.0)
"""Stands for a curve to which nothing was prescribed."""

_EPOCH = (1980, 1, 1, 0, 0, 0)

Array = NDArray[Any]


def arrays_of(answers: Sequence[Answers | None], remedies: Sequence[Int | None], rows: Int) -> dict[str, Array]:
    """Name -> array of everything that is stored.

    Args:
        answers: of each evaluation; None where it has none.
        remedies: (n,) index of what each run was treated with, for each evaluation that has answers.
        rows: (n,) of the runs asked about, of all splits.
    """
    arrays: dict[str, Array] = {"run": rows.astype("<i8")}
    for i, (said, remedy) in enumerate(zip(answers, remedies, strict=True)):
        if said is None or remedy is None:
            continue
        arrays[f"prediction_{i}"] = said.prediction.astype("|u1")
        arrays[f"remedy_{i}"] = remedy.astype("<i2")
        arrays[f"probabilities_{i}"] = said.probabilities.astype("<f4")
        arrays[f"abstained_{i}"] = said.is_abstained.astype("|b1")
        arrays[f"crashed_{i}"] = said.is_crashed.astype("|b1")
        if any(wanted is not None for wanted in said.prescribed):
            table = [_NOTHING if w is None else (_ACTIONS.index(w.action), w.factor, w.at) for w in said.prescribed]
            arrays[f"prescribed_{i}"] = np.array(table, dtype="<f8").reshape(-1, 3)
    return arrays


def to_npz(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of the file."""
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w") as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=_EPOCH)
            file.writestr(entry, content.getvalue(), compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    return image.getvalue()


def from_npz(content: bytes, place: str) -> dict[str, Array]:
    """The inverse of `to_npz`, for bytes that nobody vouches for.

    Raises:
        InputError: it is no such file, or larger than it may be.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            entries = file.infolist()
            if len(entries) > MAX_ARRAYS or sum(entry.file_size for entry in entries) > MAX_INFLATED_BYTES:
                raise InputError(f"{place} holds more than {MAX_ARRAYS} arrays or {MAX_INFLATED_BYTES} bytes.")
            for entry in entries:
                arrays[entry.filename.removesuffix(".npy")] = _array(file.read(entry))
    except (ValueError, KeyError, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{place} is no file of predictions: {type(error).__name__}: {str(error)[:100]}.") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{place} is no file of predictions: {str(error)[:100]}.") from None
    return arrays


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<|][buif][1248])', 'fortran_order': False, 'shape': \(([0-9, ]{0,60})\), \} *\n",
    re.DOTALL,
)
"""How NumPy begins an array of plain numbers; read by hand because its own reader evaluates what stands there."""


def _array(content: bytes) -> Array:
    """An array whose header says exactly what follows it."""
    header = _HEADER.match(content)
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise ValueError("an array that is not plain numbers in C order, version 1.0")
    dtype, body = np.dtype(header[2].decode()), content[header.end() :]
    shape = tuple(int(n) for n in header[3].replace(b" ", b"").split(b",") if n)
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError("an array that is longer or shorter than it says")
    if dtype.kind == "b" and body.strip(b"\0\1"):
        raise ValueError("truth values that are neither true nor false")
    return np.frombuffer(body, dtype).reshape(shape)


_KINDS: Mapping[str, str] = {
    "prediction": "|u1",
    "remedy": "<i2",
    "probabilities": "<f4",
    "abstained": "|b1",
    "crashed": "|b1",
}


def answers_of(arrays: Mapping[str, Array], i: int, n: int, microseconds: float, place: str) -> tuple[Answers, Int]:
    """Answers of evaluation i about n runs, and the index of what each run was treated with.

    Raises:
        InputError: an array is missing, of another type or length, or holds what no diagnoser may say.
    """
    found: dict[str, Array] = {}
    for name, dtype in _KINDS.items():
        shape = (n, len(DIAGNOSES)) if name == "probabilities" else (n,)
        found[name] = _checked(arrays, f"{name}_{i}", dtype, shape, place)
    probabilities: Float = found["probabilities"]
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not (np.isfinite(sums).all() and (probabilities >= 0).all() and (np.abs(sums - 1) < 1e-5).all()):
        raise InputError(f"{place}: probabilities_{i} holds rows that are no probabilities.")
    prescribed: list[Remedy | None] = [None] * n
    if f"prescribed_{i}" in arrays:
        table = _checked(arrays, f"prescribed_{i}", "<f8", (n, 3), place)
        prescribed = [
            None if tuple(row) == _NOTHING else _remedy(row, f"{place}: prescribed_{i}") for row in table.tolist()
        ]
    said = Answers(probabilities, prescribed, found["abstained"], found["crashed"], microseconds)
    if not np.array_equal(said.prediction, found["prediction"]):
        raise InputError(f"{place}: prediction_{i} is not the most probable diagnosis of probabilities_{i}.")
    return said, found["remedy"].astype(np.intp)


def _checked(arrays: Mapping[str, Array], name: str, dtype: str, shape: tuple[int, ...], place: str) -> Array:
    if name not in arrays:
        raise InputError(f"{place} lacks the array {name}.")
    array = arrays[name]
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise InputError(f"{place}: {name} is {array.dtype} {array.shape}; it must be {np.dtype(dtype)} {shape}.")
    return array


def _remedy(row: Sequence[float], place: str) -> Remedy:
    number, factor, at = row
    if number in range(len(_ACTIONS)):
        remedy = Remedy(_ACTIONS[int(number)], factor, at)
        if is_prescribable(remedy):
            return remedy
    raise InputError(f"{place} holds what is no remedy: {row}.")
