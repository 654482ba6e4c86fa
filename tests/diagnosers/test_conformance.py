"""What every diagnoser of the registry must stand; a new one is covered by being registered."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.diagnosers import DIAGNOSERS, make_diagnoser
from curvebench.diagnosers.trivial import ConstantBest
from curvebench.spec import DIAGNOSES, TRACKS, Action, Diagnoser, Remedy

N_CURVES, N_POINTS = 24, 64
NAMES = [name for name, entry in DIAGNOSERS.items() if name != "oracle" and entry.kind != "tool"]
"""The oracle is no diagnoser: it has answers to certain curves, and does not look at any. Tools of others, which need
not be installed and take their time, have a shorter suite of their own."""


def make_curves(n_channels: int, n_curves: int = N_CURVES, n_points: int = N_POINTS) -> np.ndarray:
    rng = np.random.default_rng(n_channels)
    time = np.linspace(0, 1, n_points)
    speed = 10.0 ** rng.uniform(-1, 2, (n_curves, n_channels, 1))
    curves = 0.1 + np.exp(-speed * time) + rng.normal(0, 0.02, (n_curves, n_channels, n_points))
    curves[::5, :, n_points // 2 :] *= 20
    return curves.astype(np.float32)


def fitted(name: str, n_points: int = N_POINTS) -> Diagnoser:
    reference = ConstantBest(Remedy(Action.RESTART, 10.0)) if name == "constant-best" else None
    diagnoser = reference or make_diagnoser(name)
    if hasattr(diagnoser, "fit"):
        X = make_curves(n_channels_of(diagnoser), n_points=n_points)
        diagnoser.fit(X, np.resize(np.array(DIAGNOSES), N_CURVES))
    return diagnoser


def n_channels_of(diagnoser: Diagnoser) -> int:
    return len(TRACKS[getattr(diagnoser, "track", "curve")])


@pytest.fixture(params=NAMES)
def diagnoser(request) -> Diagnoser:
    return fitted(request.param)


@pytest.fixture
def curves(diagnoser) -> np.ndarray:
    return make_curves(n_channels_of(diagnoser))


def assert_probabilities(answer: np.ndarray, n_curves: int) -> None:
    assert answer.shape == (n_curves, len(DIAGNOSES))
    assert np.isfinite(answer).all()
    assert (answer >= 0).all()
    np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-9)


def test_answers_are_probabilities(diagnoser, curves):
    assert isinstance(diagnoser, Diagnoser)
    assert_probabilities(diagnoser.predict_proba(curves), len(curves))


def test_no_curves_get_no_answers(diagnoser, curves):
    assert diagnoser.predict_proba(curves[:0]).shape == (0, len(DIAGNOSES))


def test_the_same_question_gets_the_same_answer(diagnoser, curves):
    first = diagnoser.predict_proba(curves)
    diagnoser.predict_proba(curves[::-1] * 3)  # whatever was asked in between
    np.testing.assert_array_equal(diagnoser.predict_proba(curves.copy()), first)


@pytest.mark.parametrize("name", NAMES)
def test_two_of_a_kind_agree(name):
    X = make_curves(n_channels_of(fitted(name)))
    np.testing.assert_array_equal(fitted(name).predict_proba(X), fitted(name).predict_proba(X))


def test_a_batch_is_answered_as_one_by_one(diagnoser, curves):
    one_by_one = np.concatenate([diagnoser.predict_proba(curves[i : i + 1]) for i in range(len(curves))])
    np.testing.assert_allclose(diagnoser.predict_proba(curves), one_by_one, atol=1e-12)


def test_the_order_of_curves_does_not_matter(diagnoser, curves):
    order = np.random.default_rng(0).permutation(len(curves))
    np.testing.assert_allclose(
        diagnoser.predict_proba(curves[order]), diagnoser.predict_proba(curves)[order], atol=1e-12
    )


def test_the_curves_are_left_as_they_are(diagnoser, curves):
    before = curves.copy()
    curves.setflags(write=False)
    diagnoser.predict_proba(curves)
    np.testing.assert_array_equal(curves, before)


def test_strided_and_float64_curves_are_curves_too(diagnoser, curves):
    wide = np.repeat(curves, 2, axis=2)[:, :, ::2]
    assert not wide.flags.c_contiguous
    np.testing.assert_array_equal(diagnoser.predict_proba(wide), diagnoser.predict_proba(curves))
    np.testing.assert_array_equal(diagnoser.predict_proba(curves.astype(np.float64)), diagnoser.predict_proba(curves))


@pytest.mark.parametrize(
    "value", [0.0, 1.0, -1.0, 1e-45, 3e38, np.nan, np.inf, -np.inf], ids=lambda value: f"all_{value}"
)
def test_curves_that_never_change(diagnoser, curves, value):
    curves[:] = value
    assert_probabilities(diagnoser.predict_proba(curves), len(curves))


def test_curves_with_holes_and_extremes(diagnoser, curves):
    rng = np.random.default_rng(1)
    for row, value in zip(curves, [np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, 1e-45] * 10, strict=False):
        row[:, rng.integers(0, N_POINTS, 5)] = value
    curves[-1, :, : N_POINTS // 2], curves[-1, :, N_POINTS // 2 :] = 3e38, -3e38
    assert_probabilities(diagnoser.predict_proba(curves), len(curves))


@pytest.mark.parametrize("n_points", [1, 2, 3, 7, 19, 21, 100_000])
@pytest.mark.parametrize("name", NAMES)
def test_curves_of_any_length(name, n_points):
    diagnoser = fitted(name, n_points)
    X = make_curves(n_channels_of(diagnoser), 3, n_points)
    X[0, :, -1] = np.nan
    assert_probabilities(diagnoser.predict_proba(X), 3)


def test_other_methods_keep_the_contract(diagnoser, curves):
    if hasattr(diagnoser, "prescribe"):
        prescribed = diagnoser.prescribe(curves)
        assert len(prescribed) == len(curves)
        assert all(isinstance(remedy, Remedy) for remedy in prescribed)
    if hasattr(diagnoser, "abstain"):
        assert np.asarray(diagnoser.abstain(curves)).shape == (len(curves),)
