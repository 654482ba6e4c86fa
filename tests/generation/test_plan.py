"""Plans: pure functions of recipe and number, without leaks between splits, of the mix and the cost that they say."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from oracles.tiny_recipe import TINY, tiny_file, tiny_outcomes, tiny_text

from curvebench.data.columns import COLUMNS
from curvebench.generation import plan as plan_module
from curvebench.generation.networks import n_parameters
from curvebench.generation.plan import compute_cost, make_plan, outputs_of_group, remedies_of_recipe
from curvebench.generation.problems import make_problem
from curvebench.generation.recipe import load_recipe, parse_recipe
from curvebench.spec import LABELS, SPLITS, TASKS, Action, InputError, Remedy

RECIPES = {
    "tiny": tiny_file().recipe,
    "quick": load_recipe("quick").recipe,
    "core": load_recipe("core").recipe,
    "core-modules": load_recipe("core-modules").recipe,
    "documented": load_recipe("documented").recipe,
}
CORE = RECIPES["core"]


@pytest.fixture(params=RECIPES)
def recipe(request):
    return RECIPES[request.param]


def test_a_plan_follows_from_the_recipe_alone(recipe):
    assert make_plan(recipe) == make_plan(recipe)


def test_a_group_does_not_depend_on_what_comes_after_it():
    """A recipe that grows at its end keeps the groups that it had."""
    more = TINY.replace(
        "[[networks]]", '[[problems]]\nfamily = "sine"\nsplit = "test_ood"\ninstances = 2\n[[networks]]', 1
    )
    assert make_plan(parse_recipe(more).recipe)[:3] == make_plan(RECIPES["tiny"])


def test_problems_may_name_their_phenomenon():
    """And the others are drawn as if they did not."""
    entry = TINY[TINY.index("[[mix]]") : TINY.index("[sweep]")]
    both = TINY.replace("[sweep]", entry.replace('"all"', '"rare"').replace("outputs_per_group = 1\n", "") + "[sweep]")
    drawn = make_plan(parse_recipe(both).recipe)
    for i in range(3):
        parts = both.split("[[problems]]\n")
        parts[i + 1] = f'phenomenon = "rare"\n{parts[i + 1]}'
        named = make_plan(parse_recipe("[[problems]]\n".join(parts)).recipe)
        assert named[i].phenomenon == "rare"
        assert [g for g in named if g.index != i] == [g for g in drawn if g.index != i]


def test_a_certain_rate_is_on_the_grid_of_every_group():
    recipe = tiny_file(("highest_rate = 3.0", "highest_rate = 3.0\ncertain_rate = 0.02")).recipe
    for group in make_plan(recipe):
        assert min(abs(group.grid.rate(k) / 0.02 - 1) for k in group.grid.coarse) < 1e-11


def test_another_master_seed_draws_other_groups():
    other = CORE.model_copy(update={"master_seed": CORE.master_seed + 1})
    offsets = [[group.grid.log10_lowest for group in make_plan(r)] for r in (CORE, other)]
    assert not set(offsets[0]) & set(offsets[1])


def test_every_instance_has_its_groups_in_order(recipe):
    plan = make_plan(recipe)
    assert [group.index for group in plan] == list(range(len(plan)))
    expected = [
        (problems.family, problems.first + i, problems.split, problems.n_train, problems.n_val)
        for problems in recipe.problems
        for i in range(problems.instances)
        for _ in range(recipe.groups_per_instance)
    ]
    assert [(g.family, g.instance, g.split, g.n_train, g.n_val) for g in plan] == expected


def test_several_groups_of_an_instance_are_different_draws():
    recipe = RECIPES["quick"].model_copy(update={"groups_per_instance": 3})
    plan = make_plan(recipe)
    assert len(plan) == 3 * sum(p.instances for p in recipe.problems)
    assert len({group.grid for group in plan}) == len(plan)
    assert {(g.family, g.instance) for g in plan[:3]} == {("teacher", 0)}


def test_what_a_group_holds_is_what_its_entry_of_the_mix_allows(recipe):
    for group in make_plan(recipe):
        entry = next(e for e in recipe.mix if e.phenomenon == group.phenomenon)
        assert group.network in recipe.networks
        assert group.network.name in entry.networks
        assert group.network.suits(group.family)
        assert group.setting in recipe.settings
        assert group.setting.name in entry.settings
        assert set(group.schedules) <= set(recipe.schedules)
        assert len(group.schedules) == entry.schedules_per_group
        assert {s.name for s in group.schedules} <= set(entry.schedules)
        assert sorted(o.name for o in group.outputs) == sorted(entry.outputs)
        for task in TASKS:
            outputs = outputs_of_group(group, recipe, task)
            n_suitable = sum(task in o.tasks for o in group.outputs)
            assert len(outputs) == min(entry.outputs_per_group, n_suitable)
            assert all(task in o.tasks for o in outputs)


def test_a_grid_starts_at_the_rates_of_its_setting(recipe):
    for group in make_plan(recipe):
        step = 1 / recipe.sweep.points_per_decade
        assert 0 <= group.grid.log10_lowest - np.log10(group.setting.lowest_rate) < step
        top = group.grid.log10_lowest + (group.grid.n_points - 1) * step
        assert abs(top - np.log10(group.setting.highest_rate)) <= 1.5 * step


def test_no_instance_is_in_two_splits_and_the_outside_is_never_seen(recipe):
    splits = defaultdict(set)
    for group in make_plan(recipe):
        splits[group.family, group.instance].add(group.split)
        splits[group.family].add(group.split == "test_ood")
        if group.split != "test_ood":
            assert group.setting.optimizer not in recipe.splits.ood_optimizers
    assert all(len(seen) == 1 for seen in splits.values())


def test_the_outside_optimizer_is_really_met_outside():
    optimizers = {g.setting.optimizer for g in make_plan(CORE) if g.split == "test_ood"}
    assert set(CORE.splits.ood_optimizers) <= optimizers


def test_every_part_of_a_mix_is_drawn_about_equally_often():
    recipe = RECIPES["quick"].model_copy(update={"groups_per_instance": 100})
    plan = [g for g in make_plan(recipe) if g.split == "test_ood" and g.phenomenon == "schedules"]
    for draws in (
        [g.setting.name for g in plan],
        [g.network.name for g in plan],
        [s.name for g in plan for s in g.schedules],
    ):
        counts = Counter(draws)
        expected = len(draws) / len(counts)
        assert all(abs(n - expected) < 4 * np.sqrt(expected) for n in counts.values()), counts
    offsets = np.array([6 * (g.grid.log10_lowest - np.log10(g.setting.lowest_rate)) for g in plan])
    assert abs(offsets.mean() - 0.5) < 4 / np.sqrt(12 * len(plan))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 2.0, 2.0), (1.0, 9.0), (0.2, 0.3, 0.1, 7.0)])
def test_shares_of_the_mix_follow_the_weights_however_few_groups_there_are(weights):
    entry = CORE.mix[0]
    mix = [entry.model_copy(update={"phenomenon": f"p{i}", "weight": w}) for i, w in enumerate(weights)]
    phenomena = [g.phenomenon for g in make_plan(CORE.model_copy(update={"mix": mix}))]
    for n in (20, 40, 60):
        counts = Counter(phenomena[:n])
        for i, weight in enumerate(weights):
            assert abs(counts[f"p{i}"] - n * weight / sum(weights)) <= n / 20 + 0.5, (n, counts)


# ---------------------------------------------------------------------------------------------- remedies


def test_remedies_come_in_a_fixed_order_and_once(recipe):
    remedies = remedies_of_recipe(recipe)
    assert len(set(remedies)) == len(remedies)
    assert remedies[0] == Remedy(Action.NONE)
    actions = [action for action, following in pairwise([r.action for r in remedies] + [None]) if action != following]
    longer = [Action.TRAIN_LONGER] * bool(recipe.remedies.train_longer_seeds)
    assert actions == [Action.NONE, Action.RESTART, Action.RESUME, Action.CHANGE_OUTPUT, *longer]
    resumes = [(r.at, r.factor) for r in remedies if r.action is Action.RESUME]
    assert resumes == sorted((at, f) for at in recipe.remedies.resume_at for f in recipe.remedies.resume_factors)


def test_restarts_reach_from_any_rate_of_any_sweep_to_any_other(recipe):
    restarts = [r.factor for r in remedies_of_recipe(recipe) if r.action is Action.RESTART]
    reach = max(g.grid.bounds[1] - g.grid.bounds[0] for g in make_plan(recipe))
    density = recipe.sweep.points_per_decade
    n = len(restarts) // 2
    assert n >= reach
    expected = [10 ** (k / density) for k in range(-n, n + 1) if k]
    np.testing.assert_allclose(restarts, expected, rtol=1e-5)
    assert all(factor == float(f"{factor:.6g}") for factor in restarts)


def test_remedies_do_not_depend_on_how_factors_are_listed():
    shuffled = tiny_text(("[0.1, 1.0, 10.0]", "[10, 0.1, 1]"), ("[0.25, 0.5]", "[0.5, 0.25]"))
    assert remedies_of_recipe(parse_recipe(shuffled).recipe) == remedies_of_recipe(RECIPES["tiny"])


# -------------------------------------------------------------------------------------------------- cost


def test_the_cost_bounds_and_foretells_what_is_really_done():
    recipe = RECIPES["tiny"]
    plan = make_plan(recipe)
    cost = compute_cost(recipe, plan)
    outcomes = [tiny_outcomes(group.index) for group in plan]
    n_runs = sum(len(o.seed) for o in outcomes)
    n_resumed = sum(np.isfinite(o.resumed_train_loss).any(axis=2).sum() for o in outcomes)
    n_updates = sum(len(o.seed) * o.n_steps * (1 + 3 * (0.75 + 0.5) + 2 * 0.5) for o in outcomes)
    assert cost.n_groups == 3
    # the eight refined rates of a typical cell are more than this coarse grid has room for
    assert n_runs <= cost.n_runs <= 2.5 * n_runs
    assert n_runs + n_resumed <= cost.n_trainings <= 2.5 * (n_runs * 7.5)
    assert n_updates <= cost.n_updates <= 2.5 * n_updates

    row_bytes = sum(
        column.itemsize * np.prod([shape[axis] for axis in column.axes], dtype=int)
        for shape in [{"point": 16, "diagnosis": 6, "remedy": len(remedies_of_recipe(recipe)), "resume": 6}]
        for column in COLUMNS.values()
    )
    assert n_runs * row_bytes <= cost.n_bytes <= 6 * n_runs * row_bytes
    assert cost.memory_bytes >= n_runs * row_bytes


def test_no_group_has_more_rows_than_the_bound_allows():
    recipe = RECIPES["tiny"]
    for group in make_plan(recipe):
        o = tiny_outcomes(group.index)
        low, high = group.grid.bounds
        assert low <= o.rate_index.min()
        assert o.rate_index.max() <= high
        assert len(o.seed) <= len(o.cells) * recipe.sweep.seeds * (high - low + 1)


@pytest.mark.parametrize(
    ("change", "grows"),
    [
        (("epochs = 8", "epochs = 8000"), {"n_updates", "memory_bytes"}),
        (("n_points = 16", "n_points = 1600"), {"n_bytes", "memory_bytes"}),
        (("width = 6", "width = 500"), {"memory_bytes"}),
        (("seeds = 2\np", "seeds = 20\np"), {"n_runs", "n_trainings", "n_updates", "n_bytes", "memory_bytes"}),
        (("instances = 1\nn_train = 40\nn_val = 16\n\n", "instances = 10\n\n"), {"n_groups", "n_runs", "n_bytes"}),
        (("max_extensions = 2", "max_extensions = 12"), {"n_bytes", "memory_bytes"}),
    ],
)
def test_more_of_anything_costs_more(change, grows):
    small = vars(compute_cost(RECIPES["tiny"], make_plan(RECIPES["tiny"])))
    recipe = tiny_file(change).recipe
    large = vars(compute_cost(recipe, make_plan(recipe)))
    assert all(large[name] >= small[name] for name in small)
    assert all(large[name] > 1.5 * small[name] for name in grows), (small, large)


def test_parameters_of_modules_are_counted_and_those_of_mlps_bounded():
    pytest.importorskip("torch")
    for name in ("core", "core-modules"):
        recipe = RECIPES[name]
        for group in make_plan(recipe)[::5]:
            problem = make_problem(group.family, group.instance, recipe.master_seed, group.n_train, group.n_val)
            n_inputs, n_outputs = problem.train_inputs.shape[1], problem.train_targets.shape[1]
            exact = n_parameters(group.network.to_network(n_inputs, n_outputs))
            counted = plan_module._n_parameters(recipe, group)
            assert counted == exact if name == "core-modules" else exact <= counted <= 30 * exact


def test_the_cost_of_modules_is_known_where_torch_is_not(monkeypatch):
    monkeypatch.setattr(plan_module, "find_spec", lambda name: None)
    assert compute_cost(RECIPES["core-modules"], make_plan(RECIPES["core-modules"])).memory_bytes > 0


def test_a_network_for_some_families_leaves_the_draws_of_the_others_as_they_are():
    """A data set keeps its groups where somebody adds a network that none of them suits."""
    rest = 'depth = 1\nwidth = 6\nactivation = "relu"\nfamilies = ["digits"]\n'
    more = f'[[networks]]\nname = "conv"\nmodule = "conv"\n{rest}'
    text = tiny_text(
        ("[[settings]]", f"{more}[[settings]]"), ('networks = ["tanh-6"]', 'networks = ["conv", "tanh-6"]')
    )
    assert make_plan(parse_recipe(text).recipe) == make_plan(RECIPES["tiny"])


def test_longer_trainings_of_more_seeds_than_there_are_cost_no_more_than_all():
    def cost(n):
        recipe = tiny_file(("train_longer_seeds = 1", f"train_longer_seeds = {n}")).recipe
        return compute_cost(recipe, make_plan(recipe))

    assert cost(2) == cost(64)
    assert cost(1).n_updates < cost(2).n_updates


def test_the_benchmark_has_enough_instances_in_every_split():
    instances = defaultdict(set)
    for group in make_plan(CORE):
        instances[group.split].add((group.family, group.instance))
    assert all(len(instances[split]) >= 20 for split in SPLITS)
    assert CORE.sweep.seeds >= 4
    assert set(CORE.keep) <= set(LABELS)


def test_entries_of_the_mix_keep_to_their_families():
    text = tiny_text(
        ('phenomenon = "all"', 'phenomenon = "classes"\nfamilies = ["gaussian_mixture"]\ninput_scale = [0.1, 10.0]'),
        (
            "\n[sweep]",
            '\n[[mix]]\nphenomenon = "others"\nnetworks = ["tanh-6"]\nsettings = ["momentum-8"]\n'
            'schedules = ["constant"]\nschedules_per_group = 1\nfamilies = ["friedman1"]\n\n[sweep]',
        ),
        ("instances = 1\nn_train = 40\nn_val = 16\n\n", "instances = 9\nn_train = 40\nn_val = 16\n\n"),
    )
    plan = make_plan(parse_recipe(text).recipe)
    assert {(g.family, g.phenomenon) for g in plan} == {("gaussian_mixture", "classes"), ("friedman1", "others")}
    scales = [g.input_scale for g in plan if g.phenomenon == "classes"]
    assert len(set(scales)) == len(scales)
    assert all(0.1 <= scale <= 10.0 for scale in scales)
    assert {g.input_scale for g in plan if g.phenomenon == "others"} == {1.0}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ('families = ["moons"]', r"problems\[0\].family: no entry of \[\[mix\]\] is for 'gaussian_mixture'"),
        ('families = ["friedman1", "friedman1"]', r"mix\[0\].families\[1\]: this value stands there twice"),
        ('families = ["mons"]', r"mix\[0\].families\[0\]"),
        ("input_scale = [2.0, 1.0]", r"mix\[0\].input_scale: the lower end 2.0 is above the upper one 1.0"),
        ("input_scale = [1.0]", r"mix\[0\].input_scale"),
        ("input_scale = [0.0, 1.0]", r"mix\[0\].input_scale\[0\]"),
    ],
)
def test_faults_of_families_and_scales_are_named(change, fault):
    with pytest.raises(InputError, match=fault):
        tiny_file(('phenomenon = "all"', f'phenomenon = "all"\n{change}'))
