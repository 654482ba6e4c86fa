"""What a claim is, what measuring it gives, and how its verdict follows from the figures alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import isnan
from typing import Any

from curvebench.claims.trials import Effort
from curvebench.spec import Engine

FEW = 2
"""Conditions whose effects are all named in the sentence of a verdict; of more only the extremes are."""


# --------------------------------------------------------------------------------------------- effects


@dataclass(frozen=True)
class Estimate:
    """A mean over problem instances with its 95 % interval.

    Attributes:
        value: the mean.
        low: lower end of the interval.
        high: upper end.
        n: problem instances; 0 for a figure that is exact, or NaN where no instance says anything.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """The mean and its interval.

        >>> print(Estimate(0.314, 0.25, 0.375, 12))
        0.31 [0.25, 0.38]
        """
        if isnan(self.value):
            return "no data"
        if self.n == 0:
            return number(self.value)
        return f"{number(self.value)} [{number(self.low)}, {number(self.high)}]"


def exactly(value: float) -> Estimate:
    """A figure that has no interval, because nothing was drawn."""
    return Estimate(value, value, value, 0)


def number(value: float) -> str:
    """A figure as it is printed: two decimals, or two digits where it is small.

    >>> number(0.3141), number(-0.0), number(0.0178), number(1234.5)
    ('0.31', '0', '0.018', '1234')
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 0.095 else f"{value:.2g}"


@dataclass(frozen=True)
class Rule:
    """What the effect must be for a claim to hold: its whole interval must lie within the bounds.

    Attributes:
        quantity: what the effect is, as a noun with its article.
        at_least: lower bound, or None.
        at_most: upper bound, or None.
    """

    quantity: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, effect: Estimate) -> bool | None:
        """Whether an effect is within the bounds (True), beyond one of them (False), or either is possible (None)."""
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        if low <= effect.low and effect.high <= high:
            return True
        if effect.high < low or high < effect.low:
            return False
        return None

    @property
    def bounds(self) -> str:
        """The bounds as they are read.

        >>> Rule("the gain over a constant rate", at_least=0.02).bounds
        'at least 0.02'
        """
        both = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{words} {number(bound)}" for words, bound in both if bound is not None)


# --------------------------------------------------------------------------------------------- verdict


class Ruling(StrEnum):
    """What is said of a claim."""

    HOLDS = "holds"
    HOLDS_ONLY = "holds only when"
    FAILS = "does not hold"
    OPEN = "not decided"


@dataclass(frozen=True)
class Verdict:
    """What is said of a claim, and why.

    Attributes:
        ruling: one of four; not decided where every effect may be on either side of its bounds.
        when: the conditions under which a claim holds that does not hold under all.
        why: one sentence with the figures.
    """

    ruling: Ruling
    when: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        """The verdict as it is read, without its reasons."""
        return " ".join([self.ruling.value, "; or ".join(self.when)]).strip()


def decide(rule: Rule, effects: Mapping[str, Estimate]) -> Verdict:
    """The verdict that follows from the effects under every condition.

    A claim holds if the rule is met under all conditions, and only when it is met if under some. If it is met under
    none, one condition that breaks it is enough for the claim not to hold; without one nothing is decided.

    Args:
        rule: of the claim.
        effects: condition, as a clause that follows "when", -> the effect under it.

    >>> print(decide(Rule("the gain", at_least=0.0), {"it rains": exactly(1.0), "it shines": exactly(-1.0)}))
    holds only when it rains
    """
    outcomes = {condition: rule.holds(effect) for condition, effect in effects.items()}
    met = tuple(condition for condition, outcome in outcomes.items() if outcome)
    if len(met) == len(outcomes):
        return Verdict(Ruling.HOLDS, (), _why(rule, effects))
    if met:
        return Verdict(Ruling.HOLDS_ONLY, met, _why(rule, effects))
    is_broken = any(outcome is False for outcome in outcomes.values())
    return Verdict(Ruling.FAILS if is_broken else Ruling.OPEN, (), _why(rule, effects))


def _why(rule: Rule, effects: Mapping[str, Estimate]) -> str:
    if len(effects) <= FEW:
        found = "; ".join(f"{effect} when {condition}" for condition, effect in effects.items())
    else:
        order = sorted(effects, key=lambda condition: effects[condition].value)
        lowest, highest = order[0], order[-1]
        found = f"from {effects[lowest]} when {lowest} to {effects[highest]} when {highest}"
    return f"{rule.quantity[0].upper()}{rule.quantity[1:]}: asked for is {rule.bounds}, found is {found}."


# --------------------------------------------------------------------------------------- measurements

Cell = str | float | Estimate
Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Figures in rows.

    Attributes:
        columns: their titles.
        rows: a cell for every column.
        caption: what the figures are, where the titles do not say it.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str = ""


@dataclass(frozen=True)
class Series:
    """Points of a panel that belong together; numbers that are not finite are left out.

    Attributes:
        name: in the legend.
        x: positions.
        y: values.
        low: lower ends of the intervals, or nothing.
        high: upper ends.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str, x: Sequence[float], estimates: Sequence[Estimate]) -> Series:
        """Means with their intervals."""
        ends = [[getattr(e, end) for e in estimates] for end in ("value", "low", "high")]
        return cls(name, tuple(x), *map(tuple, ends))


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        x_label: below it.
        y_label: beside it.
        series: what is drawn.
        log_x: whether the horizontal axis is logarithmic.
        log_y: whether the vertical axis is.
        is_line: whether points are joined; else they stand alone with their intervals.
        ticks: names of the positions 0, 1, 2, … of the horizontal axis, where it is no number.
        lines: values at which a thin horizontal line is drawn.
        is_pairing: whether both axes hold the same quantity; a thin line is drawn where the two are equal.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    is_line: bool = True
    ticks: tuple[str, ...] = ()
    lines: tuple[float, ...] = ()
    is_pairing: bool = False


@dataclass(frozen=True)
class Measurement:
    """What the experiment of a claim found.

    Attributes:
        rule: what is asked for.
        effects: condition, as a clause that follows "when", -> effect.
        table: all figures.
        panels: of the picture.
    """

    rule: Rule
    effects: Mapping[str, Estimate]
    table: Table
    panels: tuple[Panel, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """What follows from the effects."""
        return decide(self.rule, self.effects)


@dataclass(frozen=True)
class Experiment:
    """What is trained for one or more claims, problem by problem.

    Attributes:
        what: what is done, in a few sentences.
        n_cases: number of problems (or other cases), given the effort.
        observe: (number of the case, effort, engine) -> what was seen on it; a pure function.
        cost: of a case, in seconds of one core at full effort; for the order of work and the progress bar.
    """

    what: str
    n_cases: Callable[[Effort], int]
    observe: Callable[[int, Effort, Engine], Any]
    cost: float


@dataclass(frozen=True)
class Claim:
    """Something that is commonly said about adjusting a training run.

    Attributes:
        key: its name on the command line.
        statement: as it is commonly said.
        experiment: key of the experiment that checks it.
        judge: what was seen on every case -> measurement; a pure function.
        note: what a reader should know beside the figures.
    """

    key: str
    statement: str
    experiment: str
    judge: Callable[[Sequence[Any]], Measurement]
    note: str = ""
