"""From the columns of a run to its curves: which column is the loss, where a run ends and another begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from curvebench.logs.curve import Curve
from curvebench.logs.limits import MAX_CURVES
from curvebench.logs.names import Role, distance, find_name, is_summary, listed, role_of
from curvebench.logs.numbers import count_of
from curvebench.logs.run import Column, Run
from curvebench.spec import Float, InputError, Int

COARSE = 0.25
"""If this share of the points have the step of the point before, steps do not tell points apart; points are counted."""

SAME_AGAIN = 0.5
"""Steps that go back to the beginning and repeat this share of the shorter piece are another run."""

MAX_RESTARTS = 100
"""More pieces than this are no restarts but steps that mean nothing; points are counted."""


@dataclass(frozen=True)
class Wanted:
    """Names that a caller gave; None for those that conventions shall find.

    Attributes:
        x: what the steps are.
        y: what the training loss is.
        lr: what the learning rate is.
    """

    x: str | None = None
    y: str | None = None
    lr: str | None = None


def curves_of(run: Run, wanted: Wanted, *, may_guess: bool) -> list[Curve]:
    """The curves in a run: several if it was started again and again into the same log.

    Args:
        run: the run.
        wanted: names that were given.
        may_guess: whether the only column that can be a loss is one, whatever it is called.

    Raises:
        InputError: there is no loss in it, or no column of a name that was asked for.
    """
    loss, loss_note, has_training_loss = _find_loss(run, wanted, may_guess=may_guess)
    notes = [loss_note]
    y, noted = _with_blank_tail(run, loss)
    notes += noted
    step, step_name, noted = _find_steps(run, wanted, y)
    notes += noted
    has_step = ~np.isnan(step[y.rows]) & ~np.isinf(step[y.rows])
    if not has_step.all():
        notes.append(f"Left out: {count_of(int((~has_step).sum()), 'point')} without a {step_name}.")
        y = Column(y.rows[has_step], y.values[has_step])
    if len(y.rows) == 0:
        raise InputError(f"No value of {loss!r} has a {step_name}.")
    others: dict[str, Column | None] = {}
    others["val_loss"] = _other(run, Role.VALIDATION_LOSS, notes, loss)
    others["grad_norm"] = _other(run, Role.GRADIENT_NORM, notes)
    others["learning_rate"] = _other(run, Role.LEARNING_RATE, notes, name=wanted.lr)
    others["epochs"] = _other(run, Role.EPOCH, notes)
    if not has_training_loss:
        others["val_loss"] = y
    pieces, piece_notes = _pieces(step[y.rows])
    starts = [_first_row(step, y.rows[old].max(), y.rows[new].min()) for old, new in pairwise(pieces)]
    bounds = [*starts, run.n_rows]
    first = 0
    made = []
    for i, (piece, bound) in enumerate(zip(pieces, bounds, strict=True)):
        beside = {
            name: _share_of(run, column, y, step, i, len(pieces), (first, bound)) for name, column in others.items()
        }
        name = run.name if len(pieces) == 1 else f"{run.name} (start {i + 1} of {len(pieces)})".strip()
        lost = [
            f"Left out: {what}, of which it can not be told which start it belongs to."
            for what, column in others.items()
            if column is not None and beside[what] is None
        ]
        notes_of = [*run.notes, *notes, *piece_notes, *lost]
        made.append(replace(_curve(name, run, y, step, step_name, piece, beside, notes_of), loss_name=loss))
        first = bound
    return made


# ------------------------------------------------------------------------------------------- which column


def _find_loss(run: Run, wanted: Wanted, *, may_guess: bool) -> tuple[str, str, bool]:
    """Name of the loss, a sentence about it, and whether it is of training."""
    names = [name for name in run.columns if not is_summary(name)]
    if wanted.y is not None:
        name = find_name(wanted.y, list(run.columns), "loss")
        return name, f"The loss is {name!r}, as asked.", True
    for role in (Role.LOSS, Role.VALIDATION_LOSS):
        if ranked := _ranked(run, role):
            rest = f"; there is also {listed(ranked[1:])}" if len(ranked) > 1 else ""
            if role is Role.LOSS:
                return ranked[0], f"The loss is {ranked[0]!r}{rest}.", True
            return (
                ranked[0],
                f"No training loss was logged, so the validation loss {ranked[0]!r} stands in for it{rest}.",
                False,
            )
    nameless = [name for name in names if role_of(name) is Role.NOTHING]
    if may_guess and len(nameless) == 1:
        return nameless[0], f"No column is called a loss; the only one that can be, {nameless[0]!r}, was taken.", True
    raise InputError(f"No column is called a loss; name the one that is (y). There is {listed(names)}.")


def _ranked(run: Run, role: Role, like: str | None = None) -> list[str]:
    """Columns of a role, the likeliest first: those of one point last, then by name, then the longest."""
    found = [name for name in run.columns if role_of(name) is role and not is_summary(name)]
    longest = max((len(run.columns[name].rows) for name in found), default=0)

    def key(name: str) -> tuple[bool, tuple[int, ...], int]:
        n = len(run.columns[name].rows)
        return (n < min(2, longest), distance(name, role, like), -n)

    return sorted(found, key=key)


def _other(
    run: Run, role: Role, notes: list[str], like: str | None = None, *, name: str | None = None
) -> Column | None:
    """The column of another role; what else there was is noted."""
    if name is not None:
        return run.columns[find_name(name, list(run.columns), role.value)]
    ranked = _ranked(run, role, like)
    if len(ranked) > 1 and role is not Role.EPOCH:
        notes.append(f"The {role.value} is {ranked[0]!r}; there is also {listed(ranked[1:])}.")
    return run.columns[ranked[0]] if ranked else None


def _with_blank_tail(run: Run, name: str) -> tuple[Column, list[str]]:
    """A loss with NaN where it ends in empty cells: pandas writes NaN so.

    Cells are taken for NaN only if another column was logged exactly where the loss was, and goes on without it.
    """
    loss = run.columns[name]
    if not run.is_table or len(loss.rows) == 0:
        return loss, []
    for other_name, other in run.columns.items():
        n = len(loss.rows)
        is_companion = role_of(other_name) not in (Role.STEP, Role.EPOCH, Role.TIME) and other_name != name
        if is_companion and len(other.rows) > n and np.array_equal(other.rows[:n], loss.rows):
            tail = other.rows[n:]
            values = np.concatenate([loss.values, np.full(len(tail), np.nan)])
            note = f"{name!r} ends while {other_name!r} goes on; taken for NaN: {count_of(len(tail), 'empty cell')}."
            return Column(np.concatenate([loss.rows, tail]), values), [note]
    return loss, []


# ------------------------------------------------------------------------------------------------- steps


def _find_steps(run: Run, wanted: Wanted, y: Column) -> tuple[Float, str, list[str]]:
    """(n_rows,) the step of every row, NaN where it has none; what it is called; notes."""
    if wanted.x is not None:
        name = find_name(wanted.x, list(run.columns), "steps")
        return _dense(run, name), name, []
    names, epochs = _ranked(run, Role.STEP), _ranked(run, Role.EPOCH)
    steps = [_dense(run, name) for name in names]
    covers = [np.count_nonzero(np.isfinite(step[y.rows])) for step in steps]
    epoch = _dense(run, epochs[0]) if epochs else None
    if steps and max(covers) > 0:
        best = int(np.argmax(np.array(covers) >= 0.9 * max(covers)))
        step, name = steps[best], names[best]
        if epoch is not None and _is_within_epoch(step[y.rows], epoch[y.rows]):
            per_epoch = np.nanmax(step) + (np.nanmin(step) == 0)
            note = f"{name!r} begins anew in every epoch; steps were counted through with {per_epoch:g} an epoch."
            return (epoch - np.nanmin(epoch)) * per_epoch + step, name, [note]
        return step, name, []
    if epoch is not None and np.isfinite(epoch[y.rows]).any():
        return epoch, epochs[0], []
    return np.arange(run.n_rows, dtype=np.float64), "point", []


def _dense(run: Run, name: str) -> Float:
    """(n_rows,) a column with NaN in its empty cells."""
    column = run.columns[name]
    values = np.full(run.n_rows, np.nan)
    values[column.rows] = column.values
    return values


def _is_within_epoch(step: Float, epoch: Float) -> bool:
    """Whether steps go back where the epoch goes on."""
    known = np.isfinite(step) & np.isfinite(epoch)
    return bool(((np.diff(step[known]) < 0) & (np.diff(epoch[known]) > 0)).any())


def _pieces(step: Float) -> tuple[list[Int], list[str]]:
    """Points of every run in a log that was written to again and again, and notes.

    Steps that never go back are one run. A piece that begins where the run before began, or earlier, and repeats much
    of it is another run; any other piece goes on with the same run, as after a resumption from a checkpoint.
    """
    starts = np.flatnonzero(np.diff(step) < 0) + 1
    if len(starts) == 0:
        return [np.arange(len(step))], []
    if len(starts) > MAX_RESTARTS and len(np.unique(step)) < len(step):
        return [np.arange(len(step))], []
    if len(np.unique(step)) == len(step):
        return [np.argsort(step)], ["Rows were out of order and were sorted by their step."]
    runs: list[list[Int]] = []
    seen: set[float] = set()
    n_resumed = 0
    for piece in np.split(np.arange(len(step)), starts):
        values = set(step[piece].tolist())
        again = len(values & seen) >= SAME_AGAIN * min(len(values), len(seen)) and min(values) <= min(seen, default=0.0)
        if not runs or again:
            runs.append([piece])
            seen = values
        else:
            n_resumed += 1
            runs[-1].append(piece)
            seen |= values
    notes = []
    if len(runs) > 1:
        notes.append(f"Training began {count_of(len(runs), 'time')} in this log; every start is a curve of its own.")
    if n_resumed:
        notes.append(f"Training was resumed at another step than it had come to, {count_of(n_resumed, 'time')}.")
    return [np.concatenate(run) for run in runs], notes


def _first_row(step: Float, last: int, first: int) -> int:
    """The row in which a start begins whose first point stands in row `first`; `last` is the last row of that before.

    Other values, a validation loss at step 0 for instance, may have been logged before that point.
    """
    goes_back = np.flatnonzero(step[last + 1 : first + 1] < step[last])
    return int(last + 1 + goes_back[0]) if len(goes_back) else int(first)


# ------------------------------------------------------------------------------------------------- curves


def _share_of(
    run: Run, column: Column | None, y: Column, step: Float, i: int, n_pieces: int, rows: tuple[int, int]
) -> Column | None:
    """What of another column belongs to the i-th curve of a run."""
    if column is None or n_pieces == 1:
        return column
    blocks = np.array(run.blocks)

    def block_of(some: Column) -> int:
        return int(np.searchsorted(blocks, some.rows[0], side="right"))

    if block_of(column) == block_of(y):
        inside = (column.rows >= rows[0]) & (column.rows < rows[1])
        return Column(column.rows[inside], column.values[inside])
    pieces, _ = _pieces(step[column.rows])
    if len(pieces) != n_pieces:
        return None  # which of its values belong to which start can not be told
    return Column(column.rows[pieces[i]], column.values[pieces[i]])


def _curve(
    name: str,
    run: Run,
    y: Column,
    step: Float,
    step_name: str,
    piece: Int,
    beside: dict[str, Column | None],
    notes: Sequence[str],
) -> Curve:
    """The curve of some points of the loss, with what was logged beside it."""
    notes = list(notes)
    rows, x, values = y.rows[piece], step[y.rows[piece]], y.values[piece]
    is_coarse = len(x) > 1 and np.count_nonzero(np.diff(x) == 0) >= COARSE * len(x)
    if is_coarse or np.count_nonzero(np.diff(x) < 0) > MAX_RESTARTS:
        notes.append(f"{step_name!r} does not tell points apart, so that steps are points that were counted.")
        step, step_name, x = _counted(run, rows), "point", np.arange(len(rows), dtype=np.float64)
    kept = _last_of_each(x)
    if len(kept) < len(x):
        twice = count_of(len(x) - len(kept), "point")
        notes.append(f"Of steps that were logged twice the later value was kept; left out: {twice}.")
    rows, x, values = rows[kept], x[kept], values[kept]
    aligned = {what: _at_points(column, step, rows, x) for what, column in beside.items()}
    notes += _what_to_beware_of(values, aligned.get("grad_norm"))
    return Curve(
        name,
        run.source,
        step_name,
        x,
        values,
        val_loss=aligned["val_loss"],
        grad_norm=aligned["grad_norm"],
        learning_rate=aligned["learning_rate"],
        epochs=aligned["epochs"],
        notes=tuple(dict.fromkeys(notes)),
    )


def _counted(run: Run, rows: Int) -> Float:
    """(n_rows,) for every row the number of the point that stands in it or next after it."""
    return np.searchsorted(np.sort(rows), np.arange(run.n_rows), side="left").astype(np.float64)


def _last_of_each(x: Float) -> Int:
    """Indices that sort x, and of equal values only the last."""
    order = np.argsort(x, kind="stable")
    kept: Int = order[np.append(np.diff(x[order]) != 0, True)]
    return kept


def _at_points(column: Column | None, step: Float, rows: Int, x: Float) -> Float | None:
    """(n_points,) values of a column at the points of the loss; None where it has no value at all.

    On the same rows they are taken as they stand. Others stand at the first point at or after their step and are
    repeated until the next.
    """
    if column is None or len(column.rows) == 0:
        return None
    if np.isin(rows, column.rows).all():
        return column.values[np.searchsorted(column.rows, rows)]
    theirs = step[column.rows]
    known = np.isfinite(theirs)
    if not known.any():
        return None
    theirs, values = theirs[known], column.values[known]
    kept = _last_of_each(theirs)
    theirs, values = theirs[kept], values[kept]
    place = np.minimum(np.searchsorted(x, theirs, side="left"), len(x) - 1)
    source = np.full(len(x), -1)
    source[place] = np.arange(len(place))
    source = np.maximum.accumulate(source)
    return np.where(source < 0, np.nan, values[np.maximum(source, 0)])


def _what_to_beware_of(loss: Float, grad_norm: Float | None) -> Iterator[str]:
    """Sentences about values that are not finite."""
    n = int(np.count_nonzero(~np.isfinite(loss)))
    if n:
        yield f"Not finite, and left as logged: {n:,} of {count_of(len(loss), 'loss value')}."
    elif grad_norm is not None and np.isnan(grad_norm[np.argmax(np.isfinite(grad_norm)) :]).any():
        yield "The gradient norm becomes NaN while the loss does not: the loss may have been filtered."


def check_number(n_curves: int) -> None:
    """Refuse a log of more curves than are ever read.

    Raises:
        InputError: there are more.
    """
    if n_curves > MAX_CURVES:
        raise InputError(f"There are more than {MAX_CURVES:,} curves; give a part of the log.")
