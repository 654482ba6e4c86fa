"""`curvebench evaluate-cases`, as a person and as a program meets it."""

from __future__ import annotations

import json

import pytest
from command import command

from curvebench.data import store


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Cases of one's own and a diagnoser of one's own, in the current folder."""
    monkeypatch.chdir(tmp_path)
    lines = [
        {"id": "up", "loss": [1, 2, 9], "label": "lr_too_high", "confidence": "high", "kind": "mine"},
        {"id": "down", "loss": [3, 2, 1], "label": "healthy", "confidence": "low"},
        {"id": "flat", "loss": [1, 1, 1], "label": "other", "source_url": "https://example.org"},
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "rising.py").write_text(
        "def rising(curve):\n    print('noise')\n    return 'lr_too_high' if curve[-1] > curve[0] else 'healthy'\n"
        "def broken(curve):\n    raise ValueError('no idea')\n"
    )
    return "mine.jsonl"


def test_a_table_for_all_for_ours_and_for_high_confidence(mine):
    done = command("evaluate-cases", mine, "-d", "rising.py:rising")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.endswith(("source", "sources"))] == [
        "all cases: 3 of 3 sources",
        "without those labelled other: 2 of 2 sources",
        "confidence high: 1 of 1 source",
    ]
    assert "rising.py:rising      100        0            0  100 [29, 100]" in done.out
    assert "constant" in done.out
    assert "only 3 sources: do not compare by it" in done.out
    assert "noise" not in done.out


def test_details_name_every_case(mine):
    out = command("evaluate-cases", mine, "-d", "rising.py:rising", "--details").out
    for line in ("kind mine: 1 of 1 source", "label other: 1 of 1 source", "rising.py:rising, case by case"):
        assert line in out
    assert any(line.split() == ["up", "lr_too_high", "lr_too_high", "high"] for line in out.splitlines())


def test_json_is_what_is_stored(mine):
    done = command("evaluate-cases", mine, "-d", "rising.py:rising", "--json", "-o", "stored.json", "-q")
    assert (done.code, done.err.replace("noise\n", "")) == (0, "")
    with open("stored.json") as file:
        assert json.load(file) == done.json
    assert [d["name"] for d in done.json["diagnosers"]] == ["rising.py:rising", "constant"]
    assert done.json["diagnosers"][0]["agreement"][0]["n_right"] == 3
    assert command("evaluate-cases", mine, "-o", "stored.json").code == 2
    assert command("evaluate-cases", mine, "-o", "stored.json", "--force").code == 0


def test_a_stored_result_is_checked_by_asking_again(mine, tmp_path):
    assert command("evaluate-cases", mine, "-d", "rising.py:rising", "-o", "stored.json").code == 0
    assert command("evaluate-cases", mine, "--check", "stored.json").code == 0
    code = (tmp_path / "rising.py").read_text()
    (tmp_path / "rising.py").write_text(code.replace("> curve[0]", ">= curve[0]"))
    done = command("evaluate-cases", mine, "--check", "stored.json")
    assert done.code == 1
    assert "rising.py:rising answers otherwise about 1 case, the first flat" in done.err
    partly = command("evaluate-cases", mine, "--check", "stored.json", "-d", "constant")
    assert (partly.code, "note: rising.py:rising was not asked again" in partly.err) == (0, True)


def test_who_fails_costs_itself_the_exit_code(mine):
    done = command("evaluate-cases", mine, "-d", "rising.py:broken")
    assert done.code == 1
    assert "rising.py:broken: failed: ValueError: no idea" in done.err
    assert "constant" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("wilde",), 2, "Did you mean 'wild'"),
        (("rising.py",), 3, "line 1 is no JSON"),
        (("mine.jsonl", "-d", "oracle"), 2, "told answers"),
        (("mine.jsonl", "-d", "forest"), 2, "--fit-on"),
        (("mine.jsonl", "--fit-on", "none.h5"), 3, "none.h5"),
        (("mine.jsonl", "--check", "none.json"), 3, "none.json cannot be read"),
        (("mine.jsonl", "-o", "nowhere/x.json"), 2, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(mine, arguments, code, sentence):
    done = command("evaluate-cases", *arguments)
    assert done.code == code
    assert sentence in done.err
    assert done.out == ""


def test_a_learned_one_is_fitted_on_a_data_set(mine, make_dataset, tmp_path):
    store.write(make_dataset(n_cells=12, n_points=12), tmp_path / "made-up.h5")
    done = command("evaluate-cases", "wild", "-d", "zoo/late-slope", "--fit-on", "made-up.h5", "--json")
    assert done.code == 0
    assert len(done.json["fit_on_sha256"]) == 64


def test_help_has_an_example():
    done = command("evaluate-cases", "--help")
    assert (done.code, done.err) == (0, "")
    assert "Example: curvebench evaluate-cases wild --diagnoser rules" in done.out
