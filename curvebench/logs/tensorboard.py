"""TensorBoard event files: TFRecords of Event messages, with scalars as numbers (torch) or as tensors (TensorFlow 2).

Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details and `event.proto`,
`summary.proto`, `tensor.proto` of tensorflow/tensorboard.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

import numpy as np

from curvebench.logs.limits import MAX_RECORD
from curvebench.logs.numbers import count_of
from curvebench.logs.run import Budget, RunBuilder
from curvebench.logs.wire import BYTES, FIXED32, FIXED64, VARINT, fields, part, signed, text, varints
from curvebench.spec import InputError

SOURCE = "tensorboard"

STEP = "step"
"""Column of the steps; a scalar of that name is left out, since every event has a step of its own."""

_HEADER, _FOOTER = 12, 4
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 14: "bfloat16", 19: "<f2"}
"""Number in `types.proto` -> how `tensor_content` holds it."""

_VALUE_FIELDS = {5: "<f4", 6: "<f8"}
"""Field of a TensorProto -> its packed type; varints are in 7 (int), 10 (int64) and 13 (half, as bits)."""


def recognises(data: bytes) -> bool:
    """Whether bytes begin as an event file does: with a record whose length bears its checksum out."""
    if len(data) < _HEADER:
        return False
    return masked_crc32c(data[:8]) == struct.unpack_from("<I", data, 8)[0] or b"brain.Event:" in data[:64]


def read(data: bytes, name: str, budget: Budget) -> RunBuilder:
    """The scalars of one event file.

    Raises:
        InputError: it holds no scalar.
    """
    builder = RunBuilder(name, SOURCE, budget)
    add_events(builder, data)
    if not builder.n_rows:
        raise InputError(
            f"It is an event file without scalars{' (' + builder.notes[0] + ')' if builder.notes else ''}."
        )
    return builder


def add_events(builder: RunBuilder, data: bytes, prefix: str = "") -> None:
    """Append the scalars of one more event file to a run, their tags behind a prefix."""
    damage = Damage()
    for record, crc in records(data, damage):
        if builder.is_cut:
            break
        try:
            step, scalars = parse_event(record)
        except ValueError:
            damage.n_bad += 1
            continue
        # checksums are slow here, so pictures and histograms, of which nothing is taken, go unchecked
        if scalars and masked_crc32c(record) != crc:
            damage.n_bad += 1
            continue
        for tag, value in scalars:
            if tag != STEP:
                builder.add({STEP: float(step), prefix + tag: value})
    builder.notes += damage.notes()


class Damage:
    """What was wrong with the records of a file."""

    def __init__(self) -> None:
        self.n_bad = 0
        self.is_cut = False
        self.is_lost = False

    def notes(self) -> list[str]:
        """Sentences about it."""
        notes = []
        if self.n_bad:
            notes.append(f"Left out: {count_of(self.n_bad, 'record')} with a wrong checksum or without sense.")
        if self.is_cut:
            notes.append("The last record is cut short, as that of a run that was killed; it was left out.")
        if self.is_lost:
            notes.append("After a record whose length has a wrong checksum nothing can be read.")
        return notes


def records(data: bytes, damage: Damage) -> Iterator[tuple[bytes, int]]:
    """The records, each with the checksum that it should have; longer ones than MAX_RECORD are passed over."""
    position = 0
    while position < len(data):
        if position + _HEADER > len(data):
            damage.is_cut = True
            return
        length, crc = struct.unpack_from("<QI", data, position)
        if masked_crc32c(data[position : position + 8]) != crc:
            damage.is_lost = True
            return
        begin, end = position + _HEADER, position + _HEADER + length
        if end + _FOOTER > len(data):
            damage.is_cut = True
            return
        position = end + _FOOTER
        if length > MAX_RECORD:
            continue
        yield data[begin:end], struct.unpack_from("<I", data, end)[0]


def parse_event(event: bytes) -> tuple[int, list[tuple[str, float]]]:
    """The step of an Event and its scalars: (tag, value).

    Raises:
        ValueError: it is no such message.
    """
    step, scalars = 0, []
    for number, kind, value in fields(event):
        if (number, kind) == (2, VARINT):
            step = signed(int(value))
        elif (number, kind) == (5, BYTES):
            for inner, inner_kind, summary_value in fields(part(value)):
                if (inner, inner_kind) == (1, BYTES) and (scalar := _parse_value(part(summary_value))):
                    scalars.append(scalar)
    return step, scalars


def _parse_value(message: bytes) -> tuple[str, float] | None:
    """Tag and number of a Summary.Value; None if it is a picture, a histogram or a text."""
    tag, found = "", None
    for number, kind, value in fields(message):
        if (number, kind) == (1, BYTES):
            tag = text(value)
        elif (number, kind) == (2, FIXED32):
            found = float(struct.unpack("<f", part(value))[0])
        elif (number, kind) == (8, BYTES):
            found = _parse_tensor(part(value))
    return None if found is None or not tag else (tag, found)


def _parse_tensor(message: bytes) -> float | None:
    """The number in a TensorProto of one element; None of any other."""
    dtype, content, values = 0, b"", []
    for number, kind, value in fields(message):
        if (number, kind) == (1, VARINT):
            dtype = int(value)
        elif (number, kind) == (4, BYTES):
            content = part(value)
        elif number in _VALUE_FIELDS and kind in (BYTES, FIXED32, FIXED64):
            packed = np.dtype(_VALUE_FIELDS[number])
            if len(part(value)) % packed.itemsize:
                raise ValueError("cut short")
            values += np.frombuffer(part(value), packed)[:2].astype(float).tolist()
        elif number in (7, 10, 13) and kind == VARINT:
            values.append(_of_bits(dtype, int(value)))
        elif number in (7, 10, 13) and kind == BYTES:
            values += [_of_bits(dtype, bits) for bits in islice(varints(part(value)), 2)]
    if dtype not in _DTYPES:
        return None
    if content:
        values = _content(dtype, content)
    return values[0] if len(values) == 1 else None


def _of_bits(dtype: int, bits: int) -> float:
    """A varint of a TensorProto: an integer, or the bits of a float of 16 bits."""
    if _DTYPES.get(dtype) == "<f2":
        return float(np.uint16(bits & 0xFFFF).view(np.float16))
    if _DTYPES.get(dtype) == "bfloat16":
        return float(np.uint32((bits & 0xFFFF) << 16).view(np.float32))
    return float(signed(bits))


def _content(dtype: int, content: bytes) -> list[float]:
    if _DTYPES[dtype] == "bfloat16":
        return [_of_bits(dtype, int.from_bytes(content, "little"))] if len(content) == 2 else []
    packed = np.dtype(_DTYPES[dtype])
    if len(content) != packed.itemsize:
        return []
    return [float(number) for number in np.frombuffer(content, packed).astype(float)]


# ----------------------------------------------------------------------------------------------- checksum


def _make_table() -> tuple[int, ...]:
    """The table of CRC-32C (Castagnoli), reflected polynomial 0x82F63B78."""
    table = []
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _make_table()


def crc32c(data: bytes) -> int:
    """CRC-32C, as of RFC 3720, appendix B.4.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The checksum as TFRecords keep it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
