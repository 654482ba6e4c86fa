"""Data sets in other tools: in the layouts that they take in memory, and as files that they open."""

from curvebench.interchange.formats import FORMATS, Exported, export
from curvebench.interchange.frames import curves_frame, remedies_frame, runs_frame
from curvebench.interchange.layouts import to_torch, to_tslearn
from curvebench.interchange.loading import load_curvebench

__all__ = [
    "FORMATS",
    "Exported",
    "curves_frame",
    "export",
    "load_curvebench",
    "remedies_frame",
    "runs_frame",
    "to_torch",
    "to_tslearn",
]
