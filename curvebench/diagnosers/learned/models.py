"""Files of fitted diagnosers: a zip of JSON and plain arrays, with no code in it and nothing that could become code.

The entries are stored as they are, not compressed, so no file takes more memory than its own size allows. What kind of
diagnoser a file holds is looked up in `KINDS`; nothing is imported because a file says so.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.fitted import Array, Learned
from curvebench.spec import DIAGNOSES, TRACKS, Float, InputError, UsageError

SUFFIX = ".cbm"

FORMAT_NAME, FORMAT_VERSION = "curvebench-model", 1

MAX_BYTES = 256 * 1024**2
"""Largest file that is read."""

MAX_HEADER_BYTES, MAX_ENTRIES = 64 * 1024, 64
"""Largest `model.json`, and most entries, that are read."""

KINDS: Mapping[str, str] = {
    "forest": "curvebench.diagnosers.learned.forest:Forest",
    "boosting": "curvebench.diagnosers.learned.boosting:Boosting",
    "as-logged": "curvebench.diagnosers.learned.as_logged:AsLogged",
    "dtw-1nn": "curvebench.diagnosers.learned.nearest:NearestNeighbour",
    "minirocket": "curvebench.diagnosers.learned.minirocket:MiniRocketRidge",
    "cnn": "curvebench.diagnosers.learned.convolution:ConvolutionalNetwork",
}
"""What can be stored: name in the file -> class."""

_HEADER = "model.json"
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip knows: the same model makes the same bytes


@dataclass(frozen=True)
class Origin:
    """Where a fitted model comes from.

    Attributes:
        kind: one of `KINDS`.
        diagnoses: those that it was shown.
        track: one of `TRACKS`.
        n_points: of the curves that it was fitted to.
        dataset_sha256: content hash of the data set on whose split `train` it was fitted (of several see
            `joint_sha256`); empty where not said.
        versions: package -> version when it was stored.
    """

    kind: str
    diagnoses: tuple[str, ...]
    track: str
    n_points: int
    dataset_sha256: str
    versions: Mapping[str, str]


class FittedModel:
    """A diagnoser that was loaded from a file; it can't be fitted again, and answers as it did when it was stored.

    Attributes:
        origin: what the file says about it.
        track: what it needs to be shown.
        may_lack: channels of it that may be NaN throughout, where a log has none.
    """

    def __init__(self, origin: Origin, diagnoser: Learned) -> None:
        self.origin = origin
        self.track = origin.track
        self.may_lack = diagnoser.may_lack
        self._diagnoser = diagnoser

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, 6) of curves (n_curves, n_channels, n_points); others are ignored.

        Raises:
            ValueError: if X has fewer channels than its track.
        """
        return self._diagnoser.predict_proba(np.asarray(X)[:, : self._diagnoser.n_channels])


# ---------------------------------------------------------------------------------------------- writing


def save_model(
    diagnoser: object, path: str | os.PathLike[str], *, dataset_sha256: str = "", overwrite: bool = False
) -> None:
    """Write a fitted diagnoser to a file that is, at every moment, either absent, the old one, or the whole new one.

    Args:
        diagnoser: fitted; of one of the classes of `KINDS`.
        path: of the file; its folder must exist.
        dataset_sha256: content hash of the data set that it was fitted on.
        overwrite: replace a file that is already there.

    Raises:
        UsageError: the diagnoser is of another class, or not fitted; the path cannot be written to.
    """
    from curvebench.data.store import publish

    image = model_bytes(diagnoser, dataset_sha256)
    check_storable(diagnoser, path, overwrite=overwrite)
    publish(image, Path(path), overwrite=overwrite)


def check_storable(diagnoser: object, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Find out early, before it is fitted, whether a diagnoser could be stored at a path.

    Raises:
        UsageError: it could not, and why.
    """
    from curvebench.data.store import check_target

    kind_of(diagnoser)
    if not str(path).endswith(SUFFIX):
        raise UsageError(f"{path} is no name for a model: it must end in {SUFFIX}, by which it is known to be one.")
    check_target(path, overwrite=overwrite)


def kind_of(diagnoser: object) -> str:
    """Which of `KINDS` a diagnoser is.

    Raises:
        UsageError: none of them.
    """
    cls = type(diagnoser)
    for kind, target in KINDS.items():
        if f"{cls.__module__}:{cls.__qualname__}" == target:
            return kind
    raise UsageError(f"A {cls.__name__} can't be stored; what can be is {', '.join(KINDS)}.")


def model_bytes(diagnoser: object, dataset_sha256: str = "") -> bytes:
    """The bytes of a model's file, the same for the same model; arguments and errors as for `save_model`."""
    from curvebench.data.versions import package_versions

    kind = kind_of(diagnoser)
    assert isinstance(diagnoser, Learned)
    if not diagnoser.classes:
        raise UsageError("This diagnoser was not fitted, so there is nothing to store; fit it first.")
    header = {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "kind": kind,
        "diagnoses": [DIAGNOSES[c] for c in diagnoser.classes],
        "track": next(name for name, channels in TRACKS.items() if len(channels) >= diagnoser.n_channels),
        "n_channels": diagnoser.n_channels,
        "n_points": diagnoser.n_points,
        "dataset_sha256": dataset_sha256,
        "versions": package_versions(),
        "arrays": list(diagnoser.arrays),
    }
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER, _MOMENT), json.dumps(header, indent=1))
        for name, array in diagnoser.arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _MOMENT), entry.getvalue())
    return image.getvalue()


