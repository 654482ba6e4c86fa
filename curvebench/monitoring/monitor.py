"""Diagnosing a training while it runs: told every loss, asked nothing, it speaks when a fault is firm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from operator import index
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers import name_of, resolve
from curvebench.diagnosers.answers import checked_flags, checked_probabilities
from curvebench.diagnosis.judging import DEFAULT_MODEL
from curvebench.monitoring.guard import Guard
from curvebench.monitoring.trace import BESIDE, NOTHING, Trace
from curvebench.spec import DIAGNOSES, OPTIMIZERS, TRACKS, Diagnosis, UsageError

DEFAULT_DIAGNOSER = str(DEFAULT_MODEL)
"""Who judges if nobody is named: the fitted model that comes with the package."""

LOOKS = 32
"""With a plan the diagnoser is asked this often, at equal shares of the planned steps."""

FIRST_LOOK, GROWTH = 8, 1.2
"""Without a plan it is asked first after so many steps, then whenever they have grown by this factor."""

FIRM_LOOKS = 3
"""Looks in a row with the same diagnosis that make it firm; or losses in a row that are not finite."""

MIN_PROBABILITY = 0.9
"""Of the diagnosis at each of these looks; losses that are not finite need none."""

SAID_WITHOUT_PLAN: tuple[Diagnosis, ...] = (Diagnosis.LR_TOO_HIGH, Diagnosis.OUTPUT_MISMATCH)
"""All others compare with how long training is going to be: too slow for it, or level before its end."""

SAID_FROM: Mapping[Diagnosis, float] = {
    Diagnosis.LR_TOO_LOW: 0.5,
    Diagnosis.LATE_LR_TOO_HIGH: 0.5,
    Diagnosis.LATE_LR_TOO_LOW: 0.5,
}
"""Share of the planned steps before which a diagnosis is not said: every loss is still on its way at first, and labels
count resumptions from half of training on."""

ADVICE: Mapping[Diagnosis, str] = {
    Diagnosis.LR_TOO_HIGH: "Lower the learning rate and start again.",
    Diagnosis.LATE_LR_TOO_HIGH: "Lower the learning rate and go on from here or from the last checkpoint.",
    Diagnosis.LR_TOO_LOW: "Raise the learning rate and start again.",
    Diagnosis.LATE_LR_TOO_LOW: "Raise the learning rate and go on from here or from the last checkpoint.",
    Diagnosis.OUTPUT_MISMATCH: "Change the output activation, or its loss, to what fits the targets.",
}
"""What each fault asks for, in a sentence."""

_FORMAT = "curvebench-monitor-1"


@dataclass(frozen=True)
class Finding:
    """A diagnosis that became firm.

    Attributes:
        step: the step at which it did.
        share: share of the planned training that was done, or None without a plan.
        diagnosis: which.
        probability: what the diagnoser gave it then.
    """

    step: int
    share: float | None
    diagnosis: Diagnosis
    probability: float

    def __str__(self) -> str:
        where = "" if self.share is None else f", {self.share:.0%} of training".replace("%", " %")
        advice = ADVICE[self.diagnosis]
        return f"Step {self.step}{where}: {self.diagnosis} (probability {self.probability:.2f}). {advice}"


class Monitor:
    """Is told the loss of every step and says what is wrong, each diagnosis once, when it is firm.

    Memory is constant and no update ever raises: an error inside is warned about once, then the monitor is silent. A
    diagnosis is firm when the diagnoser gave it, with at least `min_probability`, at three looks in a row
    (`FIRM_LOOKS`). Three losses in a row that are not finite are firm by themselves: of the faults that may be said
    then, the likeliest is. `healthy` is never said. It looks at 32 equal shares of the planned steps, without a plan
    whenever their number has grown by a fifth.

    Args:
        total_steps: the step at which training is planned to end; None: not known.
        diagnoser: whatever `curvebench.diagnosers.resolve` takes.
        optimizer: one of `OPTIMIZERS`, for diagnosers that look at the track `config`.
        min_probability: below it a diagnosis does not count.

    Attributes:
        total_steps: may be set at any time.
        findings: what was said so far.
        looks_at: channels that the diagnoser looks at; no other need be told.

    Raises:
        UsageError: there is no such diagnoser or optimiser, it can't judge a curve, or a number is out of range.
    """

    def __init__(
        self,
        total_steps: int | None = None,
        *,
        diagnoser: object = DEFAULT_DIAGNOSER,
        optimizer: str | None = None,
        min_probability: float = MIN_PROBABILITY,
    ) -> None:
        if optimizer is not None and optimizer not in OPTIMIZERS:
            raise UsageError(f"There is no optimiser {optimizer!r}; there are {', '.join(OPTIMIZERS)}.")
        if total_steps is not None and (not hasattr(total_steps, "__index__") or total_steps < 1):
            raise UsageError(f"total_steps is {total_steps!r}; give a positive whole number of steps, or None.")
        if not 0 <= min_probability <= 1:
            raise UsageError(f"min_probability is {min_probability}; give a number between 0 and 1.")
        self.total_steps = total_steps
        self._optimizer = optimizer
        self._min_probability = min_probability
        self._diagnoser = resolve(diagnoser)
        self.looks_at = TRACKS[_track_of(self._diagnoser)]
        self._guard = Guard()
        self._begin()
        _check_that_it_judges(self._diagnoser, name_of(diagnoser), len(self.looks_at))

    def _begin(self) -> None:
        self._trace = Trace()
        self.findings: tuple[Finding, ...] = ()
        self._likely: Diagnosis | None = None
        """The fault at the last look."""
        self._n_likely = 0
        """Looks in a row at which it was that."""
        self._n_lost = 0
        """Losses in a row that are not finite."""
        self._has_seen_loss_lost = False
        """Whether such a row has been looked at out of turn."""
        self._looked_at = 0
        """Steps since the first, at the last look in turn."""

    @property
    def is_silent(self) -> bool:
        """Whether an error made it silent for good."""
        return not self._guard.is_open

    def update(self, step: SupportsIndex, loss: SupportsFloat, **channels: SupportsFloat | None) -> Diagnosis | None:
        """Tell a loss.

        A step may be told several times (batches of one update). Steps that go back are a resumed training: what was
        told of them before is forgotten, and all of it if they go back to the first.

        Args:
            step: number of the update, or of the epoch if these are what is counted.
            loss: training loss of that step; NaN and inf as they happen. Whatever `float` takes: a tensor on a device
                is waited for.
            channels: `val_loss`, `grad_norm`, `learning_rate`, where they are known; None and NaN say nothing.

        Returns:
            A diagnosis that became firm with this loss and was not said before, else None.
        """
        if not self._guard.is_open:
            return None
        with self._guard:
            return self._update(index(step), _number(loss), _beside(channels) if channels else NOTHING)
        return None  # after an error, which the guard kept in

    def _update(self, step: int, loss: float, beside: tuple[float, ...]) -> Diagnosis | None:
        if self._trace.add(step, loss, beside):
            self._go_back()
        self._n_lost = 0 if math.isfinite(loss) else self._n_lost + 1
        is_turn = self._trace.n_steps >= self._next_look()
        is_lost = self._n_lost >= FIRM_LOOKS
        if is_turn:
            self._looked_at = self._trace.n_steps
        elif not is_lost or self._has_seen_loss_lost:
            return None
        self._has_seen_loss_lost |= is_lost
        return self._look(is_lost=is_lost)

    def _go_back(self) -> None:
        if self._trace.n_steps == 0:
            trace = self._trace
            self._begin()
            self._trace = trace
        self._likely, self._n_likely, self._n_lost = None, 0, 0
        self._looked_at = min(self._looked_at, self._trace.n_steps)

    def _n_planned(self) -> int | None:
        """Steps from the first to the last planned one."""
        if self.total_steps is None or self._trace.origin is None:
            return None
        return max(1, self.total_steps - self._trace.origin)

    def _next_look(self) -> float:
        """Steps since the first at which the next look is due."""
        planned = self._n_planned()
        if planned is None:
            return max(FIRST_LOOK, self._looked_at * GROWTH)
        return (self._looked_at * LOOKS // planned + 1) * planned / LOOKS

    def _look(self, *, is_lost: bool) -> Diagnosis | None:
        """Ask the diagnoser, and weigh its answer."""
        planned = self._n_planned()
        X = self._trace.curve(planned, self._optimizer)[None, : len(self.looks_at)]
        probabilities, abstains = _ask(self._diagnoser, X)
        share = None if planned is None else min(1.0, self._trace.n_steps / planned)
        if is_lost:
            likely = max(_sayable(share), key=lambda diagnosis: probabilities[DIAGNOSES.index(diagnosis)])
            self._n_likely = FIRM_LOOKS
        else:
            likely = Diagnosis(DIAGNOSES[int(probabilities.argmax())])
            self._n_likely = 1 + (self._n_likely if likely is self._likely else 0)
        probability = float(probabilities[DIAGNOSES.index(likely)])
        if likely is Diagnosis.HEALTHY or not (is_lost or (probability >= self._min_probability and not abstains)):
            self._likely, self._n_likely = None, 0
            return None
        self._likely = likely
        is_said = any(finding.diagnosis is likely for finding in self.findings)
        if is_said or self._n_likely < FIRM_LOOKS or likely not in _sayable(share):
            return None
        self.findings = (*self.findings, Finding(self._trace.last, share, likely, probability))
        return likely

    def state_dict(self) -> dict[str, Any]:
        """All that it knows, as JSON, about 33 kB; what it was made with is not part of it."""
        return {
            "format": _FORMAT,
            "trace": self._trace.state_dict(),
            "findings": [asdict(finding) | {"diagnosis": str(finding.diagnosis)} for finding in self.findings],
            "likely": None if self._likely is None else str(self._likely),
            "n_likely": self._n_likely,
            "n_lost": self._n_lost,
            "has_seen_loss_lost": self._has_seen_loss_lost,
            "looked_at": self._looked_at,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Know what another monitor knew; from here on it says what that one would have said.

        Raises:
            UsageError: it is no state of a monitor, or of another version; nothing is changed then.
        """
        if not isinstance(state, Mapping) or state.get("format") != _FORMAT:
            raise UsageError(f"That is no state of a monitor of this version, whose format is {_FORMAT!r}.")
        trace = Trace()
        try:
            trace.load_state_dict(state["trace"])
            findings = tuple(Finding(**{**f, "diagnosis": Diagnosis(f["diagnosis"])}) for f in state["findings"])
            likely = None if state["likely"] is None else Diagnosis(state["likely"])
            counts = [int(state[name]) for name in ("n_likely", "n_lost", "has_seen_loss_lost", "looked_at")]
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"That is no state of a monitor ({type(error).__name__}: {error}).") from None
        self._trace, self.findings, self._likely = trace, findings, likely
        self._n_likely, self._n_lost, self._has_seen_loss_lost, self._looked_at = (
            *counts[:2],
            bool(counts[2]),
            counts[3],
        )


