"""What an audit says, in words, JSON and Markdown."""

from __future__ import annotations

import json

import pytest

from curvebench.evaluation.audit.report import (
    FAILED,
    NOT_MEASURED,
    PASSED,
    THRESHOLDS,
    Audit,
    Check,
    Measured,
    Threshold,
    check_of,
    rows_of,
)

GOOD = check_of(
    "balance", Measured({"rarest_label": 0.08, "indeterminate": 0.2}, {"runs": {"healthy": 3}, "names": []})
)
BAD = check_of("balance", Measured({"rarest_label": 0.0799, "indeterminate": float("nan")}))
OPEN = Check("separates", reason="No second data set was given")


@pytest.mark.parametrize(
    ("relation", "met", "missed"), [(">=", (0.5, 0.6), (0.4,)), ("<=", (0.5, 0.4), (0.6,)), ("<", (0.4,), (0.5, 0.6))]
)
def test_thresholds(relation, met, missed):
    threshold = Threshold(relation, 0.5, "figure")
    assert [threshold.is_met_by(value) for value in met] == [True] * len(met)
    assert [threshold.is_met_by(value) for value in missed] == [False] * len(missed)
    assert not threshold.is_met_by(float("nan"))
    assert str(threshold) == f"{relation} 0.5"


def test_a_check_passes_only_with_all_its_figures():
    assert (GOOD.status, BAD.status, OPEN.status) == (PASSED, FAILED, NOT_MEASURED)
    half = check_of("balance", Measured({"rarest_label": 0.5, "indeterminate": 0.3}))
    assert half.status == FAILED
    with pytest.raises(KeyError):
        check_of("balance", Measured({"rarest_label": 0.5}))


def test_what_fell_short_is_said_and_what_was_not_measured_did_not():
    assert Audit("core, version 1", "abc", (GOOD, OPEN)).shortfalls == []
    assert Audit("core, version 1", "abc", (GOOD, OPEN, BAD)).shortfalls == [
        "share of the rarest label in the scored runs: 0.080 (must be >= 0.08)",
        "share of indeterminate runs in all: undefined (must be <= 0.2)",
    ]


def test_json():
    found = json.loads(json.dumps(Audit("core, version 1", "abc", (BAD, OPEN)).to_json(), allow_nan=False))
    assert (found["recipe"], found["dataset_sha256"], found["passed"]) == ("core, version 1", "abc", False)
    assert found["checks"]["separates"]["status"] == NOT_MEASURED
    assert found["checks"]["separates"]["reason"] == OPEN.reason
    figures = found["checks"]["balance"]["figures"]
    assert figures["rarest_label"] == {
        "what": "share of the rarest label in the scored runs",
        "value": 0.0799,
        "relation": ">=",
        "bound": 0.08,
        "is_met": False,
    }
    assert figures["indeterminate"]["value"] is None


def test_markdown():
    page = Audit("core, version 1", "abc", (GOOD, OPEN)).to_markdown()
    assert page.startswith("# Audit of core, version 1\n")
    assert "| balance | share of the rarest label in the scored runs | 0.080 | >= 0.08 | passed |" in page
    assert "| separates | No second data set was given |  |  | not measured |" in page
    assert "## balance\n\n- runs:\n  - healthy: 3\n- names: none\n" in page
    assert "## separates" not in page


def test_rows_have_the_columns_of_the_table():
    assert rows_of(OPEN) == [["separates", "No second data set was given", "", "", NOT_MEASURED]]
    assert [row[3:] for row in rows_of(BAD)] == [[">= 0.08", FAILED], ["<= 0.2", FAILED]]


def test_every_figure_is_told_in_words():
    for figures in THRESHOLDS.values():
        for threshold in figures.values():
            assert threshold.what
            assert "|" not in threshold.what
