"""What is written down."""

from __future__ import annotations

import json

from curvebench.data.versions import package_versions
from curvebench.evaluation.results import FAILED, OK, Counts, Result


def make_result(**changes) -> Result:
    fields = {
        "diagnoser": "x",
        "status": OK,
        "message": "",
        "track": "curve",
        "split": "test",
        "counts": Counts(n_runs=5, n_problem_instances=2, n_families=1, n_snapped=3),
        "dataset_sha256": "0" * 64,
        "fit_on_sha256": "0" * 64,
        "scores": {"value": 0.5, "value_lr_too_low": float("nan")},
        "intervals": {"value": (0.1, 0.9), "value_lr_too_low": (float("nan"), float("nan"))},
        "confusion": tuple((0,) * 6 for _ in range(6)),
        "microseconds_per_curve": 2.0,
    }
    return Result(**fields | changes)


def test_json_has_no_nan():
    written = make_result().to_json()
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read == written
    assert read["scores"] == {"value": 0.5, "value_lr_too_low": None}
    assert read["intervals"]["value_lr_too_low"] == [None, None]
    assert (read["n_runs"], read["n_snapped"], read["n_abstained"]) == (5, 3, 0)


def test_a_failure_has_no_scores():
    failure = make_result(status=FAILED, message="m", scores=None, intervals=None, confusion=None)
    written = failure.to_json()
    assert [written[key] for key in ("scores", "intervals", "confusion")] == [None] * 3


def test_versions_are_named():
    assert {"python", "curvebench", "numpy", "scikit-learn"} <= set(package_versions())
