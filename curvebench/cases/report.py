"""What diagnosers said about cases and how well they did, as JSON that can be checked.

The answers are what counts. The figures beside them are for readers; whoever reads the file back computes them again
and refuses a file where they differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.cases.asking import DIGITS, OK, STATUSES, Verdicts
from curvebench.cases.case import Case
from curvebench.cases.reading import Cases
from curvebench.cases.scores import agreement, parts_of
from curvebench.data.plain_files import read_plain_file
from curvebench.diagnosers import KINDS
from curvebench.evaluation.json_reading import Node, parse
from curvebench.spec import DIAGNOSES, TRACKS, InputError

FORMAT, VERSION = "curvebench-cases-result", 1

MAX_REPORT_BYTES = 16 * 2**20

_SAME = 2 * 10.0**-DIGITS
"""Figures are rounded; elsewhere they may be rounded the other way."""

_SUM_TOLERANCE = 1e-3


Json = dict[str, Any]


@dataclass(frozen=True)
class CasesReport:
    """Diagnosers on cases.

    Attributes:
        cases: that they were asked about.
        fit_on_sha256: content hash of the data set on which those that learn were fitted; empty where none did.
        verdicts: of each diagnoser.
    """

    cases: Cases
    fit_on_sha256: str
    verdicts: tuple[Verdicts, ...]

    def to_json(self) -> Json:
        """Everything, with figures for all cases and for the parts of them."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "cases": {"name": self.cases.name, "sha256": self.cases.sha256, "n_cases": len(self.cases.cases)},
            "fit_on_sha256": self.fit_on_sha256,
            "diagnosers": [_diagnoser(self.cases.cases, verdicts) for verdicts in self.verdicts],
        }

    def to_bytes(self) -> bytes:
        """As it is stored: the same answers, the same bytes."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return f"{text}\n".encode()


def _diagnoser(cases: Sequence[Case], verdicts: Verdicts) -> Json:
    is_ok = verdicts.status == OK
    return {
        "name": verdicts.name,
        "kind": verdicts.kind,
        "sha256": verdicts.sha256,
        "track": verdicts.track,
        "status": verdicts.status,
        "message": verdicts.message,
        "answers": [
            {
                "id": case.id,
                "label": case.label,
                "said": DIAGNOSES[said],
                "abstained": bool(abstained),
                "probabilities": probabilities.tolist(),
            }
            for case, said, abstained, probabilities in zip(
                cases, verdicts.said, verdicts.abstained, verdicts.probabilities, strict=True
            )
            if is_ok
        ],
        "agreement": figures(cases, verdicts) if is_ok else [],
    }


def figures(cases: Sequence[Case], verdicts: Verdicts) -> list[Json]:
    """How well it did on all cases, and on those of each confidence, kind and label."""
    shown = []
    for part in parts_of(cases):
        found = agreement([cases[i] for i in part.rows], verdicts.said[part.rows], verdicts.abstained[part.rows])
        shown.append({"of": part.of, "value": part.value, **_rounded(asdict(found))})
    return shown


def _rounded(value: Any) -> Any:
    match value:
        case dict():
            return {key: _rounded(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_rounded(inner) for inner in value]
        case float():
            return round(value, DIGITS)
        case _:
            return value


# ---------------------------------------------------------------------------------------------- reading back


def read_report(path: Path, cases: Cases) -> CasesReport:
    """Read what was stored about these cases; nobody vouches for it.

    Raises:
        InputError: it is no such file, is about other cases, or its figures do not follow from its answers.
    """
    try:
        content = read_plain_file(path, MAX_REPORT_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    node = parse(content, str(path))
    root = node.object("format", "version", "cases", "fit_on_sha256", "diagnosers")
    root["format"].text(allowed=(FORMAT,))
    root["version"].integer(VERSION, VERSION)
    about = root["cases"].object("name", "sha256", "n_cases")
    if about["sha256"].sha256() != cases.sha256:
        raise InputError(f"{path} is about other cases than {cases.name!r}, whose file has the hash {cases.sha256}.")
    fit_on = root["fit_on_sha256"]
    report = CasesReport(
        cases=Cases(about["name"].text(), cases.sha256, cases.cases),
        fit_on_sha256="" if fit_on.value == "" else fit_on.sha256(),
        verdicts=tuple(_verdicts(each, cases.cases) for each in root["diagnosers"].list()),
    )
    if (place := _difference(node.value, report.to_json(), str(path))) is not None:
        raise InputError(f"{place} does not follow from the answers in the file; make it again.")
    return report


def _verdicts(node: Node, cases: Sequence[Case]) -> Verdicts:
    fields = node.object("name", "kind", "sha256", "track", "status", "message", "answers", "agreement")
    status = fields["status"].text(allowed=STATUSES)
    answers = fields["answers"].list(len(cases) if status == OK else 0)
    probabilities = np.zeros((len(cases), len(DIAGNOSES)))
    abstained = np.ones(len(cases), dtype=np.bool_)
    for i, answer in enumerate(answers):
        of = answer.object("id", "label", "said", "abstained", "probabilities")
        probabilities[i] = [p.number(0.0, 1.0) for p in of["probabilities"].list(len(DIAGNOSES))]
        if abs(float(probabilities[i].sum()) - 1) > _SUM_TOLERANCE:
            raise InputError(f"{of['probabilities'].place} must sum to one.")
        abstained[i] = of["abstained"].value is True
    return Verdicts(
        name=fields["name"].text(),
        kind=fields["kind"].text(allowed=(*KINDS, "own")),
        sha256="" if fields["sha256"].value == "" else fields["sha256"].sha256(),
        track=fields["track"].text(allowed=tuple(TRACKS)),
        status=status,
        message=fields["message"].text(),
        probabilities=probabilities,
        abstained=abstained,
    )


def _difference(stored: object, computed: object, place: str) -> str | None:
    """Where two JSON values differ by more than rounding; None if nowhere."""
    match stored, computed:
        case dict(), dict():
            if stored.keys() != computed.keys():
                return place
            pairs = [(f"{place}.{key}", stored[key], computed[key]) for key in computed]
        case list(), list():
            if len(stored) != len(computed):
                return place
            pairs = [(f"{place}[{i}]", a, b) for i, (a, b) in enumerate(zip(stored, computed, strict=True))]
        case (int() | float(), float()) if not isinstance(stored, bool):
            return None if math.isclose(stored, computed, rel_tol=0.0, abs_tol=_SAME) else place
        case _:
            return None if type(stored) is type(computed) and stored == computed else place
    return next((found for at, a, b in pairs if (found := _difference(a, b, at)) is not None), None)


def changed_answers(stored: Verdicts, again: Verdicts, cases: Sequence[Case]) -> list[str]:
    """Ids of the cases about which a diagnoser says something else now."""
    same: Mapping[str, bool] = {
        case.id: bool(a) == bool(b) and np.allclose(p, q, rtol=0.0, atol=_SAME)
        for case, a, b, p, q in zip(
            cases, stored.abstained, again.abstained, stored.probabilities, again.probabilities, strict=True
        )
    }
    return [case for case, is_same in same.items() if not is_same]
