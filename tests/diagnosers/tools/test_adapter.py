"""What all adapters share, with tools made up for it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from curvebench.diagnosers.tools.adapter import Meaning, Source, Tool, by_severity, installed_version, rows
from curvebench.evaluation.evaluate import checked_track
from curvebench.spec import DIAGNOSES, Diagnoser, Diagnosis, UsageError


class Thermometer(Tool):
    """Finds what the last point of the training loss says: a number of the list below."""

    SOURCE = Source("numpy", "", "https://numpy.org")
    MAPPING = {  # noqa: RUF012
        "hot": Meaning(Diagnosis.LR_TOO_HIGH, "It is hot."),
        "cold": Meaning(Diagnosis.LR_TOO_LOW, "It is cold."),
        "late frost": Meaning(Diagnosis.LATE_LR_TOO_LOW, "It froze.", ("learning_rate",)),
        "rain": Meaning(None, "About the weather."),
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "It is warm.")
    found = ((), ("hot", "cold"), ("rain", "cold"), ("rain",), ("rain", "late frost"))

    def examine(self, run):
        last = run["train_loss"][-1]
        if last < 0:
            raise SystemExit(f"{last} is below zero")
        return self.found[int(last)]


class Taciturn(Thermometer):
    SILENCE = Meaning(None, "It says nothing where it is not sure.")


class Inventive(Thermometer):
    found = (("snow",),)


def curves(*last: float, n_channels: int = 1) -> np.ndarray:
    X = np.ones((len(last), n_channels, 3), dtype=np.float32)
    X[:, 0, -1] = last
    return X


def answers(tool: Tool, X: np.ndarray) -> list[str | None]:
    """The diagnosis of each curve; None where it abstains."""
    said = [DIAGNOSES[i] for i in tool.predict_proba(X).argmax(axis=1)]
    return [None if no else answer for no, answer in zip(tool.abstain(X), said, strict=True)]


def test_the_most_severe_finding_that_stands_for_a_diagnosis_is_the_answer():
    assert answers(Thermometer(), curves(1, 2)) == ["lr_too_high", "lr_too_low"]


def test_silence_is_what_the_tool_says_it_is():
    assert answers(Thermometer(), curves(0)) == ["healthy"]
    assert answers(Taciturn(), curves(0)) == [None]


def test_findings_about_something_else_are_no_answer():
    assert answers(Thermometer(), curves(3)) == [None]
    assert Thermometer().findings(curves(3, 0)) == [("rain",), ()]


def test_a_curve_on_which_it_raises_is_an_abstention_and_counted():
    tool, X = Thermometer(), curves(-1, 1, -2)
    assert answers(tool, X) == [None, "lr_too_high", None]
    assert tool.crashed(X).tolist() == [True, False, True]
    assert tool.findings(X) == [(), ("hot", "cold"), ()]


def test_an_interrupted_tool_is_no_crash():
    class Interrupted(Thermometer):
        def examine(self, run):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Interrupted()


def test_an_abstention_is_scored_as_healthy_and_shown_as_that():
    assert DIAGNOSES[int(Taciturn().predict_proba(curves(0)).argmax())] == "healthy"


def test_what_it_covers_depends_on_the_columns_that_it_is_shown():
    assert Thermometer().covers == ("lr_too_high", "lr_too_low", "healthy")
    assert Thermometer("config").covers == ("lr_too_high", "lr_too_low", "late_lr_too_low", "healthy")
    assert Taciturn().covers == ("lr_too_high", "lr_too_low")
    assert Thermometer().mapping == {"hot": "lr_too_high", "cold": "lr_too_low"}


def test_a_finding_that_nobody_has_given_a_meaning_is_no_silence():
    with pytest.raises(UsageError, match=r"numpy found 'snow', .* Inventive\.MAPPING"):
        Inventive().predict_proba(curves(0))


def test_it_is_asked_anew_about_other_curves():
    tool = Thermometer()
    X = curves(1, 0)
    tool.predict_proba(X)
    assert tool.abstain(curves(3, 0)).tolist() == [True, False]
    X[0, 0, -1] = 3
    assert tool.abstain(X).tolist() == [True, False]


def test_it_is_shown_python_floats_without_the_optimiser_and_warnings_stay_in():
    seen = []

    class Curious(Thermometer):
        def examine(self, run):
            seen.append(run)
            warnings.warn("numbers that are too large", stacklevel=1)
            np.exp(np.float64(1e9))
            return ()

    tool = Curious("config")
    tool.predict_proba(curves(np.nan, n_channels=5))
    shown = seen[-1]
    assert list(shown) == ["train_loss", "val_loss", "grad_norm", "learning_rate"]
    assert all(type(value) is float for values in shown.values() for value in values)
    assert np.isnan(shown["train_loss"][-1])
    assert checked_track(tool, None) == "config"


def test_it_is_shown_no_more_than_its_track():
    seen = []

    class Curious(Thermometer):
        def examine(self, run):
            seen.append(list(run))
            return ()

    tool = Curious()
    assert checked_track(tool, "config") == "config"
    tool.predict_proba(curves(0, n_channels=5))
    assert seen[-1] == ["train_loss"]


def test_no_curves_get_no_answers():
    tool, none = Thermometer(), np.empty((0, 1, 3), dtype=np.float32)
    assert isinstance(tool, Diagnoser)
    assert tool.predict_proba(none).shape == (0, 6)
    assert tool.abstain(none).shape == tool.crashed(none).shape == (0,)


def test_a_missing_tool_is_said_in_a_sentence_that_names_the_extra():
    class Missing(Thermometer):
        SOURCE = Source("no-such-tool-anywhere", "1.0", "https://example.org")

    with pytest.raises(UsageError, match=r"no-such-tool-anywhere is not installed; pip install 'curvebench\[tools\]'"):
        Missing()


def test_another_version_than_the_one_that_is_known_is_refused():
    with pytest.raises(UsageError, match=rf"numpy {np.__version__} is installed, but .* known for 0\.1"):
        installed_version(Source("numpy", "0.1", ""))
    assert Thermometer().source.version == np.__version__


def test_a_tool_that_does_not_import_is_said_in_a_sentence():
    class Broken(Thermometer):
        def examine(self, run):
            raise ImportError("no backend")

    with pytest.raises(UsageError, match=r"numpy can't be imported \(no backend\)"):
        Broken()


def test_rows_leave_out_columns_that_are_not_there():
    assert rows({"train_loss": [1.0], "val_loss": [2.0]}, {"train_loss": "loss"}) == [{"step": 0, "loss": 1.0}]


def test_equally_severe_findings_keep_their_order():
    assert by_severity([("b", "low"), ("a", "low"), ("c", "high")], ("high", "low")) == ["c", "b", "a"]
