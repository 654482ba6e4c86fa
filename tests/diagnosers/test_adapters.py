"""Classifiers of other libraries as diagnosers."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.diagnosers import conformance, resolve
from curvebench.diagnosers.adapters import Classifier, is_classifier, seen_by_classifiers
from curvebench.diagnosers.answers import InvalidOutput
from curvebench.diagnosers.rules import Rules
from curvebench.spec import CHANNELS, DIAGNOSES, TRACKS

X = conformance.make_curves("config", 30, 9)
Y = np.resize(np.array(DIAGNOSES[1:]), 30)


class Recording:
    """An estimator that remembers what it was shown; always predicts its last class."""

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        self.shown, self.classes_ = X, np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[-1])


def test_any_curve_becomes_finite_numbers():
    bad = X.copy()
    bad[:, :, ::2] = np.array([np.nan, np.inf, -np.inf, 0, -1, 3e38] * 5)[:, None, None]
    for seen in (seen_by_classifiers(X), seen_by_classifiers(bad)):
        assert seen.shape == X.shape
        assert np.isfinite(seen[:, :-1]).all()
    assert np.array_equal(seen_by_classifiers(X)[:, 4], X[:, 4])
    np.testing.assert_allclose(seen_by_classifiers(X)[:, 3], np.log10(X[:, 3]), atol=1e-6)
    np.testing.assert_allclose(seen_by_classifiers(X)[:, 0], np.log10(X[:, 0] / X[:, 0, :1]), atol=1e-5)


@pytest.mark.parametrize("track", TRACKS)
def test_ordinary_classifiers_are_shown_flat_curves(track):
    shown = X[:, : len(TRACKS[track])]
    diagnoser = resolve(Recording())
    assert isinstance(diagnoser, Classifier)
    answer = diagnoser.fit(shown, Y).predict_proba(shown)
    np.testing.assert_array_equal(diagnoser.classifier.shown, seen_by_classifiers(shown).reshape(30, -1))
    assert answer.tolist() == [np.equal(DIAGNOSES, max(DIAGNOSES[1:])).astype(float).tolist()] * 30
    assert diagnoser.predict_proba(shown[:0]).shape == (0, 6)


@pytest.mark.parametrize("library", ["aeon", "sktime"])
def test_classifiers_of_collections_are_shown_them_as_such(library):
    base = type("BaseClassifier", (Recording,), {"__module__": f"{library}.classification.base"})
    diagnoser = resolve(type("Mine", (base,), {}))
    diagnoser.fit(X, Y)
    assert diagnoser.classifier.shown.shape == (30, len(CHANNELS), 9)


def test_a_prediction_that_is_no_diagnosis():
    diagnoser = resolve(Recording()).fit(X, np.array(["tired"] * 30))
    with pytest.raises(InvalidOutput, match="'tired' is no diagnosis"):
        diagnoser.predict_proba(X)


def test_what_is_a_classifier_and_what_a_diagnoser():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    pipeline = make_pipeline(StandardScaler(), LinearSVC())
    assert is_classifier(pipeline)
    assert not is_classifier(Rules())
    pipeline.track = "curve"
    assert not is_classifier(pipeline)


@pytest.mark.parametrize("name", ["sklearn.neighbors:KNeighborsClassifier", "sklearn.linear_model:RidgeClassifier"])
def test_classifiers_of_sklearn_keep_the_contract(name):
    findings = conformance.check(lambda: resolve(name), "telemetry")
    assert {f.check: f.problem for f in findings if f.problem} == {}


def test_columns_of_sklearn_are_put_in_our_order():
    from sklearn.tree import DecisionTreeClassifier

    names = np.array(sorted(DIAGNOSES, reverse=True))[[0, 1, 3]]
    y = np.resize(names, 30)
    answer = resolve(DecisionTreeClassifier(random_state=0)).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(np.array(DIAGNOSES)[answer.argmax(axis=1)], y)
