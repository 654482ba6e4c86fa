"""Agreement of verdicts with labels, against slow twins that count source by source."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from curvebench.cases.case import CASE_LABELS, Case
from curvebench.cases.scores import agreement, parts_of, share_of
from curvebench.spec import DIAGNOSES

LOWER = {"lr_too_high", "late_lr_too_high"}
HIGHER = {"lr_too_low", "late_lr_too_low"}


@st.composite
def judged(draw):
    """Cases with what was said about them."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(CASE_LABELS), st.integers(0, 3), st.integers(0, len(DIAGNOSES) - 1), st.booleans()
            ),
            min_size=1,
            max_size=20,
        )
    )
    cases = [Case(str(i), label, np.ones(1), source_url=f"page {s}") for i, (label, s, _, _) in enumerate(rows)]
    return cases, np.array([r[2] for r in rows]), np.array([r[3] for r in rows])


def outcome(case, said, abstained):
    if abstained:
        return "abstained"
    return "right" if DIAGNOSES[said] == ("healthy" if case.label == "other" else case.label) else "wrong"


@given(judged())
def test_shares_are_means_over_sources_of_shares_of_cases(made):
    cases, said, abstained = made
    outcomes = {case.id: outcome(case, s, a) for case, s, a in zip(cases, said, abstained, strict=True)}
    sources = sorted({case.source for case in cases})

    def share(name):
        of_source = [[outcomes[c.id] == name for c in cases if c.source == source] for source in sources]
        return np.mean([np.mean(flags) for flags in of_source])

    found = agreement(cases, said, abstained)
    assert (found.n_cases, found.n_sources) == (len(cases), len(sources))
    for name in ("right", "wrong", "abstained"):
        assert getattr(found, name).value == pytest.approx(share(name))
        assert getattr(found, f"n_{name}") == list(outcomes.values()).count(name)
    answered = share("right") + share("wrong")
    if answered:
        assert found.right_of_answered.value == pytest.approx(share("right") / answered)
        assert found.same_change_of_answered.value >= found.right_of_answered.value - 1e-12
    else:
        assert found.right_of_answered.value is found.right_of_answered.interval is None


@given(judged())
def test_the_same_change_is_a_rate_moved_the_same_way_or_the_same_diagnosis(made):
    cases, said, abstained = made

    def same(label, verdict):
        label = "healthy" if label == "other" else label
        return label == verdict or {label, verdict} <= LOWER or {label, verdict} <= HIGHER

    kept = [i for i in range(len(cases)) if not abstained[i]]
    one_each = [Case(c.id, c.label, c.loss) for c in cases]
    found = agreement(one_each, said, abstained).same_change_of_answered.value
    if kept:
        assert found == pytest.approx(np.mean([same(cases[i].label, DIAGNOSES[said[i]]) for i in kept]))


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_the_interval_is_that_of_scipy_for_whole_numbers(n):
    for k in range(n + 1):
        exact = binomtest(k, n).proportion_ci(0.95, method="exact")
        assert share_of(k, n).interval == pytest.approx((exact.low, exact.high))


@given(st.floats(0.01, 50), st.floats(0, 1))
def test_the_interval_holds_the_share_also_of_fractions(n, share):
    found = share_of(share * n, n)
    low, high = found.interval
    assert 0 <= low <= found.value + 1e-9
    assert found.value - 1e-9 <= high <= 1


def test_the_interval_covers_as_often_as_it_says_where_sources_have_several_cases():
    """Of sources whose share of right answers scatters around 0.7, eight at a time."""
    rng = np.random.default_rng(0)
    draws = rng.binomial(3, rng.beta(2.8, 1.2, size=(2000, 8))) / 3
    covered = [low <= 0.7 <= high for low, high in (share_of(k, 8).interval for k in draws.sum(axis=1))]
    assert np.mean(covered) >= 0.95


def test_one_of_one_proves_nearly_nothing():
    assert share_of(1, 1).interval == pytest.approx((0.025, 1.0))


def test_parts_are_all_ours_and_every_value_that_there_is():
    cases = [
        Case("1", "other", np.ones(1), kind="thread", confidence="low"),
        Case("2", "healthy", np.ones(1), confidence="high"),
        Case("3", "lr_too_high", np.ones(1), kind="a", confidence="low"),
    ]
    assert [(part.of, part.value, part.rows.tolist()) for part in parts_of(cases)] == [
        ("all", "", [0, 1, 2]),
        ("ours", "", [1, 2]),
        ("confidence", "high", [1]),
        ("confidence", "low", [0, 2]),
        ("kind", "a", [2]),
        ("kind", "thread", [0]),
        ("label", "lr_too_high", [2]),
        ("label", "healthy", [1]),
        ("label", "other", [0]),
    ]
    assert [part.of for part in parts_of(cases[:1])] == ["all", "confidence", "kind", "label"]
