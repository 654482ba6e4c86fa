"""What is done about a finding, in a loop of one's own."""

from __future__ import annotations

import logging
import math

import pytest
from oracles.small_training import our_warnings

from curvebench import Monitor
from curvebench.monitoring import Watch
from curvebench.spec import UsageError

FALLEN_DEAD = [1.0, 0.5, math.nan, math.nan, math.nan, math.nan]


def told(watch):
    return [watch.update(step, loss) for step, loss in enumerate(FALLEN_DEAD)]


def test_it_logs_and_nothing_else_unless_it_is_asked_to(caplog):
    with caplog.at_level(logging.WARNING, "curvebench"), our_warnings() as warned:
        assert told(Watch(Monitor(diagnoser="rules"), total_steps=100)) == [False] * 6
    assert [r.getMessage() for r in caplog.records] == [
        "CurveBench: Step 4, 4 % of training: lr_too_high (probability 0.90). Lower the learning rate and start again."
    ]
    assert warned == []


def test_it_warns_and_asks_to_stop_if_it_may(caplog):
    with our_warnings() as warned:
        assert told(Watch(log=False, warn=True, stop=True)) == [False] * 4 + [True] * 2
    assert len(warned) == 1
    assert caplog.records == []


@pytest.mark.parametrize("by_environment", [False, True])
def test_nothing_happens_in_another_process_than_the_first(by_environment, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    watch = Watch(stop=True) if by_environment else Watch(stop=True, rank=3)
    assert told(watch) == [False] * 6
    assert watch.monitor.state_dict() == Monitor().state_dict()
    assert told(Watch(stop=True, rank=0))[-1]


def test_the_plan_of_the_monitor_stands():
    own, none = Watch(Monitor(50), total_steps=100), Watch(Monitor(), total_steps=100)
    own.plan(200)
    none.plan(200)
    assert (own.monitor.total_steps, none.monitor.total_steps) == (50, 200)


def test_what_was_found_before_a_restart_does_not_stop_the_next_training():
    first, second = Watch(stop=True), Watch(stop=True)
    told(first)
    second.monitor.load_state_dict(first.monitor.state_dict())
    assert second.monitor.findings
    assert not second.update(6, 0.4)


def test_a_rank_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UsageError, match="RANK is 'first', which is no number"):
        Watch()
    assert Watch(rank=0).is_first_process
