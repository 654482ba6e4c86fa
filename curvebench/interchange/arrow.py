"""Data sets as tables of Apache Arrow, which Parquet and CSV files are written from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from curvebench.data.dataset import Array, Dataset
from curvebench.interchange.packages import needed
from curvebench.interchange.source import Source


def arrow(module: str = "pyarrow") -> Any:
    """A module of pyarrow.

    Raises:
        UsageError: pyarrow is not installed.
    """
    return needed(module, what="This export", extra="export")


def schema(source: Source) -> Any:
    """The Arrow schema of the columns: the file's own types, lists of fixed length for what has more axes.

    Units and meanings stand in the fields' metadata, what gives the columns their meaning in the schema's.
    """
    pa, fields = arrow(), []
    for column in source.columns:
        kind = pa.string() if column.is_text else pa.from_numpy_dtype(np.dtype(column.dtype))
        for axis in reversed(column.axes):
            kind = pa.list_(pa.field("element", kind), source.lengths[axis])
        about = {"unit": column.unit, "description": column.description}
        fields.append(pa.field(column.name, kind, metadata=about))
    about = source.meta.to_text() | {"content_sha256": source.content_sha256}
    return pa.schema(fields, metadata={f"curvebench.{name}": text for name, text in about.items()})


def to_table(dataset: Dataset, wanted: Any) -> Any:
    """The columns of a data set as a table with a schema that `schema` made."""
    pa = arrow()
    arrays = []
    for field in wanted:
        values = dataset[field.name]
        array = pa.array(np.ascontiguousarray(values).reshape(-1))
        for n in reversed(values.shape[1:]):
            array = pa.FixedSizeListArray.from_arrays(array, n)
        arrays.append(array.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=wanted)


def flat_table(table: Mapping[str, Array]) -> Any:
    """A table of one of `curvebench.interchange.tables`."""
    return arrow().table(dict(table))
