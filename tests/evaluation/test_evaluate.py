"""From a data set and a diagnoser to a result."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.diagnosers import DIAGNOSERS
from curvebench.diagnosers.rules import Rules
from curvebench.diagnosers.trivial import Constant, ConstantBest, one_hot
from curvebench.evaluation.evaluate import REFERENCES, evaluate
from curvebench.evaluation.results import FAILED, INVALID_OUTPUT, OK
from curvebench.evaluation.scores import SCORES, chance_balanced_accuracy
from curvebench.remedies import treat
from curvebench.spec import DIAGNOSES, NO_REMEDY, SPLITS, TRACKS, Action, InputError, Remedy, UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=24, n_points=24)


def scored(dataset, split="test"):
    return (dataset["split"] == split) & dataset.is_scored


class Answering:
    """Says what it is told to; methods are added as attributes."""

    def __init__(self, answer=None, **methods):
        self.answer = answer
        vars(self).update(methods)

    def predict_proba(self, X):
        return Constant().predict_proba(X) if self.answer is None else self.answer(X)


# --------------------------------------------------------------------------------- the marks of the scale


@pytest.mark.parametrize("split", SPLITS)
def test_constant_is_exactly_zero(dataset, split):
    result = evaluate(dataset, "constant", split=split)
    assert (result.status, result.scores["value"], result.intervals["value"]) == (OK, 0.0, (0.0, 0.0))
    assert result.scores["false_alarms_per_100_healthy"] == 0.0
    np.testing.assert_allclose(result.scores["balanced_accuracy"], 1 / 6)


@pytest.mark.parametrize("split", SPLITS)
def test_oracle_is_exactly_one(dataset, split):
    result = evaluate(dataset, "oracle", split=split)
    for name in ("value", "macro_f1", "balanced_accuracy", *(f"recall_{d}" for d in DIAGNOSES)):
        assert (result.scores[name], result.intervals[name]) == (1.0, (1.0, 1.0)), name
    assert (result.counts.n_snapped, result.counts.n_unmatched) == (0, 0)


def test_chance_is_at_chance(make_dataset):
    dataset = make_dataset(n_cells=96, n_points=8)
    result = evaluate(dataset, "chance")
    rows = scored(dataset)
    label = np.array([DIAGNOSES.index(d) for d in dataset["diagnosis"][rows]])
    expected = chance_balanced_accuracy(label, dataset["accepted"][rows].astype(bool))
    lower, upper = result.intervals["balanced_accuracy"]
    assert lower <= expected <= upper
    assert result.scores["value"] < 0.3


def test_constant_best_is_the_best_single_remedy_of_train(dataset):
    meta, rows = dataset.meta, scored(dataset, "train")
    totals = {
        remedy: treat([remedy] * int(rows.sum()), meta.remedies, dataset["remedy_gain"][rows]).net_gain.sum()
        for remedy in meta.remedies
        if remedy.action is not Action.TRAIN_LONGER
    }
    best = max(totals, key=totals.get)
    by_name, by_hand = evaluate(dataset, "constant-best"), evaluate(dataset, ConstantBest(best))
    assert by_name.scores == pytest.approx(by_hand.scores, nan_ok=True)
    assert evaluate(dataset, "constant-best", split="train").scores["value"] > 0


def test_the_true_label_with_its_fixed_action_is_worth_something(dataset):
    labels = dataset["diagnosis"][scored(dataset)]
    result = evaluate(dataset, Answering(lambda X: one_hot(labels)))
    assert 0.5 < result.scores["value"] <= 1.0
    assert result.scores["macro_f1"] == 1.0


def test_rules_get_a_score(dataset):
    result = evaluate(dataset, "rules")
    assert result.scores["value"] > 0
    assert result.microseconds_per_curve > 0


# ------------------------------------------------------------------------------------------ what is scored


def test_value_by_a_slow_twin(dataset):
    """Row by row with plain loops: the gain of the prescribed restart over that of the oracle's remedy."""
    gains, remedies = dataset["remedy_gain"].astype(float), dataset.meta.remedies
    cost = [{Action.NONE: 0.0, Action.RESUME: 1 - r.at}.get(r.action, 1.0) * 0.02 for r in remedies]
    rows = np.flatnonzero(scored(dataset))
    ours = oracles = 0.0
    for row in rows:
        ours += -cost[1] if np.isnan(gains[row, 1]) else gains[row, 1] - cost[1]
        pair = [
            i
            for i in rows
            if dataset["cell"][i] == dataset["cell"][row] and dataset["base_lr"][i] == dataset["base_lr"][row]
        ]
        others = [i for i in pair if i != row]
        best, action = 0.0, 0
        for a, remedy in enumerate(remedies):
            if remedy.action is Action.TRAIN_LONGER or np.isnan(gains[pair, a]).any():
                continue
            if np.mean(gains[others, a]) - cost[a] > best + 1e-9:
                best, action = np.mean(gains[others, a]) - cost[a], a
        oracles += gains[row, action] - cost[action]
    result = evaluate(dataset, ConstantBest(remedies[1]))
    assert result.scores["value"] == pytest.approx(ours / oracles, rel=1e-6)
    assert result.counts.n_unmatched == np.isnan(gains[rows, 1]).sum()


