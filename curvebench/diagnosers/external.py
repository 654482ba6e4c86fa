"""A program in any language as a diagnoser: a line of JSON in for every curve, a line of JSON out."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.answers import InvalidOutput
from curvebench.processes import Child, ProcessLimits
from curvebench.remedies import is_prescribable
from curvebench.spec import CHANNELS, DIAGNOSES, OPTIMIZERS, Action, Bool, Diagnosis, Float, Remedy, UsageError

MOST_BYTES_PER_ANSWER = 4096
"""A program that writes more for a curve has not understood the question."""


class External:
    """A diagnoser that asks a program.

    The program is started for every batch, reads a line for each curve until its input ends, and writes a line for
    each curve, in any order, before it ends with exit status 0. `question` and `Answer` say what is in the lines. It
    runs under limits: `curvebench.processes`.

    Args:
        command: the program and its arguments, quoted as in a shell; no shell is asked.
        limits: what the program may use for a batch.

    Raises:
        UsageError: there is no such program.
    """

    track = "curve"

    def __init__(self, command: str, limits: ProcessLimits | None = None) -> None:
        try:
            self.argv = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"The command {command!r} can't be read ({error}); quote it as in a shell.") from None
        if not self.argv or shutil.which(self.argv[0]) is None:
            raise UsageError(
                f"There is no program to be run as {command!r}; give its path, and make it executable, as in "
                "exec:./my-program."
            )
        self.limits = limits or ProcessLimits()
        self._last: tuple[Float, list[Answer]] | None = None

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6), what the program answered; healthy where it abstained.

        Raises:
            InvalidOutput: an answer is none.
            ChildFailed: the program crashed, or broke a limit.
        """
        answers = self._ask(X)
        self._last = (np.array(X), answers)
        return np.array([answer.probabilities for answer in answers]).reshape(len(X), len(DIAGNOSES))

    def abstain(self, X: Float) -> Bool:
        """(n_curves,), where the program abstained."""
        return np.array([answer.is_abstained for answer in self._answers(X)], dtype=np.bool_)

    def crashed(self, X: Float) -> Bool:
        """(n_curves,), where the program says that it failed."""
        return np.array([answer.is_crashed for answer in self._answers(X)], dtype=np.bool_)

    def prescribe(self, X: Float) -> list[Remedy | None]:
        """The program's remedies; None where it named none."""
        return [answer.remedy for answer in self._answers(X)]

    def _answers(self, X: Float) -> list[Answer]:
        """What it answered about the last batch if it was this one: no program is run twice for one question."""
        if self._last is not None and np.array_equal(self._last[0], X, equal_nan=True):
            return self._last[1]
        return self._ask(X)

    def _ask(self, X: Float) -> list[Answer]:
        if not len(X):
            return []
        lines = "".join(question(i, curve) + "\n" for i, curve in enumerate(X))
        with Child(self.argv, self.limits, called="The program") as child:
            said = child.converse(lines.encode(), most_bytes=MOST_BYTES_PER_ANSWER * (len(X) + 1))
        return read_answers(said, len(X))


def question(number: int, curve: Float) -> str:
    """The line for a curve: its number as `id`, and each of its channels.

    A channel is a list of numbers; NaN and infinite values, which JSON has not, are the strings "nan", "inf" and
    "-inf". The optimiser is its name.

    Args:
        number: of the curve in its batch, from 0.
        curve: (n_channels, n_points), channels of a track.

    >>> question(0, np.array([[2.0, 0.5, np.inf]]))
    '{"id": 0, "train_loss": [2.0, 0.5, "inf"]}'
    """
    asked: dict[str, object] = {"id": number}
    for name, values in zip(CHANNELS, curve.tolist(), strict=False):
        if name == "optimizer":
            asked[name] = OPTIMIZERS[int(values[0])] if values[0] in range(len(OPTIMIZERS)) else None
        else:
            asked[name] = [value if math.isfinite(value) else str(value) for value in values]
    return json.dumps(asked, allow_nan=False)


