"""How well verdicts agree with what helped: shares over sources, with intervals that do not hide how few they are.

Every source counts once, however many cases it has: a share is the mean over sources of the share among a source's
cases. The interval is that of Clopper and Pearson (1934) for a binomial proportion, with the sources as trials. It is
exact where every source has one case. Where a source has several its share may lie between none and all; such
shares vary less than trials that end in none or all, so that the interval is then wider than it need be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from curvebench.cases.case import CASE_LABELS, CONFIDENCES, Case
from curvebench.spec import DIAGNOSES, FAMILY_OF_DIAGNOSIS, OTHER, Bool, Diagnosis, Int

CONFIDENCE_LEVEL = 0.95

_DIGITS = 9
"""Of sums of fractions; what lies beyond is rounding."""

ALL, OURS = "all", "ours"
"""Every case; every case but those labelled `other`, on which whoever never says anything is right."""


@dataclass(frozen=True)
class Share:
    """A mean over sources.

    Attributes:
        value: in [0, 1]; None where nothing is counted.
        interval: 95 %; None where nothing is counted.
    """

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Agreement:
    """How a diagnoser did on some of the cases.

    A case that it abstains on is neither right nor wrong. On a case labelled `other`, healthy is right: it would have
    done no harm.

    Attributes:
        n_cases: how many.
        n_sources: that they are from.
        n_right: cases.
        n_wrong: cases.
        n_abstained: cases.
        right: share that the label agrees with.
        wrong: share that it does not.
        abstained: share that it said nothing about.
        right_of_answered: share of right ones among those that it did not abstain on.
        same_change_of_answered: share among these whose diagnosis asks for the change that helped, if at another
            moment: a lower rate, a higher rate, another output, or nothing.
    """

    n_cases: int
    n_sources: int
    n_right: int
    n_wrong: int
    n_abstained: int
    right: Share
    wrong: Share
    abstained: Share
    right_of_answered: Share
    same_change_of_answered: Share


@dataclass(frozen=True)
class Part:
    """Some of the cases.

    Attributes:
        of: "all", "ours", or what they have in common: "confidence", "kind" or "label".
        value: which of it; empty for the first two.
        rows: (n,) int, ascending.
    """

    of: str
    value: str
    rows: Int


def parts_of(cases: Sequence[Case]) -> list[Part]:
    """All cases, those of our labels, and those of each confidence, kind and label that there is."""

    def having(of: str, known: Sequence[str]) -> Iterator[Part]:
        values = np.array([getattr(case, of) for case in cases])
        found = set(values.tolist()) - {""}
        for value in [*(v for v in known if v in found), *sorted(found - set(known))]:
            yield Part(of, value, np.flatnonzero(values == value))

    ours = np.flatnonzero([case.label != OTHER for case in cases])
    return [
        Part(ALL, "", np.arange(len(cases))),
        *([Part(OURS, "", ours)] if len(ours) else []),
        *having("confidence", CONFIDENCES),
        *having("kind", ()),
        *having("label", CASE_LABELS),
    ]


def agreement(cases: Sequence[Case], said: Int, abstained: Bool) -> Agreement:
    """Hold verdicts against labels.

    Args:
        cases: n of them, at least one.
        said: (n,) index into `DIAGNOSES`.
        abstained: (n,) whether nothing was said.
    """
    verdicts = [DIAGNOSES[i] for i in said]
    labels = [Diagnosis.HEALTHY.value if case.label == OTHER else case.label for case in cases]
    agrees = np.array([v == label for v, label in zip(verdicts, labels, strict=True)], dtype=np.bool_)
    same = np.array([_change(v) == _change(label) for v, label in zip(verdicts, labels, strict=True)], dtype=np.bool_)
    answered = ~abstained
    weight = source_weights(cases)
    n_sources = round(float(weight.sum()))

    def share(counted: Bool, among: Bool | None = None) -> Share:
        n = n_sources if among is None else float(weight[among].sum())
        return share_of(float(weight[counted].sum()), n)

    return Agreement(
        n_cases=len(cases),
        n_sources=n_sources,
        n_right=int((answered & agrees).sum()),
        n_wrong=int((answered & ~agrees).sum()),
        n_abstained=int(abstained.sum()),
        right=share(answered & agrees),
        wrong=share(answered & ~agrees),
        abstained=share(abstained),
        right_of_answered=share(answered & agrees, answered),
        same_change_of_answered=share(answered & same, answered),
    )


def _change(diagnosis: str) -> object:
    """What a diagnosis asks to be changed: the sign of the rate's logarithm, the output, or nothing."""
    action, sign = FAMILY_OF_DIAGNOSIS[diagnosis]
    return sign or action


def source_weights(cases: Sequence[Case]) -> NDArray[np.float64]:
    """(n,) one over the number of cases that a case's source has here; they sum to the number of sources."""
    _, index, count = np.unique([case.source for case in cases], return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = 1.0 / count[index]
    return weights


def share_of(n_counted: float, n: float) -> Share:
    """A share of trials with its interval (Clopper and Pearson 1934); either may be a fraction.

    >>> share_of(3, 3).value, [round(bound, 3) for bound in share_of(3, 3).interval]
    (1.0, [0.292, 1.0])
    """
    if round(n, _DIGITS) <= 0:
        return Share(None, None)
    n_counted, n = round(min(n_counted, n), _DIGITS), round(n, _DIGITS)
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low = 0.0 if n_counted == 0 else float(beta.ppf(tail, n_counted, n - n_counted + 1))
    high = 1.0 if n_counted == n else float(beta.ppf(1 - tail, n_counted + 1, n - n_counted))
    return Share(n_counted / n, (low, high))
