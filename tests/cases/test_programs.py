"""Documented programs: the table agrees with the recipe that rebuilds them, and with its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from curvebench.cases.programs import FIX, NOT_REBUILT, PROGRAMS, RECIPE
from curvebench.generation.plan import make_plan, outputs_of_group
from curvebench.generation.problems import make_problem
from curvebench.generation.recipe import load_recipe
from curvebench.spec import DIAGNOSES, OBJECTIVE_OF_LOSS, OTHER, Output

ALL = (*PROGRAMS, *NOT_REBUILT)
PAGE = Path(__file__).parents[2] / "docs" / "documented.md"
RECIPE_FILE = load_recipe(RECIPE).recipe
GROUPS = {group.phenomenon: group for group in make_plan(RECIPE_FILE)}

every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


def problem_of(phenomenon):
    group = GROUPS[phenomenon]
    return make_problem(group.family, group.instance, RECIPE_FILE.master_seed, group.n_train, group.n_val)


def outputs_of(phenomenon):
    """The output that fits, then those that are tried beside it."""
    problem = problem_of(phenomenon)
    tried = outputs_of_group(GROUPS[phenomenon], RECIPE_FILE, problem.task)
    return [Output(problem.fitting_output, problem.fitting_loss), *(Output(o.activation, o.loss) for o in tried)]


def coarse_rates(phenomenon):
    grid = GROUPS[phenomenon].grid
    return [grid.rate(k) for k in grid.coarse]


def test_every_program_stands_once_with_a_cause_a_fix_and_an_address():
    assert len({program.name for program in ALL}) == len(ALL)
    for program in ALL:
        assert program.cause in (*DIAGNOSES, OTHER)
        assert program.fixes
        assert program.source.startswith("https://")
    assert all(program.reason for program in NOT_REBUILT)


def test_the_recipe_rebuilds_every_program_and_nothing_else():
    assert set(GROUPS) == {p.name for p in PROGRAMS} | {p.name + FIX for p in PROGRAMS if p.is_apart}
    assert all(group.split == "test_ood" for group in GROUPS.values()), "nothing is ever fitted on it"
    assert RECIPE_FILE.keep == {}


@every_program
def test_the_documented_rate_is_among_those_that_every_sweep_tries(program):
    assert GROUPS[program.name].setting.certain_rate == program.rate
    assert GROUPS[program.name].setting.lowest_rate < program.rate <= GROUPS[program.name].setting.highest_rate
    for phenomenon, rate in ((program.name, program.rate), (program.fixed_phenomenon, program.fixed_rate)):
        assert min(abs(tried / rate - 1) for tried in coarse_rates(phenomenon)) < 1e-9


@every_program
def test_the_documented_outputs_are_tried(program):
    assert program.output in outputs_of(program.name)
    fitting, *others = outputs_of(program.fixed_phenomenon)
    if program.is_apart:
        assert program.fixed_output in (fitting, *others)
        assert OBJECTIVE_OF_LOSS[program.fixed_output.loss] == OBJECTIVE_OF_LOSS[program.output.loss]
    elif program.fixed_output != program.output:
        assert program.fixed_output == fitting, "what change_output changes to"


@every_program
def test_a_fix_that_is_no_remedy_stands_apart(program):
    """It changes data, epochs, or more than one thing at once."""
    faulty, fixed = GROUPS[program.name], GROUPS[program.fixed_phenomenon]
    if program.is_apart:
        assert (faulty.family, faulty.network) == (fixed.family, fixed.network)
        assert faulty.setting.epochs != fixed.setting.epochs or faulty.instance != fixed.instance
    else:
        assert (program.rate != program.fixed_rate) + (program.output != program.fixed_output) == 1


def test_the_page_tells_of_every_program():
    text = PAGE.read_text(encoding="utf-8")
    for program in PROGRAMS:
        assert f"[{program.name}]({program.source})" in text
        assert program.departures in text
    for program in NOT_REBUILT:
        assert f"| [{program.name}]({program.source}) | `{program.cause}` |" in text
        assert program.reason in text
