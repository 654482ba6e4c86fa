"""Recipes: what is refused, with which sentence, and that the JSON Schema says the same."""

from __future__ import annotations

import contextlib
import copy
import datetime
import hashlib
import json
import math
import re
import time
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.tiny_recipe import TINY, tiny_text

from curvebench.generation import recipe as recipe_module
from curvebench.generation.engine import MODULES
from curvebench.generation.recipe import (
    MAX_GROUPS,
    Recipe,
    Sweep,
    load_recipe,
    parse_recipe,
    recipe_json_schema,
    shipped_recipes,
    with_engine,
    with_master_seed,
)
from curvebench.spec import DIAGNOSES, LABELS, InputError, ModuleNetwork, Network, Optimizer, UsageError

RECIPES = Path(__file__).parents[2] / "data_recipes"
QUICK = (RECIPES / "quick.toml").read_text(encoding="utf-8")


def fault_of(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_recipe(text)
    return str(caught.value)


def faults_of(text: str) -> list[str]:
    """The listed faults, without the opening line; checks that the opening line counts them."""
    opening, *faults = fault_of(text).splitlines()
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    assert opening == f"recipe has {count}:"
    assert all(re.fullmatch(r"  \S.*\.", fault) for fault in faults)
    return [fault.strip() for fault in faults]


# ------------------------------------------------------------------------------------- what is accepted


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_by_name_and_by_path(name):
    by_name, by_path = load_recipe(name), load_recipe(RECIPES / f"{name}.toml")
    assert by_name.recipe == by_path.recipe
    assert by_name.recipe.name == name
    assert by_name.text.encode() == (RECIPES / f"{name}.toml").read_bytes()
    assert by_name.sha256 == hashlib.sha256((RECIPES / f"{name}.toml").read_bytes()).hexdigest()


def test_what_a_recipe_leaves_out_is_as_the_design_says():
    recipe = parse_recipe(TINY).recipe
    labels = recipe.labels
    assert (labels.material_gain, labels.confidence, labels.tie) == (0.1, 0.9, 0.005)
    assert (labels.accept_share, labels.largest_ratio) == (0.8, 100.0)
    assert recipe.remedies.cost_weight == 0.02
    assert Sweep(seeds=4).points_per_decade == 6
    assert Sweep(seeds=4).coarse_every == 3
    assert recipe_module.Remedies().resume_factors == [0.01, 0.1, 10.0, 100.0]
    assert any(at >= 0.5 for at in recipe_module.Remedies().resume_at)


def test_a_setting_hands_all_its_constants_to_the_optimizer():
    constants = "momentum = 0.1\nbeta1 = 0.2\nbeta2 = 0.3\nalpha = 0.4\nepsilon = 0.5\nweight_decay = 0.6\n"
    text = tiny_text(('optimizer = "momentum"\n', 'optimizer = "adamw"\n' + constants))
    assert parse_recipe(text).recipe.settings[0].to_optimizer() == Optimizer("adamw", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def test_a_network_is_an_mlp_or_a_module():
    shape = (7, 3, 1, 6, "tanh", 1.0)
    assert parse_recipe(TINY).recipe.networks[0].to_network(7, 3) == Network(*shape)
    for module in MODULES:
        text = tiny_text(("depth = 1", f'depth = 1\nmodule = "{module}"'))
        assert parse_recipe(text).recipe.networks[0].to_network(7, 3) == ModuleNetwork(module, *shape)


def test_hidden_layers_may_be_stated_one_by_one_or_left_out():
    text = tiny_text(("depth = 1\nwidth = 6", 'depth = 2\nwidth = 9\nmodule = "dense"\nlayers = ["9 elu", "4 relu"]'))
    network = parse_recipe(text).recipe.networks[0].to_network(7, 3)
    assert network.layers == ("9 elu", "4 relu")
    linear = tiny_text(("depth = 1", 'depth = 0\nmodule = "dense"'))
    assert parse_recipe(linear).recipe.networks[0].to_network(7, 3).depth == 0


def test_moments_are_checked_for_settings_that_a_problem_meets():
    """The second setting is too short for the moments, but no problem that is large enough meets it."""
    setting = TINY[TINY.index("[[settings]]") : TINY.index("[[schedules]]")]
    entry = TINY[TINY.index("[[mix]]") : TINY.index("[sweep]")]
    short = setting.replace("momentum-8", "short").replace("epochs = 8", "epochs = 1")
    rare = entry.replace('"all"', '"rare"').replace("momentum-8", "short")
    first = '[[schedules]]\nname = "constant"'
    text = tiny_text((first, short + first), ("[sweep]", rare + "[sweep]"))
    named = text.replace("n_train", 'phenomenon = "all"\nn_train')
    assert parse_recipe(named).recipe.problems[0].phenomenon == "all"
    assert "for settings[1] with n_train = 40" in fault_of(named.replace('phenomenon = "all"\nn_train', "n_train", 1))


def test_foreign_code_is_refused_unless_it_is_trusted(validator):
    text = tiny_text(("depth = 1", 'depth = 1\nmodule = "some_package.networks:Transformer"'))
    with pytest.raises(UsageError, match=r"recipe names foreign code .*some_package\.networks:Transformer.*--trust"):
        parse_recipe(text)
    assert parse_recipe(text, trust=True).recipe.networks[0].is_foreign
    assert validator.is_valid(tomllib.loads(text)), "the schema allows it"


def test_no_shipped_recipe_names_foreign_code():
    for name in shipped_recipes():
        assert not any(network.is_foreign for network in load_recipe(name, trust=True).recipe.networks)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        parse_recipe(TINY).recipe.master_seed = 3


# --------------------------------------------------------------------------------------- what is refused

CASES = {
    "unknown key": (("n_points = 16", "n_points = 16\nn_pints = 3"), r"n_pints: there is no such key"),
    "unknown key in a table": (("depth = 1", "depth = 1\nheight = 2"), r"networks\[0\]\.height: there is no such key"),
    "unknown table": (("[sweep]", "[swoop]\na = 1\n[sweep]"), r"swoop: there is no such key"),
    "missing key": (("master_seed = 11\n", ""), r"master_seed: this key is missing"),
    "missing table": (("[sweep]\nseeds = 2", "[keep.x]\nseeds = 2"), r"sweep: this key is missing"),
    "text for a number": (("depth = 1", 'depth = "1"'), r"networks\[0\]\.depth: .*integer.*'1'"),
    "float for an integer": (("depth = 1", "depth = 1.0"), r"networks\[0\]\.depth: .*integer"),
    "truth for an integer": (("depth = 1", "depth = true"), r"networks\[0\]\.depth: .*integer.*True"),
    "date for a number": (("depth = 1", "depth = 2020-01-01"), r"networks\[0\]\.depth: .*integer"),
    "number for text": (('name = "tanh-6"', "name = 6"), r"networks\[0\]\.name: .*string"),
    "table for a list": (("resume_at = [0.25, 0.5]", "resume_at = {}"), r"remedies\.resume_at: .*list"),
    "too small": (("seeds = 2\npoints", "seeds = 1\npoints"), r"sweep\.seeds: .*greater than or equal to 2.*1\)"),
    "too large": (("width = 6", "width = 513"), r"networks\[0\]\.width: .*less than or equal to 512"),
    "share above one": (("lr_too_low = 0.5", "lr_too_low = 1.5"), r"keep\.lr_too_low: .*less than or equal to 1"),
    "negative rate": (("lowest_rate = 0.003", "lowest_rate = -1.0"), r"settings\[0\]\.lowest_rate: .*greater than 0"),
    "nan": (("highest_rate = 3.0", "highest_rate = nan"), r"settings\[0\]\.highest_rate: .*finite"),
    "inf": (("decay = 100.0", "decay = inf"), r"schedules\[1\]\.decay: .*finite"),
    "number beyond floats": (("decay = 100.0", "decay = 1e999"), r"schedules\[1\]\.decay: .*finite"),
    "seed beyond 63 bits": (("master_seed = 11", f"master_seed = {2**63}"), r"master_seed: .*less than"),
    "endless hexadecimal": (("master_seed = 11", "master_seed = 0x" + "f" * 5000), r"master_seed: .*too long to print"),
    "unknown choice": (('"momentum"\n', '"moment"\n'), r"settings\[0\]\.optimizer: .*'sgd'.*'rmsprop'.*'moment'"),
    "unknown family": (('"friedman1"', '"friedman2"'), r"problems\[2\]\.family: .*'friedman1'.*'friedman2'"),
    "unknown engine": (('engine = "torch"', 'engine = "warp"'), r"engine: .*'torch'.*'warp'"),
    "unknown confidence": (("[keep]", "[labels]\nconfidence = 0.91\n[keep]"), r"labels\.confidence: .*0\.9.*0\.91"),
    "unknown label": (("lr_too_low = 0.5", "lr_tow_low = 0.5"), r"keep\.lr_tow_low.*'lr_too_low'"),
    "other format": (("format = 1", "format = 2"), r"format: .*1.*2"),
    "empty list": (('settings = ["momentum-8"]', "settings = []"), r"mix\[0\]\.settings: .*at least 1"),
    "twice defined": (
        ('"cosine-100"\nshape', '"constant"\nshape'),
        r"schedules\[1\]\.name: 'constant' is defined twice",
    ),
    "dangling": (('networks = ["tanh-6"]', 'networks = ["tanh-7"]'), r"mix\[0\]\.networks: 'tanh-7' is not defined"),
    "twice named": (("[0.25, 0.5]", "[0.5, 0.25, 0.5]"), r"remedies\.resume_at\[2\]: .*twice.*0\.5"),
    "twice the same number": (("[0.1, 1.0, 10.0]", "[1, 1.0]"), r"remedies\.resume_factors\[1\]: .*twice"),
    "too many wanted": (("outputs_per_group = 1", "outputs_per_group = 2"), r"outputs_per_group: 2 .* names only 1"),
    "overlap": (("first = 1\ninstances", "first = 0\ninstances"), r"problems\[1\]: instances of .* overlap.*`first`"),
    "family leak": (('"friedman1"', '"gaussian_mixture"'), r"problems\[0\]\.family: .* held out for test_ood"),
    "optimizer leak": (
        ("[keep]", '[splits]\nood_optimizers = ["momentum"]\n[keep]'),
        r"mix\[0\]\.settings: every optimiser here is held out",
    ),
    "unknown module": (("depth = 1", 'depth = 1\nmodule = "lstm"'), r"networks\[0\]\.module: .*pattern.*'lstm'"),
    "module by file": (("depth = 1", 'depth = 1\nmodule = "../x:y"'), r"networks\[0\]\.module: .*pattern"),
    "module too long": (("depth = 1", f'depth = 1\nmodule = "{"a" * 63}:b"'), r"networks\[0\]\.module: .*at most 64"),
    "layers of an mlp": (
        ("depth = 1", 'depth = 1\nlayers = ["6 relu"]'),
        r"networks\[0\]\.layers: only dense has layers that are stated one by one, not 'mlp'",
    ),
    "layers and another depth": (
        ("depth = 1", 'depth = 1\nmodule = "dense"\nlayers = ["6 relu", "9 elu"]'),
        r"networks\[0\]\.layers: with these, depth must be 2 and width 9",
    ),
    "unknown layer": (
        ("depth = 1", 'depth = 1\nmodule = "dense"\nlayers = ["6 swish"]'),
        r"networks\[0\]\.layers\[0\]: .*pattern.*'6 swish'",
    ),
    "no layer": (("depth = 1", "depth = 0"), r"networks\[0\]\.depth: 0 is for dense only; 'mlp' needs at least 1"),
    "certain rate outside": (
        ("highest_rate = 3.0", "highest_rate = 3.0\ncertain_rate = 4.0"),
        r"settings\[0\]\.certain_rate: 4\.0 is not between 0\.003 and 3\.0",
    ),
    "unknown phenomenon": (
        ("first = 1\n", 'first = 1\nphenomenon = "some"\n'),
        r"problems\[1\]\.phenomenon: 'some' is not defined in \[\[mix\]\]",
    ),
    "network for no problem": (
        ("depth = 1", 'depth = 1\nfamilies = ["friedman1"]'),
        r"mix\[0\]\.networks: none of these is for problems of the family 'gaussian_mixture'",
    ),
    "empty range": (("highest_rate = 3.0", "highest_rate = 0.003"), r"settings\[0\]\.lowest_rate: 0\.003 is not below"),
    "integer rates upside down": (("lowest_rate = 0.003", "lowest_rate = 4"), r"settings\[0\]\.lowest_rate: 4 is not"),
    "no classes": (
        ('loss = "squared_error"', 'loss = "cross_entropy_logits"'),
        r"outputs\[0\]\.tasks: a regression has no classes",
    ),
    "endless sweep": (
        ("points_per_decade = 2\ncoarse_every = 2\nmax_extensions = 2", "coarse_every = 24\nmax_extensions = 24"),
        r"sweep: for settings\[0\] it may reach \d+ grid points",
    ),
    "moments at one point": (
        ("[0.25, 0.5]", "[0.25, 0.5, 0.51]"),
        r"remedies\.resume_at: for settings\[0\] with n_train = 40: of 40 updates, 0\.5 and 0\.51 branch .* same 21",
    ),
    "moment amid the outcome": (
        ("[0.25, 0.5]", "[0.25, 0.95]"),
        r"remedies\.resume_at: for settings\[0\] with n_train = 40: of 40 updates, 0\.95 branches .* from 37 on",
    ),
    "too short for the moments": (
        ("epochs = 8", "epochs = 1"),
        r"of 5 updates, 0\.5 branches off after 2, .* from 2 on",
    ),
    "nothing kept": (
        ("lr_too_low = 0.5\n", "".join(f"{label} = 0.0\n" for label in LABELS)),
        r"keep: the share of every label is 0, so that no run would be left",
    ),
    "rates beyond single precision": (("lowest_rate = 0.003", "lowest_rate = 1e-39"), r"sweep: .* may leave the rates"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_found_and_placed(case):
    change, expected = CASES[case]
    faults = faults_of(tiny_text(change))
    assert [fault for fault in faults if re.search(expected, fault)], faults


PLACES_OF_NAMES = ('name = "tiny"', 'name = "tanh-6"', 'name = "momentum-8"', 'name = "tanh-mse"', 'phenomenon = "all"')


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "ok\n", "", ".", "..", "a b", "A", "a\\b", "x" * 33, "-x"])
@pytest.mark.parametrize("place", PLACES_OF_NAMES)
def test_names_that_could_be_paths_are_refused_everywhere(place, name):
    key = place.split(" ")[0]
    faults = faults_of(tiny_text((place, f"{key} = {json.dumps(name)}")))
    assert [fault for fault in faults if re.search(rf"(^|\.){key}: String should match pattern", fault)], faults


def test_moments_that_a_recipe_leaves_out_are_checked_too():
    text = tiny_text(("resume_at = [0.25, 0.5]\n", ""), ("epochs = 8", "epochs = 2"))
    (fault,) = faults_of(text)
    assert fault.startswith(
        "remedies.resume_at: for settings[0] with n_train = 40: of 10 updates, 0.9 branches off after"
    )


def test_every_size_of_problem_and_every_setting_needs_moments_apart():
    """The second set alone is too small, for the second setting alone."""
    setting = TINY[TINY.index("[[settings]]") : TINY.index("[[schedules]]")]
    other = setting.replace("momentum-8", "momentum-20").replace("batch_size = 8", "batch_size = 20")
    first, second, *rest = TINY.split("n_train = 40")
    text = "n_train = 40".join([first + "n_train = 200" + second, *rest]).replace("n_train = 40", "n_train = 20", 1)
    text = text.replace("[[schedules]]", other + "[[schedules]]", 1).replace("[0.25, 0.5]", "[0.25, 0.6]")
    (fault,) = faults_of(text)
    assert fault.startswith("remedies.resume_at: for settings[1] with n_train = 20: of 8 updates, 0.6 branches")


def test_a_phenomenon_that_problems_name_must_be_for_them():
    text = tiny_text(
        ('family = "friedman1"', 'family = "friedman1"\nphenomenon = "all"'),
        ('phenomenon = "all"\nnetworks', 'phenomenon = "all"\nfamilies = ["gaussian_mixture"]\nnetworks'),
    )
    assert "problems[2].phenomenon: 'all' is not for problems of the family 'friedman1'." in faults_of(text)


def test_a_recipe_that_keeps_one_label_keeps_something():
    zeros = "".join(f"{label} = 0.0\n" for label in LABELS if label != "other")
    assert sum(parse_recipe(tiny_text(("lr_too_low = 0.5\n", zeros))).recipe.keep.values()) == 0


def test_a_phenomenon_stands_for_one_entry_only():
    """Groups find their entry of the mix by its phenomenon."""
    entry = TINY[TINY.index("[[mix]]") : TINY.index("[sweep]")]
    text = TINY.replace("[sweep]", entry.replace("outputs_per_group = 1", "outputs_per_group = 0") + "[sweep]")
    assert faults_of(text) == ["mix[1].phenomenon: 'all' is defined twice."]


def test_one_message_lists_ten_faults_with_their_places():
    text = tiny_text(
        ("n_points = 16", "n_points = 7"),
        ('split = "test"', 'split = "tset"'),
        ('name = "tanh-6"\ndepth = 1', 'name = "../x"\ndepth = 1'),
        ("batch_size = 8", "batch_size = 8.5"),
        ("highest_rate = 3.0", "highest_rate = 0.001"),
        ("decay = 100.0", "decay = nan"),
        ('schedules = ["constant", "cosine-100"]', 'schedules = ["constant", "cosine-1000"]'),
        ("outputs_per_group = 1", "outputs_per_group = 1\ncolour = 3"),
        ("points_per_decade = 2\n", "points_per_decade = 0\n"),
        ("resume_at = [0.25, 0.5]", "resume_at = [0.25, 1.0]"),
    )
    faults = faults_of(text)
    places = [
        "n_points",
        "problems[1].split",
        "networks[0].name",
        "settings[0].batch_size",
        "settings[0].lowest_rate",
        "schedules[1].decay",
        "mix[0].schedules",
        "mix[0].colour",
        "sweep.points_per_decade",
        "remedies.resume_at[1]",
    ]
    for place in places:
        assert sum(fault.startswith(f"{place}: ") for fault in faults) == 1, (place, faults)
    # the eleventh follows from the third: nobody is called tanh-6 any more
    assert len(faults) == 11
    assert "mix[0].networks: 'tanh-6' is not defined in [[networks]]." in faults


def test_a_fault_of_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(tiny_text(("depth = 1", "depth = 0")), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.toml has 1 fault:\n  networks\[0\]\.depth"):
        load_recipe(path)


@pytest.mark.parametrize(
    "text",
    ["format = ", "[[problems]", "a = 1\na = 2", "\x00", "n = 08", "d = 2020-13-01", "n = " + "9" * 5000, "\ud800"],
)
def test_what_is_not_toml_is_refused(text):
    assert fault_of(text).startswith("recipe is not valid TOML: ")


def test_deep_nesting_is_refused():
    assert "TOML" in fault_of("a = " + "[" * 50_000)


def test_line_ends_make_no_other_data_set(tmp_path):
    (tmp_path / "unix.toml").write_bytes(TINY.encode())
    (tmp_path / "windows.toml").write_bytes(TINY.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load_recipe(tmp_path / "windows.toml").text == load_recipe(tmp_path / "unix.toml").text == TINY


def test_files_that_cannot_be_read_are_refused(tmp_path):
    latin = tmp_path / "latin.toml"
    latin.write_bytes(TINY.encode() + b"# \xe9\n")
    for path in (latin, tmp_path, "nul\0.toml"):
        with pytest.raises(InputError, match="cannot be read"):
            load_recipe(path)


def test_a_missing_recipe_lists_the_known_and_suggests_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"one of core, .*quick, .*\. Did you mean 'quick'\?"):
        load_recipe("quik")
    with pytest.raises(InputError) as caught:
        load_recipe(tmp_path / "nothing.toml")
    assert "Did you mean" not in str(caught.value)
    assert "nothing.toml" in str(caught.value)


def test_a_recipe_must_fit_into_the_file_that_it_travels_in():
    assert "the text has" in fault_of(TINY + "#" * 60_000)
    parse_recipe(TINY + "#" * (60_000 - len(TINY)))


def test_what_asks_for_endless_groups_is_refused_at_once():
    table = '[[problems]]\nfamily = "teacher"\nsplit = "train"\nfirst = {}\ninstances = 100000\n'
    tables = "".join(table.format(100_000 * i) for i in range(10))
    text = tiny_text(("[[networks]]", tables + "[[networks]]"), ("n_points = 16", "groups_per_instance = 1000"))
    started = time.perf_counter()
    assert faults_of(text) == [f"problems: 1,000,003,000 groups are asked for; a data set has at most {MAX_GROUPS:,}."]
    assert time.perf_counter() - started < 1.0


# ------------------------------------------------------------------------------------------- JSON Schema


def test_the_shipped_schema_is_the_one_that_the_code_exports():
    """After a change of the recipe: write `recipe_json_schema()` there, sorted, indented by two."""
    text = (RECIPES / "recipe.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(recipe_json_schema(), indent=2, sort_keys=True) + "\n"


@pytest.fixture(scope="module")
def validator():
    schema = recipe_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_schema_accepts_every_shipped_recipe(validator, name):
    text = shipped_recipes()[name].read_text(encoding="utf-8")
    validator.validate(tomllib.loads(text))
    assert text.startswith("#:schema ./recipe.schema.json\n")


NOT_IN_SCHEMA = {
    # JSON has no NaN, and a schema cannot compare one place with another
    *("nan", "inf", "number beyond floats", "twice defined", "dangling", "twice named", "twice the same number"),
    *("too many wanted", "overlap", "family leak", "optimizer leak", "empty range", "integer rates upside down"),
    *("no classes", "endless sweep", "rates beyond single precision", "date for a number", "network for no problem"),
    *("moments at one point", "moment amid the outcome", "too short for the moments", "nothing kept"),
    *("certain rate outside", "layers and another depth", "layers of an mlp", "no layer", "unknown phenomenon"),
    # a float without a fraction is an integer to JSON Schema
    "float for an integer",
    # the validator of the tests cannot print it either
    "endless hexadecimal",
}


@pytest.mark.parametrize("case", sorted(set(CASES) - NOT_IN_SCHEMA))
def test_the_schema_refuses_what_one_place_shows(validator, case):
    assert not validator.is_valid(tomllib.loads(tiny_text(CASES[case][0])))


# ---------------------------------------------------------------------------------------------- any input


def to_toml(value: object) -> str:
    """A value as inline TOML."""
    match value:
        case bool():
            return str(value).lower()
        case float() if not math.isfinite(value):
            return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case datetime.date():
            return value.isoformat()
        case list():
            return "[" + ", ".join(map(to_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{to_toml(k)} = {to_toml(v)}" for k, v in value.items()) + "}"
    return repr(value)


def document(tables: dict) -> str:
    return "".join(f"{to_toml(key)} = {to_toml(value)}\n" for key, value in tables.items())


def places(value: object, path: tuple = ()) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, part in items for place in places(part, (*path, key))]


names = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=8)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    names,
    st.sampled_from(["train", "test_ood", "teacher", "sgd", "sgd-8", "constant", "../x", *DIAGNOSES]),
    st.dates(min_value=datetime.date(1900, 1, 1)),
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
PARSED = tomllib.loads(QUICK)
PLACES = places(PARSED)


def test_the_writer_of_these_tests_writes_toml():
    assert tomllib.loads(document(PARSED)) == PARSED
    assert parse_recipe(document(PARSED)).recipe == parse_recipe(QUICK).recipe


@given(data=st.data(), n=st.integers(1, 4))
@settings(max_examples=150)
def test_mutations_give_a_recipe_or_one_error(data, n):
    tables = copy.deepcopy(PARSED)
    for _ in range(n):
        *path, last = data.draw(st.sampled_from(PLACES))
        parent = tables
        try:
            for key in path:
                parent = parent[key]
            change = data.draw(st.sampled_from(["replace", "remove", "add", "double"]))
            if change == "replace":
                parent[last] = data.draw(anything)
            elif change == "remove":
                del parent[last]
            elif change == "add" and isinstance(parent, dict):
                parent[data.draw(names)] = data.draw(anything)
            elif isinstance(parent, list):
                parent.append(copy.deepcopy(parent[last]))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    text = document(tables)
    assert tomllib.loads(text).keys() == tables.keys()
    with contextlib.suppress(InputError):
        assert isinstance(parse_recipe(text).recipe, Recipe)


@given(position=st.integers(0, len(QUICK)), length=st.integers(0, 40), text=st.text(max_size=10))
@settings(max_examples=100)
def test_mutated_text_gives_a_recipe_or_one_error(position, length, text):
    with contextlib.suppress(InputError):
        parse_recipe(QUICK[:position] + text + QUICK[position + length :])


def test_another_master_seed_is_written_into_the_text_or_refused():
    quick = load_recipe("quick")
    changed = with_master_seed(quick, 8)
    assert changed.recipe == quick.recipe.model_copy(update={"master_seed": 8})
    assert changed.text == quick.text.replace(f"master_seed = {quick.recipe.master_seed}", "master_seed = 8")
    assert with_master_seed(quick, quick.recipe.master_seed) is quick
    with pytest.raises(InputError, match="master_seed"):
        with_master_seed(quick, -1)


def test_another_engine_is_written_into_the_text_or_refused():
    quick = load_recipe("quick")
    changed = with_engine(quick, "torch")
    assert changed.recipe.engine == "torch"
    assert changed.recipe == quick.recipe.model_copy(update={"engine": "torch"})
    assert with_engine(quick, quick.recipe.engine) is quick
    misleading = quick.text.replace('engine = "fused"', 'description = """\nengine = "fused"\n"""\nengine = "fused"')
    misleading = misleading.replace('description = "A few groups of each kind, to see the whole path work."\n', "")
    with pytest.raises(InputError, match="by hand"):
        with_engine(parse_recipe(misleading), "torch")
    with pytest.raises(InputError, match="engine"):
        with_engine(quick, "warp")
