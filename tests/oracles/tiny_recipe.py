"""A recipe of three groups that trains in about a second, and what comes of it, for many tests."""

from __future__ import annotations

from functools import cache

import pytest

from curvebench.generation.engine import make_engine
from curvebench.generation.intervene import GroupOutcomes, run_group
from curvebench.generation.plan import make_plan
from curvebench.generation.recipe import RecipeFile, parse_recipe

TINY = """
format = 1
name = "tiny"
version = 1
master_seed = 11
engine = "torch"
n_points = 16

[[problems]]
family = "gaussian_mixture"
split = "train"
instances = 1
n_train = 40
n_val = 16
[[problems]]
family = "gaussian_mixture"
split = "test"
first = 1
instances = 1
n_train = 40
n_val = 16
[[problems]]
family = "friedman1"
split = "test_ood"
instances = 1
n_train = 40
n_val = 16

[[networks]]
name = "tanh-6"
depth = 1
width = 6
activation = "tanh"

[[settings]]
name = "momentum-8"
optimizer = "momentum"
batch_size = 8
epochs = 8
lowest_rate = 0.003
highest_rate = 3.0

[[schedules]]
name = "constant"
shape = "constant"
[[schedules]]
name = "cosine-100"
shape = "cosine"
decay = 100.0

[[outputs]]
name = "tanh-mse"
activation = "tanh"
loss = "squared_error"
tasks = ["regression", "multiclass"]

[[mix]]
phenomenon = "all"
networks = ["tanh-6"]
settings = ["momentum-8"]
schedules = ["constant", "cosine-100"]
schedules_per_group = 2
outputs = ["tanh-mse"]
outputs_per_group = 1

[sweep]
seeds = 2
points_per_decade = 2
coarse_every = 2
max_extensions = 2

[remedies]
resume_factors = [0.1, 1.0, 10.0]
resume_at = [0.25, 0.5]
train_longer_seeds = 1

[keep]
lr_too_low = 0.5
"""
"""40 updates a run; `resume x1` is tried because it must reproduce the run itself."""


def tiny_text(*changes: tuple[str, str]) -> str:
    """The recipe with some passages replaced; each must stand there."""
    text = TINY
    for old, new in changes:
        assert old in text, f"{old!r} is not in the tiny recipe"
        text = text.replace(old, new)
    return text


def tiny_file(*changes: tuple[str, str]) -> RecipeFile:
    return parse_recipe(tiny_text(*changes))


@cache
def tiny_outcomes(group: int, *changes: tuple[str, str]) -> GroupOutcomes:
    """What the torch engine makes of one group; a test that asks for it is skipped where torch is not installed."""
    pytest.importorskip("torch")
    recipe = tiny_file(*changes).recipe
    return run_group(recipe, make_plan(recipe)[group], make_engine("torch"))
