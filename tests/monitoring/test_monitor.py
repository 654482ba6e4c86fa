"""What the monitor says, when, and that nothing makes it raise."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.small_training import Exploding, our_warnings

import curvebench
from curvebench.monitoring import Monitor
from curvebench.monitoring.monitor import ADVICE, DEFAULT_DIAGNOSER, FIRM_LOOKS, LOOKS
from curvebench.monitoring.trace import N_POINTS
from curvebench.spec import DIAGNOSES, Diagnosis, UsageError


class Says:
    """A diagnoser that answers as it is told: a function of the number of points to (diagnosis, probability)."""

    track = "config"

    def __init__(self, answer, abstains=lambda n: False):
        self.answer, self.abstains, self.seen = answer, abstains, []

    def predict_proba(self, X):
        self.seen.append(X)
        diagnosis, probability = self.answer(X.shape[2])
        row = np.full(6, (1 - probability) / 5)
        row[DIAGNOSES.index(diagnosis)] = probability
        return row[None]

    def abstain(self, X):
        return np.array([self.abstains(X.shape[2])])


def always(diagnosis, probability=0.9):
    return Says(lambda _: (diagnosis, probability))


def told(monitor, losses, first=0):
    """(step, diagnosis) of all that it says."""
    said = [(step, monitor.update(step, loss)) for step, loss in enumerate(losses, start=first)]
    assert not monitor.is_silent
    return [(step, diagnosis) for step, diagnosis in said if diagnosis is not None]


def test_it_is_where_users_look_for_it():
    assert curvebench.Monitor is Monitor
    assert set(ADVICE) == set(Diagnosis) - {Diagnosis.HEALTHY}


def test_a_diagnosis_is_said_once_when_it_held_for_three_looks():
    monitor = Monitor(3200, diagnoser=always("lr_too_high"))
    assert told(monitor, [1.0] * 3201) == [(FIRM_LOOKS * 100, "lr_too_high")]
    finding = monitor.findings[0]
    assert (finding.share, finding.probability) == (pytest.approx(3 / LOOKS), pytest.approx(0.9))
    assert str(finding) == (
        "Step 300, 9 % of training: lr_too_high (probability 0.90). Lower the learning rate and start again."
    )


def test_it_is_not_firm_while_answers_change_or_are_unsure_or_withheld():
    odd = {"lr_too_high": lambda n: ("lr_too_high" if n // 4 % 3 else "output_mismatch", 0.9)}
    assert told(Monitor(3200, diagnoser=Says(odd["lr_too_high"])), [1.0] * 3201) == []
    assert told(Monitor(3200, diagnoser=always("lr_too_high", 0.69)), [1.0] * 3201) == []
    assert told(Monitor(3200, diagnoser=always("lr_too_high", 0.69), min_probability=0.6), [1.0] * 301) != []
    silent = Says(lambda _: ("lr_too_high", 0.9), abstains=lambda n: True)
    assert told(Monitor(3200, diagnoser=silent), [1.0] * 3201) == []


def test_healthy_is_never_said():
    assert told(Monitor(100, diagnoser=always("healthy", 1.0)), [1.0] * 101) == []


@pytest.mark.parametrize("diagnosis", ["lr_too_low", "late_lr_too_high", "late_lr_too_low"])
def test_what_compares_with_the_whole_training_waits_for_half_of_it_and_needs_a_plan(diagnosis):
    assert told(Monitor(320, diagnoser=always(diagnosis)), [1.0] * 321) == [(160, diagnosis)]
    assert told(Monitor(diagnoser=always(diagnosis)), [1.0] * 2000) == []


@pytest.mark.parametrize("diagnosis", ["lr_too_high", "output_mismatch"])
def test_without_a_plan_it_says_what_it_can(diagnosis):
    monitor = Monitor(diagnoser=always(diagnosis))
    ((step, said),) = told(monitor, [1.0] * 1000)
    assert (said, monitor.findings[0].share) == (diagnosis, None)
    assert step < 20


@pytest.mark.parametrize("total", [None, 1000])
@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("diagnoser", [DEFAULT_DIAGNOSER, "rules"])
def test_losses_that_are_not_finite_are_said_at_the_third(total, lost, diagnoser):
    monitor = Monitor(total, diagnoser=diagnoser)
    assert told(monitor, [*(9 / (1 + i) for i in range(500)), *[lost] * 50]) == [(502, "lr_too_high")]


def test_a_single_loss_that_is_not_finite_is_forgiven():
    losses = [9 / (1 + i) for i in range(1000)]
    losses[333] = losses[700] = losses[701] = math.nan
    assert told(Monitor(1000, diagnoser="rules"), losses) == []


def test_of_losses_that_are_not_finite_the_likeliest_fault_is_said_however_unsure():
    losses = [1.0] * 40 + [math.nan] * 3
    unsure = Says(lambda _: ("output_mismatch", 0.4), abstains=lambda n: True)
    assert told(Monitor(100, diagnoser=unsure), losses) == [(42, "output_mismatch")]
    late = Says(lambda _: ("late_lr_too_high", 0.9))  # too early for that, so the first of the others
    assert told(Monitor(100, diagnoser=late), losses) == [(42, "lr_too_high")]


def test_the_diagnoser_is_asked_a_bounded_number_of_times():
    planned, unplanned = always("healthy"), always("healthy")
    told(Monitor(100_000, diagnoser=planned), [1.0] * 100_001)
    told(Monitor(diagnoser=unplanned), [1.0] * 100_001)
    assert len(planned.seen) == LOOKS + 1  # one when it was made
    assert len(unplanned.seen) < 60
    assert max(X.shape[2] for X in planned.seen + unplanned.seen) == N_POINTS


def test_what_is_told_beside_the_loss_is_what_the_diagnoser_sees():
    diagnoser = always("healthy")
    monitor = Monitor(127, diagnoser=diagnoser, optimizer="momentum")
    for step in range(128):
        val_loss = 0.5 * step if step % 10 == 0 else None
        monitor.update(step, np.float32(step), learning_rate=np.float64(0.1), grad_norm=2, val_loss=val_loss)
    X = diagnoser.seen[-1]
    assert X.shape == (1, 5, N_POINTS)
    np.testing.assert_array_equal(X[0, 0], np.arange(128))
    np.testing.assert_array_equal(X[0, 1], np.arange(128) // 10 * 5)
    assert (X[0, 2:, 5] == np.array([2, 0.1, 1], dtype=np.float32)).all()


def test_a_resumed_training_forgets_what_is_trained_again_and_a_new_one_all():
    monitor = Monitor(3200, diagnoser=always("lr_too_high"))
    assert told(monitor, [1.0] * 250) == []
    assert told(monitor, [1.0] * 200, first=150) == []  # back from 249: the looks begin anew
    assert told(monitor, [1.0] * 200, first=350) == [(400, "lr_too_high")]
    assert told(monitor, [1.0] * 500, first=300) == []  # said before
    assert told(monitor, [1.0] * 500) == [(300, "lr_too_high")]  # another training
    assert len(monitor.findings) == 1


def test_a_step_told_several_times_is_one_step():
    diagnoser = always("healthy")
    monitor = Monitor(127, diagnoser=diagnoser)
    for step in range(128):
        for part in (0.0, 2.0):
            monitor.update(step, step + part)
    # the last look is at the first of the last two
    np.testing.assert_array_equal(diagnoser.seen[-1][0, 0, 1:127], np.arange(1, 127) + 1)


TOLD = st.lists(
    st.tuples(st.integers(-3, 600), st.floats(1e-3, 1e3) | st.sampled_from([math.nan, math.inf, 1e300, -1.0, 0.0])),
    max_size=60,
)


@settings(max_examples=60)
@given(TOLD, TOLD, st.none() | st.integers(1, 700))
def test_a_restored_monitor_is_the_same_to_the_bit(before, after, total):
    one, other = Monitor(total), Monitor(total)
    for step, loss in before:
        one.update(step, loss)
    other.load_state_dict(json.loads(json.dumps(one.state_dict(), allow_nan=False)))
    assert [one.update(*t) for t in after] == [other.update(*t) for t in after]
    assert json.dumps(one.state_dict()) == json.dumps(other.state_dict())
    assert not one.is_silent


ANYTHING = st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.lists(st.floats(), max_size=3), st.binary())


@settings(max_examples=150)
@given(st.lists(st.tuples(ANYTHING, ANYTHING, ANYTHING), min_size=1, max_size=8), st.text())
def test_nothing_makes_an_update_raise_and_it_warns_at_most_once(calls, channel):
    monitor = Monitor(10)
    with our_warnings() as warned:
        for step, loss, value in calls:
            monitor.update(step, loss, **({} if channel in ("self", "step", "loss") else {channel: value}))
    assert len(warned) == int(monitor.is_silent)


def test_an_exploding_diagnoser_is_warned_about_once():
    monitor = Monitor(32, diagnoser=Exploding())
    with our_warnings() as warned:
        assert [monitor.update(step, 1.0) for step in range(33)] == [None] * 33
    assert warned == ["The monitor of CurveBench stays silent from here on: SystemExit: the diagnoser exploded"]


def test_where_warnings_are_errors_it_is_logged(caplog):
    monitor = Monitor(32)
    assert monitor.update(1, "no loss") is None  # pytest makes every warning an error
    assert monitor.is_silent
    assert "stays silent" in caplog.text


def test_an_interruption_passes():
    class Interrupted(Exploding):
        def predict_proba(self, X):
            self.n_asked += 1
            if self.n_asked > 1:
                raise KeyboardInterrupt
            return np.full((1, 6), 1 / 6)

    monitor = Monitor(32, diagnoser=Interrupted())
    monitor.update(0, 1.0)
    with pytest.raises(KeyboardInterrupt):
        monitor.update(1, 1.0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"diagnoser": "ruels"}, "Did you mean 'rules'"),
        ({"diagnoser": "forest"}, "'forest' can't judge a curve .* file of its model"),
        ({"diagnoser": "oracle"}, "told answers"),
        ({"optimizer": "sdg"}, "There is no optimiser 'sdg'"),
        ({"total_steps": 0}, "total_steps is 0"),
        ({"total_steps": 1.5}, "total_steps is 1.5; give a positive whole number"),
        ({"total_steps": "10"}, "total_steps is '10'; give a positive whole number"),
        ({"min_probability": 2}, "min_probability is 2"),
    ],
)
def test_what_can_not_be_is_refused_when_it_is_made(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        Monitor(**arguments)


@pytest.mark.parametrize("state", [{}, None, {"format": "curvebench-monitor-2"}, "broken"])
def test_a_state_of_another_kind_is_refused_and_changes_nothing(state):
    monitor = Monitor()
    monitor.update(1, 2.0)
    before = monitor.state_dict()
    with pytest.raises(UsageError, match="no state of a monitor"):
        monitor.load_state_dict(before | {"findings": [{"step": 1}]} if state == "broken" else state)
    assert monitor.state_dict() == before
