"""Files that would reach outside themselves or exhaust whoever reads them: a good data set, with one thing replaced."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t, h5z

N_RUNS = 24
"""Rows of the good file that they are made from."""


def replace_column(path, name, make):
    """Put something else in the place of a column; `make(file, old values)` does so."""
    with h5py.File(path, "r+") as file:
        values = file[name][...]
        del file[name]
        make(file, values)


def make_hostile(path, make):
    """Turn a good file into what a maker of `HOSTILE` makes of it."""
    replace_column(path, "group", make)
    if make in AFTERWARDS:
        AFTERWARDS[make](path)


def hard_to_miss(tmp_path):
    """A file with something that must not get read."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["secret"] = np.zeros(24, dtype="<i4")
    return str(tmp_path / "secret.h5")


def soft_link(file, values):
    file["elsewhere"] = values
    file["group"] = h5py.SoftLink("/elsewhere")


def dangling_link(file, values):
    file["group"] = values
    file["extra"] = h5py.SoftLink("/nowhere")


def external_link(file, values):
    file["group"] = h5py.ExternalLink(hard_to_miss(Path(file.filename).parent), "secret")


def external_link_beside(file, values):
    file["group"] = values
    file["extra"] = h5py.ExternalLink(hard_to_miss(Path(file.filename).parent), "secret")


def virtual(file, values):
    layout = h5py.VirtualLayout((24,), "<i4")
    layout[:] = h5py.VirtualSource(hard_to_miss(Path(file.filename).parent), "secret", (24,))
    file.create_virtual_dataset("group", layout)


