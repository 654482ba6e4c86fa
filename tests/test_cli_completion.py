"""What Tab offers, in a shell; and that names which are nearly right are suggested."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import shellingham
from command import command

from curvebench.cli import completion
from curvebench.diagnosers import DIAGNOSERS
from curvebench.generation.recipe import shipped_recipes
from curvebench.interchange.formats import FORMATS
from curvebench.nearly import did_you_mean, did_you_mean_file
from curvebench.spec import SPLITS

ASKED = {
    "curvebench expo": {"export"},
    "curvebench leaderboard b": {"build"},
    "curvebench evaluate mini --spl": {"--split"},
    "curvebench evaluate mini -d rule": {"rules", "rules-tuned"},
    "curvebench evaluate m": {"mini", "mini-logs", "mini-wide", "mine.h5"},
    "curvebench generate q": {"quick"},
    "curvebench export mini --to ": set(FORMATS),
    "curvebench info no-such": set(),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with files to offer, and a program `curvebench`."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.h5", "mine.toml", "model.cbm", "quack.txt"):
        (tmp_path / name).touch()
    program = tmp_path / "bin" / "curvebench"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m curvebench "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return tmp_path


def test_bash_completes(folder):
    bash = shutil.which("bash")
    assert bash, "bash is on every machine that the tests run on"
    lines = ["source <(curvebench --show-completion bash)"]
    for asked in ASKED:
        *words, last = asked.split(" ")
        lines += [
            f'COMP_WORDS=({" ".join(words)} "{last}"); COMP_CWORD={len(words)}; COMPREPLY=()',
            "_curvebench_completion curvebench",
            'echo "${COMPREPLY[@]}"',
        ]
    done = subprocess.run(
        [bash, "--norc", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, timeout=300, check=True
    )
    answers = [set(line.split()) for line in done.stdout.splitlines()]
    assert dict(zip(ASKED, answers, strict=True)) == ASKED
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_that_is_named_gets_its_script_whatever_this_one_is(shell, monkeypatch):
    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("pwsh", "pwsh"))
    done = command("--show-completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"complete_{shell}" in done.out
    assert command(f"--show-completion={shell}") == done
    monkeypatch.setattr(shellingham, "detect_shell", lambda: (shell, f"/bin/{shell}"))
    assert command("--show-completion") == done


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_a_shell_without_completion_is_told_the_others(option, monkeypatch):
    def unknown():
        raise shellingham.ShellDetectionFailure

    done = command(option, "zhs")
    assert (done.code, done.out) == (2, "")
    assert "no completion for the shell 'zhs'. Did you mean 'zsh'? Name one of bash, zsh, fish," in done.err
    monkeypatch.setattr(shellingham, "detect_shell", unknown)
    done = command(option)
    assert (done.code, done.out) == (2, "")
    assert "The shell that this was started from is not known. Name one of bash, zsh, fish," in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_is_installed_for_the_shell_that_is_named(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = command("--install-completion", shell)
    assert (done.code, done.err) == (0, "")
    script = next(path for path in tmp_path.rglob("*curvebench*") if path.is_file())
    assert str(script) in done.out
    assert script.read_text().strip() == command("--show-completion", shell).out.strip()


def test_where_nothing_can_be_written_it_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    done = command("--install-completion", "fish")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: Completion cannot be installed for fish: ")


def test_lists_and_files_are_offered(folder):
    assert set(DIAGNOSERS) < set(completion.diagnoser(""))
    assert "model.cbm" in completion.diagnoser("m")
    assert completion.data_set(f"{folder}/mi") == [f"{folder}/mine.h5"]
    assert completion.data_set("no/such/folder/") == []
    assert set(completion.recipe("")) == {*shipped_recipes(), "mine.toml"}
    assert completion.split("") == list(SPLITS)
    for name in (
        "track",
        "optimizer",
        "isolation",
        "backend",
        "engine",
        "claim",
        "effort",
        "confidence",
        "cases",
        "shell",
    ):
        assert getattr(completion, name)("")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exprot"], "Did you mean 'export'"),
        (["evaluate", "mini", "--diagnosr", "rules"], "--diagnoser"),
        (["evaluate", "mini", "-d", "rulse"], "Did you mean 'rules'"),
        (["generate", "quik", "-o", "x.h5"], "Did you mean 'quick'"),
        (["generate", "mime.toml", "-o", "x.h5"], "Did you mean 'mine.toml'"),
        (["info", "mimi"], "Did you mean 'mini'"),
        (["info", "mein.h5"], "Did you mean 'mine.h5'"),
        (["logs", "quakc.txt"], "Did you mean 'quack.txt'"),
        (["evaluate-cases", "wlid"], "Did you mean 'wild'"),
    ],
)
def test_what_was_probably_meant_is_suggested(arguments, words, folder):
    done = command(*arguments)
    assert done.code in (2, 3)
    assert words in done.err


def test_nothing_is_suggested_that_is_not_like_it(folder):
    assert did_you_mean("zzz", DIAGNOSERS) == ""
    assert did_you_mean_file("a.h5") == ""
    assert did_you_mean_file("no/such/folder/mine.h5") == ""
    assert did_you_mean_file(folder / "Mine.h5") == f" Did you mean {str(folder / 'mine.h5')!r}?"
    assert did_you_mean_file("x" * 5000) == ""
    assert did_you_mean_file("a\0b") == ""
