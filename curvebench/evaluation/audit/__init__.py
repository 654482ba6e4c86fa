"""Proof that the labels of a data set are sound and the benchmark is no toy: checks, each against a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.evaluation.audit.balance import balance
from curvebench.evaluation.audit.contest import Contest, hold_contest, not_hopeless, not_trivial
from curvebench.evaluation.audit.leaks import schedule_leaks_little, settings_say_less, start_leaks_nothing
from curvebench.evaluation.audit.plateaus import plateaus
from curvebench.evaluation.audit.ranking import separates
from curvebench.evaluation.audit.replication import Sample, replication
from curvebench.evaluation.audit.report import Audit, Check, Measured, check_of
from curvebench.evaluation.audit.splits import no_copies, out_of_distribution
from curvebench.spec import Float, InputError


@dataclass(frozen=True)
class _Subject:
    """What is audited.

    Attributes:
        dataset: itself.
        retrained: a sample of it with outcomes of other seeds.
        against: a data set of the same kind from another master seed.
    """

    dataset: Dataset
    retrained: tuple[Sample, Float] | None = None
    against: Dataset | None = None

    @cached_property
    def contest(self) -> Contest:
        """Held once, though two checks ask for it."""
        return hold_contest(self.dataset)


def _replication(subject: _Subject) -> Measured:
    if subject.retrained is None:
        raise InputError("Nothing was trained again.")
    return replication(subject.dataset, *subject.retrained)


def _separates(subject: _Subject) -> Measured:
    if subject.against is None:
        raise InputError("No second data set was given.")
    return separates(subject.dataset, subject.against)


CHECKS: Mapping[str, Callable[[_Subject], Measured]] = {
    "replication": _replication,
    "balance": lambda subject: balance(subject.dataset),
    "not_trivial": lambda subject: not_trivial(subject.contest),
    "not_hopeless": lambda subject: not_hopeless(subject.contest),
    "start_leaks_nothing": lambda subject: start_leaks_nothing(subject.dataset),
    "schedule_leaks_little": lambda subject: schedule_leaks_little(subject.dataset),
    "settings_say_less": lambda subject: settings_say_less(subject.dataset),
    "separates": _separates,
    "no_copies": lambda subject: no_copies(subject.dataset),
    "out_of_distribution": lambda subject: out_of_distribution(subject.dataset),
    "plateaus": lambda subject: plateaus(subject.dataset),
}
"""Name -> what measures it; what the figures must be stands in `THRESHOLDS`."""

CHEAP = ("balance", "start_leaks_nothing", "schedule_leaks_little", "no_copies")
"""Checks that take a few seconds together."""


def audit(
    dataset: Dataset,
    *,
    retrained: tuple[Sample, Float] | None = None,
    against: Dataset | None = None,
    checks: tuple[str, ...] = tuple(CHECKS),
    progress: Callable[[float, float], None] | None = None,
) -> Audit:
    """Measure whether a data set is what a benchmark must be.

    Args:
        dataset: any data set.
        retrained: a sample from `draw_sample`, and the outcomes of its trials with other seeds (n, K, n_remedies);
            without it the check `replication` is not measured.
        against: a data set of the same recipe with another master seed; without it `separates` is not measured.
        checks: names of `CHECKS`.
        progress: called with checks that are done, and all.

    Returns:
        Every figure beside its threshold. A check that the data set is too small or too foreign for is not measured,
        and says why.
    """
    subject = _Subject(dataset, retrained, against)
    found: list[Check] = []
    for name in checks:
        if progress:
            progress(len(found), len(checks))
        found.append(_check(name, subject))
    if progress:
        progress(len(found), len(checks))
    recipe = f"{dataset.meta.recipe_name}, version {dataset.meta.recipe_version}"
    return Audit(recipe, content_sha256(dataset), tuple(found))


def _check(name: str, subject: _Subject) -> Check:
    try:
        return check_of(name, CHECKS[name](subject))
    except InputError as error:
        return Check(name, reason=str(error).rstrip("."))


def cheap_audit(dataset: Dataset) -> Audit:
    """The checks that need no second data set, no retraining and only seconds."""
    return audit(dataset, checks=CHEAP)
