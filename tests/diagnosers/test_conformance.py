"""The conformance suite over every diagnoser of the registry, and over some that break one rule each."""

from __future__ import annotations

import numpy as np
import pytest
from extras import skip_without_what_it_needs

from curvebench.diagnosers import DIAGNOSERS, make_diagnoser
from curvebench.diagnosers.conformance import ALL, CHECKS, check, make_curves
from curvebench.diagnosers.trivial import Constant, ConstantBest, one_hot
from curvebench.spec import DIAGNOSES, OPTIMIZERS, TRACKS, Action, Diagnoser, Remedy, UsageError

NAMES = [name for name, entry in DIAGNOSERS.items() if name != "oracle" and entry.kind != "tool"]
"""The oracle is no diagnoser: it has answers to certain curves, and does not look at any. Tools of others, which need
not be installed and take their time, have a shorter suite of their own."""


def make(name: str) -> Diagnoser:
    skip_without_what_it_needs(name)
    return ConstantBest(Remedy(Action.RESTART, 10.0)) if name == "constant-best" else make_diagnoser(name)


def problems(make_one, **options) -> dict[str, str]:
    return {finding.check: finding.problem for finding in check(make_one, **options) if finding.problem}


@pytest.mark.parametrize("name", NAMES)
def test_ours_keep_the_contract_on_every_track_that_they_take(name):
    assert isinstance(make(name), Diagnoser)
    assert problems(lambda: make(name), track=ALL, tolerance=1e-12) == {}


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_ours_sum_to_one_to_the_last_digits(name):
    diagnoser = make(name)
    X = make_curves(getattr(diagnoser, "track", "curve"))
    if hasattr(diagnoser, "fit"):
        diagnoser.fit(X, np.resize(np.array(DIAGNOSES), len(X)))
    np.testing.assert_allclose(diagnoser.predict_proba(X).sum(axis=1), 1.0, atol=1e-9)


def test_all_checks_are_made_on_the_track_that_it_needs_or_on_all_that_it_takes():
    class NeedsTelemetry(Constant):
        track = "telemetry"

    done = []
    assert [(f.track, f.check) for f in check(NeedsTelemetry)] == [("telemetry", name) for name in CHECKS]
    findings = check(NeedsTelemetry, ALL, progress=lambda n, total: done.append((n, total)))
    assert [(f.track, f.check) for f in findings] == [(t, name) for t in ("telemetry", "config") for name in CHECKS]
    assert done == [(n, 2 * len(CHECKS)) for n in range(2 * len(CHECKS))]
    assert [f.track for f in check(Constant, "config")] == ["config"] * len(CHECKS)
    for track in ("curve", "race"):
        with pytest.raises(UsageError, match="it takes telemetry, config"):
            check(NeedsTelemetry, track)


def test_what_a_check_broke_does_not_fail_the_next():
    class Fragile(Constant):
        is_broken = False

        def predict_proba(self, X):
            self.is_broken |= len(X) > 0 and (X.shape[2] == 1 or bool(np.isnan(X).all()))
            if self.is_broken:
                raise ArithmeticError("broken for good")
            return super().predict_proba(X)

    assert set(problems(Fragile, track="curve")) == {"constant curves", "lengths"}


@pytest.mark.parametrize("track", [["curve"], "moon", property(lambda self: 1 / 0)])
def test_a_track_that_is_none_is_said(track):
    with pytest.raises(UsageError, match="track"):
        check(type("Odd", (Constant,), {"track": track}))


@pytest.mark.parametrize("track", TRACKS)
def test_the_curves_are_those_of_a_track(track):
    X = make_curves(track, 7, 5)
    assert (X.shape, X.dtype) == ((7, len(TRACKS[track]), 5), np.float32)
    if track == "config":
        assert set(X[:, -1].ravel()) <= set(range(len(OPTIMIZERS)))
        assert (X[:, -1] == X[:, -1, :1]).all()


