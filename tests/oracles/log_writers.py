"""Plain writers of binary logs, bit by bit: what the readers are held against, and how odd files are made."""

from __future__ import annotations

import struct
import zlib


def crc32c(data):
    """CRC-32C one bit after the other."""
    crc = 0xFFFFFFFF
    for byte in data:
        for i in range(8):
            bit = (crc ^ (byte >> i)) & 1
            crc = (crc >> 1) ^ (0x82F63B78 if bit else 0)
    return crc ^ 0xFFFFFFFF


def masked(crc):
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def varint(n):
    n %= 2**64
    out = b""
    while n >= 128:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n])


def field(number, value):
    """One field: an int as a varint, a float as a fixed64, bytes as they are."""
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    if isinstance(value, float):
        return varint(number * 8 + 1) + struct.pack("<d", value)
    return varint(number * 8 + 2) + varint(len(value)) + value


def fixed32(number, value):
    return varint(number * 8 + 5) + struct.pack("<f", value)


def event(tag, value, step, *, tensor=None):
    """An Event with a scalar; with `tensor` its TensorProto in place of the simple value."""
    content = fixed32(2, value) if tensor is None else field(8, tensor)
    return field(1, 1.0) + field(2, step) + field(5, field(1, field(1, tag.encode()) + content))


def tfrecord(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(crc32c(length))) + data + struct.pack("<I", masked(crc32c(data)))


def events(*messages):
    first = field(1, 1.0) + field(3, b"brain.Event:2")
    return b"".join(map(tfrecord, (first, *messages)))


def history(**values):
    """A W&B Record of one row of history; values are texts of JSON; a key with a dot is given in parts."""
    items = b""
    for key, text in values.items():
        parts = key.split("__")
        named = field(1, key.encode()) if len(parts) == 1 else b"".join(field(2, part.encode()) for part in parts)
        items += field(1, named + field(16, text.encode()))
    return field(2, items)


def wandb_file(*messages):
    """A run file: LevelDB's log format, records cut at blocks of 32 KiB."""
    out = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for message in messages:
        is_first = True
        while True:
            left = 32768 - len(out) % 32768
            if left < 7:
                out += bytes(left)
                left = 32768
            chunk, message = message[: left - 7], message[left - 7 :]
            is_last = not message
            kind = 1 if is_first and is_last else 2 if is_first else 4 if is_last else 3
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + chunk), len(chunk), kind) + chunk
            is_first = False
            if is_last:
                break
    return out
