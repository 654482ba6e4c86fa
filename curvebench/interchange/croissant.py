"""Croissant, the JSON-LD vocabulary of MLCommons for data sets: Parquet files by split and their description.

Written after the specification of Croissant 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from curvebench.data.columns import Column
from curvebench.interchange.description import SUMMARY, describe, splits_of
from curvebench.interchange.parquet import FOLDER, write_splits
from curvebench.interchange.source import Source
from curvebench.interchange.text import write_text

METADATA = "croissant.json"

CONTEXT: Mapping[str, Any] = MappingProxyType(
    {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "arrayShape": "cr:arrayShape",
        "citeAs": "cr:citeAs",
        "column": "cr:column",
        "conformsTo": "dct:conformsTo",
        "containedIn": "cr:containedIn",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "description": {"@container": "@language"},
        "equivalentProperty": "cr:equivalentProperty",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract",
        "field": "cr:field",
        "fileObject": "cr:fileObject",
        "fileProperty": "cr:fileProperty",
        "fileSet": "cr:fileSet",
        "format": "cr:format",
        "includes": "cr:includes",
        "isArray": "cr:isArray",
        "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath",
        "key": "cr:key",
        "md5": "cr:md5",
        "name": {"@container": "@language"},
        "parentField": "cr:parentField",
        "path": "cr:path",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "recordSet": "cr:recordSet",
        "references": "cr:references",
        "regex": "cr:regex",
        "repeated": "cr:repeated",
        "replace": "cr:replace",
        "samplingRate": "cr:samplingRate",
        "sc": "https://schema.org/",
        "separator": "cr:separator",
        "source": "cr:source",
        "subField": "cr:subField",
        "transform": "cr:transform",
    }
)
"""The standard context of the specification, whole, as it asks."""

_TYPES = {"|u1": "cr:UInt8", "<i2": "cr:Int16", "<i4": "cr:Int32", "<f4": "cr:Float32", "<f8": "cr:Float64"}
_HASHED_AT_ONCE = 1024**2


def write_croissant(source: Source, folder: Path) -> None:
    """Write `data/SPLIT.parquet` and `croissant.json`, which has a record set for each split."""
    write_splits(source, folder)
    hashes = {split: _sha256(folder / FOLDER / f"{split}.parquet") for split in splits_of(source.counts)}
    about = make_metadata(source, hashes)
    write_text(folder / METADATA, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def make_metadata(source: Source, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The metadata.

    Args:
        source: what was written.
        hashes: split -> SHA-256 of its file.
    """
    meta = source.meta
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": re.sub(r"[^\w.-]", "-", f"curvebench-{meta.recipe_name}"),
        "description": describe(meta),
        "alternateName": f"content_sha256 {source.content_sha256}",
        "license": meta.licence,
        "version": f"{meta.recipe_version}.0.0" if meta.recipe_version.isdecimal() else meta.recipe_version,
        "citeAs": "The CurveBench authors. CurveBench: loss curves labelled by what would really have helped.",
        "creator": {"@type": "sc:Organization", "name": "The CurveBench authors"},
        "keywords": ["loss curves", "learning rate", "training diagnosis"],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{split}.parquet",
                "name": f"{split}.parquet",
                "contentUrl": f"{FOLDER}/{split}.parquet",
                "encodingFormat": "application/x-parquet",
                "sha256": digest,
            }
            for split, digest in hashes.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": split,
                "name": split,
                "description": f"The runs of the split {split}. {SUMMARY}",
                "key": {"@id": f"{split}/run"},
                "field": [_field(split, column, source.lengths) for column in source.columns],
            }
            for split in hashes
        ],
    }


def _field(split: str, column: Column, lengths: Mapping[str, int]) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{split}/{column.name}",
        "name": column.name,
        "description": f"{column.description} (unit: {column.unit})",
        "dataType": "sc:Text" if column.is_text else _TYPES[column.dtype],
        "source": {"fileObject": {"@id": f"{split}.parquet"}, "extract": {"column": column.name}},
    }
    if column.axes:
        shape = ",".join(str(lengths[axis]) for axis in column.axes)
        field |= {"isArray": True, "arrayShape": shape}
    return field


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()