def external_storage(file, values):
    file.create_dataset("group", (24,), "<i4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def nested(file, values):
    file["group"] = values
    file.create_group("more")["x"] = values


def cycle(file, values):
    file["group"] = file["/"]


def named_type(file, values):
    file["group"] = np.dtype("<i4")


def foreign_filter(file, values):
    file.create_dataset("group", data=values, compression="lzf")


def scale_offset(file, values):
    file.create_dataset("group", data=values, scaleoffset=0)


def gzip_twice(file, values):
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((24,))
    for _ in range(2):
        creation.set_filter(h5z.FILTER_DEFLATE, 0, (4,))
    space = h5s.create_simple((24,))
    h5d.create(file.id, b"group", h5t.STD_I32LE, space, creation).write(h5s.ALL, h5s.ALL, np.ascontiguousarray(values))


def unallocated(file, values):
    file.create_dataset("group", (10**12,), "<i4", chunks=(1000,), compression="gzip")


def unallocated_rows(file, values):
    file.create_dataset("group", (10**12,), "<i4")


def huge_chunk(file, values):
    file.create_dataset("group", (24,), "<i4", maxshape=(None,), chunks=(2**29,), compression="gzip")


def many_entries(file, values):
    file["group"] = values
    for i in range(1000):
        file[f"extra{i}"] = file["group"]


def many_links_to_one(file, values):
    """The same bytes again and again under the names of several columns."""
    file.create_dataset("group", data=values)
    for name in ("seed", "val_loss"):
        del file[name]
        file[name] = file["group"]


def giant_attribute(file, values):
    file["group"] = values
    del file.attrs["recipe_text"]
    file.attrs.create("recipe_text", np.bytes_(b"#" * 10**7))


def deep_json(file, values):
    file["group"] = values
    del file.attrs["thresholds"]
    file.attrs["thresholds"] = np.bytes_(b"[" * 50_000)


def deep_groups(file, values):
    file["group"] = values
    file.create_group("/".join(["deep"] * 300))


def cycle_of_groups(file, values):
    file["group"] = values
    outer = file.create_group("a")
    outer.create_group("b")["a"] = outer


def compound(file, values):
    file.create_dataset("group", data=np.zeros(N_RUNS, dtype=[("a", "<i4"), ("b", "S4")]))


def references(file, values):
    file.create_dataset("group", data=[file["run"].ref] * N_RUNS, dtype=h5py.ref_dtype)


def region_references(file, values):
    file.create_dataset("group", data=[file["run"].regionref[:]] * N_RUNS, dtype=h5py.regionref_dtype)


def lists(file, values):
    rows = np.empty(N_RUNS, dtype=h5py.vlen_dtype("i4"))
    rows[:] = [np.zeros(2, dtype="i4")] * N_RUNS
    file.create_dataset("group", data=rows)


def bits(file, values):
    h5d.create(file.id, b"group", h5t.STD_B32LE, h5s.create_simple((N_RUNS,)))


def odd_precision(file, values):
    kind = h5t.STD_I32LE.copy()
    kind.set_precision(20)
    h5d.create(file.id, b"group", kind, h5s.create_simple((N_RUNS,)))


def nameless_type(file, values):
    kind = h5t.STD_I32LE.copy()
    kind.commit(file.id, b"type")
    h5d.create(file.id, b"group", kind, h5s.create_simple((N_RUNS,)))
    del file["type"]


def big_endian(file, values):
    file["group"] = values.astype(">i4")


def many_axes(file, values):
    file.create_dataset("group", (1,) * 32, "<i4")


def overlapping_chunks(file, values):
    """64 chunks of which all but the first take little room; see `_overlap`."""
    content = np.zeros((64, 16384), dtype="<i4")
    content[0] = np.random.default_rng(0).integers(0, 2**31, 16384)
    file.create_dataset("group", data=content.ravel(), chunks=(16384,), compression="gzip")


def _overlap(path):
    """Let every chunk lie where the first does; old B-trees have no checksums."""
    with h5py.File(path) as file:
        stored = file["group"].id
        chunks = [stored.get_chunk_info(i) for i in range(64)]
    image = path.read_bytes()
    first, *others = (struct.pack("<II2QQ", c.size, 0, *c.chunk_offset, 0, c.byte_offset) for c in chunks)
    for chunk, record in zip(chunks[1:], others, strict=True):
        forged = struct.pack("<II2QQ", chunks[0].size, 0, *chunk.chunk_offset, 0, chunks[0].byte_offset)
        assert image.count(record) == 1
        image = image.replace(record, forged)
    assert image.count(first) == 1
    path.write_bytes(image)


AFTERWARDS = {overlapping_chunks: _overlap}
"""Maker -> what is done to the closed file."""

NO_DATASET = "is not a plain HDF5 dataset"
NO_NUMBERS = "does not hold numbers or text"

HOSTILE = {
    "soft-link": (soft_link, "'group' is a soft or external link"),
    "dangling-link": (dangling_link, "'extra' is a soft or external link"),
    "external-link": (external_link, "'group' is a soft or external link"),
    "external-link-beside": (external_link_beside, "'extra' is a soft or external link"),
    "virtual": (virtual, "`group` is a virtual dataset"),
    "external-storage": (external_storage, "`group` keeps its bytes in another file"),
    "nested": (nested, f"'more' {NO_DATASET}"),
    "deep-groups": (deep_groups, f"'deep' {NO_DATASET}"),
    "cycle": (cycle, f"'group' {NO_DATASET}"),
    "cycle-of-groups": (cycle_of_groups, f"'a' {NO_DATASET}"),
    "named-type": (named_type, f"'group' {NO_DATASET}"),
    "nameless-type": (nameless_type, "`group` has a type of its own"),
    "odd-precision": (odd_precision, "`group` has a type of its own"),
    "big-endian": (big_endian, "`group` has the type '>i4'"),
    "compound": (compound, f"`group` {NO_NUMBERS}"),
    "references": (references, f"`group` {NO_NUMBERS}"),
    "region-references": (region_references, f"`group` {NO_NUMBERS}"),
    "lists": (lists, f"`group` {NO_NUMBERS}"),
    "bits": (bits, f"`group` {NO_NUMBERS}"),
    "many-axes": (many_axes, "`group` has the shape"),
    "foreign-filter": (foreign_filter, r"stored with the filters \[32000\]; allowed are shuffle, gzip, fletcher32"),
    "scale-offset": (scale_offset, r"stored with the filters \[6\]"),
    "gzip-twice": (gzip_twice, "passes a filter twice"),
    "unallocated": (unallocated, "declares 4000000000000 bytes, but stores 0"),
    "unallocated-rows": (unallocated_rows, "declares 4000000000000 bytes, but stores 0"),
    "huge-chunk": (huge_chunk, "chunks of 2147483648 bytes; at most 67108864"),
    "overlapping-chunks": (overlapping_chunks, r"its columns take \d+ bytes of a smaller file"),
    "many-links-to-one": (many_links_to_one, "`seed` has the type '<i4'"),
    "many-entries": (many_entries, r"has \d+ entries; more than 1000"),
    "giant-attribute": (giant_attribute, "'recipe_text' has 10000000 bytes; at most 60000"),
    "deep-json": (deep_json, "'thresholds' does not hold what the format asks for"),
}
"""Name -> the maker, and what the refusal says."""


def hostile_files(good, folder):
    """Write one file of every kind; yields name, path and what the refusal has to say."""
    for name, (make, message) in HOSTILE.items():
        path = Path(folder) / f"{name}.h5"
        shutil.copy(good, path)
        make_hostile(path, make)
        yield name, path, message
