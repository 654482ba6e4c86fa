"""The cases that are shipped: figures with their source's address, and no sentence of anybody."""

from __future__ import annotations

import json
import math
import re
import shlex
from pathlib import Path

import numpy as np
from command import command

import curvebench
from curvebench.cases.case import CASE_LABELS, CONFIDENCES
from curvebench.cases.reading import MAX_CASES, read_cases
from curvebench.logs.limits import MAX_LINE

FILE = Path(curvebench.__file__).parent / "data" / "wild.json"
SHA256 = "60db022d4639c1b5473a645e14d7f54a15c6785348106fdae7e6c3d3651363d5"

REQUIRED = {"id", "source_url", "kind", "label", "confidence", "x_unit", "loss"}
WORDS = {
    "kind": {"thread"},
    "label": set(CASE_LABELS),
    "confidence": set(CONFIDENCES),
    "x_unit": {"epoch", "iteration", "point"},
    "schedule": {"constant", "cosine", "one_cycle", "reduce_on_plateau", "step", "warmup"},
}
"""Field -> the words that may stand there."""


def entries():
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_file_is_the_published_one():
    found = read_cases("wild")
    assert (found.name, found.sha256) == ("wild", SHA256)
    assert len(found.cases) == len(entries()) == 30


def test_there_are_figures_ids_addresses_and_known_words_only():
    for entry in entries():
        assert REQUIRED <= set(entry) <= REQUIRED | {"steps", "val_loss", "lr", "schedule"}
        assert re.fullmatch(r"[a-z0-9_.-]{3,40}", entry["id"])
        assert re.fullmatch(r"https://[a-zA-Z0-9./_-]+", entry["source_url"])
        for field in WORDS.keys() & entry.keys():
            assert entry[field] in WORDS[field]
        for field in ("loss", "val_loss", "steps"):
            for value in entry.get(field, []):
                assert value == "nan" or (isinstance(value, int | float) and math.isfinite(value))
        assert isinstance(entry.get("lr", 0.1), float)


def test_it_is_read_as_it_stands():
    for entry, case in zip(entries(), read_cases("wild").cases, strict=True):
        assert (case.id, case.label, case.confidence) == (entry["id"], entry["label"], entry["confidence"])
        np.testing.assert_array_equal(case.loss, [float(value) for value in entry["loss"]])
        assert (case.steps is None) == ("steps" not in entry)
        assert (case.learning_rate is None) == ("lr" not in entry or entry.get("schedule") != "constant")


def test_every_thread_is_a_source_of_its_own():
    cases = read_cases("wild").cases
    assert {case.source for case in cases} == {case.source_url for case in cases}


# -------------------------------------------------------------------------------------------------- the page on them

PAGE = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_of_the_page_is_a_file_of_cases(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(blocks("json")[0], encoding="utf-8")
    assert [case.id for case in read_cases(path).cases] == ["mlp-17", "resnet-3"]


def test_the_code_of_the_page_runs_and_so_do_its_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaderboard").mkdir()
    (code,) = blocks("python")
    exec(compile(code, "cases.md", "exec"), {})
    assert capsys.readouterr().out.startswith("29 Share(")
    for line in blocks("bash"):
        name, *arguments = shlex.split(line)
        assert (name, command(*arguments).code) == ("curvebench", 0)
    assert (tmp_path / "leaderboard" / "cases.json").exists()


def test_the_page_counts_rightly():
    cases = read_cases("wild").cases
    counts = [sum(case.confidence == level for case in cases) for level in CONFIDENCES]
    assert "{} are of high confidence, {} of medium, {}\nof low".format(*counts) in PAGE
    assert 2 * sum(case.label == "other" for case in cases) == len(cases)
    assert f"{len(cases)} cases from {len({case.source for case in cases})} public threads" in PAGE
    assert f"{MAX_LINE:,} characters" in PAGE
    assert f"{MAX_CASES:,} cases" in PAGE
