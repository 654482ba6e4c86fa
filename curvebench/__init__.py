"""CurveBench: loss curves labelled by what would really have helped, and scores for methods that diagnose them.

>>> import curvebench
>>> curvebench.DIAGNOSES[0]
'lr_too_high'
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curvebench.data.dataset import Dataset
    from curvebench.data.store import load, verify
    from curvebench.diagnosis.judging import diagnose
    from curvebench.diagnosis.verdict import Verdict
    from curvebench.evaluation.evaluate import evaluate
    from curvebench.evaluation.results import Result
    from curvebench.generation.generate import Limits, generate
    from curvebench.generation.relabel import relabel
    from curvebench.interchange.loading import load_curvebench
    from curvebench.logs import read_log
    from curvebench.monitoring import Monitor
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

_PLACES = {
    "Action": "curvebench.spec",
    "CurveBenchError": "curvebench.spec",
    "DIAGNOSES": "curvebench.spec",
    "Dataset": "curvebench.data.dataset",
    "Diagnoser": "curvebench.spec",
    "Diagnosis": "curvebench.spec",
    "InputError": "curvebench.spec",
    "Limits": "curvebench.generation.generate",
    "Monitor": "curvebench.monitoring",
    "Remedy": "curvebench.spec",
    "Result": "curvebench.evaluation.results",
    "UsageError": "curvebench.spec",
    "Verdict": "curvebench.diagnosis.verdict",
    "diagnose": "curvebench.diagnosis.judging",
    "evaluate": "curvebench.evaluation.evaluate",
    "generate": "curvebench.generation.generate",
    "load": "curvebench.data.store",
    "load_curvebench": "curvebench.interchange.loading",
    "read_log": "curvebench.logs",
    "relabel": "curvebench.generation.relabel",
    "verify": "curvebench.data.store",
}
"""Name -> the module that it comes from, imported when first asked for: pytest loads the package for its plugin."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'curvebench' has no attribute {name!r}")
    found: object = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})


__all__ = [
    "DIAGNOSES",
    "Action",
    "CurveBenchError",
    "Dataset",
    "Diagnoser",
    "Diagnosis",
    "InputError",
    "Limits",
    "Monitor",
    "Remedy",
    "Result",
    "UsageError",
    "Verdict",
    "__version__",
    "diagnose",
    "evaluate",
    "generate",
    "load",
    "load_curvebench",
    "read_log",
    "relabel",
    "verify",
]
