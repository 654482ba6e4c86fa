"""A folder that `datasets.load_dataset` opens: Parquet files by split and a data-set card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curvebench.data.columns import Column
from curvebench.interchange.description import describe, describe_columns, describe_counts, one_line, splits_of
from curvebench.interchange.parquet import FOLDER, write_splits
from curvebench.interchange.source import Source
from curvebench.interchange.text import write_text
from curvebench.spec import LABELS

CARD = "README.md"


def write_huggingface(source: Source, folder: Path) -> None:
    """Write `data/SPLIT.parquet` and the card; a label is text in the files, and a `ClassLabel` once loaded."""
    n_bytes = write_splits(source, folder)
    write_text(folder / CARD, make_card(source, n_bytes))


def make_card(source: Source, n_bytes: Mapping[str, int]) -> str:
    """The card: metadata in YAML, then what a person wants to know.

    Args:
        source: what was written.
        n_bytes: split -> bytes of its rows in memory.
    """
    meta, counts = source.meta, source.counts
    splits = splits_of(counts)
    n_of = {split: sum(counts.get((split, label), 0) for label in LABELS) for split in splits}
    about = {
        "pretty_name": f"CurveBench {one_line(meta.recipe_name)}",
        "license": one_line(meta.licence).lower(),
        "tags": ["time-series", "loss-curves", "learning-rate", "training-diagnosis"],
        "task_categories": ["tabular-classification"],
        "size_categories": [_size(sum(n_of.values()))],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{FOLDER}/{split}.parquet"} for split in splits],
            }
        ],
        "dataset_info": {
            "features": [_feature(column, source.lengths) for column in source.columns],
            "splits": [{"name": split, "num_examples": n, "num_bytes": n_bytes[split]} for split, n in n_of.items()],
        },
    }
    # JSON is YAML too, and no text in it can be mistaken for anything else
    front = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in about.items())
    return f"""---
{front}
---
# CurveBench

{describe(meta)}
{describe_counts(counts)}

```python
from datasets import load_dataset

runs = load_dataset("path/of/this/folder", split="{splits[0]}").with_format("numpy")
loss, diagnosis = runs["train_loss"][:], runs["diagnosis"][:]
names = runs.features["diagnosis"].names
```

Content hash of the data set that this was made from: `{source.content_sha256}`.

## Columns

{describe_columns()}
"""


def _feature(column: Column, lengths: Mapping[str, int]) -> dict[str, Any]:
    """The column as `datasets` writes features into cards."""
    if column.name == "diagnosis":
        return {"name": column.name, "dtype": {"class_label": {"names": {str(i): n for i, n in enumerate(LABELS)}}}}
    kind: Any = "string" if column.is_text else _TYPES[column.dtype]
    if not column.axes:
        return {"name": column.name, "dtype": kind}
    for axis in reversed(column.axes):
        kind = {"list": kind, "length": lengths[axis]}
    return {"name": column.name, **kind}


_TYPES = {"|u1": "uint8", "<i2": "int16", "<i4": "int32", "<f4": "float32", "<f8": "float64"}
"""Type in the file -> its name there."""


def _size(n: int) -> str:
    """The category of sizes that a number of rows falls into.

    >>> _size(999), _size(1000), _size(44_778), _size(10**13)
    ('n<1K', '1K<n<10K', '10K<n<100K', 'n>1T')
    """
    steps = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    i = len(str(n)) - 4
    if i < 0:
        return f"n<{steps[0]}"
    return f"{steps[i]}<n<{steps[i + 1]}" if i + 1 < len(steps) else f"n>{steps[-1]}"