# --------------------------------------------------------------------------------------- breaking one rule


class Impressed:
    """Answers otherwise after other curves."""

    before = None

    def predict_proba(self, X):
        first = X[0, 0, 0] if len(X) else self.before
        is_new, self.before = self.before not in (None, first), first
        return one_hot(["lr_too_low" if is_new else "healthy"] * len(X))


class Gambler:
    def predict_proba(self, X):
        return np.random.default_rng().dirichlet(np.ones(6), len(X))


class ByMood:
    """Every new one is another."""

    moods = 0

    def __init__(self):
        ByMood.moods += 1
        self.mood = DIAGNOSES[ByMood.moods % 6]

    def predict_proba(self, X):
        return one_hot([self.mood] * len(X))


class Remembering(Constant):
    def __init__(self):
        self.n_fits = 0

    def fit(self, X, y):
        self.n_fits += 1

    def predict_proba(self, X):
        return one_hot([DIAGNOSES[min(self.n_fits, 5)]] * len(X))


class Comparing:
    def predict_proba(self, X):
        is_high = X[:, 0, 0] > np.median(X[:, 0, 0]) if len(X) > 1 else np.ones(len(X), bool)
        return one_hot(["lr_too_high" if high else "healthy" for high in is_high])


class ByPlace:
    def predict_proba(self, X):
        return one_hot([DIAGNOSES[i % 6] for i in range(len(X))])


class Scribbling(Constant):
    def predict_proba(self, X):
        if X.flags.writeable:
            X[:] = 0
        return super().predict_proba(X)


class ByLayout:
    def predict_proba(self, X):
        return one_hot(["healthy" if X.flags.c_contiguous else "lr_too_low"] * len(X))


def picky(condition, words):
    class Picky(Constant):
        def predict_proba(self, X):
            if condition(X):
                raise ArithmeticError(words)
            return super().predict_proba(X)

    return Picky


class Prescribing(Constant):
    def prescribe(self, X):
        return ["restart"] * len(X)


class Flagging(Constant):
    def crashed(self, X):
        return np.random.default_rng().random(len(X)) < 0.5


class Unnormalised:
    def predict_proba(self, X):
        return np.ones((len(X), 6))


BREAKERS = {
    Unnormalised: ("probabilities", "sums to 6"),
    picky(lambda X: len(X) == 0, "none"): ("empty batch", "ArithmeticError: none"),
    Impressed: ("no state between calls", "something is kept between calls"),
    Gambler: ("no state between calls", "random choice"),
    ByMood: ("two of a kind", "set its seed"),
    Remembering: ("fit starts anew", "fit must start anew"),
    Comparing: ("batch as one by one", "otherwise than its curves one by one"),
    ByPlace: ("order", "another order"),
    Scribbling: ("curves untouched", "writes into the curves"),
    ByLayout: ("memory layout", "strided array"),
    picky(lambda X: np.isneginf(X).all(), "cold"): ("constant curves", "every value -inf: ArithmeticError: cold"),
    picky(lambda X: np.isnan(X).any() and not np.isnan(X).all() and X.shape[2] == 64, "hole"): (
        "NaN and extremes",
        "ArithmeticError: hole",
    ),
    picky(lambda X: X.shape[2] == 1, "short"): ("lengths", "Curves with 1 points: ArithmeticError: short"),
    picky(lambda X: X.shape[2] > 1000, "long"): ("lengths", "Curves with 100000 points: ArithmeticError: long"),
    Prescribing: ("other answers", "must be a Remedy"),
    Flagging: ("other answers", "otherwise when asked again"),
}


@pytest.mark.parametrize("breaker", BREAKERS, ids=lambda breaker: breaker.__name__)
def test_a_rule_that_is_broken_is_named(breaker):
    name, words = BREAKERS[breaker]
    assert words in problems(breaker, track="curve")[name]


def test_every_rule_is_broken_by_somebody():
    assert {name for name, _ in BREAKERS.values()} == set(CHECKS)
