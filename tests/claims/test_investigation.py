"""Experiments from end to end, as the command runs them; the small form of what docs/claims.md shows in full."""

import json

import pytest

pytest.importorskip("numba")

from command import Terminal, command

from curvebench.claims import CLAIMS, EXPERIMENTS, investigation
from curvebench.claims.claim import Ruling
from curvebench.claims.investigation import investigate
from curvebench.data import store
from curvebench.spec import InputError, UsageError


def test_all_claims_in_the_small_form(tmp_path):
    done = command("claims", "--effort", "small", "--workers", 1, "-o", tmp_path / "report", "--json", err=Terminal)
    assert done.code == 0
    report = done.json
    assert [claim["key"] for claim in report["claims"]] == list(CLAIMS)
    assert report == json.loads((tmp_path / "report/claims/claims.json").read_text(encoding="utf-8"))
    assert report["command"] == f"curvebench claims --effort small -o {tmp_path / 'report'}"
    assert set(report["problems"]) == set(EXPERIMENTS)
    assert "experiments" in done.err
    assert "100 %" in done.err
    rulings = {claim["key"]: claim["verdict"]["ruling"] for claim in report["claims"]}
    for key, ruling in {
        "softmax-sums-to-one": Ruling.HOLDS,
        "sigmoid-range": Ruling.HOLDS,
        "tanh-range": Ruling.FAILS,
        "relu-range": Ruling.FAILS,
        "deep-layers-vanish": Ruling.HOLDS_ONLY,
        "saturated-outputs-vanish": Ruling.HOLDS_ONLY,
    }.items():
        assert rulings[key] == ruling, "what is plain enough for any effort"


def test_figures_do_not_depend_on_the_workers_nor_on_other_claims():
    key = "deep-layers-vanish"
    one = investigate([key], effort="small", workers=1)
    two = investigate([key, "saturated-outputs-vanish"], effort="small", workers=2)
    assert one.measurements[key] == two.measurements[key]
    assert list(two.measurements) == [key, "saturated-outputs-vanish"]


def test_a_data_set_stands_in_for_groups_that_are_trained(make_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(investigation, "make_engine", lambda name: pytest.fail("nothing is to be trained"))
    store.write(make_dataset(n_cells=48), tmp_path / "made-up.h5")
    done = command("claims", "--only", "taught-remedies", "--data", tmp_path / "made-up.h5", "--json")
    assert done.code == 0
    assert done.json["remedies"].startswith("a data set of the recipe `made-up`")
    assert done.json["claims"][0]["verdict"]["ruling"] == Ruling.HOLDS
    shown = command("claims", "--only", "taught-remedies", "--data", tmp_path / "made-up.h5")
    assert shown.out.splitlines()[1].split() == ["taught-remedies", "holds"]


def test_claims_are_listed_without_any_work(monkeypatch):
    monkeypatch.setattr(investigation, "investigate", lambda *_, **__: pytest.fail("it went to work"))
    assert [row["claim"] for row in command("claims", "--list", "--json").json] == list(CLAIMS)
    for key, claim in CLAIMS.items():
        assert f"{key} " in command("claims", "--list").out
        assert claim.statement in command("claims", "--list").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "high-rate-is-fats"], "Did you mean 'high-rate-is-fast'?"),
        (["--effort", "huge"], "there are full, small"),
        (["--effort", "small", "--engine", "steam"], "known engines: fused, torch"),
        (["--effort", "small", "-o", "missing/report"], "the folder missing does not exist"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("claims", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_bad_data_sets_are_refused_before_any_work(make_dataset, tmp_path):
    done = command("claims", "--data", tmp_path / "missing.h5", "-o", tmp_path / "report")
    assert (done.code, done.out) == (3, "")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no scored runs"):
        investigate(["taught-remedies"], effort="small", dataset=make_dataset().select([]))
    with pytest.raises(UsageError, match="taught-remedies, remedies-of-causes"):
        investigate(["tanh-range"], effort="small", dataset=make_dataset())
