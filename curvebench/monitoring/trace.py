"""A loss curve in constant memory: means over equal pieces of training, made twice as wide whenever they get too many.

Steps are counted from the first that was told. Piece k of width w holds the steps k w + 1 to (k + 1) w; the first loss,
before any update, is a point of its own, as in the data sets. w is a power of two, so pieces that were merged hold just
what they would hold had they been as wide from the beginning: sums agree to rounding, counts and all else exactly.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.spec import CHANNELS, OPTIMIZERS, UsageError

CAPACITY = 512
"""Pieces that are kept; from the first halving on at least half of them are in use."""

N_POINTS = 128
"""Points of a whole curve, as many as the data sets have."""

BESIDE: tuple[str, ...] = CHANNELS[1:4]
"""Channels that may be told beside the loss; a piece keeps the last value that was known."""

NOTHING: tuple[float, ...] = (math.nan,) * len(BESIDE)
"""Nothing told beside the loss."""

_MAX_STEP = 2**53


class Trace:
    """The curve of one training so far.

    Attributes:
        origin: the first step; None before there is one.
        last: the last step.
        width: steps of a piece, a power of two.
    """

    def __init__(self) -> None:
        self.origin: int | None = None
        self.last = 0
        self.width = 1
        self._sums = np.zeros(CAPACITY)
        """Of the finite losses of each piece."""
        self._counts = np.zeros(CAPACITY)
        """How many these are."""
        self._lost = np.zeros(CAPACITY)
        """The last loss of each piece that was not finite; zero where all were."""
        self._beside = np.full((len(BESIDE), CAPACITY), np.nan)
        self._first = np.full(1 + len(BESIDE), np.nan)
        self._latest = np.full(1 + len(BESIDE), np.nan)
        """The loss and what is known beside it, at the first step and now."""

    @property
    def n_steps(self) -> int:
        """Steps since the first."""
        return 0 if self.origin is None else self.last - self.origin

    def add(self, step: int, loss: float, beside: tuple[float, ...] = NOTHING) -> bool:
        """Add a loss.

        A step that was the last before adds to its piece (several batches of one update). One that lies further back is
        a resumed training: its piece and all after it begin anew. At the origin or before it, another training begins.

        Args:
            step: its number.
            loss: of the training, NaN and inf as they happened.
            beside: values of `BESIDE`, NaN where nothing is told.

        Returns:
            Whether the training went back.

        Raises:
            UsageError: the step is beyond what a float64 counts.
        """
        if abs(step) > _MAX_STEP:
            raise UsageError(f"The step {step} is no number of updates; give one of at most 2^53.")
        went_back = self.origin is not None and step < self.last
        if self.origin is None or (went_back and step <= self.origin):
            Trace.__init__(self)
        elif went_back:
            self._forget_from((step - self.origin - 1) // self.width)
        self.last = step
        self._latest[0] = loss
        for channel, value in enumerate(beside, start=1):
            if not math.isnan(value):
                self._latest[channel] = value
        if self.origin is None:
            self.origin = step
            self._first[:] = self._latest
        elif step > self.origin:
            self._put((step - self.origin - 1) // self.width, loss)
        return went_back

    def _put(self, piece: int, loss: float) -> None:
        while piece >= CAPACITY:
            self._halve()
            piece //= 2
        if math.isfinite(loss):
            self._sums[piece] += loss
            self._counts[piece] += 1
        else:
            self._lost[piece] = loss
        self._beside[:, piece] = self._latest[1:]

    def _halve(self) -> None:
        """Merge every two pieces."""
        half = CAPACITY // 2
        for values in (self._sums, self._counts):
            values[:half] = values[0::2] + values[1::2]
            values[half:] = 0
        self._lost[:half] = np.where(self._lost[1::2] != 0, self._lost[1::2], self._lost[0::2])
        self._lost[half:] = 0
        left, right = self._beside[:, 0::2], self._beside[:, 1::2]
        self._beside[:, :half] = np.where(np.isnan(right), left, right)
        self._beside[:, half:] = np.nan
        self.width *= 2

    def _forget_from(self, piece: int) -> None:
        for values in (self._sums, self._counts, self._lost):
            values[piece:] = 0
        self._beside[:, piece:] = np.nan

    def curve(self, n_planned: int | None = None, optimizer: str | None = None) -> NDArray[np.float32]:
        """What a diagnoser is shown.

        After the first loss the planned training is cut into 127 equal parts (`N_POINTS`; one for each piece where
        these are fewer) that end where a piece ends, at most half a piece from where they should. A part's point is the
        mean of its finite losses, not finite where none of them is, and left out where nothing was told. A part that is
        not done is no point yet, so of a training of which a quarter is done there is a quarter of the points, as in
        the view `first-25`. A latest loss that is not finite is all points that are left, since the data sets repeat
        the last value of a run that died; without a plan, as many more as there are.

        Args:
            n_planned: steps from the first to the last planned one; None: as if training ended now.
            optimizer: one of `OPTIMIZERS`, or None.

        Returns:
            (n_channels, n_points) float32 in the order of `CHANNELS`, at least one point; NaN where nothing is known.
        """
        ends = self._ends(n_planned or 0)
        columns = [self._first[:, None]]
        if len(ends) > 1:
            columns.append(self._means(ends))
        told = np.concatenate(columns, axis=1)
        if not math.isfinite(self._latest[0]):
            n_left = N_POINTS - told.shape[1] if n_planned else told.shape[1]
            told = np.concatenate([told, np.repeat(self._latest[:, None], max(1, n_left), axis=1)], axis=1)
        constant = np.full((1, told.shape[1]), math.nan if optimizer is None else OPTIMIZERS.index(optimizer))
        with np.errstate(over="ignore"):
            return np.concatenate([told, constant]).astype(np.float32)

    def _ends(self, n_planned: int) -> NDArray[np.intp]:
        """Ascending numbers of pieces: where the first part begins, and where each part ends that is done."""
        n_planned = max(n_planned, self.n_steps)
        n_parts = min(N_POINTS - 1, n_planned // self.width)
        if n_parts == 0:
            return np.zeros(1, dtype=np.intp)
        exact = np.arange(n_parts + 1) * (n_planned / n_parts)
        ends = np.floor(exact / self.width + 0.5).astype(np.intp)
        # the last part may end within a piece; it is done when training is
        return ends[np.minimum(ends * self.width, n_planned) <= self.n_steps]

    def _means(self, ends: NDArray[np.intp]) -> NDArray[np.float64]:
        """(1 + n_beside, n_points) the points of the parts in which something was told."""
        starts, within = ends[:-1], slice(0, ends[-1])
        n_finite = np.add.reduceat(self._counts[within], starts)
        sums = np.add.reduceat(self._sums[within], starts)
        lost_at = np.maximum.reduceat(np.where(self._lost != 0, np.arange(CAPACITY), -1)[within], starts)
        last_lost = np.where(lost_at >= 0, self._lost[lost_at], 0)
        means = np.where(n_finite > 0, sums / np.maximum(n_finite, 1), last_lost)
        beside = [
            _last_known(first, values, ends[1:]) for first, values in zip(self._first[1:], self._beside, strict=True)
        ]
        return np.stack([means, *beside])[:, (n_finite > 0) | (last_lost != 0)]

    def state_dict(self) -> dict[str, Any]:
        """All of it, as JSON: numbers that are not whole are the base64 of their little-endian bytes, so to the bit."""
        return {
            "origin": self.origin,
            "last": self.last,
            "width": self.width,
            **{name: _as_text(getattr(self, f"_{name}")) for name in _ARRAYS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what another was; on an error nothing is changed.

        Raises:
            UsageError: it is no state of this class.
        """
        fresh = Trace()
        try:
            fresh.origin = None if state["origin"] is None else int(state["origin"])
            fresh.last, fresh.width = int(state["last"]), int(state["width"])
            for name in _ARRAYS:
                array = getattr(fresh, f"_{name}")
                array[...] = np.frombuffer(base64.b64decode(state[name]), "<f8").reshape(array.shape)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"That is no state of a monitor ({type(error).__name__}: {error}).") from None
        self.__dict__.update(fresh.__dict__)


_ARRAYS = ("sums", "counts", "lost", "beside", "first", "latest")


def _as_text(array: NDArray[np.float64]) -> str:
    return base64.b64encode(array.astype("<f8").tobytes()).decode("ascii")


def _last_known(first: float, values: NDArray[np.float64], ends: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n_ends,) the last value before each end (in pieces) that is no NaN; before all of them, the first."""
    known = np.concatenate([[first], values])
    places = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(len(known))))
    return known[places[np.minimum(ends, CAPACITY)]]
