"""Diagnosers of all sorts are asked about cases; what they break is their own."""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.cases.asking import DIGITS, FAILED, INVALID_OUTPUT, OK, Subject, ask, make
from curvebench.cases.case import MAX_POINTS, Case
from curvebench.diagnosers import resolve
from curvebench.diagnosers.identity import identify
from curvebench.diagnosers.learned.models import save_model
from curvebench.spec import DIAGNOSES, TRACKS, UsageError

CASES = [
    Case(str(i), "healthy", np.linspace(2.0, 1.0, n), val_loss=np.ones(n), learning_rate=np.full(n, 0.1))
    for i, n in enumerate((1, 4, 4, 300, 2))
]


class Recorder:
    """Remembers what it was shown; is sure of the diagnosis with the number of the first loss's place in its batch."""

    track = "config"

    def __init__(self, answer=None):
        self.shown, self.answer = [], answer

    def predict_proba(self, X):
        self.shown.append(X)
        return np.eye(6)[np.arange(len(X)) % 6] if self.answer is None else self.answer(X)

    def abstain(self, X):
        return X[:, 0, -1] < 0 if X.shape[2] != 2 else np.ones(len(X), bool)


def subject(diagnoser, n_points=None):
    return Subject("mine:it", diagnoser, n_points)


def test_every_case_is_shown_once_with_as_many_points_as_it_has():
    recorder = Recorder()
    verdicts = ask(subject(recorder), CASES)
    assert [X.shape for X in recorder.shown] == [(n, len(TRACKS["config"]), p) for n, p in ((1, 1), (1, 2), (2, 4), (1, MAX_POINTS))]  # fmt: skip # noqa: E501
    assert verdicts.said.tolist() == [0, 0, 1, 0, 0]
    assert verdicts.abstained.tolist() == [False, False, False, False, True]
    assert (verdicts.status, verdicts.kind, verdicts.sha256, verdicts.track) == (OK, "own", "", "config")
    np.testing.assert_array_equal(recorder.shown[2][0], CASES[1].channels("config"))


def test_who_was_fitted_is_shown_as_many_points_as_it_was_fitted_to():
    recorder = Recorder()
    ask(subject(recorder, 16), CASES)
    assert [X.shape[::2] for X in recorder.shown] == [(5, 16)]


def test_one_of_the_registry_answers_as_it_does_alone():
    verdicts = ask(make("rules"), CASES)
    for case, said in zip(CASES, verdicts.probabilities, strict=True):
        alone = resolve("rules").predict_proba(case.channels("curve")[None])[0]
        np.testing.assert_array_equal(said, alone.round(DIGITS))
    assert (verdicts.kind, verdicts.sha256) == ("rules", identify("rules").sha256)


def raises(X):
    raise ValueError("no\nidea\x1b")


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (raises, FAILED, "ValueError: no idea"),
        (lambda X: np.ones((len(X), 5)), INVALID_OUTPUT, "shape"),
        (lambda X: np.full((len(X), 6), np.nan), INVALID_OUTPUT, "NaN"),
        (lambda X: exit(3), FAILED, "SystemExit"),
    ],
)
def test_what_goes_wrong_in_a_diagnoser_is_its_status(answer, status, message):
    verdicts = ask(subject(Recorder(answer)), CASES)
    assert verdicts.status == status
    assert message in verdicts.message
    assert verdicts.message.isprintable()
    assert verdicts.abstained.all()


def test_a_person_may_interrupt():
    def interrupt(X):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(subject(Recorder(interrupt)), CASES)


@pytest.mark.parametrize(
    ("name", "sentence"), [("oracle", "told answers"), ("forest", "--fit-on"), ("rulez", "Did you mean 'rules'")]
)
def test_who_cannot_be_asked_is_a_sentence(name, sentence):
    with pytest.raises(UsageError, match=sentence):
        make(name)


def test_a_learned_one_is_fitted_or_comes_from_a_file(make_dataset, tmp_path):
    dataset = make_dataset(n_cells=12, n_points=16)
    fitted = make("forest", dataset)
    path = tmp_path / "forest.cbm"
    save_model(fitted.diagnoser, path)
    stored = make(str(path))
    assert fitted.n_points == stored.n_points == 16
    now, then = ask(fitted, CASES), ask(stored, CASES)
    np.testing.assert_array_equal(now.probabilities, then.probabilities)
    assert (then.name, then.kind, len(then.sha256)) == ("forest.cbm", "learned", 64)
    assert set(then.said.tolist()) <= set(range(len(DIAGNOSES)))
