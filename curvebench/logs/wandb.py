"""W&B run files (`run-ID.wandb`): a log in the format of LevelDB, of Record messages whose history holds JSON values.

Formats: https://github.com/google/leveldb/blob/main/doc/log_format.md, but with zlib's crc32 over type and data and
without a mask, and `wandb_internal.proto` of wandb/wandb.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator

from curvebench.logs.json_text import numbers_in
from curvebench.logs.limits import MAX_RECORD
from curvebench.logs.numbers import count_of
from curvebench.logs.run import Budget, RunBuilder
from curvebench.logs.wire import BYTES, VARINT, fields, part, signed, text
from curvebench.spec import InputError

SOURCE = "wandb"

_MAGIC = b":W&B"
_FILE_HEADER, _HEADER, _BLOCK = 7, 7, 32 * 1024
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_HISTORY, _RUN = 2, 17


def recognises(data: bytes) -> bool:
    """Whether bytes begin as a run file does."""
    return data.startswith(_MAGIC)


def read(data: bytes, name: str, budget: Budget) -> RunBuilder:
    """The history of one run; the run is called as W&B called it, if the file says so.

    Raises:
        InputError: it holds no history.
    """
    builder = RunBuilder(name, SOURCE, budget)
    notes: list[str] = []
    n_bad = 0
    for record in records(data, notes):
        if builder.is_cut:
            break
        try:
            for number, kind, value in fields(record):
                if (number, kind) == (_HISTORY, BYTES):
                    if row := parse_history(part(value)):
                        builder.add(row)
                elif (number, kind) == (_RUN, BYTES):
                    builder.name = parse_name(part(value)) or builder.name
        except ValueError:
            n_bad += 1
    if n_bad:
        notes.append(f"Left out: {count_of(n_bad, 'record')} without sense.")
    builder.notes += notes
    if not builder.n_rows:
        raise InputError(f"It is a W&B run without history{' (' + notes[0] + ')' if notes else ''}.")
    return builder


def records(data: bytes, notes: list[str]) -> Iterator[bytes]:
    """The whole records. After a damaged one reading goes on with the next block, as LevelDB does; notes say so."""
    n_damaged, is_cut = 0, False
    begun: list[bytes] | None = None
    position = _FILE_HEADER
    while position + _HEADER <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER:
            position += left
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, position)
        chunk = data[position + _HEADER : position + _HEADER + length]
        if kind == 0 and length == 0 and crc == 0:  # padding that was never filled
            position += left
            continue
        if len(chunk) < length:
            is_cut = True
            break
        if length > left - _HEADER or not _FULL <= kind <= _LAST or zlib.crc32(bytes([kind]) + chunk) != crc:
            n_damaged, begun = n_damaged + 1, None
            position += left
            continue
        position += _HEADER + length
        if kind == _FULL:
            yield chunk
        elif kind == _FIRST:
            begun = [chunk]
        elif begun is not None:
            begun.append(chunk)
            if len(begun) * _BLOCK > MAX_RECORD + _BLOCK:
                begun = None  # too long to hold history; its other parts are passed over
            elif kind == _LAST:
                yield b"".join(begun)
                begun = None
    if n_damaged:
        notes.append(f"Left out: the records in {count_of(n_damaged, 'block')} with a wrong checksum.")
    if is_cut or begun is not None or 0 < len(data) - position < _HEADER:
        notes.append("The last record is cut short, as that of a run that was killed; it was left out.")


def parse_history(message: bytes) -> dict[str, float]:
    """The numbers of a HistoryRecord.

    Raises:
        ValueError: it is no such message.
    """
    row: dict[str, float] = {}
    for number, kind, value in fields(message):
        if (number, kind) == (1, BYTES):
            key, nested, content = "", [], ""
            for inner, inner_kind, item in fields(part(value)):
                if inner_kind != BYTES:
                    continue
                if inner == 1:
                    key = text(item)
                elif inner == 2:
                    nested.append(text(item))
                elif inner == 16:
                    content = text(item)
            row.update(numbers_in(_value_of(content), key or ".".join(nested)))
        elif (number, kind) == (2, BYTES):
            for inner, inner_kind, item in fields(part(value)):
                if (inner, inner_kind) == (1, VARINT):
                    row.setdefault("_step", float(signed(int(item))))
    return row if row.keys() - {"_step", "_runtime", "_timestamp"} else {}


def _value_of(content: str) -> object:
    """What a JSON text holds; None if it is none."""
    try:
        return json.loads(content, parse_int=float)
    except (ValueError, RecursionError):
        return None


def parse_name(message: bytes) -> str:
    """The name of a RunRecord that is displayed, or its id."""
    found = {number: text(value) for number, kind, value in fields(message) if kind == BYTES and number in (1, 8)}
    return found.get(8) or found.get(1, "")
