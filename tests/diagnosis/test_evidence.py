"""What is said about a curve is what is in it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curvebench.diagnosis import curve_of
from curvebench.diagnosis.evidence import evidence


def said(losses, **beside) -> str:
    return " ".join(evidence(replace(curve_of(losses), **beside)))


def test_a_fall_and_a_plateau():
    losses = np.concatenate([np.geomspace(1.0, 0.3, 11), np.full(90, 0.3)])
    text = said(losses)
    assert "It fell by 70 % in the first 10 % of the steps, then by 0.0 % in the rest." in text
    assert "The spread of the last third is 0.0 % of its mean." in text


def test_an_explosion():
    text = said([2.0, 3.0, 40.0, np.nan, np.nan])
    assert "NaN or infinite at point 3 (75 % of the log), and never came back." in text
    assert "It rose to 19.7 times its start" in text


def test_shares_of_the_steps_are_of_all_that_was_logged():
    """Of a run that died too."""
    text = said([1.0] * 10 + [2.0**k for k in range(1, 11)] + [np.nan] * 80)
    assert "NaN or infinite at point 20 (20 % of the log), and never came back." in text
    (rise,) = (int(share) for share in re.findall(r"times its start, at (\d+) % of the steps", text))
    assert 17 <= rise <= 20
    text = said([2.0**-k for k in range(11)] + [2.0**-10] * 10 + [np.nan] * 79)
    (fall,) = (int(share) for share in re.findall(r"in the first (\d+) % of the steps", text))
    assert 8 <= fall <= 11


def test_a_fact_is_told_once():
    assert "its lowest" not in said(np.geomspace(1, 50, 20))


def test_of_one_value_no_course_is_told():
    assert said([0.3]) == "No course can be read off it: it has 1 finite value."
    assert said([0.3, np.nan]).startswith("The loss was NaN or infinite at point 1")
    assert "fell" not in said([0.3, np.nan, np.nan])


def test_a_loss_that_comes_back():
    assert "1 later values are finite" in said([2.0, np.nan, 1.0])
    assert "It ends at 3.6 times its lowest, which it had at 50 % of the steps." in said([4.0, 2.0, 0.5, 1.0, 2.0])


def test_what_never_falls():
    assert "It never fell 1 % below its start" in said(np.full(30, 0.7))


def test_the_rate():
    n = 11
    text = said(np.linspace(2, 1, n), learning_rate=np.linspace(1e-3, 1e-5, n))
    assert "highest, 0.001, at 0 % of the steps; it ends at 1e-05." in text
    assert "The learning rate was 0.001 throughout." in said(np.linspace(2, 1, n), learning_rate=np.full(n, 1e-3))


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(width=32)))
def test_something_is_said_of_any_curve(losses):
    sentences = evidence(curve_of(losses))
    assert sentences
    assert all(sentence.endswith(".") for sentence in sentences)
