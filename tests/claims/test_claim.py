"""How a verdict follows from effects."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.claims.claim import Estimate, Rule, Ruling, decide, exactly, number

GAIN = Rule("the gain", at_least=0.1)
YES, NO, MAYBE = Estimate(0.3, 0.2, 0.4, 9), Estimate(0.0, -0.1, 0.05, 9), Estimate(0.1, 0.0, 0.2, 9)


@pytest.mark.parametrize(
    ("effects", "ruling", "when"),
    [
        ({"a": YES, "b": YES}, Ruling.HOLDS, ()),
        ({"a": YES, "b": NO}, Ruling.HOLDS_ONLY, ("a",)),
        ({"a": MAYBE, "b": YES}, Ruling.HOLDS_ONLY, ("b",)),
        ({"a": NO, "b": NO}, Ruling.FAILS, ()),
        ({"a": NO, "b": MAYBE}, Ruling.FAILS, ()),
        ({"a": MAYBE, "b": MAYBE}, Ruling.OPEN, ()),
    ],
)
def test_rulings(effects, ruling, when):
    verdict = decide(GAIN, effects)
    assert (verdict.ruling, verdict.when) == (ruling, when)
    assert str(verdict).startswith(ruling.value)
    for effect in effects.values():
        assert str(effect) in verdict.why


def test_of_many_conditions_the_sentence_names_the_extremes():
    effects = {f"it is {i}": Estimate(i / 10, i / 10, i / 10, 5) for i in range(8)}
    why = decide(GAIN, effects).why
    assert why.startswith("The gain: asked for is at least 0.10, found is from 0 [0, 0] when it is 0 to 0.70 ")
    assert "it is 3" not in why


bounds = st.one_of(st.none(), st.floats(-2, 2))


@given(st.floats(-2, 2), st.floats(0, 1), bounds, bounds)
def test_a_rule_against_its_definition(low, width, at_least, at_most):
    effect = Estimate(low + width / 2, low, low + width, 5)
    inside = [
        (at_least is None or at_least <= x) and (at_most is None or x <= at_most) for x in (effect.low, effect.high)
    ]
    is_beyond = (at_least is not None and effect.high < at_least) or (at_most is not None and at_most < effect.low)
    assert Rule("x", at_least, at_most).holds(effect) is (True if all(inside) else False if is_beyond else None)


def test_nothing_is_decided_without_data():
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    assert GAIN.holds(nothing) is None
    assert str(nothing) == "no data"
    assert decide(GAIN, {"a": nothing}).ruling is Ruling.OPEN


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_keep_two_digits(value):
    assert float(number(value)) == pytest.approx(value, rel=0.05, abs=0.005 if abs(value) >= 0.005 else 1e-40)


def test_exact_figures_have_no_interval():
    assert str(exactly(0.5)) == "0.50"
    assert Rule("x", at_most=0.0).holds(exactly(0.0)) is True
