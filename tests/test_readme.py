"""What the README and the pages in docs print is run, and what they link to exists."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import command
from oracles.tiny_recipe import TINY

from curvebench import load
from curvebench.diagnosers.external import question, read_answers

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "LICENSES" / "DATA.md"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder_of_main_job(tmp_path_factory):
    """The README's first command, run as printed but for the installation."""
    folder = tmp_path_factory.mktemp("readme")
    steps = [shlex.split(step) for step in blocks("bash")[0].split("&&")]
    ours = [step for step in steps if step[0] == ".venv/bin/curvebench"]
    assert [step[1] for step in ours] == ["generate", "evaluate"]
    for step in ours:
        subprocess.run([sys.executable, "-m", "curvebench.cli", *step[1:]], cwd=folder, check=True, timeout=300)
    return folder


def test_the_main_job_prints_a_score_for_the_reference_classifier(folder_of_main_job):
    command = [sys.executable, "-m", "curvebench.cli", "evaluate", "quick.h5", "--diagnoser", "rules"]
    table = subprocess.run(command, cwd=folder_of_main_job, check=True, capture_output=True, text=True).stdout
    for name in ("rules", "constant", "oracle", "test_ood"):
        assert name in table


def test_python_code_runs(folder_of_main_job, monkeypatch, capsys):
    monkeypatch.chdir(folder_of_main_job)
    names: dict = {}
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), names)
    assert names["result"].status == "ok"
    assert names["result"].scores["value"] < 1
    assert len(names["X"]) == len(names["y"]) > 0
    assert capsys.readouterr().out.startswith("ok ")


def test_ci_runs_the_test_command_of_the_readme():
    assert blocks("bash")[1].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_network_of_the_page_on_recipes_is_trained_as_printed(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    section = page[page.index("### A network of your own") :]
    code, table, shell = (re.search(rf"```{x}\n(.*?)```", section, re.DOTALL)[1] for x in ("python", "toml", "bash"))
    (tmp_path / "my_networks.py").write_text(code, encoding="utf-8")
    old = TINY[TINY.index("[[networks]]") : TINY.index("[[settings]]")]
    recipe = TINY.replace(old, table).replace('networks = ["tanh-6"]', 'networks = ["shortcut"]')
    (tmp_path / "mine.toml").write_text(recipe, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    name, *arguments = shlex.split(shell)
    done = command(*arguments, "--quiet")
    assert (name, done.code, done.err) == ("curvebench", 0, "")
    assert set(load("mine.h5")["architecture"].tolist()) == {"my_networks:Shortcut"}
    sys.modules.pop("my_networks")


def test_the_diagnosers_of_the_page_on_own_ones_are_checked_and_scored(folder_of_main_job, monkeypatch):
    page = (ROOT / "docs" / "own-diagnoser.md").read_text(encoding="utf-8")
    code, program, entry = (re.search(rf"```{x}\n(.*?)```", page, re.DOTALL)[1] for x in ("python", "sh", "toml"))
    script = folder_of_main_job / "rising.sh"
    script.write_text(program, encoding="utf-8")
    script.chmod(0o755)
    (folder_of_main_job / "my_diagnoser.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(folder_of_main_job)
    monkeypatch.setattr(sys, "path", sys.path[:])
    first, second = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    assert 'cautious = "my_diagnoser:Cautious"' in entry
    for line in first.replace("NAME", "my_diagnoser:Cautious").splitlines() + second.splitlines():
        name, *arguments = shlex.split(line)
        done = command(*arguments, "--json")
        assert (name, done.code, done.err) == ("curvebench", 0, "")
    assert done.json["results"][0]["status"] == "ok"
    assert done.json["results"][0]["scores"]["recall_lr_too_high"] > 0
    assert command("check-diagnoser", "exec:./rising.sh", "--track", "curve").code == 0
    asked, *answered = re.findall(r"^\{.*\}$", page, re.MULTILINE)
    assert asked == question(0, np.array([[2.31, 1.7, np.inf, np.nan]]))
    assert len(read_answers("\n".join(answered).encode(), len(answered))) == 4
    sys.modules.pop("my_diagnoser", None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith("https://") and not (page.parent / t).exists()]
    assert missing == []


def test_nothing_of_this_machine_is_named_in_tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    home = os.fsencode(str(ROOT))
    for name in listed.stdout.split(b"\0")[:-1]:
        path = ROOT / os.fsdecode(name)
        if path.suffix != ".png" and path.exists():
            assert home not in path.read_bytes(), f"{path.name} names a folder of this machine"