def _sayable(share: float | None) -> tuple[Diagnosis, ...]:
    """The faults that may be said when so much of the planned training is done; None: there is no plan."""
    if share is None:
        return SAID_WITHOUT_PLAN
    return tuple(fault for fault in ADVICE if share >= SAID_FROM.get(fault, 0.0))


def _number(value: SupportsFloat) -> float:
    """A number of Python; `item` of tensors, since `float` of one that has a gradient is warned about by torch."""
    item = getattr(value, "item", None)
    return float(value if item is None else item())


def _beside(channels: dict[str, SupportsFloat | None]) -> tuple[float, ...]:
    """Values of `BESIDE`, NaN where nothing was told.

    Raises:
        UsageError: there is no channel of that name.
    """
    if unknown := [name for name in channels if name not in BESIDE]:
        raise UsageError(f"There is no channel {unknown[0]!r}; there are {', '.join(BESIDE)}.")
    return tuple(math.nan if (value := channels.get(name)) is None else _number(value) for name in BESIDE)


def _track_of(diagnoser: object) -> str:
    track = getattr(diagnoser, "track", "curve")
    if track not in TRACKS:
        raise UsageError(f"The diagnoser names the track {track!r}; there are {', '.join(TRACKS)}.")
    return str(track)


def _ask(diagnoser: Any, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], bool]:
    """Probabilities (6,) of the one curve in X, and whether the diagnoser abstains."""
    probabilities = checked_probabilities(diagnoser.predict_proba(X), len(X), None)[0]
    abstains = (
        bool(checked_flags(diagnoser.abstain(X), len(X), "abstain")[0]) if hasattr(diagnoser, "abstain") else False
    )
    return probabilities, abstains


def _check_that_it_judges(diagnoser: Any, name: str, n_channels: int) -> None:
    """Ask about a made-up curve now, so that what is not fitted is refused here and imports are not made in a loop.

    Raises:
        UsageError: it can't judge.
    """
    try:
        _ask(diagnoser, np.linspace(1, 0.5, n_channels * 16, dtype=np.float32).reshape(1, n_channels, 16))
    except Exception as error:
        raise UsageError(
            f"The diagnoser {name!r} can't judge a curve ({type(error).__name__}: {error}); "
            "one that has to be fitted is named by the file of its model."
        ) from error
