"""CurveBench: loss curves labelled by what would really have helped, and scores for methods that diagnose them.

>>> import curvebench
>>> curvebench.DIAGNOSES[0]
'lr_too_high'
"""

from importlib.metadata import PackageNotFoundError, version

from curvebench.data.dataset import Dataset
from curvebench.data.store import load, verify
from curvebench.evaluation.evaluate import evaluate
from curvebench.evaluation.results import Result
from curvebench.generation.generate import Limits, generate
from curvebench.generation.relabel import relabel
from curvebench.spec import (
    DIAGNOSES,
    Action,
    CurveBenchError,
    Diagnoser,
    Diagnosis,
    InputError,
    Remedy,
    UsageError,
)

try:
    __version__ = version("curvebench")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0"

__all__ = [
    "DIAGNOSES",
    "Action",
    "CurveBenchError",
    "Dataset",
    "Diagnoser",
    "Diagnosis",
    "InputError",
    "Limits",
    "Remedy",
    "Result",
    "UsageError",
    "__version__",
    "evaluate",
    "generate",
    "load",
    "relabel",
    "verify",
]
