"""The picture of a verdict shows what the verdict says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.diagnosis import Limits, curve_of, default_library, diagnose
from curvebench.plots.verdict import MAX_DRAWN, draw_verdicts, save_verdicts
from curvebench.spec import DIAGNOSES, Action

ANYTHING = Limits(0.0, 1, np.inf, 0.8, "", "")
FALL = curve_of(np.geomspace(2.0, 0.4, 40))


def verdict(diagnosis="healthy", curve=FALL, limits=ANYTHING):
    return diagnose(curve, lambda losses: diagnosis, limits=limits)


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_a_bar_for_each_precedent_and_the_run_itself(diagnosis):
    given = verdict(diagnosis)
    figure = draw_verdicts([given], default_library())
    curves, outcomes = figure.axes
    widths = [bar.get_width() for bar in outcomes.patches]
    counts = [given.precedents.labels.count(name) for name in DIAGNOSES]
    assert widths == pytest.approx(list(given.precedents.gains) or counts), "without a gain the diagnoses are counted"
    own = [line for line in curves.lines if line.get_label() == "this run"]
    np.testing.assert_array_equal(own[0].get_ydata(), FALL.train_loss)
    assert diagnosis in curves.get_title(loc="left")
    texts = " ".join(text.get_text() for text in curves.texts).replace("\n", " ")
    assert all(sentence in texts for sentence in (*given.evidence, given.advice))
    assert ("resume here" in texts) == (given.remedy.action is Action.RESUME)


def test_without_a_verdict_the_diagnoses_of_the_similar_runs_are_counted():
    given = verdict(limits=replace(ANYTHING, min_points=1000))
    _, outcomes = draw_verdicts([given], default_library()).axes
    assert [bar.get_width() for bar in outcomes.patches] == [given.precedents.labels.count(d) for d in DIAGNOSES]


@pytest.mark.parametrize("losses", [[np.nan] * 4, [0.0, 0.0], [-1.0, -2.0], [5.0], [1.0, np.inf, 1.0]])
def test_odd_runs_are_drawn_too(losses, tmp_path):
    odd = replace(curve_of(losses), run="run $x_1$ ☃\n", step_name="$", loss_name="_^{")
    assert save_verdicts([verdict(curve=odd)], tmp_path / "odd.png") == 1
    assert (tmp_path / "odd.png").stat().st_size > 1000


def test_of_many_the_first_are_drawn(tmp_path):
    given = [verdict()] * (MAX_DRAWN + 1)
    assert save_verdicts(given, tmp_path / "many.svg") == MAX_DRAWN
