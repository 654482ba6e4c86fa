"""What a report holds, and that its two files say all of it."""

from __future__ import annotations

import dataclasses
import json
import sys
import types

import numpy as np
import pytest

from curvebench.data.dataset import Dataset, content_sha256
from curvebench.data.views import FRACTION_SEEN, VIEWS
from curvebench.diagnosers.trivial import Constant, one_hot
from curvebench.evaluation import subset
from curvebench.evaluation.evaluate import evaluate, examine, mark
from curvebench.evaluation.report import Report, json_bytes, read_report, slug
from curvebench.evaluation.reporting import make_report, make_rerun, makeable, name_data_set
from curvebench.spec import TRACKS, InputError, UsageError

DETERMINISTIC = ("data_set", "diagnoser", "subset", "early", "transfer", "worst_view")


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return make_dataset(n_cells=24, n_points=16)


@pytest.fixture(scope="module")
def report(dataset):
    return make_report(dataset, "rules")


class Learner(Constant):
    """Notes what it is fitted on and asked about."""

    fitted: list = []  # noqa: RUF012 - written to by every object on purpose
    asked: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.fitted.append((X.shape[1:], len(X)))
        return self

    def predict_proba(self, X):
        self.asked.append(X.shape[1:])
        return super().predict_proba(X)


class Slow(Constant):
    is_slow = True
    source = "somewhere"
    covers = ("lr_too_high", "healthy")
    mapping = {"boom": "lr_too_high"}  # noqa: RUF012
    version = "7"


class BreaksOnShort(Constant):
    """Cannot cope with a curve of another length."""

    def predict_proba(self, X):
        if X.shape[2] != 16:
            raise ValueError("odd\nlength \x00")
        return one_hot(["lr_too_high"] * len(X))


@pytest.fixture(autouse=True)
def _their_module(monkeypatch):
    module = types.ModuleType("theirs")
    vars(module).update(Learner=Learner, Slow=Slow, BreaksOnShort=BreaksOnShort)
    monkeypatch.setitem(sys.modules, "theirs", module)
    Learner.fitted.clear(), Learner.asked.clear()


def read(report: Report) -> Report:
    predictions = report.predictions()
    return read_report(json_bytes(report.to_json(predictions)), predictions, "r.json")


def test_every_view_of_both_splits_is_there(report, dataset):
    assert [(e.split, e.view) for e in report.evaluations] == [(s, v) for s in ("test", "test_ood") for v in VIEWS]
    assert {e.track for e in report.evaluations} == {"curve"}
    assert all(e.status == "ok" for e in report.evaluations)
    whole = evaluate(dataset, "rules", split="test_ood")
    stored = report.evaluation("test_ood")
    assert dict(stored.scores) == pytest.approx(whole.scores)
    assert stored.counts == whole.counts
    assert report.data_set == name_data_set(dataset)
    assert (report.data_set.folder, report.data_set.content_sha256) == ("made-up-v1", content_sha256(dataset))


def test_it_survives_its_two_files(report):
    again = read(report)
    predictions = report.predictions()
    assert again.to_json(predictions) == json.loads(json_bytes(report.to_json(predictions)))
    assert again.predictions() == predictions
    assert again.diagnoser == report.diagnoser
    text = json_bytes(report.to_json(predictions)).decode()
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"


def test_two_reports_differ_in_times_only(report, dataset):
    first, second = report.to_json(report.predictions()), make_report(dataset, "rules").to_json(report.predictions())
    for written in (first, second):
        for evaluation in written["evaluations"]:
            assert evaluation.pop("microseconds_per_curve") > 0
        written["run"].pop("time")
    assert first == second


