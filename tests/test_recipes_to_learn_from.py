"""The recipes `logs` and `wide`, which the default diagnoser is fitted on: what they promise. Most of an hour.

CURVEBENCH_SLOW=1 python -m pytest tests/test_recipes_to_learn_from.py
Files that have already been generated are taken from the environment variables CURVEBENCH_LOGS and CURVEBENCH_WIDE.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from long_forms import skipped_unless_wanted

import curvebench
from curvebench.spec import DIAGNOSES

GIVEN = {name: os.environ.get(f"CURVEBENCH_{name.upper()}") for name in ("logs", "wide")}

pytestmark = [pytest.mark.timeout(9000), skipped_unless_wanted(*GIVEN.values())]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Name of a recipe -> its data set."""
    known = {}

    def get(name):
        if name not in known:
            if not GIVEN[name] and not os.environ.get("CURVEBENCH_SLOW"):
                pytest.skip(f"CURVEBENCH_{name.upper()} is not set")
            folder = tmp_path_factory.mktemp(name)
            known[name] = (
                curvebench.load(GIVEN[name]) if GIVEN[name] else curvebench.generate(name, folder / f"{name}.h5")
            )
        return known[name]

    return get


@pytest.mark.parametrize("name", GIVEN)
def test_they_have_the_bits_that_the_documentation_states(made, name):
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    section = page[page.index(f"\n## `{name}`\n") :]
    assert made(name).summary()["content_sha256"] in section[: section.index("\n## ", 4)]


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_label_is_there(made, name, split):
    assert set(DIAGNOSES) <= set(made(name).split(split).labels.tolist())


@pytest.mark.parametrize("name", GIVEN)
def test_most_floors_are_high(made, name):
    """Half of the healthy runs or more end above a tenth of their start; that is what real logs look like."""
    data = made(name)
    healthy = data.select(data.labels == "healthy")
    assert np.median(healthy["train_loss"][:, -1] / healthy["train_loss"][:, 0]) > 0.1


def test_wide_has_more_units_and_more_examples(made):
    units, examples = {}, {}
    for name in GIVEN:
        data = made(name)
        units[name] = np.median(data["width"])
        examples[name] = np.median(data["step"][:, -1] * data["batch_size"] / data["epochs"])
    assert units["wide"] >= 2 * units["logs"]
    assert examples["wide"] >= 2 * examples["logs"]
