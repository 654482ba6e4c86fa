"""The report: a page made from its numbers alone, pictures, and the copy of both in the documentation."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles.observations import HOLDS, MADE_UP

from curvebench.claims import CLAIMS, EXPERIMENTS
from curvebench.claims.claim import Estimate, Panel, Rule, Series, decide
from curvebench.claims.investigation import Investigation
from curvebench.claims.pictures import draw
from curvebench.claims.report import to_json, to_markdown, write_report
from curvebench.claims.trials import EFFORTS
from curvebench.spec import UsageError

DOCS = Path(__file__).parents[2] / "docs"
KEYS = ("high-rate-is-fast", "start-from-1e-3-to-1e-2", "softmax-for-one-label")


@pytest.fixture(scope="module")
def found():
    return Investigation(
        effort=EFFORTS["small"],
        engine="fused",
        measurements={key: CLAIMS[key].judge(MADE_UP[key][HOLDS]) for key in KEYS},
        problems={"rates": ("problem-00", "problem-01"), "one_label": ("problem-00",)},
        dataset=None,
    )


def test_the_page_is_made_from_the_numbers(found, tmp_path):
    report = write_report(found, tmp_path / "new", "curvebench claims -o new")
    numbers = json.loads((tmp_path / "new/claims/claims.json").read_text(encoding="utf-8"))
    page = (tmp_path / "new/claims.md").read_text(encoding="utf-8")
    assert numbers == report == to_json(found, "curvebench claims -o new")
    assert to_markdown(numbers) == page
    for key in KEYS:
        assert f"\n## {key}\n" in page
        assert f"](#{key})" in page
        assert (tmp_path / f"new/claims/{key}.png").read_bytes().startswith(b"\x89PNG")
        assert CLAIMS[key].statement in page
        assert found.measurements[key].verdict.why in page
    assert "nan" not in page
    assert "problem-01" in page


def test_an_existing_page_is_kept(found, tmp_path):
    (tmp_path / "claims.md").write_text("precious")
    with pytest.raises(UsageError, match="already exists"):
        write_report(found, tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["claims.md"]
    write_report(found, tmp_path, "x", overwrite=True)
    assert (tmp_path / "claims.md").read_text() != "precious"


def test_a_folder_that_cannot_be_made_is_named(found, tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        write_report(found, tmp_path / "missing" / "new", "x")
    (tmp_path / "claims").write_text("a file")
    with pytest.raises(UsageError, match="claims"):
        write_report(found, tmp_path, "x")


def test_what_is_not_known_leaves_no_trace_in_json(found):
    measurement = found.measurements[KEYS[0]]
    nothing = Estimate(np.nan, np.nan, np.nan, 0)
    changed = replace(found, measurements={KEYS[0]: replace(measurement, effects={"it rains": nothing})})
    numbers = to_json(changed, "x")
    assert numbers["claims"][0]["effects"]["it rains"]["value"] is None
    assert "| it rains | no data | at least 0.90 | undecided |" in to_markdown(numbers)
    json.dumps(numbers, allow_nan=False)


# ------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize("key", MADE_UP)
def test_pictures_are_small_and_always_the_same(key):
    panels = CLAIMS[key].judge(MADE_UP[key][HOLDS]).panels
    image = draw(panels)
    assert image == draw(panels)
    assert 2_000 < len(image) < 200_000


def test_what_is_not_finite_is_not_drawn():
    series = Series("x", (1.0, 2.0, 3.0), (1.0, float("nan"), 2.0), (0.5, float("nan"), 1.0), (2.0, float("nan"), 3.0))
    assert draw([Panel("t", "x", "y", (series,))]).startswith(b"\x89PNG")


# --------------------------------------------------------------------------------- the copy in docs


@pytest.fixture(scope="module")
def published():
    return json.loads((DOCS / "claims" / "claims.json").read_text(encoding="utf-8"))


def test_the_published_page_is_that_of_the_published_numbers(published):
    assert (DOCS / "claims.md").read_text(encoding="utf-8") == to_markdown(published)


def test_the_published_claims_are_those_of_the_code(published):
    """Whoever changes a claim or its experiment makes the page again, by the command that it prints."""
    assert [claim["key"] for claim in published["claims"]] == list(CLAIMS)
    assert published["effort"] == dict(vars(EFFORTS["full"]))
    for claim in published["claims"]:
        ours = CLAIMS[claim["key"]]
        assert (claim["statement"], claim["note"]) == (ours.statement, ours.note)
        assert claim["what"] == EXPERIMENTS[ours.experiment].what


def test_published_verdicts_follow_from_published_effects(published):
    for claim in published["claims"]:
        verdict = decide(Rule(**claim["rule"]), {when: Estimate(**cell) for when, cell in claim["effects"].items()})
        assert claim["verdict"]["ruling"] == verdict.ruling
        assert tuple(claim["verdict"]["when"]) == verdict.when


def test_published_figures_come_from_enough_problems(published):
    for claim in published["claims"]:
        for when, effect in claim["effects"].items():
            is_rare = claim["experiment"] == "remedies"
            assert effect["n"] == 0 or effect["n"] >= (4 if is_rare else 10), f"{claim['key']} when {when}"
    for problems in published["problems"].values():
        assert len(problems) == len(set(problems)) >= 10


def test_published_pictures_are_all_there_and_no_others(published):
    shown = set(re.findall(r"\]\(claims/(\S+\.png)\)", (DOCS / "claims.md").read_text(encoding="utf-8")))
    assert shown == {path.name for path in (DOCS / "claims").glob("*.png")}
    assert shown == {f"{claim['key']}.png" for claim in published["claims"]}
