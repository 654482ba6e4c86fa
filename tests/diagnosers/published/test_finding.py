"""What all published rules share."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from oracles.odd_curves import odd_curves
from oracles.plain_rules import comparisons_with_anything

from curvebench.diagnosers import DIAGNOSERS, make_diagnoser
from curvebench.diagnosers.published.finding import N_EPOCHS, NOTHING, by_epochs, not_finite
from curvebench.diagnosers.rules import CONFIDENCE
from curvebench.spec import CHANNELS, DIAGNOSES, TRACKS

PUBLISHED = [name for name, entry in DIAGNOSERS.items() if entry.kind == "published"]


@pytest.fixture(params=PUBLISHED)
def rules(request):
    return make_diagnoser(request.param)


def some_curves(n_points: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    losses = 10.0 ** rng.uniform(-3, 0, (40, 5, 1)) + np.exp(
        -rng.uniform(0, 30, (40, 5, 1)) * np.linspace(0, 1, n_points)
    )
    losses *= np.exp(rng.normal(0, rng.choice([0, 0.01, 0.3], (40, 1, 1)), losses.shape))
    losses[::7, :, n_points // 2 :] = np.nan
    return losses.astype(np.float32)


def test_every_finding_stands_for_a_diagnosis(rules):
    assert NOTHING in rules.mapping
    assert rules.mapping[NOTHING] == "healthy"
    assert set(rules.mapping.values()) <= set(DIAGNOSES)
    assert rules.covers == tuple(d for d in DIAGNOSES if d in rules.mapping.values())
    assert "healthy" in rules.covers


def test_the_answer_is_what_the_finding_stands_for(rules):
    X = some_curves(128)
    answer = rules.predict_proba(X)
    for row, finding in zip(answer, rules.findings(X), strict=True):
        assert DIAGNOSES[row.argmax()] == rules.mapping[finding]
        assert row.max() == CONFIDENCE
    assert set(rules.findings(X)) != {NOTHING}


def test_larger_tracks_are_looked_at_alike(rules):
    X = some_curves(64)
    smallest = X[:, : len(TRACKS[rules.track])]
    np.testing.assert_array_equal(rules.findings(X), rules.findings(smallest))


def test_too_few_points_are_nothing_and_abstained_from(rules):
    for n_points in (1, 2, 3, 63, 64):
        X = some_curves(n_points)
        is_short = n_points < rules.least_points
        np.testing.assert_array_equal(rules.abstain(X), np.full(40, is_short))
        if is_short:
            assert set(rules.findings(X)) == {NOTHING}


@pytest.mark.parametrize("shape", [(3, 128), (3, 0, 128), (3, 5, 0)])
def test_what_is_no_curve_is_refused(rules, shape):
    with pytest.raises(ValueError, match="X must be"):
        rules.predict_proba(np.ones(shape))


def test_a_channel_too_few_is_refused():
    with pytest.raises(ValueError, match="at least 5 channels"):
        make_diagnoser("published/umlaut").findings(np.ones((2, 3, 10)))


def test_ten_thousand_curves_a_second(rules):
    X = np.repeat(some_curves(128), 25, axis=0)
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        rules.predict_proba(X)
        seconds.append(time.perf_counter() - begin)
    assert len(X) / min(seconds) >= 10_000


@settings(max_examples=100)
@given(odd_curves(4))
def test_epochs_are_those_of_a_plain_loop(curve):
    channels = dict(zip(CHANNELS[:4], curve.astype(np.float64), strict=True))
    n_points = curve.shape[1]
    n_epochs = min(N_EPOCHS, n_points)
    with comparisons_with_anything():
        found = by_epochs({name: values[None] for name, values in channels.items()})
        for epoch in range(n_epochs):
            begin, end = epoch * n_points // n_epochs, (epoch + 1) * n_points // n_epochs
            assert end > begin
            piece = channels["train_loss"][begin:end]
            np.testing.assert_allclose(found["train_loss"][0, epoch], sum(piece) / len(piece), rtol=1e-12)
            for name in CHANNELS[1:4]:
                np.testing.assert_array_equal(found[name][0, epoch], channels[name][end - 1])
    assert all(values.shape == (1, n_epochs) for values in found.values())


def test_a_hole_in_any_channel_is_found():
    clean, holed = np.ones((3, 4)), np.ones((3, 4))
    holed[1, 2], holed[2, 0] = np.nan, np.inf
    assert not_finite(clean, holed).tolist() == [False, True, True]
    assert not_finite(clean).tolist() == [False] * 3
