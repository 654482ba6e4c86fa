"""A data set that says something made-up about every documented program."""

from __future__ import annotations

import dataclasses

import numpy as np

from curvebench.cases.programs import PROGRAMS, RECIPE, Program
from curvebench.data.dataset import Dataset
from curvebench.generation.label import Thresholds
from curvebench.spec import Output

N_SEEDS = 4


def sites_of(program: Program) -> list[tuple[str, Output, float]]:
    """Phenomenon, output and rate of the runs that the program and its fix are looked up in."""
    is_remedy = not program.is_apart and program.fixed_output != program.output
    output = program.output if is_remedy else program.fixed_output
    return [(program.name, program.output, program.rate), (program.fixed_phenomenon, output, program.fixed_rate)]


def made_up_programs(make_dataset, **changes) -> Dataset:
    """Every site is one (cell, rate) of a made-up data set; what the rest of it says is of another phenomenon."""
    made = make_dataset(n_cells=12, n_rates=4, n_seeds=N_SEEDS, **changes)
    columns = {name: np.array(values) for name, values in made.columns.items()}
    columns["phenomenon"] = np.full(len(made), "spare", dtype="U32")
    columns["output_activation"], columns["loss"] = (columns[n].astype("U32") for n in ("output_activation", "loss"))
    for i, (phenomenon, output, rate) in enumerate(dict.fromkeys(s for p in PROGRAMS for s in sites_of(p))):
        rows = slice(N_SEEDS * i, N_SEEDS * (i + 1))
        columns["phenomenon"][rows] = phenomenon
        columns["output_activation"][rows], columns["loss"][rows] = output.activation, output.loss
        columns["base_lr"][rows] = rate
    meta = dataclasses.replace(made.meta, recipe_name=RECIPE, thresholds=Thresholds().to_dict())
    return Dataset(columns, meta)