def test_what_the_result_states(dataset):
    result = evaluate(dataset, "rules", split="test_ood", track="telemetry", name="house rules", n_bootstrap=50)
    rows = scored(dataset, "test_ood")
    assert (result.diagnoser, result.split, result.track) == ("house rules", "test_ood", "telemetry")
    assert result.counts.n_runs == rows.sum() == np.sum(result.confusion)
    assert result.counts.n_problem_instances == len(np.unique(dataset["problem"][rows]))
    assert result.counts.n_families == 2
    assert tuple(result.scores) == tuple(result.intervals) == SCORES
    for name, (lower, upper) in result.intervals.items():
        assert np.isnan(lower) or lower <= upper, name
    assert len(result.dataset_sha256) == 64


def test_results_differ_in_time_only(dataset):
    first, second = (evaluate(dataset, "chance").to_json() for _ in range(2))
    first.pop("microseconds_per_curve"), second.pop("microseconds_per_curve")
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)


def test_runs_that_are_not_scored_change_nothing(dataset):
    with_all = evaluate(dataset, "rules", n_bootstrap=20)
    without = evaluate(dataset.select(dataset.is_scored), "rules", n_bootstrap=20)
    assert with_all.scores == pytest.approx(without.scores, nan_ok=True)


# ---------------------------------------------------------------------------------------- what may be asked


def test_prescriptions_are_snapped_and_counted(dataset):
    n = scored(dataset).sum()
    result = evaluate(dataset, ConstantBest(Remedy(Action.RESUME, 0.2, 0.6)))
    assert (result.counts.n_snapped, result.counts.n_unmatched) == (n, 0)
    result = evaluate(dataset, ConstantBest(Remedy(Action.RESTART, 1.0)))
    assert (result.counts.n_snapped, result.counts.n_unmatched) == (0, n)
    assert result.scores["value"] < 0


def test_abstaining_is_doing_nothing(dataset):
    everywhere = Answering(
        lambda X: one_hot(["lr_too_high"] * len(X)),
        prescribe=lambda X: [Remedy(Action.RESTART, 0.1)] * len(X),
        abstain=lambda X: np.ones(len(X), dtype=bool),
    )
    result = evaluate(dataset, everywhere)
    assert result.counts.n_abstained == result.counts.n_runs
    assert (result.scores["value"], result.scores["false_alarms_per_100_healthy"]) == (0.0, 0.0)
    nowhere = Answering(abstain=lambda X: [False] * len(X))
    assert evaluate(dataset, nowhere).counts.n_abstained == 0


def test_crashing_is_doing_nothing_and_is_counted(dataset):
    def abstains(X):
        return np.arange(len(X)) % 3 == 0

    def crashes(X):
        return np.arange(len(X)) % 2 == 0

    harmful = {"prescribe": lambda X: [Remedy(Action.RESTART, 0.1)] * len(X), "abstain": abstains, "crashed": crashes}
    result = evaluate(dataset, Answering(**harmful))
    number = np.arange(result.counts.n_runs)
    assert result.counts.n_crashed == (number % 2 == 0).sum()
    assert result.counts.n_abstained == ((number % 2 == 0) | (number % 3 == 0)).sum()
    both = evaluate(dataset, Answering(**harmful | {"abstain": lambda X: abstains(X) | crashes(X), "crashed": None}))
    assert (both.scores, both.counts.n_crashed) == (pytest.approx(result.scores, nan_ok=True), 0)
    assert result.to_json()["n_crashed"] == result.counts.n_crashed


