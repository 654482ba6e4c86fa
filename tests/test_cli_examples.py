"""Every command's example is run as its help prints it, with small stand-ins for the files that it names."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest
from command import command
from oracles.made_up_programs import made_up_programs
from oracles.tiny_recipe import TINY
from typer.core import TyperGroup
from typer.main import get_command

from curvebench.cli import app
from curvebench.data import store
from curvebench.data.shipped import locate
from curvebench.diagnosers import DIAGNOSERS
from curvebench.generation import recipe as recipes

EXAMPLE = re.compile(r"^Example: \[bold\](.*)\[/bold\]$", re.MULTILINE)
TRAINS = ("curvebench audit", "curvebench leaderboard rerun", "curvebench pack")
"""Commands that train what their data set's recipe says, or take it in shards: theirs is of a tiny recipe."""


def commands(group=None, path="curvebench"):
    for name, found in (group or get_command(app)).commands.items():
        if isinstance(found, TyperGroup):
            yield from commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


EXAMPLES = {path: EXAMPLE.findall(found.help) for path, found in commands()}


def test_every_command_has_one_example_and_it_is_of_that_command():
    for path, examples in EXAMPLES.items():
        assert len(examples) == 1, path
        assert examples[0].startswith(path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """What the tiny recipe makes: two files, of two seeds, and a folder of shards."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
    (folder / "tiny-8.toml").write_text(TINY.replace("master_seed = 11", "master_seed = 8"), encoding="utf-8")
    for recipe, output in (("tiny", "core.h5"), ("tiny-8", "core-8.h5"), ("tiny", "core/")):
        target = f"{folder}/{output}"
        done = command("generate", folder / f"{recipe}.toml", "-o", target, "--workers", 1, "--quiet")
        assert (done.code, done.err) == (0, "")
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch, make_dataset):
    """A folder with everything that an example may name."""
    monkeypatch.chdir(tmp_path)
    for name in ("quick.h5", "core.h5"):
        shutil.copy(locate("mini"), name)
    store.write(made_up_programs(make_dataset), tmp_path / "documented.h5")
    log = tmp_path / "lightning_logs" / "version_0"
    log.mkdir(parents=True)
    lines = [f"{step},{step // 10},{2.0 / (1 + step / 20):.6f}" for step in range(100)]
    (log / "metrics.csv").write_text("\n".join(["step,epoch,train_loss", *lines, ""]), encoding="utf-8")
    (tmp_path / "leaderboard").mkdir()
    return tmp_path


@pytest.mark.parametrize("path", EXAMPLES)
def test_it_runs(path, folder, request, monkeypatch):
    if path.startswith(TRAINS):
        made = request.getfixturevalue("tiny")
        for name in ("core.h5", "core-8.h5"):
            shutil.copy(made / name, folder)
        if path == "curvebench pack":
            shutil.copytree(made / "core", folder / "core")
            (folder / "core.h5").unlink()
    if path == "curvebench generate":
        pytest.importorskip("torch")
        (folder / "quick.h5").unlink()
        (folder / "tiny.toml").write_text(TINY, encoding="utf-8")
        monkeypatch.setattr(recipes, "shipped_recipes", lambda: {"quick": folder / "tiny.toml"})
    if path == "curvebench export":
        pytest.importorskip("pyarrow")
    if path.startswith("curvebench leaderboard"):  # all take minutes
        for name in [name for name in DIAGNOSERS if name not in ("rules", "constant", "oracle")]:
            monkeypatch.delitem(DIAGNOSERS, name)
        if path != "curvebench leaderboard run":
            assert command("leaderboard", "run", "core.h5", "-d", "rules", "--workers", 1).code == 0
    line, _, redirected = EXAMPLES[path][0].partition(" > ")
    name, *arguments = shlex.split(line)
    done = command(*arguments)
    assert (name, "Traceback" in done.err) == ("curvebench", False)
    if path == "curvebench audit":  # a tiny data set is no benchmark, and that is said
        assert (done.code, (folder / "audit.md").exists()) == (1, True)
    else:
        assert (done.code, done.out != "") == (0, True), done.err
    for option in ("-o", "--plot"):
        if option in arguments:
            assert (folder / arguments[arguments.index(option) + 1]).exists()
    assert not redirected or done.out.startswith(("#", "format"))