# ---------------------------------------------------------------------------------------------- reading


def load_model(path: str | os.PathLike[str]) -> FittedModel:
    """Read a fitted diagnoser, trusting nothing in the file.

    Raises:
        InputError: there is no such file, it can't be read, is no model, is damaged, or of a newer version.
        UsageError: a package that the diagnoser needs is not installed.
    """
    image = _image(Path(path))
    try:
        return model_from_bytes(image)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no model that can be read ({reason}); fit it again.") from None


def _image(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{path} is no model: it is not a plain file.")
            if status.st_size > MAX_BYTES:
                raise InputError(f"{path} has {status.st_size:,} bytes; models of up to {MAX_BYTES:,} are read.")
            image = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    return image


def model_from_bytes(image: bytes) -> FittedModel:
    """The model whose file has these bytes; nothing in them is trusted.

    Raises:
        ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError: they are no model's.
    """
    with zipfile.ZipFile(io.BytesIO(image)) as archive:
        entries = _entries(archive, len(image))
        header = _header(archive.read(_HEADER) if _HEADER in entries else b"")
        names = header["arrays"]
        if set(entries) != {_HEADER, *(f"{name}.npy" for name in names)}:
            raise ValueError("its entries are not those that it lists")
        arrays = {name: _array(archive.read(f"{name}.npy")) for name in names}
    module, _, attribute = KINDS[header["kind"]].partition(":")
    cls: type[Learned] = getattr(import_module(module), attribute)
    classes = tuple(DIAGNOSES.index(name) for name in header["diagnoses"])
    diagnoser = cls.restored(arrays, classes, header["n_channels"], header["n_points"])
    origin = Origin(
        kind=header["kind"],
        diagnoses=tuple(header["diagnoses"]),
        track=header["track"],
        n_points=header["n_points"],
        dataset_sha256=header["dataset_sha256"],
        versions=header["versions"],
    )
    return FittedModel(origin, diagnoser)


def _entries(archive: zipfile.ZipFile, n_bytes: int) -> list[str]:
    """Names of the entries, none twice, which together are no larger than the file."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise ValueError(f"it has {len(entries):,} entries")
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("it has an entry twice")
    if any(e.compress_type != zipfile.ZIP_STORED or e.compress_size != e.file_size for e in entries):
        raise ValueError("it has compressed entries")
    if sum(entry.file_size for entry in entries) > n_bytes:
        raise ValueError("its entries are larger than the file")
    return names


def _header(text: bytes) -> dict[str, Any]:
    """What `model.json` says, of the right types and known values."""
    if not 0 < len(text) <= MAX_HEADER_BYTES:
        raise ValueError(f"it has no {_HEADER}, or one that is too large")
    try:
        header = json.loads(text)
    except RecursionError:
        raise ValueError(f"its {_HEADER} is nested too deeply") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT_NAME:
        raise ValueError(f"its {_HEADER} is not that of a model")
    if header.get("version") != FORMAT_VERSION:
        raise ValueError(f"it has the version {header.get('version')!r}; known is {FORMAT_VERSION}")
    for field, is_right in _FIELDS.items():
        if not is_right(header.get(field)):
            raise ValueError(f"its {_HEADER} has no valid {field!r}")
    if len(TRACKS[header["track"]]) < header["n_channels"]:
        raise ValueError("its track has fewer channels than it needs")
    return header


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_FIELDS: Mapping[str, Any] = {
    "kind": lambda v: isinstance(v, str) and v in KINDS,
    "diagnoses": lambda v: _is_list_of_texts(v) and set(v) <= set(DIAGNOSES),
    "track": lambda v: isinstance(v, str) and v in TRACKS,
    "n_channels": lambda v: type(v) is int,
    "n_points": lambda v: type(v) is int,
    "dataset_sha256": lambda v: isinstance(v, str),
    "versions": lambda v: isinstance(v, dict) and _is_list_of_texts(list(v.values())),
    "arrays": _is_list_of_texts,
}
"""Field of `model.json` -> whether a value is one."""


def _array(entry: bytes) -> Array:
    """The array of an .npy file, of the one form in which models are written, whose size is what its header says."""
    found = _NPY.match(entry)
    if found is None:
        raise ValueError("an array that is not of numbers row by row")
    n_bytes, dtype = found.end() - len(_NPY_MAGIC) - 2, np.dtype(found["dtype"].decode())
    if n_bytes != int.from_bytes(found["n_bytes"], "little"):
        raise ValueError("an array whose header has another length than it says")
    shape = tuple(int(length) for length in found["shape"].replace(b",", b" ").split())
    if math.prod(shape) * dtype.itemsize != len(entry) - found.end():
        raise ValueError("an array that is longer or shorter than it says")
    return np.frombuffer(entry, dtype, offset=found.end()).reshape(shape)


_NPY_MAGIC = b"\x93NUMPY\x01\x00"

_NPY = re.compile(
    re.escape(_NPY_MAGIC) + rb"(?P<n_bytes>[\x00-\xff]{2})"
    rb"\{'descr': '(?P<dtype><[fi][48])', 'fortran_order': False, 'shape': \((?P<shape>|[0-9, ]{1,90})\), \} *\n",
    re.DOTALL,
)
"""How numpy writes the header of an array of version 1. numpy's own reader parses it as Python."""
