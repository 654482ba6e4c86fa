"""The inside of an isolated diagnoser: makes it, and answers the questions of `curvebench.evaluation.isolation`."""

from __future__ import annotations

import os
from dataclasses import asdict
from traceback import format_exception_only
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers import resolve
from curvebench.diagnosers.answers import InvalidOutput, checked_flags, checked_prescriptions, checked_probabilities
from curvebench.diagnosers.identity import statement_of
from curvebench.evaluation import wire
from curvebench.processes import ChildFailed, OutOfMemory, TimedOut
from curvebench.spec import CurveBenchError

MOST_MESSAGE = 1000


def main() -> None:
    """Answer frames from standard input on standard output, neither of which the diagnoser finds in its place."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _serve(questions, answers)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    candidate: Any = None
    while frame := _next(questions):
        header, body = wire.read_header(frame)
        try:
            if header["ask"] == "make":
                candidate = resolve(header["name"])
                reply = wire.encode(_about(candidate))
            elif header["ask"] == "describe":
                reply = wire.encode({"says": asdict(statement_of(candidate))})
            else:
                reply = _answer(candidate, header["ask"], wire.read_arrays(body, header["arrays"]))
        except BaseException as error:  # whatever a foreign diagnoser does, it is told about
            reply = wire.encode(_complaint(error))
        answers.write(reply)
        answers.flush()


def _next(questions: BinaryIO) -> bytes:
    """The next frame; nothing at the end."""
    lengths = questions.read(wire.LENGTHS.size)
    return lengths and lengths + questions.read(sum(wire.LENGTHS.unpack(lengths)))


def _about(candidate: Any) -> dict[str, Any]:
    methods = ("fit", "abstain", "prescribe", "crashed")
    return {
        "track": getattr(candidate, "track", "curve"),
        "methods": [method for method in methods if callable(getattr(candidate, method, None))],
    }


def _answer(candidate: Any, method: str, arrays: list[NDArray[Any]]) -> bytes:
    for array in arrays:
        array.setflags(write=False)
    said = getattr(candidate, method)(*arrays)
    n_curves = len(arrays[0])
    match method:
        case "fit":
            return wire.encode({})
        case "predict_proba":
            return wire.encode({}, checked_probabilities(said, n_curves, getattr(candidate, "classes_", None)))
        case "prescribe":
            return wire.encode({}, wire.remedies_to_array(checked_prescriptions(said, n_curves)))
        case _:
            return wire.encode({}, checked_flags(said, n_curves, method).astype(np.uint8))


def _complaint(error: BaseException) -> dict[str, str]:
    """What went wrong: the name of a status and a sentence."""
    match error:
        case InvalidOutput():
            status, message = "invalid_output", str(error)
        case TimedOut():
            status, message = "timed_out", str(error)
        case OutOfMemory() | MemoryError():
            status, message = "out_of_memory", str(error) or "MemoryError"
        case ChildFailed() | CurveBenchError():
            status, message = "failed", str(error)
        case _:
            status, message = "failed", "".join(format_exception_only(error))
    return {"status": status, "message": message[:MOST_MESSAGE]}
