"""What is said about a curve is what is in it."""

from __future__ import annotations

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