def test_where_nothing_is_prescribed_the_diagnosis_stands_for_its_action(dataset):
    def answer(X):
        return one_hot(["lr_too_high"] * len(X))

    silent = Answering(answer, prescribe=lambda X: [None] * len(X))
    assert evaluate(dataset, silent).scores == pytest.approx(evaluate(dataset, Answering(answer)).scores, nan_ok=True)
    half = Answering(answer, prescribe=lambda X: [None, NO_REMEDY] * (len(X) // 2))
    assert evaluate(dataset, half).scores["value"] != evaluate(dataset, silent).scores["value"]


class Unlucky(Constant):
    @property
    def track(self):
        raise OSError("no track today")


class Puzzled(Constant):
    @property
    def fit(self):
        raise OSError("no fit today")


def test_properties_that_raise_fail_one_diagnoser_only(dataset):
    for diagnoser in (Unlucky(), Unlucky, Puzzled()):
        result = evaluate(dataset, diagnoser)
        assert (result.status, "OSError: no " in result.message) == (FAILED, True)


def test_fitting_gets_the_scored_runs_of_train(dataset):
    seen = {}

    class Learner(Constant):
        track = "telemetry"

        def fit(self, X, y):
            seen.update(X=X, y=y)

    result = evaluate(dataset, Learner)
    rows = scored(dataset, "train")
    assert (result.diagnoser, result.track) == ("Learner", "telemetry")
    np.testing.assert_array_equal(seen["X"], dataset.to_numpy3d("telemetry")[rows])
    np.testing.assert_array_equal(seen["y"], dataset["diagnosis"][rows])


def test_another_data_set_may_be_fitted_on(dataset, make_dataset):
    """What is asked about comes from one, everything that is learned before from the other."""
    other = make_dataset(n_cells=30, n_points=24, seed=1)
    asked = dataset.select(dataset["split"] == "test")
    seen = {}

    class Learner(Constant):
        def fit(self, X, y):
            seen.update(X=X, y=y)

    result = evaluate(asked, Learner, fit_on=other)
    rows = scored(other, "train")
    np.testing.assert_array_equal(seen["X"], other.to_numpy3d("curve")[rows])
    np.testing.assert_array_equal(seen["y"], other["diagnosis"][rows])
    assert (result.dataset_sha256, result.fit_on_sha256) == (content_sha256(asked), content_sha256(other))
    best = evaluate(other, "constant-best", split="train").scores["value"]
    assert best > 0
    for name in ("rules", "constant-best", "oracle"):
        whole, part = evaluate(dataset, name), evaluate(asked, name, fit_on=dataset)
        assert whole.scores == pytest.approx(part.scores, nan_ok=True)
        assert whole.fit_on_sha256 == part.fit_on_sha256 == whole.dataset_sha256


def test_actions_of_another_data_set_are_told_by_what_they_do_and_not_by_their_number(dataset):
    """Fixed actions stay what they are where the other data set lists its remedies in another order, or fewer."""
    order = [0, 2, 7, 1, 3, 4, 5, 6, 8]  # resumptions stay in order, for they have columns of their own
    meta = dataset.meta
    remedies = tuple(meta.remedies[i] for i in order)
    columns = {name: v[:, order] if name.startswith("remedy_") else v for name, v in dataset.columns.items()}
    actions = {diagnosis: order.index(i) for diagnosis, i in meta.fixed_actions.items()}
    shuffled = Dataset(columns, dataclasses.replace(meta, remedies=remedies, fixed_actions=actions))
    for name in ("rules", "constant-best"):
        assert evaluate(dataset, name, fit_on=shuffled).scores == evaluate(dataset, name).scores
    assert evaluate(dataset, "rules", fit_on=shuffled).counts.n_snapped == evaluate(dataset, "rules").counts.n_snapped
    milder = tuple(dataclasses.replace(r, factor=0.2) if r.factor == 0.1 else r for r in meta.remedies)
    result = evaluate(dataset, "rules", fit_on=Dataset(dataset.columns, dataclasses.replace(meta, remedies=milder)))
    assert result.counts.n_snapped > evaluate(dataset, "rules").counts.n_snapped


def test_curves_of_another_length_cannot_be_fitted_on(dataset, make_dataset):
    short = make_dataset(n_cells=24, n_points=8)
    result = evaluate(dataset, Answering(fit=lambda X, y: None), fit_on=short)
    assert (result.status, "have 8 points and those to score 24" in result.message) == (FAILED, True)
    assert evaluate(dataset, "rules", fit_on=short).status == OK, "who learns from no curves does not mind"


def test_columns_follow_classes_as_sklearn_has_them(dataset):
    labels = dataset["diagnosis"][scored(dataset)]
    classes = np.array(sorted(DIAGNOSES))
    diagnoser = Answering(lambda X: (labels[:, None] == classes).astype(float), classes_=classes)
    assert evaluate(dataset, diagnoser).scores["macro_f1"] == 1.0
    some = classes[:2]
    diagnoser = Answering(lambda X: np.tile([0.25, 0.75], (len(X), 1)), classes_=some)
    assert evaluate(dataset, diagnoser).scores[f"recall_{some[1]}"] == 1.0
    result = evaluate(dataset, Answering(lambda X: np.ones((len(X), 1)), classes_=["tired"]))
    assert (result.status, "tired" in result.message) == (INVALID_OUTPUT, True)


def test_a_classifier_of_sklearn_is_a_diagnoser(dataset):
    from sklearn.tree import DecisionTreeClassifier

    result = evaluate(dataset, DecisionTreeClassifier(random_state=0), split="train")
    assert (result.status, result.scores["macro_f1"]) == (OK, 1.0)


def test_a_classifier_that_names_its_track_is_shown_the_curves_as_they_are(dataset):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.tree import DecisionTreeClassifier

    flat = FunctionTransformer(lambda X: np.nan_to_num(X[:, 0], nan=9.0, posinf=9.0))
    pipeline = make_pipeline(flat, DecisionTreeClassifier(random_state=0))
    pipeline.track = "curve"
    result = evaluate(dataset, pipeline, split="train")
    assert (result.status, result.scores["macro_f1"]) == (OK, 1.0)


def test_a_function_of_one_curve(dataset):
    def says_healthy(curve):
        return "healthy"

    result = evaluate(dataset, says_healthy)
    assert (result.diagnoser, result.scores["value"]) == ("says_healthy", 0.0)


@pytest.mark.parametrize("track", TRACKS)
def test_the_curves_shown_are_those_of_the_track(dataset, track):
    shapes = []

    def record(X):
        shapes.append(X.shape)
        return Constant().predict_proba(X)

    assert evaluate(dataset, Answering(record), track=track).track == track
    assert set(shapes) == {(scored(dataset).sum(), len(TRACKS[track]), dataset.n_points)}


# ----------------------------------------------------------------------------------- when it goes wrong


def fail(X):
    raise RuntimeError("no\nluck")


def leave(X):
    sys.exit(3)


class Odd(BaseException):
    """Not an `Exception`, and not to be printed either."""

    def __str__(self):
        raise Odd


def raising(error):
    def answer(X):
        raise error

    return Answering(answer)


def overwrite(X):
    X[:] = 0


def unlock(X):
    X.setflags(write=True)


@pytest.mark.parametrize(
    ("diagnoser", "message"),
    [
        (Answering(fail), "RuntimeError: no luck"),
        (Answering(leave), "SystemExit: 3"),
        (raising(GeneratorExit("over")), "GeneratorExit: over"),
        (raising(asyncio.CancelledError()), "CancelledError"),
        (raising(Odd()), "Odd"),
        (Answering(overwrite), "read-only"),
        (Answering(unlock), "ValueError"),
        (Answering(fit=lambda X, y: 1 / 0), "ZeroDivisionError"),
        (Answering(prescribe=fail), "RuntimeError"),
        (Answering(abstain=fail), "RuntimeError"),
    ],
)
def test_a_diagnoser_that_fails_has_no_scores(dataset, diagnoser, message):
    result = evaluate(dataset, diagnoser)
    assert result.status == FAILED
    assert message in result.message
    assert "\n" not in result.message
    assert (result.scores, result.intervals, result.confusion) == (None, None, None)


@pytest.mark.parametrize(
    ("diagnoser", "message"),
    [
        (Answering(lambda X: np.ones(len(X))), "returned the shape"),
        (Answering(lambda X: one_hot(["healthy"])), "returned the shape"),
        (Answering(lambda X: one_hot(["healthy"] * len(X))[:, :5]), "returned the shape"),
        (Answering(lambda X: "healthy"), "no array of real numbers"),
        (Answering(lambda X: [object()]), "no array of real numbers"),
        (Answering(lambda X: [[0.5], [0.2, 0.3]]), "a list that is no array of real numbers"),
        (Answering(lambda X: one_hot(["healthy"] * len(X)) + 0j), "(complex128) that is no array of real numbers"),
        (Answering(lambda X: one_hot(["healthy"] * len(X)).astype(str)), "no array of real numbers"),
        (Answering(lambda X: one_hot(["healthy"] * len(X)).astype(object)), "(object) that is no array"),
        (Answering(abstain=lambda X: np.zeros(len(X), dtype=complex)), "abstain returned a ndarray (complex128)"),
        (Answering(lambda X: np.full((len(X), 6), np.nan)), "NaN"),
        (Answering(lambda X: one_hot(["healthy"] * len(X)) * 1.01), "sums to 1.01"),
        (Answering(lambda X: np.tile([1.5, -0.5, 0, 0, 0, 0], (len(X), 1))), "negative"),
        (Answering(abstain=lambda X: [True]), "abstain must return"),
        (Answering(abstain=lambda X: np.full(len(X), 0.5)), "abstain must return"),
        (Answering(crashed=lambda X: [0, 1, 2]), "crashed must return"),
        (Answering(prescribe=lambda X: [NO_REMEDY]), "prescribe must return"),
        (Answering(prescribe=lambda X: None), "prescribe must return"),
        (Answering(prescribe=lambda X: ["restart"] * len(X)), "must be a Remedy"),
        (Answering(prescribe=lambda X: [Remedy(Action.TRAIN_LONGER)] * len(X)), "train_longer"),
        (Answering(prescribe=lambda X: [Remedy(Action.RESTART, -1.0)] * len(X)), "positive factor"),
        (lambda curve: "tired", "'tired' is no diagnosis"),
    ],
)
def test_an_answer_outside_the_contract_has_no_scores(dataset, diagnoser, message):
    result = evaluate(dataset, diagnoser)
    assert result.status == INVALID_OUTPUT
    assert message in result.message
    assert (result.scores, result.intervals, result.confusion) == (None, None, None)
    json.dumps(result.to_json(), allow_nan=False)


def test_sums_within_the_tolerance_are_forgiven(dataset):
    result = evaluate(dataset, Answering(lambda X: one_hot(["healthy"] * len(X)) * 1.0005))
    assert (result.status, result.scores["value"]) == (OK, 0.0)


def test_an_interruption_by_the_user_is_not_swallowed(dataset):
    def interrupt(X):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(dataset, Answering(interrupt))
    with pytest.raises(KeyboardInterrupt):
        evaluate(dataset, raising(type("Stop", (KeyboardInterrupt,), {})()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diagnoser": "rulez"}, "Did you mean 'rules'"),
        ({"diagnoser": 7}, "int is no diagnoser"),
        ({"diagnoser": "rules", "split": "tset"}, "no split 'tset'"),
        ({"diagnoser": "rules", "track": "curves"}, "no track 'curves'"),
        ({"diagnoser": "rules", "n_bootstrap": 0}, "at least one bootstrap draw"),
        ({"diagnoser": Answering(track="config"), "track": "curve"}, "needs the track 'config'"),
        ({"diagnoser": Answering(track="moon")}, "no track 'moon'"),
    ],
)
def test_what_the_caller_gets_wrong_is_a_sentence(dataset, arguments, message):
    with pytest.raises(UsageError, match=message):
        evaluate(dataset, **arguments)


def test_a_split_without_scored_runs_is_refused(dataset):
    only_train = dataset.select(dataset["split"] == "train")
    with pytest.raises(InputError, match="'test' of this data set has no runs that are scored"):
        evaluate(only_train, "rules")
    no_train = dataset.select(dataset["split"] != "train")
    with pytest.raises(InputError, match="'train'"):
        evaluate(no_train, "constant-best")
    result = evaluate(no_train, Answering(fit=lambda X, y: None))
    assert (result.status, "'train'" in result.message) == (FAILED, True), "others may need no fitting"
    with pytest.raises(InputError):
        evaluate(dataset.select([]), "constant")


def test_only_listed_names_are_told_answers():
    assert set(REFERENCES) == {name for name, entry in DIAGNOSERS.items() if entry.is_reference}


def test_importing_it_does_not_import_sklearn():
    code = "import sys, curvebench.evaluation.evaluate as e; sys.exit(any('sklearn' in m for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_class_may_be_given(dataset):
    assert evaluate(dataset, Rules, n_bootstrap=5).diagnoser == "Rules"
    assert evaluate(dataset, "curvebench.diagnosers.rules:Rules", n_bootstrap=5).status == OK
