"""Each learner: that it learns, may be asked about any class, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
from extras import skip_without_what_it_needs

from curvebench.diagnosers import make_diagnoser
from curvebench.diagnosers.learned.models import KINDS
from curvebench.diagnosers.learned.nearest import _drawn
from curvebench.evaluation.evaluate import evaluate
from curvebench.spec import DIAGNOSES

NAMES = [name for name in KINDS if name != "forest"]
"""The forest has a file of its own."""


def curves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Slow, fast and diverging losses with noise, and labels of which a fifth is another at random."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    speed = np.array([1.0, 20.0, -3.0])[kind] * rng.uniform(0.7, 1.4, n)
    loss = np.exp(-speed[:, None] * np.linspace(0, 1, 40)) + 0.05 * rng.uniform(0.9, 1.1, (n, 40))
    said = np.where(rng.random(n) < 0.2, rng.integers(0, 3, n), kind)
    return loss[:, None].astype(np.float32), np.array(["lr_too_low", "healthy", "lr_too_high"])[said]


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_is_as_sure_as_it_may_be(name):
    skip_without_what_it_needs(name)
    diagnoser = make_diagnoser(name).fit(*curves(500, 0))
    X, y = curves(600, 1)
    answer = diagnoser.predict_proba(X)
    is_right = np.array(DIAGNOSES)[answer.argmax(axis=1)] == y
    assert is_right.mean() > (0.7 if name == "dtw-1nn" else 0.8), (
        "at best 0.87, as labels are drawn; one neighbour 0.76"
    )
    assert abs(answer.max(axis=1).mean() - is_right.mean()) < 0.06
    assert (answer[:, [DIAGNOSES.index("output_mismatch")]] == 0).all(), "what it was never shown has no probability"


@pytest.mark.parametrize("name", NAMES)
def test_two_classes_and_one(name):
    skip_without_what_it_needs(name)
    X, y = curves(120, 0)
    two = make_diagnoser(name).fit(X[y != "healthy"], y[y != "healthy"]).predict_proba(X)
    np.testing.assert_allclose(two.sum(axis=1), 1)
    assert (two[:, DIAGNOSES.index("healthy")] == 0).all()
    one = make_diagnoser(name).fit(X[:5], np.full(5, "healthy")).predict_proba(X)
    assert (one[:, DIAGNOSES.index("healthy")] == 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_fitted_does_not_answer(name):
    skip_without_what_it_needs(name)
    with pytest.raises(ValueError, match="not fitted; call fit"):
        make_diagnoser(name).predict_proba(np.ones((1, 1, 5)))


def test_other_channels_than_it_was_fitted_to_are_refused():
    diagnoser = make_diagnoser("boosting").fit(*curves(30, 0))
    with pytest.raises(ValueError, match=r"fitted to \(n_curves, 1, n_points\)"):
        diagnoser.predict_proba(np.ones((2, 3, 40)))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_evaluated_on_the_largest_track(make_dataset, name):
    skip_without_what_it_needs(name)
    result = evaluate(make_dataset(n_cells=12, n_points=12), name, track="config", n_bootstrap=2)
    assert (result.status, result.track) == ("ok", "config"), result.message


def test_torch_is_left_as_it_was():
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    make_diagnoser("cnn").fit(*curves(60, 0)).predict_proba(curves(5, 1)[0])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)


def test_exemplars_are_as_many_of_each_class_and_spread_over_the_rows():
    codes = np.repeat([0, 1, 2], [100, 50, 3])
    rows = _drawn(codes, 10)
    assert np.bincount(codes[rows]).tolist() == [10, 10, 3]
    assert np.diff(rows[:10]).tolist() == [10] * 9
    assert (np.diff(rows) > 0).all()
    assert _drawn(codes[:0], 10).shape == (0,)
