"""A data set in memory: one read-only table with a row per run, what gives it meaning, and the hash of both."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.data.columns import COLUMNS, FORMAT_VERSION, Column
from curvebench.spec import (
    DIAGNOSES,
    LABELS,
    NO_REMEDY,
    OPTIMIZERS,
    SPLITS,
    TRACKS,
    Action,
    Bool,
    InputError,
    Int,
    Remedy,
    UsageError,
)

Array = NDArray[Any]

HASHED_ATTRIBUTES: tuple[str, ...] = (
    "format_version",
    "recipe_sha256",
    "remedies",
    "fixed_actions",
    "cost_weight",
    "thresholds",
)
"""What gives the columns their meaning, in the order in which the content hash takes it."""

MAX_ATTRIBUTE_BYTES = 60_000
"""Larger attributes leave the checksummed part of an HDF5 file."""


# ----------------------------------------------------------------------------------------------- meaning


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What gives the columns of a data set their meaning.

    Attributes:
        recipe_name: name of the recipe that the data come from.
        recipe_version: its version.
        recipe_text: the recipe itself, TOML.
        recipe_sha256: SHA-256 of `recipe_text` in UTF-8, hexadecimal.
        engine: name of the training engine.
        remedies: axis `remedy` of the columns; the first is always `none`. Axis `resume` has the remedies
            whose action is `resume`, in the same order.
        fixed_actions: diagnosis -> index of the remedy that it stands for, fixed on the split `train`.
        cost_weight: net gain = gain - cost_weight * extra training (in whole trainings).
        thresholds: name -> value of every threshold that the labels depend on.
        licence: of the data, as an SPDX expression.
        source_licences: source data set -> its licence.
        package_versions: package -> version that took part in making the data.
        format_version: of the table of columns.

    Raises:
        InputError: a field has a value that the format does not allow; all such fields are listed.
    """

    recipe_name: str
    recipe_version: str
    recipe_text: str
    recipe_sha256: str
    engine: str
    remedies: tuple[Remedy, ...]
    fixed_actions: Mapping[str, int]
    cost_weight: float
    thresholds: Mapping[str, float]
    licence: str
    source_licences: Mapping[str, str]
    package_versions: Mapping[str, str]
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "remedies", tuple(self.remedies))
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                object.__setattr__(self, field.name, MappingProxyType(dict(value)))
        if faults := _meta_faults(self):
            raise InputError(_listed("The attributes of the data set have", faults))

    def __reduce__(self) -> tuple[Any, ...]:
        return Meta.from_text, (self.to_text(),)

    @property
    def resumes(self) -> tuple[int, ...]:
        """Indices of the remedies on the axis `resume`, in its order."""
        return tuple(i for i, remedy in enumerate(self.remedies) if remedy.action is Action.RESUME)

    def to_text(self) -> dict[str, str]:
        """Every field as the text that stands in the file: plain text as it is, all else as canonical JSON."""
        remedies = [{"action": r.action.value, "at": float(r.at), "factor": float(r.factor)} for r in self.remedies]
        return {
            "format_version": _canonical_json(self.format_version),
            "recipe_name": self.recipe_name,
            "recipe_version": self.recipe_version,
            "recipe_text": self.recipe_text,
            "recipe_sha256": self.recipe_sha256,
            "engine": self.engine,
            "remedies": _canonical_json(remedies),
            "fixed_actions": _canonical_json({k: int(v) for k, v in self.fixed_actions.items()}),
            "cost_weight": _canonical_json(float(self.cost_weight)),
            "thresholds": _canonical_json({k: float(v) for k, v in self.thresholds.items()}),
            "licence": self.licence,
            "source_licences": _canonical_json(dict(self.source_licences)),
            "package_versions": _canonical_json(dict(self.package_versions)),
        }

    @classmethod
    def from_text(cls, text: Mapping[str, str]) -> Meta:
        """The inverse of `to_text`; other keys are ignored.

        Raises:
            InputError: a field is missing, is not JSON of the right kind, or has a value that is not allowed.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in text:
                raise InputError(f"The attribute {field.name!r} is missing; every data set has it.")
            try:
                values[field.name] = _PARSERS.get(field.name, str)(text[field.name])
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise InputError(
                    f"The attribute {field.name!r} does not hold what the format asks for ({error})."
                ) from None
        return cls(**values)


def _canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces, ASCII only, floats in the shortest form that reads back the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _parse_mapping(convert: Callable[[Any], Any]) -> Callable[[str], dict[str, Any]]:
    return lambda text: {str(k): convert(v) for k, v in json.loads(text).items()}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _remedies(text: str) -> tuple[Remedy, ...]:
    return tuple(
        Remedy(Action(entry["action"]), _number(entry["factor"]), _number(entry["at"])) for entry in json.loads(text)
    )


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "format_version": lambda text: _integer(json.loads(text)),
    "remedies": _remedies,
    "fixed_actions": _parse_mapping(_integer),
    "cost_weight": lambda text: _number(json.loads(text)),
    "thresholds": _parse_mapping(_number),
    "source_licences": _parse_mapping(_text),
    "package_versions": _parse_mapping(_text),
}


def _meta_faults(meta: Meta) -> list[str]:
    """Everything about `meta` that the format does not allow, one sentence each."""
    numbers = [meta.cost_weight, *meta.thresholds.values(), *(x for r in meta.remedies for x in (r.factor, r.at))]
    if not all(math.isfinite(number) for number in numbers):
        return ["`remedies`, `cost_weight` and `thresholds` hold a number that is not finite"]
    faults = []
    if meta.format_version != FORMAT_VERSION:
        faults.append(f"`format_version` is {meta.format_version}; this program writes {FORMAT_VERSION}")
    if not meta.remedies or meta.remedies[0] != NO_REMEDY:
        faults.append("`remedies` must begin with the remedy none")
    if len(set(meta.remedies)) != len(meta.remedies):
        faults.append("`remedies` lists a remedy twice")
    if any(r.factor <= 0 or not 0 <= r.at < 1 for r in meta.remedies):
        faults.append("`remedies` needs factors above 0 and starts in [0, 1)")
    if unknown := sorted(set(meta.fixed_actions) - set(DIAGNOSES)):
        faults.append(f"`fixed_actions` names {_names(unknown)}; allowed are {_names(DIAGNOSES)}")
    if any(not 0 <= i < len(meta.remedies) for i in meta.fixed_actions.values()):
        faults.append(f"`fixed_actions` points outside the {len(meta.remedies)} remedies")
    return faults + _attribute_text_faults(meta)


def _attribute_text_faults(meta: Meta) -> list[str]:
    """What keeps the texts of `meta` from being stored and read back as they are."""
    faults = []
    for name, text in meta.to_text().items():
        try:
            n_bytes = len(text.encode())
        except UnicodeEncodeError:
            faults.append(f"`{name}` holds characters that UTF-8 cannot express")
            continue
        if n_bytes > MAX_ATTRIBUTE_BYTES:
            faults.append(f"`{name}` has {n_bytes} bytes; at most {MAX_ATTRIBUTE_BYTES} are allowed")
        if "\0" in text:
            faults.append(f"`{name}` holds a NUL character")
        if name == "recipe_text" and hashlib.sha256(text.encode()).hexdigest() != meta.recipe_sha256:
            faults.append("`recipe_sha256` is not the SHA-256 of `recipe_text`")
    return faults


# ------------------------------------------------------------------------------------ memory and file form


def to_stored(column: Column, values: Array) -> Array:
    """The canonical array of a column: what the file holds and the content hash is taken over.

    Args:
        column: which one.
        values: (n_runs, ...) text as NumPy 'U', else numbers.

    Returns:
        The same shape, C-contiguous, of `column.dtype`: little-endian, text as zero-padded UTF-8, every NaN
        with the one bit pattern 0x7fc00000 (float32) or 0x7ff8000000000000 (float64).

    Raises:
        InputError: text that does not fit, or that UTF-8 cannot express; it is never cut.
    """
    if column.is_text:
        return _text_to_stored(column, values)
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype=column.dtype)
    if stored.dtype.kind == "f" and (is_nan := np.isnan(stored)).any():
        stored = stored.copy()
        stored[is_nan] = np.nan
    return stored


def _text_to_stored(column: Column, values: Array) -> Array:
    try:
        encoded = values.astype("S")
    except UnicodeEncodeError:
        try:
            encoded = np.char.encode(values, "utf-8")
        except UnicodeEncodeError:
            raise InputError(f"`{column.name}` holds text that UTF-8 cannot express.") from None
    if encoded.dtype.itemsize > column.itemsize:
        lengths = np.char.str_len(encoded)
        if lengths.size and lengths.max() > column.itemsize:
            raise InputError(
                f"`{column.name}` has room for {column.itemsize} bytes of UTF-8, but "
                f"{str(values[lengths.argmax()])!r} needs {lengths.max()}."
            )
    return np.ascontiguousarray(encoded.astype(column.dtype))


def from_stored(column: Column, stored: Array) -> Array:
    """The array in memory of what `to_stored` made: text as NumPy 'U', numbers as they are.

    Raises:
        InputError: text that is not UTF-8.
    """
    if not column.is_text:
        return stored
    try:
        return stored.astype("U")
    except UnicodeDecodeError:
        pass
    try:
        return np.asarray(np.char.decode(stored, "utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"`{column.name}` holds text that is not UTF-8.") from None


# ------------------------------------------------------------------------------------------------- checks


def check_columns(columns: Mapping[str, Array], remedies: Sequence[Remedy] | None = None) -> None:
    """Hold columns against the table of the format.

    Args:
        columns: name -> (n_runs, ...); text as NumPy 'U'.
        remedies: of the data set, which fix the axes `remedy` and `resume`; None leaves those free.

    Raises:
        InputError: every fault in one message: columns missing or unknown, wrong kinds of values, shapes that
            do not fit each other or the remedies, values that are not allowed or do not fit, runs named twice.
    """
    faults = [f"the column `{name}` is missing" for name in COLUMNS if name not in columns]
    faults += [f"there is no column `{name}` in the format" for name in columns if name not in COLUMNS]
    shapes = {name: values.shape for name, values in columns.items()}
    faults += shape_faults(shapes, remedies)
    for name, column in COLUMNS.items():
        if name in columns:
            faults += _value_faults(column, columns[name])
    if not faults:
        faults = _row_faults(columns)
    if faults:
        raise InputError(_listed("The columns of the data set have", faults))


def check_values(columns: Mapping[str, Array]) -> None:
    """Hold the values of some columns against the table of the format.

    Raises:
        InputError: values that are not allowed or do not fit.
    """
    if faults := [fault for name, values in columns.items() for fault in _value_faults(COLUMNS[name], values)]:
        raise InputError(_listed("The columns of the data set have", faults))


def shape_faults(shapes: Mapping[str, tuple[int, ...]], remedies: Sequence[Remedy] | None = None) -> list[str]:
    """What is wrong with the shapes of the columns, one sentence each; columns not named are not missed.

    Args:
        shapes: column -> its whole shape, runs first.
        remedies: of the data set; None leaves the axes `remedy` and `resume` free.
    """
    lengths = {"diagnosis": (len(DIAGNOSES), "the format")}
    if remedies is not None:
        n_resumes = sum(remedy.action is Action.RESUME for remedy in remedies)
        lengths |= {"remedy": (len(remedies), "the list of remedies")}
        lengths |= {"resume": (n_resumes, "the list of remedies")}
    faults = []
    for name, column in COLUMNS.items():
        if name not in shapes:
            continue
        axes = ("run", *column.axes)
        if len(shapes[name]) != len(axes):
            faults.append(f"`{name}` has the shape {shapes[name]}; its axes are ({', '.join(axes)})")
            continue
        for axis, n in zip(axes, shapes[name], strict=True):
            expected, source = lengths.setdefault(axis, (n, f"`{name}`"))
            if n != expected:
                faults.append(f"`{name}` has {n} along the axis {axis}; {source} has {expected}")
    if lengths.get("point", (1, ""))[0] < 1:
        faults.append("curves need at least one point")
    return faults


def _value_faults(column: Column, values: Array) -> list[str]:
    """What is wrong with the type and the values of one column."""
    kind = np.dtype(column.dtype).kind
    if values.dtype.kind not in {"S": "U", "f": "f", "i": "iub", "u": "iub"}[kind]:
        wanted = {"S": "text ('U')", "f": "floating point"}.get(kind, "whole numbers")
        return [f"`{column.name}` has the type {values.dtype}; the format asks for {wanted}"]
    if column.is_text:
        return _text_faults(column, values)
    if kind != "f" and values.size:
        limits = np.iinfo(column.dtype)
        low, high = (0, 1) if column.unit == "boolean" else (int(limits.min), int(limits.max))
        if int(values.min()) < low or int(values.max()) > high:
            return [f"`{column.name}` reaches from {values.min()} to {values.max()}; allowed is {low} to {high}"]
    return []


def _text_faults(column: Column, values: Array) -> list[str]:
    if column.values:
        is_bad = ~np.isin(values, column.values)
        if is_bad.any():
            found = _names(np.unique(values[is_bad])[:5].tolist())
            return [f"`{column.name}` holds {found} in {is_bad.sum()} rows; allowed are {_names(column.values)}"]
    codes = np.ascontiguousarray(values).view(np.uint32).reshape(values.size, -1) if values.size else None
    if codes is not None and ((codes[:, :-1] == 0) & (codes[:, 1:] != 0)).any():
        return [f"`{column.name}` holds a NUL character"]
    try:
        _text_to_stored(column, values)
    except InputError as error:
        return [str(error).rstrip(".")]
    return []


def _row_faults(columns: Mapping[str, Array]) -> list[str]:
    """What is wrong between columns that are each in order."""
    faults = []
    names, counts = np.unique(columns["run"], return_counts=True)
    if (counts > 1).any():
        found = _names(names[counts > 1][:5].tolist())
        faults.append(f"`run` names {(counts > 1).sum()} runs more than once, such as {found}")
    length, n_points = columns["length"], columns["train_loss"].shape[1]
    if length.size and (length.min() < 0 or length.max() > n_points):
        faults.append(f"`length` reaches from {length.min()} to {length.max()}; curves have {n_points} points")
    return faults


def _listed(opening: str, faults: Sequence[str]) -> str:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{opening} {count}: {'; '.join(faults)}."


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _known(kind: str, name: str, known: Iterable[str]) -> str:
    """`name` itself.

    Raises:
        UsageError: it is not known; names that look like it are suggested, else all are listed.
    """
    known = list(known)
    if name in known:
        return name
    near = difflib.get_close_matches(str(name), known, n=3)
    hint = f"did you mean {_names(near)}?" if near else f"there are {_names(known)}."
    raise UsageError(f"There is no {kind} {name!r}; {hint}")


# ------------------------------------------------------------------------------------------- the data set


def axis_lengths(meta: Meta, n_points: int) -> dict[str, int]:
    """Name of an axis after the first -> its length."""
    return {
        "point": n_points,
        "diagnosis": len(DIAGNOSES),
        "remedy": len(meta.remedies),
        "resume": len(meta.resumes),
    }


class Table(Protocol):
    """A data set that one can go through piece by piece, whether it is in memory or in a folder of shards."""

    @property
    def meta(self) -> Meta:
        """What gives the columns their meaning."""

    @property
    def n_runs(self) -> int:
        """Number of rows."""

    @property
    def n_points(self) -> int:
        """Number of points of every curve."""

    @property
    def content_sha256(self) -> str:
        """The content hash of all that `pieces` gives."""

    def pieces(self, names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        """Some columns of all rows, in order, a part of the rows at a time; a group lies in one piece."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of runs. Rows never change their order; arrays are read-only.

    Attributes:
        columns: name -> (n_runs, ...) for every column of `curvebench.data.columns.COLUMNS`, in file order;
            text as NumPy 'U', numbers in the type that the file has (floats are rounded to it).
        meta: what gives the columns their meaning.

    Raises:
        InputError: the columns do not fit the format or the remedies (see `check_columns`).
    """

    columns: Mapping[str, Array]
    meta: Meta

    def __post_init__(self) -> None:
        columns = {name: np.asarray(values) for name, values in self.columns.items()}
        check_columns(columns, self.meta.remedies)
        frozen = {name: _frozen(column, columns[name]) for name, column in COLUMNS.items()}
        object.__setattr__(self, "columns", MappingProxyType(frozen))

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset, (dict(self.columns), self.meta)

    def __repr__(self) -> str:
        return f"Dataset({self.n_runs} runs of recipe {self.meta.recipe_name!r})"

    def __len__(self) -> int:
        return self.n_runs

    def __getitem__(self, name: str) -> Array:
        """A column by its name, (n_runs, ...), read-only.

        Raises:
            UsageError: there is no such column.
        """
        return self.columns[_known("column", name, self.columns)]

    @cached_property
    def content_sha256(self) -> str:
        """The content hash, 64 hexadecimal digits."""
        return _hash_content(self)

    @property
    def n_runs(self) -> int:
        """Number of rows."""
        return len(self.columns["run"])

    @property
    def n_points(self) -> int:
        """Number of points of every curve."""
        return int(self.columns["train_loss"].shape[1])

    def pieces(self, names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        """All rows at once: whatever goes through a folder shard by shard takes this in one step."""
        yield {name: self.columns[name] for name in names}

    @property
    def labels(self) -> Array:
        """(n_runs,) text, one of `LABELS`: what would really have helped."""
        return self.columns["diagnosis"]

    @property
    def is_scored(self) -> Bool:
        """(n_runs,) whether the label is one of the six diagnoses."""
        return np.isin(self.labels, DIAGNOSES)

    @property
    def cell_rate(self) -> NDArray[np.intp]:
        """(n_runs,) a number that is the same for the runs of one cell and rate, and for them only."""
        return cell_rate(self.columns)

    def select(self, rows: ArrayLike) -> Dataset:
        """The data set of some rows.

        Args:
            rows: (n_runs,) bool mask, or row numbers, each at most once, in the order wanted.

        Raises:
            UsageError: a mask of another length, rows that do not exist, or a row asked for twice.
        """
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            if chosen.shape != (self.n_runs,):
                raise UsageError(f"The mask has the shape {chosen.shape}; there are {self.n_runs} runs.")
        else:
            chosen = self._row_numbers(chosen)
        return Dataset({name: values[chosen] for name, values in self.columns.items()}, self.meta)

    def _row_numbers(self, rows: Array) -> Array:
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise UsageError("Rows are chosen by a bool mask or by a list of whole numbers.")
        rows = rows.astype(np.intp)
        if rows.size and (rows.min() < 0 or rows.max() >= self.n_runs):
            raise UsageError(f"Rows {rows.min()} to {rows.max()} were asked for; there are {self.n_runs} runs.")
        if len(np.unique(rows)) != len(rows):
            raise UsageError("A row was asked for twice; a data set holds every run once.")
        return rows

    def split(self, name: str) -> Dataset:
        """The runs of one split.

        Raises:
            UsageError: there is no such split.
        """
        return self.select(self._mask(name, scored_only=False))

    def _mask(self, split: str | None, scored_only: bool) -> Bool:
        mask = np.ones(self.n_runs, dtype=np.bool_)
        if split is not None:
            mask &= self.columns["split"] == _known("split", split, SPLITS)
        if scored_only:
            mask &= self.is_scored
        return mask

    def to_numpy3d(
        self, track: str = "curve", split: str | None = None, scored_only: bool = False
    ) -> NDArray[np.float32]:
        """Curves as a diagnoser sees them.

        Args:
            track: what may be looked at, one of `TRACKS`.
            split: only these runs; None: all.
            scored_only: leave out the runs whose label is not one of the six diagnoses.

        Returns:
            (n_runs, n_channels, n_points) float32 in row order, channels in the order of `TRACKS[track]`, NaN
            and inf as they happened; the channel `optimizer` is the constant index into `OPTIMIZERS`.

        Raises:
            UsageError: there is no such track or split.
            InputError: an optimiser that `OPTIMIZERS` does not know.
        """
        return stack_channels(self.columns, TRACKS[_known("track", track, TRACKS)], self._mask(split, scored_only))

    def targets(self, split: str | None = None, scored_only: bool = False) -> Array:
        """Labels in the row order of `to_numpy3d` with the same arguments, (n_runs,) text.

        Raises:
            UsageError: there is no such split.
        """
        return self.labels[self._mask(split, scored_only)]

    def summary(self) -> dict[str, Any]:
        """Counts and names that describe the data set, ready for JSON."""
        return summarize(self)


def cell_rate(columns: Mapping[str, Array]) -> NDArray[np.intp]:
    """(n_runs,) a number that is the same for the runs of one cell and rate, and for them only.

    Args:
        columns: `cell` and `base_lr` at least.
    """
    _, cell = np.unique(columns["cell"], return_inverse=True)
    rates, rate = np.unique(columns["base_lr"], return_inverse=True)
    return np.asarray(cell * len(rates) + rate, dtype=np.intp)


def stack_channels(columns: Mapping[str, Array], channels: Sequence[str], rows: Bool | Int) -> NDArray[np.float32]:
    """Curves of some rows as a diagnoser sees them; see `Dataset.to_numpy3d`.

    Args:
        columns: the channels at least.
        channels: names of columns with a value for every point, or `optimizer`.
        rows: mask or numbers of the rows.

    Raises:
        InputError: an optimiser that `OPTIMIZERS` does not know.
    """
    first = columns[channels[0]]
    X = np.empty((len(first[rows]), len(channels), first.shape[1]), dtype=np.float32)
    for i, channel in enumerate(channels):
        is_code = channel == "optimizer"
        X[:, i] = _optimizer_codes(columns[channel])[rows, None] if is_code else columns[channel][rows]
    return X


def _optimizer_codes(optimizer: Array) -> NDArray[np.intp]:
    names, inverse = np.unique(optimizer, return_inverse=True)
    if unknown := sorted(set(names.tolist()) - set(OPTIMIZERS)):
        raise InputError(f"The data set holds the optimisers {_names(unknown)}; known are {_names(OPTIMIZERS)}.")
    return np.array([OPTIMIZERS.index(name) for name in names], dtype=np.intp)[inverse]


def gather(table: Table, names: Sequence[str], rows: Int) -> dict[str, Array]:
    """Some columns of some rows.

    Args:
        table: the data set.
        names: of the columns.
        rows: row numbers in the whole data set, ascending.

    Returns:
        Name -> (n_rows, ...).
    """
    parts = [{name: piece[name][own] for name in names} for piece, own in pieces_of(table, names, rows)]
    if not parts:
        parts = [{name: values[:0] for name, values in next(table.pieces(names)).items()}]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def pieces_of(table: Table, names: Sequence[str], rows: Int) -> Iterator[tuple[Mapping[str, Array], Int]]:
    """Those pieces of a data set that have some of the rows asked for, each with the row numbers in it.

    Args:
        table: the data set.
        names: of the columns.
        rows: row numbers in the whole data set, ascending.
    """
    start = 0
    for piece in table.pieces(names):
        stop = start + len(piece[names[0]])
        first, last = np.searchsorted(rows, (start, stop))
        if last > first:
            yield piece, rows[first:last] - start
        start = stop


def rows_of_split(table: Table, split: str, *, scored_only: bool = False) -> Int:
    """Row numbers of a split, ascending; of those runs only whose label is one of the six diagnoses, if so asked."""
    found, start = [], 0
    for piece in table.pieces(("split", "diagnosis")):
        mask = piece["split"] == split
        if scored_only:
            mask &= np.isin(piece["diagnosis"], DIAGNOSES)
        found.append(np.flatnonzero(mask) + start)
        start += len(mask)
    return np.concatenate(found)


def summarize(table: Table) -> dict[str, Any]:
    """Counts and names that describe a data set, ready for JSON."""
    by_split: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    problems: dict[str, set[str]] = {split: set() for split in SPLITS}
    n_cells = n_groups = 0
    for piece in table.pieces(("split", "diagnosis", "problem", "cell", "group")):
        n_cells += len(np.unique(piece["cell"]))  # neither cells nor groups lie in two pieces
        n_groups += len(np.unique(piece["group"]))
        for split in SPLITS:
            mask = piece["split"] == split
            by_split[split].update(piece["diagnosis"][mask].tolist())
            problems[split].update(np.unique(piece["problem"][mask]).tolist())
    labels = sum(by_split.values(), Counter[str]())
    meta = table.meta
    return {
        "format_version": meta.format_version,
        "recipe": meta.recipe_name,
        "recipe_version": meta.recipe_version,
        "recipe_sha256": meta.recipe_sha256,
        "engine": meta.engine,
        "licence": meta.licence,
        "thresholds": dict(meta.thresholds),
        "content_sha256": table.content_sha256,
        "n_runs": table.n_runs,
        "n_cells": n_cells,
        "n_groups": n_groups,
        "n_points": table.n_points,
        "n_remedies": len(meta.remedies),
        "n_scored": sum(labels[label] for label in DIAGNOSES),
        "labels": {label: labels[label] for label in LABELS},
        "splits": {split: counts.total() for split, counts in by_split.items()},
        "labels_by_split": {split: {label: c[label] for label in LABELS} for split, c in by_split.items()},
        "n_problem_instances": {split: len(names) for split, names in problems.items()},
    }


def _frozen(column: Column, values: Array) -> Array:
    """The column in its type in memory, as an array that cannot be written to."""
    if not column.is_text:
        with np.errstate(over="ignore"):
            values = values.astype(column.dtype, copy=False)
    view = values.view()
    view.setflags(write=False)
    return view


def concatenate(datasets: Sequence[Dataset]) -> Dataset:
    """One data set with the rows of several, in the order given.

    Raises:
        UsageError: no data sets, or data sets that differ in their meta data.
        InputError: runs named in two of them, or curves with different numbers of points.
    """
    if not datasets:
        raise UsageError("There is nothing to put together; give at least one data set.")
    first = datasets[0]
    for other in datasets[1:]:
        differing = [f.name for f in fields(Meta) if getattr(first.meta, f.name) != getattr(other.meta, f.name)]
        if differing:
            raise UsageError(f"Only data sets of one making can be put together; these differ in {_names(differing)}.")
        if other.n_points != first.n_points:
            raise InputError(f"Curves have {first.n_points} points in one data set, {other.n_points} in another.")
    columns = {name: np.concatenate([d.columns[name] for d in datasets]) for name in COLUMNS}
    return Dataset(columns, first.meta)


# -------------------------------------------------------------------------------------------- content hash


class ContentHasher:
    """SHA-256 of a data set's content, fed column by column in file order, each in blocks of rows.

    What goes in is specified in docs/format.md: neither how the data are stored nor by which versions.
    """

    def __init__(self, meta: Meta) -> None:
        self._sha256 = hashlib.sha256(b"curvebench content\n")
        text = meta.to_text()
        for name in HASHED_ATTRIBUTES:
            value = text[name].encode()
            self._sha256.update(f"attribute {name} {len(value)}\n".encode() + value + b"\n")

    def start_column(self, column: Column, shape: Sequence[int]) -> None:
        """Begin a column whose whole shape, runs first, is `shape`."""
        lengths = ",".join(str(n) for n in shape)
        self._sha256.update(f"column {column.name} {column.dtype} {lengths}\n".encode())

    def add_rows(self, column: Column, values: Array) -> None:
        """Take the next rows, (n_rows, ...), of the column begun last."""
        self._sha256.update(to_stored(column, values).reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._sha256.hexdigest()


def content_sha256(table: Table) -> str:
    """The content hash: equal for equal content, however it is stored; 64 hexadecimal digits. Computed once."""
    return table.content_sha256


def joint_sha256(tables: Sequence[Table]) -> str:
    """The content hash of a single data set; of several the SHA-256 of theirs, a line each, in their order."""
    hashes = [content_sha256(table) for table in tables]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _hash_content(dataset: Dataset) -> str:
    hasher = ContentHasher(dataset.meta)
    for name, column in COLUMNS.items():
        values = dataset.columns[name]
        hasher.start_column(column, values.shape)
        hasher.add_rows(column, values)
    return hasher.hexdigest()