def test_what_is_drawn_together(report, dataset):
    for split, moments in report.early.items():
        assert [m.fraction for m in moments] == list(FRACTION_SEEN.values())
        for view, moment in zip(FRACTION_SEEN, moments, strict=True):
            scores = report.evaluation(split, view).scores
            assert moment.value == scores["value"]
            assert moment.false_alarms_per_100_healthy == scores["false_alarms_per_100_healthy"]
        values = {v: report.evaluation(split, v).scores["value"] for v in VIEWS if not v.startswith("first")}
        worst = report.worst_view[split]
        assert worst["value"] == min(values.values()) == values[worst["view"]]
    for score in ("value", "macro_f1"):
        test, ood = (report.evaluation(s).scores[score] for s in ("test", "test_ood"))
        assert report.transfer[score] == ood - test


def test_who_is_fitted_is_fitted_for_every_length_and_sees_larger_tracks(dataset):
    report = make_report(dataset, "theirs:Learner")
    assert [(e.track, e.split, e.view) for e in report.evaluations[16:]] == [
        (track, split, "whole") for track in ("telemetry", "config") for split in ("test", "test_ood")
    ]
    n_train = int((dataset.is_scored & (dataset["split"] == "train")).sum())
    shapes = [(1, 16), (1, 4), (1, 8), (1, 12), (1, 4), (3, 16), (5, 16)]
    assert Learner.fitted == [(shape, n_train) for shape in shapes]
    assert set(Learner.asked) == set(shapes)


@pytest.mark.parametrize("name", ["zoo/late-slope", "rules-tuned"])
def test_who_looks_at_one_channel_is_shown_no_more(dataset, name):
    report = make_report(dataset, name)
    assert {e.track for e in report.evaluations} == {"curve"}


def test_a_slow_one_is_asked_about_a_fixed_part(dataset, monkeypatch):
    monkeypatch.setattr(subset.stratified_rows, "__defaults__", (40,))
    report = read(make_report(dataset, "theirs:Slow"))
    assert report.subset.name == "stratified"
    assert {split: n[0] for split, n in report.subset.n_of.items()} == {"test": 40, "test_ood": 40}
    assert report.evaluation("test").counts.n_runs == 40
    who = report.diagnoser
    assert (who.source, who.version, who.covers) == ("somewhere", "7", ("lr_too_high", "healthy"))
    assert (who.mapping, who.kind) == ({"boom": "lr_too_high"}, "own")


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"covers": ("tired",)}, "covers 'tired'"),
        ({"fit": lambda self, X, y: self, "largest_track": "all"}, "largest_track is 'all'"),
        ({"__doc__": "x" * 999 + "\x00", "source": "a\nb", "version": "1" * 99, "mapping": {"a\tb": "x" * 99}}, None),
    ],
)
def test_what_a_diagnoser_says_of_itself_fits_or_is_refused(dataset, attributes, words):
    sys.modules["theirs"].Odd = type("Odd", (Constant,), attributes)
    if words:
        with pytest.raises(UsageError, match=words):
            make_report(dataset, "theirs:Odd")
    else:
        who = read(make_report(dataset, "theirs:Odd")).diagnoser
        assert (len(who.description), who.source, len(who.version)) == (300, "a b", 80)
        assert list(who.mapping) == ["a b"]


def test_who_cannot_be_made_is_left_out_with_the_reason():
    found, obstacles = makeable(["rules", "oracle", "theirs:missing"])
    assert list(found) == ["rules", "oracle"]
    assert obstacles[0].startswith("theirs:missing is left out: Can't load the diagnoser")


def test_crashes_are_counted_and_kept(dataset):
    class Shaky(Constant):
        def crashed(self, X):
            return np.arange(len(X)) < 3

        abstain = crashed

    sys.modules["theirs"].Shaky = Shaky
    report = read(make_report(dataset, "theirs:Shaky"))
    counts = report.evaluation("test").counts
    assert (counts.n_crashed, counts.n_abstained) == (3, 3)
    assert report.answers[0].is_crashed.sum() == 3


