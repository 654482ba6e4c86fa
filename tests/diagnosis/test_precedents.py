"""Which runs a curve is most like, and what a remedy gave them."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.data.shipped import SHIPPED, locate
from curvebench.data.store import load
from curvebench.diagnosers.learned.series import at_points
from curvebench.diagnosis import N_POINTS, default_library
from curvebench.diagnosis.precedents import N_NEIGHBOURS, _description, novelties, precedents, tried_on
from curvebench.diagnosis.verdict import default_limits
from curvebench.remedies import gain
from curvebench.spec import NO_REMEDY, Action, Remedy

LIBRARY = default_library()
LOSS = LIBRARY.dataset["train_loss"]


def test_only_train_is_looked_up_in():
    assert set(LIBRARY.dataset["split"]) == {"train"}
    assert len(LIBRARY.dataset) <= sum((load(locate(name))["split"] == "train").sum() for name in SHIPPED)


def test_runs_of_several_data_sets_keep_what_each_remedy_gave():
    start = 0
    for place, name in enumerate(SHIPPED, start=1):
        part = load(locate(name)).split("train")
        part = part.select(part.is_scored)
        told = LIBRARY.dataset.select(np.arange(start, start + len(part)))
        start += len(part)
        assert told["run"].tolist() == [run if place == 1 else f"{place}/{run}" for run in part["run"]]
        known = part.meta.remedies
        for i, remedy in enumerate(told.meta.remedies):
            expected = part["remedy_gain"][:, known.index(remedy)] if remedy in known else np.full(len(part), np.nan)
            np.testing.assert_array_equal(told["remedy_gain"][:, i], expected, str(remedy))
        left_out = [remedy for remedy in known if remedy not in told.meta.remedies]
        assert np.isnan(part["remedy_gain"][:, [known.index(remedy) for remedy in left_out]]).all()
    assert start == len(LIBRARY.dataset)


@pytest.mark.parametrize("name", ["group", "problem"])
def test_runs_of_two_data_sets_have_neither_cell_nor_problem_in_common(name):
    ends = np.cumsum([int(part.is_scored.sum()) for part in (load(locate(name)).split("train") for name in SHIPPED)])
    parts = [set(part.tolist()) for part in np.split(getattr(LIBRARY, name), ends[:-1])]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_a_run_of_the_library_finds_itself():
    for row in range(0, len(LOSS), 97):
        found = precedents(LIBRARY, LOSS[row], N_POINTS)
        assert found.rows[0] == row
        assert len(set(LIBRARY.group[list(found.rows)])) == N_NEIGHBOURS
        assert found.labels[0] == LIBRARY.dataset.labels[row]


def test_neighbours_are_those_of_a_plain_search():
    curve = np.geomspace(2.3, 0.4, N_POINTS)
    own = _description(curve[None])[0]
    best = {}
    for row, loss in enumerate(LOSS):
        distance = float(np.linalg.norm(_description(loss[None])[0] - own))
        group = int(LIBRARY.group[row])
        best[group] = min(best.get(group, (np.inf, 0)), (distance, row))
    plain = [row for _, row in sorted(best.values())[:N_NEIGHBOURS]]
    assert list(precedents(LIBRARY, curve, N_POINTS).rows) == plain


@pytest.mark.parametrize("n_points", [5, 20, 128])
def test_novelty_of_many_is_that_of_each(n_points):
    curves = LOSS[::101]
    each = [precedents(LIBRARY, curve, n_points).novelty for curve in curves]
    np.testing.assert_allclose(novelties(LIBRARY, curves, n_points), each, rtol=1e-9)


def test_what_is_new_is_novel():
    usual = np.median(novelties(LIBRARY, LOSS, N_POINTS))
    sawtooth = np.where(np.arange(N_POINTS) % 16 < 8, 1.0, 200.0)
    assert precedents(LIBRARY, sawtooth, N_POINTS).novelty > 2.5 * usual


def test_novelty_has_no_unit():
    curve = np.geomspace(2.3, 0.4, N_POINTS)
    assert precedents(LIBRARY, 1000 * curve, 40).novelty == pytest.approx(precedents(LIBRARY, curve, 40).novelty)


@pytest.mark.parametrize("lost", [1e3, 1e18, np.nan])
def test_a_log_that_ends_as_it_explodes_is_not_new(lost):
    """The runs of a data set go on after they explode; a person stops, and the log is another curve as a whole."""
    ends = np.argmax(~(10 * LOSS[:, :1] > LOSS), axis=1)  # 0 where it never does
    row = int(np.flatnonzero(ends >= 10)[0])
    end = int(ends[row])
    curve = at_points(LOSS[row][None, None, : end + 1], N_POINTS)[0, 0]
    curve[-1] = lost * LOSS[row][0]
    found = precedents(LIBRARY, curve, N_POINTS)
    assert found.novelty < default_limits().max_novelty
    assert row in found.rows


def test_gains_are_those_of_the_outcomes():
    data = LIBRARY.dataset
    remedy = Remedy(Action.RESUME, 0.1, 0.75)
    found = tried_on(precedents(LIBRARY, LOSS[3], N_POINTS), data, remedy)
    index = data.meta.remedies.index(remedy)
    rows = [row for row in found.rows if not np.isnan(data["remedy_gain"][row, index])]
    outcomes = [data["remedy_final_loss"][rows, i].astype(float) for i in (0, index)]
    expected = gain(*outcomes, data["loss_cap"][rows])
    if len(rows) == len(found.rows):
        np.testing.assert_allclose(found.gains, expected, atol=1e-5)
    assert len(found.gains) + found.n_unknown == N_NEIGHBOURS
    assert found.share_improved == np.mean(np.array(found.gains) > 0)
    assert found.median_gain == pytest.approx(np.median(found.gains))


def test_without_gains_nothing_is_summed_up():
    found = precedents(LIBRARY, LOSS[3], N_POINTS)
    assert (found.share_improved, found.median_gain) == (None, None)
    assert set(tried_on(found, LIBRARY.dataset, NO_REMEDY).gains) == {0.0}
