"""When a verdict on a growing log is firm."""

from __future__ import annotations

from types import SimpleNamespace

from curvebench.diagnosis.watching import N_LOOKS, Watch, looks


def seen(diagnosis, n):
    """As much of a verdict as a watch looks at."""
    return SimpleNamespace(diagnosis=diagnosis, curve=range(n))


def firm(*verdicts) -> list[bool]:
    watch = Watch()
    return [watch.sees(verdict) for verdict in verdicts]


def test_agreement_makes_it_firm():
    assert firm(seen("healthy", 10), seen("healthy", 20), seen("healthy", 40)) == [False, False, True]


def test_abstention_and_disagreement_begin_anew():
    a, b, c = (seen("healthy", n) for n in (10, 20, 40))
    assert firm(a, seen(None, 15), b, c) == [False] * 4
    assert firm(a, seen("lr_too_low", 15), b, c, seen("healthy", 80)) == [False, False, False, False, True]


def test_looks_without_growth_do_not_count():
    assert firm(*[seen("healthy", n) for n in (100, 101, 102, 103)]) == [False] * 4


def test_a_log_that_begins_anew():
    assert firm(*[seen("healthy", n) for n in (100, 120, 10, 20, 40)]) == [False, False, False, False, True]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.naps = 0.0, []

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


def followed(verdicts, **options):
    time, left = Time(), list(verdicts)
    found = list(
        looks(lambda: left.pop(0) if len(left) > 1 else left[0], sleep=time.sleep, clock=lambda: time.now, **options)
    )
    return found, time


def test_it_ends_when_firm_and_sleeps_between():
    log = [
        None,
        seen("healthy", 10),
        seen("healthy", 10),
        seen("healthy", 20),
        seen("healthy", 40),
        seen("healthy", 80),
    ]
    found, time = followed(log, every=5, patience=100)
    assert [(len(v.curve), is_firm) for v, is_firm in found] == [(10, False), (20, False), (40, True)]
    assert time.naps == [5] * 4
    assert len(found) == N_LOOKS


def test_it_ends_when_nothing_more_comes():
    found, time = followed([seen("healthy", 10), seen("healthy", 20)], every=5, patience=30)
    assert [is_firm for _, is_firm in found] == [False, False]
    assert time.now == 35
    assert followed([None], every=5, patience=30)[0] == []
