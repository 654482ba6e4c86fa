import dataclasses
import json

import numpy as np
import pytest

from curvebench.board.entries import page_of, rows_of
from curvebench.board.stored import read_results
from curvebench.spec import DIAGNOSES


@pytest.fixture(scope="module")
def submissions(made):
    return next(s for d, s in read_results(made.results).items() if d.version == 1)


@pytest.fixture(scope="module")
def rows(submissions):
    return rows_of(submissions)


def named(rows, name, track="curve"):
    return next(row for row in rows if row.name == name and row.track == track)


def test_every_diagnoser_has_a_line_for_each_split_and_track(rows):
    lines = [("broken", "curve"), ("plateau-watcher", "curve"), ("rules", "curve")]
    lines += [("zoo/late-slope", "curve"), ("zoo/late-slope", "telemetry")]
    assert {split: sorted((r.name, r.track) for r in of) for split, of in rows.items()} == dict.fromkeys(
        ("test", "test_ood"), lines
    )


def test_the_most_valuable_comes_first_and_who_has_no_score_last(rows):
    values = [row.score("value") for row in rows["test"]]
    assert values[-1] is None
    assert values[:-1] == sorted(values[:-1], reverse=True)


def test_right_wrong_and_not_covered_are_counted_apart(made, rows, submissions):
    """Against a count, run by run, from the stored answers."""
    for row in rows["test"]:
        if row.shares is None:
            continue
        submission = next(s for s in submissions if s.slug == row.slug)
        with np.load(submission.answers_path) as stored:
            asked = stored["run"][made.dataset["split"][stored["run"]] == "test"]
            said = stored[f"prediction_{submission.result.evaluations.index(row.evaluation)}"]
        count = {"right": 0, "not_covered": 0, "wrong": 0}
        for run, diagnosis in zip(asked, said, strict=True):
            label = str(made.dataset["diagnosis"][run])
            if DIAGNOSES[diagnosis] == label or made.dataset["accepted"][run][diagnosis]:
                count["right"] += 1
            elif label not in submission.result.diagnoser.covers:
                count["not_covered"] += 1
            else:
                count["wrong"] += 1
        assert vars(row.shares) == pytest.approx({name: 100 * n / len(asked) for name, n in count.items()}, abs=1e-6)
    assert named(rows["test"], "plateau-watcher").shares.not_covered > 10
    assert named(rows["test"], "rules").shares.not_covered == 0


def test_worst_view_and_transfer_are_those_of_the_track(rows, submissions):
    row = named(rows["test"], "zoo/late-slope", "curve")
    values = {
        (e.split, e.view): e.scores["value"]
        for s in submissions for e in s.result.evaluations if s.slug == row.slug and e.track == "curve"
    }  # fmt: skip
    disturbed = {view: values["test", view] for view in ("smoothed", "every-4th", "scaled", "noised")}
    worst = min(disturbed, key=disturbed.get)
    assert row.worst_view == (worst, disturbed[worst])
    assert row.transfer == pytest.approx(values["test_ood", "whole"] - values["test", "whole"])


def test_a_view_without_a_score_is_worse_than_any(submissions):
    submission = next(s for s in submissions if s.slug == "rules")
    evaluations = [
        e.model_copy(update={"status": "failed", "scores": None}) if e.view == "scaled" else e
        for e in submission.result.evaluations
    ]
    result = submission.result.model_copy(update={"evaluations": evaluations})
    row = rows_of([dataclasses.replace(submission, result=result)])["test"][0]
    assert row.worst_view == ("scaled", None)


def test_a_subset_is_marked(rows):
    assert named(rows["test"], "rules").subset is None
    used, n_all = named(rows["test"], "plateau-watcher").subset
    assert used == n_all // 2


def test_a_page_has_what_was_stored_and_is_json(submissions):
    page = page_of(next(s for s in submissions if s.slug == "plateau-watcher"))
    assert json.loads(json.dumps(page, allow_nan=False)) == page
    assert page["covers"] == ["lr_too_high", "lr_too_low", "healthy"]
    assert page["mapping"] == [["loss crawls", "lr_too_low"], ["loss explodes", "lr_too_high"]]
    part = page["parts"][0]
    assert [point["fraction"] for point in part["early"]] == [0.25, 0.5, 0.75, 1.0]
    assert part["early"][0]["gain_left"] == 0.75
    assert [view["view"] for view in part["views"]] == ["whole", "smoothed", "every-4th", "scaled", "noised"]
    assert sum(map(sum, part["confusion"])) == part["counts"]["n_runs"]


def test_who_failed_has_its_message_and_no_scores(submissions):
    page = page_of(next(s for s in submissions if s.slug == "broken"))
    assert [(p["status"], p["message"], p["scores"]) for p in page["parts"]] == [
        ("timed_out", "took longer than 600 s", {})
    ] * 2
