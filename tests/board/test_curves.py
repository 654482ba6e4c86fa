import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.board.curves import (
    BEYOND,
    EXPLORED_SPLITS,
    NOTHING,
    choose_rows,
    explorer_data,
    pack,
    pack_losses,
    pack_shares,
)
from curvebench.board.stored import read_results
from curvebench.data.phenomena import find_phenomena
from curvebench.spec import DIAGNOSES

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def unpack(text):
    """As the page does it."""
    return [64 * ALPHABET.index(text[i]) + ALPHABET.index(text[i + 1]) for i in range(0, len(text), 2)]


def unpack_losses(text):
    nothing = {NOTHING: np.nan, BEYOND: np.inf}
    return np.array([nothing.get(code, 10 ** (-6 + code / 4000 * 7.5)) for code in unpack(text)])


@given(st.lists(st.integers(0, 4095)))
def test_packing_loses_nothing(codes):
    assert unpack(pack(codes)) == codes


@given(st.lists(st.floats(1e-5, 30), min_size=1), st.floats(0.01, 100))
def test_losses_come_back_within_a_quarter_of_a_percent(losses, cap):
    back = unpack_losses(pack_losses(np.array(losses) * cap, cap))
    assert back == pytest.approx(losses, rel=0.0025)


def test_what_is_not_finite_stays_told_apart():
    curve = np.array([np.nan, np.inf, 1e9, 0.0, -1.0, 1.0])
    assert unpack(pack_losses(curve, 1.0))[:3] == [NOTHING, BEYOND, BEYOND]
    assert unpack_losses(pack_losses(curve, 1.0))[[3, 5]] == pytest.approx([1e-6, 1.0], rel=0.0025)
    assert unpack(pack_shares([np.nan, -1, 0, 1], -1, 1)) == [NOTHING, 0, 2000, 4000]


# ------------------------------------------------------------------------------------------------ sample


def test_a_sample_has_every_label_equally_and_every_phenomenon():
    labels = ["healthy"] * 80 + ["lr_too_high"] * 15 + ["lr_too_low"] * 5
    stratum = [(label, f"p{i % 4}") for i, label in enumerate(labels)]
    names = [f"r{i}" for i in range(100)]
    chosen = choose_rows(stratum, np.ones(100, dtype=bool), names, 24)
    counts = {label: [stratum[i] for i in chosen if labels[i] == label] for label in set(labels)}
    assert {label: len(of) for label, of in counts.items()} == {"healthy": 9, "lr_too_high": 10, "lr_too_low": 5}
    assert {p for _, p in counts["healthy"]} == {"p0", "p1", "p2", "p3"}


def test_a_sample_does_not_depend_on_the_order_of_the_candidates():
    stratum, names = [("healthy", "")] * 50, [f"r{i}" for i in range(50)]
    there = choose_rows(stratum, np.ones(50, dtype=bool), names, 10)
    back = choose_rows(stratum, np.ones(50, dtype=bool), names[::-1], 10)
    assert [names[i] for i in there] == [names[::-1][i] for i in back]


def test_those_that_everybody_was_asked_about_come_first():
    is_preferred = np.arange(50) % 2 == 1
    chosen = choose_rows([("healthy", "")] * 50, is_preferred, [f"r{i}" for i in range(50)], 30)
    assert is_preferred[chosen[:25]].all()
    assert len(set(chosen)) == 30


# ------------------------------------------------------------------------------------------- what is shown


@pytest.fixture(scope="module")
def explored(made):
    submissions = next(s for d, s in read_results(made.results).items() if d.version == 1)
    return submissions, explorer_data(made.dataset, submissions, 60)


def test_curves_gains_and_labels_are_those_of_the_data_set(made, explored):
    dataset, row_of = made.dataset, {name: i for i, name in enumerate(made.dataset["run"].tolist())}
    data = explored[1]
    assert len(data["runs"]) == 60
    for run in data["runs"]:
        row = row_of[run["run"]]
        assert dataset["split"][row] in EXPLORED_SPLITS
        assert DIAGNOSES[run["label"]] == dataset["diagnosis"][row]
        relative = dataset["train_loss"][row] / dataset["loss_cap"][row]
        assert unpack_losses(run["curve"]) == pytest.approx(relative, rel=0.003)
        gains = dataset["remedy_gain"][row]
        assert unpack(run["tried"]) == np.flatnonzero(~np.isnan(gains)).tolist()
        assert [2 * code / 4000 - 1 for code in unpack(run["gains"])] == pytest.approx(
            gains[~np.isnan(gains)].tolist(), abs=3e-4
        )
        shown = {name for name, found in find_phenomena(dataset).items() if found[row]}
        assert {data["phenomena"][i][0] for i in run["phenomena"]} == shown
        for index, start, text in run["after"]:
            if index in dataset.meta.resumes:
                resumed = dataset["resumed_train_loss"][row, dataset.meta.resumes.index(index)]
                assert np.isnan(resumed[:start]).all()
                assert unpack_losses(text) == pytest.approx(resumed[start:] / dataset["loss_cap"][row], rel=0.003)


def test_verdicts_are_the_stored_answers(made, explored):
    submissions, data = explored
    names = made.dataset["run"].tolist()
    assert [(v["slug"], v["track"]) for v in data["verdicts"]] == [
        ("plateau-watcher", "curve"), ("rules", "curve"), ("zoo-late-slope", "curve"), ("zoo-late-slope", "telemetry"),
    ]  # fmt: skip
    for verdict in data["verdicts"]:
        submission = next(s for s in submissions if s.slug == verdict["slug"])
        with np.load(submission.answers_path) as stored:
            for place, run in enumerate(data["runs"]):
                number = next(
                    i for i, e in enumerate(submission.result.evaluations)
                    if (e.track, e.split, e.view) == (verdict["track"], run["split"], "whole")
                )  # fmt: skip
                asked = [r for r in stored["run"].tolist() if made.dataset["split"][r] == run["split"]]
                if names.index(run["run"]) not in asked:
                    assert verdict["said"][place] == "."
                    continue
                at = asked.index(names.index(run["run"]))
                prediction = stored[f"prediction_{number}"][at]
                assert verdict["said"][place] == ("a" if stored[f"abstained_{number}"][at] else str(prediction))
                assert unpack(verdict["remedy"])[place] == stored[f"remedy_{number}"][at] % 4096
                confidence = stored[f"probabilities_{number}"][at, prediction]
                assert unpack(verdict["confidence"])[place] / 4000 == pytest.approx(confidence, abs=2e-4)


def test_curves_without_any_answers(made):
    data = explorer_data(made.dataset, [], 12)
    assert len(data["runs"]) == 12
    assert data["verdicts"] == []