@dataclass(frozen=True)
class Answer:
    """The line about a curve: an object with its `id` and one of four things.

    `"diagnosis"`: a name; `"probabilities"`: name -> probability, what is left out has none; `"abstain"`: true;
    `"crashed"`: true. With one of the first two may come `"remedy"`: `{"action": ..., "factor": ..., "at": ...}`.

    Attributes:
        probabilities: six, in the order of `DIAGNOSES`.
        is_abstained: it does not want to say.
        is_crashed: it failed on this curve.
        remedy: what it prescribes; None for what its diagnosis stands for.
    """

    probabilities: list[float]
    is_abstained: bool = False
    is_crashed: bool = False
    remedy: Remedy | None = None


_KINDS = ("diagnosis", "probabilities", "abstain", "crashed")


def read_answers(said: bytes, n_curves: int) -> list[Answer]:
    """What a program wrote about n curves, in their order.

    Raises:
        InvalidOutput: a line is no answer, or there is not exactly one for each curve.
    """
    answers: dict[int, Answer] = {}
    for line in said.decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        number, answer = _read(line, n_curves)
        if number in answers:
            raise InvalidOutput(f"The program answered twice about the curve {number}.")
        answers[number] = answer
    missing = next((i for i in range(n_curves) if i not in answers), None)
    if missing is not None:
        raise InvalidOutput(f"The program gave {len(answers)} of {n_curves} answers; the curve {missing} has none.")
    return [answers[i] for i in range(n_curves)]


def _read(line: str, n_curves: int) -> tuple[int, Answer]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidOutput(f"The program wrote {line[:80]!r}, which is no JSON object.")
    number = found.get("id")
    if type(number) is not int or not 0 <= number < n_curves:
        raise InvalidOutput(f"The program answered with the id {number!r}; it must be one from 0 to {n_curves - 1}.")
    kinds = [kind for kind in _KINDS if kind in found]
    if len(kinds) != 1 or (kinds[0] in ("abstain", "crashed") and found[kinds[0]] is not True):
        raise InvalidOutput(
            f"The program wrote {line[:80]!r}; beside the id it must have one of diagnosis, probabilities, "
            '"abstain": true and "crashed": true.'
        )
    remedy = _remedy(found["remedy"]) if found.get("remedy") is not None else None
    return number, Answer(_probabilities(found), "abstain" in found, "crashed" in found, remedy)


def _probabilities(found: Mapping[str, Any]) -> list[float]:
    named = found.get("diagnosis", Diagnosis.HEALTHY.value)
    said = found.get("probabilities", {str(named): 1.0})
    if not isinstance(said, dict) or not all(type(p) in (int, float) for p in said.values()):
        raise InvalidOutput(f"The program gave {str(said)[:80]!r} for probabilities; it must map names to numbers.")
    unknown = next((name for name in said if name not in DIAGNOSES), None)
    if unknown is not None:
        raise InvalidOutput(f"{unknown!r} is no diagnosis; allowed are {', '.join(DIAGNOSES)}.")
    return [_number(said.get(name, 0.0)) for name in DIAGNOSES]


def _remedy(said: object) -> Remedy:
    try:
        remedy = Remedy(Action(said["action"]), _number(said.get("factor", 1)), _number(said.get("at", 0)))  # type: ignore[index, attr-defined]
    except (AttributeError, KeyError, TypeError, ValueError):
        remedy = None
    if remedy is None or not is_prescribable(remedy):
        actions = ", ".join(action for action in Action if action is not Action.TRAIN_LONGER)
        raise InvalidOutput(
            f"The program prescribed {str(said)[:80]}; a remedy has an action ({actions}), a positive factor and a "
            "start `at` in [0, 1)."
        )
    return remedy


def _number(said: Any) -> float:
    """A number of JSON as a float; infinite where it has too many digits for one.

    Raises:
        TypeError: it is no number.
    """
    if type(said) not in (int, float):
        raise TypeError
    try:
        return float(said)
    except OverflowError:
        return math.inf
