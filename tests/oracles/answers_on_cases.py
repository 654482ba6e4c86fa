"""Answers about the shipped real cases, as they are stored: of two that are really asked and two that are made up."""

from __future__ import annotations

import numpy as np

from curvebench.cases.asking import OK, Verdicts, ask, make
from curvebench.cases.reading import read_cases
from curvebench.cases.report import CasesReport
from curvebench.spec import DIAGNOSES


def made_up_cases_report(name="half-seeing"):
    """Two that are really asked, one that abstains on every second case, and one that failed."""
    cases = read_cases("wild")
    n = len(cases.cases)
    certain = np.eye(len(DIAGNOSES))[[DIAGNOSES.index("healthy")] * n]
    half = Verdicts(name, "own", "", "curve", OK, "", certain, np.arange(n) % 2 == 0)
    broken = Verdicts("broken", "tool", "", "curve", "failed", "ValueError", np.zeros((n, 6)), np.ones(n, np.bool_))
    asked = [ask(make(who), cases.cases) for who in ("rules", "constant")]
    return CasesReport(cases, "", (*asked, half, broken))
