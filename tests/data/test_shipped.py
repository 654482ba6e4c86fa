"""The data sets that come with the package are what they are said to be, and are found by their names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import command

import curvebench
from curvebench.data.shipped import SHIPPED, locate
from curvebench.data.store import write
from curvebench.evaluation.compare import compare
from curvebench.spec import DIAGNOSES, InputError

DOCS = Path(__file__).parents[2] / "docs"
MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def mini():
    return curvebench.load("mini")


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_whole_small_and_has_the_hash_that_is_written_down(name):
    report = curvebench.verify(name)
    assert report.content_sha256 == SHIPPED[name].content_sha256
    assert report.n_bytes == SHIPPED[name].path.stat().st_size <= MAX_BYTES


def test_mini_has_everything_that_an_evaluation_needs(mini):
    for split in ("train", "test", "test_ood"):
        runs = mini.split(split)
        assert set(runs.labels.tolist()) == set(DIAGNOSES)
        assert len(np.unique(runs["problem"])) >= 20
    assert np.isnan(mini["resumed_train_loss"]).all()
    seeds = np.bincount(np.unique(mini.cell_rate, return_inverse=True)[1])
    assert set(seeds.tolist()) == {len(np.unique(mini["seed"]))}


def test_mini_was_made_with_the_options_of_the_page_on_data(mini):
    page = (DOCS / "data.md").read_text(encoding="utf-8")
    options = shlex.split(re.search(r"curvebench subset core\.h5 (.*)", page)[1])
    n_runs = int(options[options.index("--runs") + 1])
    n_seeds = len(np.unique(mini["seed"]))
    assert n_runs - n_seeds < len(mini) <= n_runs
    assert {"--scored-only", "--no-resumed"} < set(options)


@pytest.mark.parametrize("split", ["test", "test_ood"])
def test_the_page_on_ci_says_what_mini_can_tell_apart(mini, split):
    page = (DOCS / "ci.md").read_text(encoding="utf-8")
    said = [float(x) for x in re.search(rf"\| `{split}` \| ([\d.]+) \| ([\d.]+) \|", page).groups()]
    differences = compare(mini, "rules", "forest", split).differences
    found = [differences[score].half_width for score in ("value", "macro_f1")]
    np.testing.assert_allclose(said, found, atol=0.015)


@pytest.mark.parametrize("recipe", ["logs", "wide"])
def test_the_other_parts_were_made_as_the_page_on_data_says(recipe):
    page = (DOCS / "data.md").read_text(encoding="utf-8")
    options = shlex.split(re.search(rf"curvebench subset {recipe}\.h5 (.*)", page)[1])
    part, n_runs = curvebench.load(f"mini-{recipe}"), int(options[options.index("--runs") + 1])
    assert part.meta.recipe_name == recipe
    assert n_runs - len(np.unique(part["seed"])) < len(part) <= n_runs
    assert np.isnan(part["resumed_train_loss"]).all()
    assert set(part.split("train").labels.tolist()) == set(DIAGNOSES)


def test_a_file_of_that_name_comes_first(mini, make_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(curvebench.load("mini")) == len(mini)
    write(make_dataset(n_cells=3), tmp_path / "mini")
    assert curvebench.load("mini").meta.recipe_name == "made-up"
    assert locate("mini") == Path("mini")


@pytest.mark.parametrize("name", ["mimi", "mini.h5", "Mini"])
def test_nearly_right_names_get_a_hint(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{name}: there is no such file. Did you mean 'mini'"):
        curvebench.load(name)


def test_commands_take_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("info", "mini", "--json").json["content_sha256"] == SHIPPED["mini"].content_sha256
    assert command("evaluate", "mini", "--no-references").code == 0
    assert command("plot", "mini", "-o", "mini.png").code == 0
    assert command("leaderboard", "run", "mini", "-d", "rules", "--results", "results", "--workers", 1).code == 0
    assert command("compare", "mini", next((tmp_path / "results").rglob("rules.json")), "constant").code == 0
    assert (tmp_path / "mini.png").stat().st_size > 10_000


def test_an_evaluation_of_mini_imports_nothing_that_it_can_do_without():
    """So it takes two seconds and not five."""
    code = """
import sys
sys.argv = ["curvebench", "evaluate", "mini", "--quiet"]
from curvebench.cli import main
try:
    main()
finally:
    heavy = {"sklearn", "scipy", "numba", "matplotlib", "torch"}
    print("imported:", *sorted({name.split(".")[0] for name in sys.modules} & heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.splitlines()[-1].split() == ["imported:"]
