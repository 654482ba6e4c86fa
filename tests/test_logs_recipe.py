"""The recipe `logs`, which the default diagnoser is fitted on: what it promises. Some minutes.

CURVEBENCH_SLOW=1 python -m pytest tests/test_logs_recipe.py
A file that has already been generated is taken from the environment variable CURVEBENCH_LOGS.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import curvebench
from curvebench.spec import DIAGNOSES

pytestmark = [
    pytest.mark.timeout(3000),
    pytest.mark.skipif(
        not any(os.environ.get(name) for name in ("CURVEBENCH_SLOW", "CURVEBENCH_LOGS")),
        reason="takes some minutes more; set CURVEBENCH_SLOW=1 to run it",
    ),
]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    given = os.environ.get("CURVEBENCH_LOGS")
    if given:
        return curvebench.load(given)
    return curvebench.generate("logs", tmp_path_factory.mktemp("logs") / "logs.h5")


def test_it_has_the_bits_that_the_documentation_states(logs):
    page = Path(__file__).parents[1] / "docs" / "data.md"
    assert logs.summary()["content_sha256"] in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_label_is_there(logs, split):
    assert set(DIAGNOSES) <= set(logs.split(split).labels.tolist())


def test_most_floors_are_high(logs):
    """Half of the healthy runs or more end above a tenth of their start; that is what real logs look like."""
    healthy = logs.select(logs.labels == "healthy")
    assert np.median(healthy["train_loss"][:, -1] / healthy["train_loss"][:, 0]) > 0.1
