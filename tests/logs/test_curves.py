"""What is decided about columns: which is the loss, where a run begins, what stands beside which point."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvebench.logs import read_log
from curvebench.logs.curves import Wanted, curves_of
from curvebench.logs.names import Role, role_of
from curvebench.logs.numbers import parse_number
from curvebench.logs.run import Budget, RunBuilder
from curvebench.spec import InputError


def curves(rows, *, is_table=False, **names):
    builder = RunBuilder("run", "csv", Budget(), is_table=is_table)
    for row in rows:
        builder.add({name: float(value) for name, value in row.items()})
    return curves_of(builder.build(), Wanted(**names), may_guess=True)


def one(rows, **names):
    (curve,) = curves(rows, **names)
    return curve


def steps_and_losses(curve):
    return list(zip(curve.steps.tolist(), curve.train_loss.tolist(), strict=True))


# ---------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (Role.LOSS, "loss train_loss Loss/train train/loss training-loss trainLoss total_loss box_loss nll trl mse"),
        (Role.VALIDATION_LOSS, "val_loss valid_loss eval_loss eval/loss Loss/test validation/epoch_loss dev-loss tel"),
        (Role.LEARNING_RATE, "lr learning_rate lr-Adam lr/pg0 train/learning_rate learningRate opt/lr LR"),
        (Role.GRADIENT_NORM, "grad_norm train/grad_norm gnorm grad_2.0_norm_total gradient-norm"),
        (Role.STEP, "step _step global_step trainer/global_step iter iteration num_updates Step batch"),
        (Role.EPOCH, "epoch Epoch ep train/epoch current_epoch"),
        (Role.TIME, "_timestamp time train_time wall_time _runtime"),
        (
            Role.NOTHING,
            "accuracy val_acc loss_scale best_val_loss min_loss hparam/loss weight_norm batch_size iter_dt step_avg",
        ),
    ],
)
def test_roles_of_names(role, names):
    assert {name: role_of(name) for name in names.split()} == dict.fromkeys(names.split(), role)


@pytest.mark.parametrize(
    ("names", "loss", "val_loss"),
    [
        ("loss train_loss", "train_loss", None),
        ("box_loss loss mse", "loss", None),
        ("Train_Robust_Loss Train_Loss Test_Robust_Loss Test_Loss", "Train_Loss", "Test_Loss"),
        ("test_loss val_loss loss", "loss", "val_loss"),
        ("mae mse", "mae", None),
        ("batch_loss epoch_loss", "epoch_loss", None),
    ],
)
def test_which_of_several_is_the_loss(names, loss, val_loss):
    value = {name: float(i) for i, name in enumerate(names.split())}
    curve = one([value, value])
    assert curve.train_loss[0] == value[loss]
    assert (curve.val_loss is None) if val_loss is None else curve.val_loss[0] == value[val_loss]
    others = [name for name in value if role_of(name) is Role.LOSS and name != loss]
    for name in others:
        assert any(repr(loss) in note and repr(name) in note for note in curve.notes)


def test_a_loss_of_a_single_point_gives_way():
    curve = one([{"train_loss": 9}, {"loss": 2, "step": 1}, {"loss": 1, "step": 2}])
    assert curve.train_loss.tolist() == [2, 1]


def test_names_that_were_asked_for():
    rows = [{"a": 1, "b": 5, "c": 0.1}, {"a": 2, "b": 4, "c": 0.1}]
    curve = one(rows, x="a", y="b", lr="c")
    assert steps_and_losses(curve) == [(1, 5), (2, 4)]
    assert curve.learning_rate.tolist() == [0.1, 0.1]
    assert (curve.step_name, curve.notes[0]) == ("a", "The loss is 'b', as asked.")
    assert one([{"Train Loss": 1}, {"Train Loss": 0.5}], y="train_loss").train_loss.tolist() == [1, 0.5]
    with pytest.raises(InputError, match=r"There is no 'loss'.*There is 'a', 'b', 'c'"):
        curves(rows, y="loss")
    with pytest.raises(InputError, match="Did you mean 'learning_rate'"):
        curves([{"learning_rate": 1, "loss": 2}], lr="learning_rat")
    with pytest.raises(InputError, match="No column is called a loss; name the one that is"):
        curves(rows)


# --------------------------------------------------------------------------------------------------- starts


def test_a_new_start_is_a_curve_of_its_own():
    rows = [{"epoch": e, "loss": 10 * run + e} for run in range(3) for e in range(4)]
    made = curves(rows)
    assert [curve.run for curve in made] == [f"run (start {i} of 3)" for i in (1, 2, 3)]
    assert [steps_and_losses(c) for c in made] == [[(e, 10 * r + e) for e in range(4)] for r in range(3)]


def test_a_validation_loss_goes_with_its_start():
    rows = [{"step": s, **({"loss": s} if s % 2 else {"val_loss": 10 * run + s})} for run in range(2) for s in range(6)]
    first, second = curves(rows)
    assert first.val_loss.tolist() == [0, 2, 4]  # that of step 0 stands at step 1, the first point after it
    assert second.val_loss.tolist() == [10, 12, 14]


def test_a_resumption_overrules_what_was_logged_before():
    rows = [{"step": s, "loss": s} for s in range(10)] + [{"step": s, "loss": 100 + s} for s in range(6, 12)]
    curve = one(rows)
    assert steps_and_losses(curve) == [(s, s if s < 6 else 100 + s) for s in range(12)]
    assert any("resumed" in note for note in curve.notes)
    assert any("left out: 4 points" in note for note in curve.notes)


def test_parts_in_disorder_are_one_run():
    order = [*range(50, 100), *range(25, 51), *range(26)]
    curve = one([{"step": s, "loss": s / 2} for s in order])
    assert steps_and_losses(curve) == [(s, s / 2) for s in range(100)]
    curve = one([{"step": s, "loss": s / 2} for s in (3, 1, 2)])
    assert curve.steps.tolist() == [1, 2, 3]
    assert any("out of order" in note for note in curve.notes)


def test_points_are_counted_where_steps_do_not_tell_them_apart():
    curve = one([{"epoch": i // 5, "loss": i, **({"val_loss": i} if i % 5 == 4 else {})} for i in range(20)])
    assert (curve.step_name, curve.steps.tolist()) == ("point", list(range(20)))
    assert curve.epochs.tolist() == [i // 5 for i in range(20)]
    assert curve.val_loss[4:9].tolist() == [4.0] * 5
    assert any("does not tell points apart" in note for note in curve.notes)


def test_steps_within_epochs_are_counted_through():
    rows = [{"epoch": e, "batch": b, "loss": 10 * e + b} for e in (1, 2) for b in range(3)]
    curve = one(rows)
    assert steps_and_losses(curve) == [(i, value) for i, value in enumerate([10, 11, 12, 20, 21, 22])]


def test_steps_that_mean_nothing_are_counted():
    rng = np.random.default_rng(0)
    rows = [{"step": s, "loss": i} for i, s in enumerate(rng.integers(0, 50, 1000))]
    curve = one(rows)
    assert curve.step_name == "point"
    assert curve.train_loss.tolist() == list(range(1000))


def test_points_without_a_step_are_left_out():
    curve = one([{"step": 0, "loss": 2}, {"loss": 9}, {"step": math.nan, "loss": 9}, {"step": 2, "loss": 1}])
    assert steps_and_losses(curve) == [(0, 2), (2, 1)]
    assert any("Left out: 2 points without a step" in note for note in curve.notes)


# ------------------------------------------------------------------------------------------ slow twins, properties


def beside(loss_steps, other):
    """Slow twin: for each point of the loss the last value at a step up to it; what follows the last stands there."""
    found = []
    for i, step in enumerate(loss_steps):
        is_last = i == len(loss_steps) - 1
        before = [value for s, value in sorted(other.items()) if s <= step or is_last]
        found.append(before[-1] if before else math.nan)
    return found


@settings(max_examples=100)
@given(
    st.sets(st.integers(0, 40), min_size=1, max_size=20),
    st.dictionaries(st.integers(0, 50), st.floats(-5, 5), min_size=1, max_size=20),
)
def test_what_stands_beside_a_point_is_as_in_the_slow_twin(loss_steps, other):
    rows = [{"step": s, "loss": s} for s in loss_steps] + [{"step": s, "val_loss": v} for s, v in other.items()]
    rows.sort(key=lambda row: row["step"])
    curve = one(rows)
    np.testing.assert_array_equal(curve.val_loss, beside(sorted(loss_steps), other))


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(-5, 20), st.floats(allow_nan=True)), min_size=1, max_size=60))
def test_whatever_the_steps_every_point_is_kept_or_counted(points):
    made = curves([{"step": s, "loss": value} for s, value in points])
    for curve in made:
        assert (np.diff(curve.steps) > 0).all()
        assert len(curve.steps) == len(curve.train_loss)
        assert not curve.train_loss.flags.writeable
    kept = [value for curve in made for value in curve.train_loss.tolist()]
    assert all(any(v == value or (v != v and value != value) for _, value in points) for v in kept)
    by_count = any(curve.step_name == "point" for curve in made)
    assert by_count or {s for s, _ in points} == {int(s) for curve in made for s in curve.steps}


@settings(max_examples=200)
@given(st.floats())
def test_numbers_survive_every_way_of_writing(value):
    for text in (repr(value), f"{value:e}", f" {value!r} ", f'"{value!r}"', repr(value).upper()):
        read = parse_number(text)
        if math.isfinite(value):
            assert read == pytest.approx(value, rel=1e-6)
        else:
            assert read == value or (math.isnan(read) and math.isnan(value))
    if math.isfinite(value):
        assert parse_number(repr(value).replace(".", ","), decimal_comma=True) == value


@pytest.mark.parametrize("text", ["nan", "NaN", "NAN", "-nan", "+nan", "nan(ind)", "-nan(ind)", "1.#QNAN", "-1.#IND00"])
def test_spellings_of_nan(text, tmp_path):
    assert math.isnan(parse_number(text))
    (tmp_path / "log.csv").write_text(f"step,loss\n0,1.5\n1,{text}\n")
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")[0].train_loss, [1.5, math.nan])


@pytest.mark.parametrize(
    "text", ["inf", "Inf", "INF", "Infinity", "+inf", "-inf", "-Infinity", "1e999", "-1e999", "1.#INF", "1#INF"]
)
def test_spellings_of_infinity(text, tmp_path):
    infinity = -math.inf if text.startswith("-") else math.inf
    assert parse_number(text) == infinity
    (tmp_path / "log.csv").write_text(f"step,loss\n0,1.5\n1,{text}\n")
    assert read_log(tmp_path / "log.csv")[0].train_loss[1] == infinity


@pytest.mark.parametrize(
    ("text", "value"),
    [("nan", math.nan), ("NaN", math.nan), ("-NAN", math.nan), ('"NaN"', math.nan), ("Infinity", math.inf),
     ("-inf", -math.inf), ('"-Infinity"', -math.inf), ("1e999", math.inf), ("9" * 5000, math.inf)],
)  # fmt: skip
def test_spellings_in_json(text, value, tmp_path):
    for content in (
        f'{{"loss": [1.5, {text}]}}',
        f'{{"loss": 1.5}}\n{{"loss": {text}}}',
        json.dumps({"log_history": [{"loss": 1.5}, {"loss": "?"}]}).replace('"?"', text),
    ):
        (tmp_path / "log.json").write_text(content)
        np.testing.assert_array_equal(read_log(tmp_path / "log.json")[0].train_loss, [1.5, value])


@pytest.mark.parametrize("text", ["", "NA", "N/A", "null", "None", "-", " "])
def test_what_says_that_nothing_was_logged(text, tmp_path):
    assert parse_number(text) is None
    (tmp_path / "log.csv").write_text(f"step,loss,val_loss\n0,1.5,1\n1,{text},2\n2,1.2,\n")
    np.testing.assert_array_equal(read_log(tmp_path / "log.csv")[0].train_loss, [1.5, 1.2])
