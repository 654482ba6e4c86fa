"""What can be seen in a loss curve, in words with figures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from curvebench.diagnosis.sampling import N_POINTS
from curvebench.logs import Curve
from curvebench.logs.channels import evenly_sampled
from curvebench.spec import Float

NEARLY = 0.95
"""A fall is nearly done when this share of it, in decades, is."""

A_RISE = 1.25
"""A loss rose if it was once this many times its start."""

A_RETURN = 1.1
"""A loss came back up if it ends this many times its lowest."""

SMOOTHED_OVER = 9
"""Points of the median by which noise is left out when it is said where a curve goes."""

A_CHANGE = 1.5
"""A rate changed if its highest is this many times its lowest."""


def evidence(curve: Curve) -> tuple[str, ...]:
    """Sentences about the curve, the most telling first.

    Figures are those of the even points that diagnosers see; shares of the steps are shares of what was logged.
    """
    n = int(np.isfinite(curve.train_loss).sum())
    course = _about_the_course(evenly_sampled(curve.steps, curve.train_loss, N_POINTS)) if n > 1 else ()
    sentences = [*_about_the_end(curve), *course, *_about_the_rate(curve)]
    return tuple(sentences) or (f"No course can be read off it: it has {n or 'no'} finite value.",)


def _about_the_end(curve: Curve) -> Iterator[str]:
    """Where the loss stopped being a number."""
    lost = np.flatnonzero(~np.isfinite(curve.train_loss))
    if not len(lost):
        return
    first = int(lost[0])
    place = f"at {curve.step_name} {curve.steps[first]:,.6g} ({_share(_part_of(curve.steps, first))} of the log)"
    again = int(np.isfinite(curve.train_loss[first:]).sum())
    then = f"; {again:,} later values are finite" if again else ", and never came back"
    yield f"The loss was NaN or infinite {place}{then}."


def _about_the_course(losses: Float) -> Iterator[str]:
    """How it fell, what came after, how it spreads, whether it rose."""
    end = int(np.argmax(~np.isfinite(losses))) if not np.isfinite(losses).all() else len(losses)
    known = losses[:end]
    if len(known) < 2 or (known <= 0).any():
        return
    course = _running_median(np.log10(known))
    highest, lowest = int(course.argmax()), int(course.argmin())
    n_gaps = len(losses) - 1
    if (rise := _power(course[highest] - course[0])) > A_RISE:
        yield f"It rose to {_times(rise)} its start, at {_share(highest / n_gaps)} of the steps."
    if course[0] - course[lowest] > -np.log10(1 - 0.01):
        yield _fall(course, n_gaps)
    else:
        yield f"It never fell 1 % below its start; it ends at {_times(_power(course[-1] - course[0]))} that."
    if lowest > 0 and (back := _power(course[-1] - course[lowest])) > A_RETURN:
        yield f"It ends at {_times(back)} its lowest, which it had at {_share(lowest / n_gaps)} of the steps."
    tail = known[2 * len(known) // 3 :]
    if len(tail) > 1:
        tail = tail / tail.max()  # in this unit nothing overflows
        yield f"The spread of the last third is {_percent(tail.std() / tail.mean())} of its mean."


def _fall(course: Float, n_gaps: int) -> str:
    """How much of the fall was done when, in shares of so many gaps between points, and what the rest brought."""
    lowest = int(course.argmin())
    total = course[0] - course[lowest]
    done = int(np.argmax(course <= course[0] - NEARLY * total))
    first = 1 - _power(course[done] - course[0])
    rest = _power(course[-1] - course[done]) - 1
    then = f"then rose by {_percent(rest)}" if rest > 0 else f"then by {_percent(abs(rest))}"
    if done >= len(course) - 1:
        return f"It fell by {_percent(first)}, all the way."
    when = _share(done / n_gaps)
    return f"It fell by {_percent(first)} in the first {when} of the steps, {then} in the rest."


def _about_the_rate(curve: Curve) -> Iterator[str]:
    """Whether and how the learning rate changed."""
    if curve.learning_rate is None:
        return
    rates = curve.learning_rate[np.isfinite(curve.learning_rate) & (curve.learning_rate > 0)]
    if not len(rates):
        return
    if rates.max() / A_CHANGE < rates.min():
        yield f"The learning rate was {rates[-1]:.3g} throughout."
        return
    steps = curve.steps[np.isfinite(curve.learning_rate) & (curve.learning_rate > 0)]
    highest = int(rates.argmax())
    when = _share((steps[highest] - curve.steps[0]) / max(curve.steps[-1] - curve.steps[0], 1e-300))
    yield f"The learning rate was highest, {rates[highest]:.3g}, at {when} of the steps; it ends at {rates[-1]:.3g}."


def _power(decades: float) -> float:
    """10 to that power, or the greatest that has a name where there is no such number."""
    return float(10.0 ** min(decades, 308.0))


def _running_median(values: Float) -> Float:
    """Median of the points around each; fewer at the ends, so the first and the last stay."""
    n, half = len(values), SMOOTHED_OVER // 2
    reach = [min(half, i, n - 1 - i) for i in range(n)]
    return np.array([np.median(values[i - r : i + r + 1]) for i, r in enumerate(reach)])


def _part_of(steps: Float, index: int) -> float:
    span = steps[-1] - steps[0]
    return float((steps[index] - steps[0]) / span) if span > 0 else 0.0


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _percent(share: float) -> str:
    """A share with as many digits as it needs: 71 %, 4.2 %, 0.4 %."""
    percent = 100 * share
    return f"{percent:.0f} %" if 10 <= percent < 99 or percent >= 100 else f"{percent:.1f} %"


def _times(ratio: float) -> str:
    return f"{ratio:,.3g} times"
