"""Diagnosing a real training run: from a curve of `curvebench.logs` to a verdict with its evidence and its doubts.

>>> from curvebench.diagnosis import diagnose
>>> diagnose([2.3, 2.2]).diagnosis is None
True
"""

from curvebench.diagnosis.judging import curve_of, default_diagnoser, diagnose, make_ready
from curvebench.diagnosis.precedents import Library, default_library, make_library
from curvebench.diagnosis.sampling import N_POINTS, seen_by_diagnosers
from curvebench.diagnosis.verdict import Limits, Precedents, Verdict, default_limits

__all__ = [
    "N_POINTS",
    "Library",
    "Limits",
    "Precedents",
    "Verdict",
    "curve_of",
    "default_diagnoser",
    "default_library",
    "default_limits",
    "diagnose",
    "make_library",
    "make_ready",
    "seen_by_diagnosers",
]