def test_a_name_that_is_too_long(dataset):
    setattr(sys.modules["theirs"], "x" * 80, Constant)
    with pytest.raises(UsageError, match="at most 80 characters"):
        make_report(dataset, "theirs:" + "x" * 80)


def test_a_view_that_it_breaks_on_has_no_scores_and_is_the_worst(dataset):
    report = read(make_report(dataset, "theirs:BreaksOnShort"))
    broken = report.evaluation("test", "every-4th")
    assert (broken.status, broken.scores, broken.message) == ("failed", None, "ValueError: odd length")
    assert report.worst_view["test"] == {"view": "every-4th", "value": None}
    assert report.early["test"][0].value is None
    assert report.early["test"][3].value is not None
    assert report.answers[report.index("test", "every-4th")] is None


@pytest.mark.parametrize("name", ["oracle", "constant-best"])
def test_references_are_told_their_answers_in_every_view(dataset, name):
    report = make_report(dataset, name)
    values = {e.scores["value"] for e in report.evaluations if e.split == "test"}
    assert len(values) == 1
    assert (values == {1.0}) == (name == "oracle")


def test_without_a_second_split_there_is_no_transfer(dataset):
    report = read(make_report(dataset.select(dataset["split"] != "test_ood"), "rules"))
    assert set(report.subset.n_of) == {"test"}
    assert report.transfer == {"value": None, "macro_f1": None}


def test_a_rerun_holds_the_scores_of_whole_curves(dataset, make_dataset):
    other = make_dataset(n_cells=24, n_points=16, seed=1)
    rerun = make_rerun(other, "rules", 8)
    assert (rerun.master_seed, rerun.content_sha256) == (8, content_sha256(other))
    assert rerun.scores["test"] == pytest.approx(evaluate(other, "rules").scores)


def test_a_version_that_is_no_number_has_no_folder(dataset):
    odd = Dataset(dataset.columns, dataclasses.replace(dataset.meta, recipe_version="one"))
    with pytest.raises(InputError, match="by name and version"):
        make_report(odd, "rules")


@pytest.mark.parametrize(("name", "expected"), [("zoo/late-slope", "zoo-late-slope"), ("../../x", "..-..-x")])
def test_slugs_stay_in_their_folder(name, expected):
    assert slug(name) == expected
    assert len(slug(name * 100)) == 80


# ----------------------------------------------------------------------------------- examined and marked


def test_several_at_once_are_what_they_are_one_by_one(dataset):
    together = examine(dataset, "zoo/late-slope", {"test": None, "test_ood": None}, views=list(VIEWS), n_bootstrap=30)
    assert [(e.result.split, e.view) for e in together] == [(s, v) for s in ("test", "test_ood") for v in VIEWS]
    for examination in together:
        split, view = examination.result.split, examination.view
        (alone,) = examine(dataset, "zoo/late-slope", {split: None}, views=[view], n_bootstrap=30)
        assert examination.result.scores == pytest.approx(alone.result.scores, nan_ok=True)
        for name, interval in examination.result.intervals.items():
            np.testing.assert_allclose(interval, alone.result.intervals[name])


@pytest.mark.parametrize("name", ["rules", "chance", "constant-best", "oracle", "forest"])
@pytest.mark.parametrize("track", ["curve", "config"])
def test_answers_that_were_given_before_get_the_same_marks(dataset, name, track):
    (given,) = examine(dataset, name, {"test": None}, track=track, n_bootstrap=30)
    marked = mark(dataset, "test", given.answers, track=track, n_bootstrap=30, name=name)
    assert marked.result == given.result
    np.testing.assert_array_equal(marked.judgement.remedy, given.judgement.remedy)
    assert track in TRACKS


def test_too_few_answers_get_no_marks(dataset):
    (given,) = examine(dataset, "rules", {"test": None}, n_bootstrap=1)
    rows = given.judgement.rows[:-1]
    with pytest.raises(InputError, match="96 answers about 95 runs"):
        mark(dataset, "test", given.answers, rows=rows)
