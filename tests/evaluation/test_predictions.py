"""The file of arrays: what goes in comes out, and nothing that is broken or hostile does."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvebench.evaluation import predictions
from curvebench.evaluation.evaluate import Answers
from curvebench.evaluation.predictions import answers_of, arrays_of, from_npz, to_npz
from curvebench.spec import NO_REMEDY, Action, InputError, Remedy

N = 5


def make_answers(*, prescribes=True):
    rng = np.random.default_rng(0)
    remedies = [NO_REMEDY, Remedy(Action.RESTART, 0.1), Remedy(Action.RESUME, 10.0, 0.3), Remedy(Action.CHANGE_OUTPUT)]
    return Answers(
        probabilities=rng.dirichlet(np.ones(6), N).astype(np.float32),
        prescribed=[*remedies, None] if prescribes else [None] * N,
        is_abstained=np.array([True, False, False, False, True]),
        is_crashed=np.array([False, False, False, False, True]),
        microseconds_per_curve=3.0,
    )


@pytest.fixture
def arrays():
    said = [make_answers(), None, make_answers(prescribes=False)]
    remedy = np.array([0, 3, -1, 2, 0])
    return arrays_of(said, [remedy, None, remedy], np.arange(N))


@pytest.mark.parametrize("i", [0, 2])
def test_what_goes_in_comes_out(arrays, i):
    content = to_npz(arrays)
    said, remedy = answers_of(from_npz(content, "f"), i, N, 3.0, "f")
    expected = make_answers(prescribes=i == 0)
    for name, value in vars(expected).items():
        found = getattr(said, name)
        assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value, name
    np.testing.assert_array_equal(remedy, [0, 3, -1, 2, 0])
    assert content == to_npz(arrays), "the same bytes every time"


def test_numpy_itself_reads_it_without_pickle(arrays):
    with np.load(io.BytesIO(to_npz(arrays)), allow_pickle=False) as file:
        assert set(file) == set(arrays)
        np.testing.assert_array_equal(file["prediction_0"], make_answers().prediction)


def zipped(entries):
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return image.getvalue()


def npy(array, **options):
    image = io.BytesIO()
    np.lib.format.write_array(image, array, **options)
    return image.getvalue()


LYING = npy(np.zeros(2)).replace(b"(2,)", b"(9,)")
HUGE = npy(np.zeros(2)).replace(b"(2,), }      ", b"(9999999999,),")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 and no more",
        zipped({"run.npy": b"not an array"}),
        zipped({"run.npy": npy(np.array([object()], dtype=object), allow_pickle=True)}),
        zipped({"run.npy": npy(np.array(["text"]))}),
        zipped({"run.npy": npy(np.zeros((2, 2), order="F"))}),
        zipped({"run.npy": npy(np.zeros(2), version=(2, 0))}),
        zipped({"run.npy": LYING}),
        zipped({"run.npy": HUGE}),
        zipped({"run.npy": npy(np.zeros(2))[:-1]}),
        zipped({"run.npy": npy(np.array([True])).replace(b"\n\x01", b"\n\x07")}),
    ],
)
def test_what_is_no_such_file_is_refused(content):
    with pytest.raises(InputError, match="f is no file of predictions"):
        from_npz(content, "f")


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch, arrays):
    monkeypatch.setattr(predictions, "MAX_INFLATED_BYTES", 1000)
    bomb = zipped({"run.npy": npy(np.zeros(10**6))})
    assert len(bomb) < 10_000
    with pytest.raises(InputError, match="more than"):
        from_npz(bomb, "f")
    monkeypatch.setattr(predictions, "MAX_ARRAYS", 3)
    with pytest.raises(InputError, match="more than 3 arrays"):
        from_npz(to_npz(arrays), "f")


@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_harmless(at, bit):
    original = to_npz(arrays_of([make_answers()], [np.zeros(N, dtype=int)], np.arange(N)))
    changed = bytearray(original)
    changed[at % len(original)] ^= 1 << bit
    message = "f is in order"
    try:
        from_npz(bytes(changed), "f")
    except InputError as error:
        message = str(error)
    assert message.startswith("f ")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("remedy_0", None, "lacks the array remedy_0"),
        ("remedy_0", np.zeros(N - 1, "<i2"), "remedy_0 is int16"),
        ("remedy_0", np.zeros(N, "<i4"), "remedy_0 is int32"),
        ("probabilities_0", np.full((N, 6), np.nan, "<f4"), "no probabilities"),
        ("probabilities_0", np.full((N, 6), 0.5, "<f4"), "no probabilities"),
        ("probabilities_0", np.tile(np.float32([2, -1, 0, 0, 0, 0]), (N, 1)), "no probabilities"),
        ("prediction_0", np.full(N, 3, "|u1"), "not the most probable"),
        ("prescribed_0", np.full((N, 3), np.nan, "<f8"), "no remedy"),
        ("prescribed_0", np.tile([2.0, 0.1, 1.5], (N, 1)), "no remedy"),
        ("prescribed_0", np.tile([99.0, 1.0, 0.0], (N, 1)), "no remedy"),
        ("prescribed_0", np.tile([4.0, 1.0, 0.0], (N, 1)), "no remedy"),
    ],
)
def test_what_no_diagnoser_may_say_is_refused(arrays, name, value, words):
    changed = {k: v for k, v in {**arrays, name: value}.items() if v is not None}
    with pytest.raises(InputError) as error:
        answers_of(from_npz(to_npz(changed), "f"), 0, N, 3.0, "f")
    assert words in str(error.value)
