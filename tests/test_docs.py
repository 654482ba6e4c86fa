"""The pages in docs: they build as a site without a warning, and what they print runs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from command import command
from oracles.tiny_recipe import TINY
from typer.core import TyperGroup
from typer.main import get_command

import curvebench
from curvebench.board.texts import to_markdown
from curvebench.cli import app
from curvebench.data.shipped import locate
from curvebench.generation import problems, recipe
from curvebench.plots.injected import count_injected
from curvebench.spec import DIAGNOSES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page, language="\\w*"):
    """(language, code) of each block of a page."""
    return re.findall(rf"```({language})\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


# ---------------------------------------------------------------------------------------------- the site


class Page(HTMLParser):
    """Targets of the links of a page, and the places in it that can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package, reason="what builds the site is not installed (extra docs)")
    folder = tmp_path_factory.mktemp("site")
    arguments = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-d", folder / "trees", DOCS]
    done = subprocess.run([*arguments, folder / "html"], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


def test_all_links_and_anchors_of_the_site_lead_somewhere(site):
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    assert len(pages) > len(PAGES) - 2
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name in ("genindex.html", "search.html"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.exists() and (target not in pages or unquote(parts.fragment) in pages[target].places)
            broken += [] if there else [f"{path.name}: {link}"]
    assert broken == []


def test_the_reference_has_all_public_names_and_all_commands(site):
    places = set().union(*(Page(site / "reference" / f"{name}.html").places for name in ("python", "contract")))
    for name in curvebench.__all__:
        assert places & {f"curvebench.{name}", f"curvebench.spec.{name}"} or name == "__version__", name
    commands = Page(site / "reference" / "commands.html").places
    for name, found in get_command(app).commands.items():
        names = [f"{name}-{n}" for n in found.commands] if isinstance(found, TyperGroup) else [name]
        assert {f"curvebench-{n}" for n in names} <= commands


def test_the_home_page_is_the_readme(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    assert "What the labels mean" in home
    assert (site / "tutorial.html").exists()


# ---------------------------------------------------------------------------------------------- commands

COMMANDS = [
    (page.name, line)
    for page in PAGES
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in re.split(r"&&|\n", block)
    if line.split()[:1] in (["curvebench"], [".venv/bin/curvebench"])
]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda text: text[:60])
def test_every_command_on_a_page_is_one(page, line):
    """Its name, options and number of arguments; most are run in other tests, those on `core` would take an hour."""
    _, *words = shlex.split(line.partition(" > ")[0], comments=True)
    found = get_command(app)
    while isinstance(found, TyperGroup) and words and not words[0].startswith("-"):
        found, words = found.commands[words[0]], words[1:]
    if isinstance(found, TyperGroup):
        assert {word for word in words if word.startswith("-")} <= {"--install-completion", "--help", "--version"}
    else:
        found.make_context(found.name, words).close()


# ------------------------------------------------------------------------------------------ pages are run


def follow(page, folder, names):
    """Do what a page says, from top to bottom: write files, run commands and code."""
    done = []
    for language, code in blocks(page):
        if named := re.match(r"# (\w+\.py)\n", code):
            (folder / named[1]).write_text(code, encoding="utf-8")
        elif language == "python":
            exec(compile(code, page, "exec"), names)
        elif language == "bash":
            for line in code.splitlines():
                program, *arguments = shlex.split(line)
                if program == "curvebench":
                    done.append(command(*arguments))
                    assert done[-1].code == 0, (line, done[-1].err)
                elif program == "mkdir":
                    (folder / arguments[0]).mkdir()
                else:
                    assert line in ("python3 -m venv .venv", "source .venv/bin/activate", "pip install .")
    return done


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in ("my_diagnoser", "my_second"):
        sys.modules.pop(name, None)


def test_the_tutorial_ends_on_the_board(here, capsys):
    names = {}
    done = follow("tutorial.md", here, names)
    assert "my_diagnoser:diagnose" in (here / "board" / "index.html").read_text(encoding="utf-8")
    assert to_markdown("my_diagnoser:diagnose") in (here / "board" / "README.md").read_text(encoding="utf-8")
    assert "g000255.c01.r+18.s00" in names["dataset"]["run"]
    assert len(names["missed"]) > 0
    assert {path.name for path in here.glob("*.png")} == {"gallery.png", "run.png"}
    assert any("cannot be told apart" in each.out for each in done)


def test_the_problem_of_the_page_is_one(here, monkeypatch):
    monkeypatch.setattr(problems, "FAMILIES", dict(problems.FAMILIES))
    names = {"FAMILIES": problems.FAMILIES}
    for _, code in blocks("own-problem.md", "python"):
        exec(compile(code, "own-problem.md", "exec"), names)
    problem, again = (problems.make_problem("bowl", 1, master_seed=3, n_train=64, n_val=16) for _ in range(2))
    assert problem.train_inputs.shape == (64, 2)
    np.testing.assert_array_equal(problem.train_targets, again.train_targets)
    assert 0 < problem.floor < 1
    ((_, table),) = blocks("own-problem.md", "toml")
    assert recipe.ProblemSet.model_fields.keys() >= {line.split(" = ")[0] for line in table.splitlines()[1:]}


def test_the_remedies_of_the_page_are_tried(here, capsys):
    pytest.importorskip("torch")
    ((_, table),) = blocks("own-remedy.md", "toml")
    (_, first), (_, then) = blocks("own-remedy.md", "bash")
    assert command(*shlex.split(first.partition(" > ")[0])[1:]).out.count("[remedies]") == 1
    old = TINY[TINY.index("[remedies]") : TINY.index("[keep]")]
    (here / "mine.toml").write_text(TINY.replace(old, table + "\n"), encoding="utf-8")
    for line in then.splitlines():
        assert command(*shlex.split(line)[1:]).code == 0
    ((_, code),) = blocks("own-remedy.md", "python")
    exec(compile(code, "own-remedy.md", "exec"), {})
    assert [line.rsplit(" ", 1)[0] for line in capsys.readouterr().out.splitlines()] == [
        f"resume x0.5 at {at}" for at in (0.25, 0.5, 0.75)
    ]


@pytest.mark.parametrize("page", ["data.md", "diagnose.md", "diagnosers.md", "logs.md"])
def test_short_code_on_other_pages_runs(page, here, capsys):
    shutil.copy(locate("mini"), "core.h5")
    log = here / "lightning_logs" / "version_0"
    log.mkdir(parents=True)
    lines = [f"{step},{step // 10},{2.0 / (1 + step / 20):.6f}" for step in range(100)]
    (log / "metrics.csv").write_text("\n".join(["step,epoch,train_loss", *lines, ""]), encoding="utf-8")
    for _, code in blocks(page, "python"):
        exec(compile(code, page, "exec"), {"X": curvebench.load("mini").to_numpy3d(split="test")})
    assert capsys.readouterr().out


# ------------------------------------------------------------------------------------------- by intervention


def test_the_page_on_interventions_counts_rightly(here):
    counts, page = count_injected(curvebench.load("mini")), (DOCS / "why-intervention.md").read_text(encoding="utf-8")
    high, late_high, low, late_low, _, healthy = range(len(DIAGNOSES))
    assert f"agree in {np.trace(counts) / counts.sum():.0%}".replace("%", " %") in page
    for done, helped in ((late_high, healthy), (high, late_high), (low, late_low)):
        sentence = next(line for line in page.splitlines() if line.startswith(f"- Of {counts[done].sum()} runs"))
        assert f" {counts[done, helped]} " in sentence
    follow("why-intervention.md", here, {})
    assert {path.name for path in here.glob("*.png")} == {path.name for path in (DOCS / "why").iterdir()}


# ------------------------------------------------------------------------------------------- nothing is left out

RUN_ELSEWHERE = {
    "cases.md": "cases.test_wild",
    "ci.md": "test_pytest_plugin",
    "format.md": "data.test_store",
    "interchange.md": "interchange.test_page",
    "monitor.md": "monitoring.test_page",
    "own-diagnoser.md": "test_readme",
    "recipes.md": "test_readme",
}
"""Page -> the test that runs its code."""


def test_the_code_of_every_page_is_run_somewhere():
    here = Path(__file__).read_text(encoding="utf-8")
    for page in sorted(DOCS.glob("*.md")):
        if blocks(page.name, "python"):
            if page.name in RUN_ELSEWHERE:
                there = Path(__file__).parent / (RUN_ELSEWHERE[page.name].replace(".", "/") + ".py")
                assert page.name in there.read_text(encoding="utf-8"), page.name
            else:
                assert f'"{page.name}"' in here, page.name
