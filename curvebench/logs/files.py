"""Reading files with bounds: never more than allowed, never through a link, unpacked and decoded on the way."""

from __future__ import annotations

import codecs
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from curvebench.logs.limits import MAX_DEPTH, MAX_ENTRIES, MAX_FILES, MAX_LINES, MAX_TEXT_BYTES
from curvebench.logs.numbers import count_of
from curvebench.nearly import did_you_mean_file
from curvebench.spec import InputError

_GZIP = b"\x1f\x8b"

_FOREIGN = {
    b"\x80\x02": "a pickle, which is never read because it could run anything",
    b"\x80\x03": "a pickle, which is never read because it could run anything",
    b"\x80\x04": "a pickle, which is never read because it could run anything",
    b"\x80\x05": "a pickle, which is never read because it could run anything",
    b"PK\x03\x04": "a zip archive or a checkpoint; unpack it or give the log itself",
    b"\x89HDF": "an HDF5 file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"%PDF": "a PDF",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet file; write it as CSV",
    b"BZh": "compressed with bzip2; unpack it or use gzip",
    b"\xfd7zXZ": "compressed with xz; unpack it or use gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it or use gzip",
}
"""How a file begins that is no log -> what it is."""

_MAX_CONTROL = 0.01
"""Share of control characters above which bytes are no text."""


def read_bytes(path: Path, limit: int) -> tuple[bytes, list[str]]:
    """The bytes of a file, unpacked if it is compressed with gzip, and notes.

    Raises:
        InputError: it cannot be opened, is no ordinary file, or is empty.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError("It is neither a file nor a folder.")
        with path.open("rb") as file:
            data = file.read(min(limit, status.st_size) + 1)
    except FileNotFoundError:
        raise InputError(f"There is no such file or folder.{did_you_mean_file(path)}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"It cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    notes: list[str] = []
    if data.startswith(_GZIP):
        data = _unpacked(data[:limit], limit, notes)
    if not data:
        raise InputError("The file is empty.")
    if len(data) > limit:
        notes.append(f"Only the first {limit:,} bytes were read.")
    return data[:limit], notes


def _unpacked(data: bytes, limit: int, notes: list[str]) -> bytes:
    """What gzip packed, up to one byte more than the limit; of a broken file what comes before the break."""
    whole = bytearray()
    while data.startswith(_GZIP) and len(whole) <= limit:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            whole += unpacker.decompress(data, limit + 1 - len(whole))
        except zlib.error:
            notes.append("The compressed file is damaged; what comes before the damage was read.")
            break
        if not unpacker.eof:
            if len(whole) <= limit:
                notes.append("The compressed file is cut short; what there is was read.")
            break
        data = unpacker.unused_data
    return bytes(whole)


def decode(data: bytes, notes: list[str]) -> str:
    """Bytes as text: UTF-8, or UTF-16 if a mark or the zeros say so; other bytes are replaced.

    Raises:
        InputError: it is no text.
    """
    for start, what in _FOREIGN.items():
        if data.startswith(start):
            raise InputError(f"It is {what}.")
    if len(data) > MAX_TEXT_BYTES:
        notes.append(f"Only the first {MAX_TEXT_BYTES:,} bytes were read.")
        data = data[:MAX_TEXT_BYTES]
    encoding = _encoding(data[:4096])
    text = data.decode(encoding, "replace").lstrip("\ufeff")
    head = text[:65536]
    n_odd = sum(head.count(chr(i)) for i in range(32) if chr(i) not in "\t\n\r\f\v\b\x1b") + head.count("\ufffd")
    if n_odd > max(_MAX_CONTROL * len(head), 2):
        raise InputError("It is neither a text nor a binary log that is known.")
    return text


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    n_pairs = len(head) // 2
    if n_pairs:
        n_low, n_high = head[0::2].count(0), head[1::2].count(0)
        if n_high > 0.5 * n_pairs and n_low < 0.1 * n_pairs:
            return "utf-16-le"
        if n_low > 0.5 * n_pairs and n_high < 0.1 * n_pairs:
            return "utf-16-be"
    return "utf-8"


def lines_of(text: str, longest: int, notes: list[str]) -> Iterator[str]:
    """The lines of a text without their ends; those that are too long are left out. Notes are made at the end."""
    n_long = n_lines = 0
    if "\n" not in text:
        text = text.replace("\r", "\n")
    position = 0
    while position < len(text):
        if n_lines == MAX_LINES:
            notes.append(f"Only the first {MAX_LINES:,} lines were read.")
            break
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        n_lines += 1
        if end - position > longest:
            n_long += 1
        else:
            yield text[position:end].rstrip("\r")
        position = end + 1
    if n_long:
        notes.append(f"Left out: {count_of(n_long, 'line')} of more than {longest:,} characters.")


def walk(folder: Path) -> tuple[list[Path], list[str]]:
    """The files of a folder and its folders, in the order of their names, and notes; links are not followed.

    Raises:
        InputError: the folder cannot be listed.
    """
    found: list[Path] = []
    n_links, n_listed, is_cut = 0, 0, False
    waiting = [(folder, 0)]
    while waiting:
        place, depth = waiting.pop()
        folders = []
        try:
            with os.scandir(place) as listing:
                for entry in listing:
                    n_listed += 1
                    if n_listed > MAX_ENTRIES or len(found) >= MAX_FILES:
                        is_cut = True
                        break
                    if entry.is_symlink():
                        n_links += 1
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        found.append(Path(entry.path))
        except OSError as error:
            if place == folder:
                raise InputError(f"The folder cannot be read: {error.strerror}.") from None
        if depth < MAX_DEPTH:
            waiting += [(inner, depth + 1) for inner in sorted(folders, reverse=True)]
        elif folders:
            is_cut = True
    notes = []
    if n_links:
        notes.append(f"Not followed: {count_of(n_links, 'link')} in the folder.")
    if is_cut:
        notes.append(
            f"The folder has more than {MAX_FILES:,} files or is deeper than {MAX_DEPTH}; not all of it was looked at."
        )
    return sorted(found), notes
