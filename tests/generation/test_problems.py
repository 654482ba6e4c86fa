"""Every problem family keeps the contract, is honest about its floor, and has the bits that it always had."""

import functools
import hashlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from curvebench.generation.problems import DOCUMENTED, FAMILIES, FITTING, TARGET_RANGES, constant_loss, make_problem
from curvebench.generation.problems.assembly import mean_and_scale
from curvebench.generation.problems.bundled import split_sizes
from curvebench.generation.problems.draws import draw_labels, integer_between, log_uniform
from curvebench.generation.problems.mixtures import posterior_of_clouds
from curvebench.generation.problems.sequences import _posterior as _posterior_of_pairs
from curvebench.generation.problems.teachers import _draw_poisson, _softmax
from curvebench.generation.random_streams import stream
from curvebench.spec import LOSSES, OBJECTIVE_OF_LOSS, OUTPUT_ACTIVATIONS, SEQUENCE_FEATURES, TASKS, UsageError

REAL = ("digits", "breast_cancer", "wine", "diabetes")
STANDARDISED = tuple(family for family in FAMILIES if family not in DOCUMENTED)
SYNTHETIC = tuple(family for family in STANDARDISED if family not in REAL)
ARRAYS = ("train_inputs", "train_targets", "val_inputs", "val_targets")
N_TRAIN, N_VAL = 200, 60

make = functools.cache(functools.partial(make_problem, n_train=N_TRAIN, n_val=N_VAL))

every_family = pytest.mark.parametrize("family", FAMILIES)
every_standardised_family = pytest.mark.parametrize("family", STANDARDISED)
every_documented_family = pytest.mark.parametrize("family", DOCUMENTED)


def sizes_of(family, index):
    """Examples for training and for validation that an instance has, of those that are asked for."""
    if family == "wine":
        return split_sizes(178, N_TRAIN, N_VAL)
    return (6, 6) if family == "xor" and index % 2 else (4, 4) if family == "xor" else (N_TRAIN, N_VAL)


def as_float64(array):
    return np.asarray(array, dtype=np.float64)


def example_losses(predictions, targets, task, objective):
    """(n_examples,) objective of predictions in target space, in plain NumPy."""
    predictions, targets = as_float64(predictions), as_float64(targets)
    if objective == "squared_error":
        return ((predictions - targets) ** 2).mean(axis=1)
    if task == "binary":
        of_the_label = np.where(targets > 0.5, predictions, 1.0 - predictions)
        return -np.log(of_the_label).mean(axis=1)
    return -(np.log(predictions) * targets).sum(axis=1)


@every_family
def test_shapes_types_and_names(family):
    for index in range(3):
        problem = make(family, index, 0)
        n_train, n_val = len(problem.train_inputs), len(problem.val_inputs)
        assert (n_train, n_val) == sizes_of(family, index)
        assert problem.train_targets.shape[0] == n_train
        assert problem.val_targets.shape[0] == n_val
        assert problem.train_inputs.shape[1] == problem.val_inputs.shape[1]
        assert problem.train_targets.shape[1] == problem.val_targets.shape[1]
        for name in ARRAYS:
            array = getattr(problem, name)
            assert array.dtype == np.float32
            assert array.ndim == 2
            assert np.isfinite(array).all()
            assert not array.flags.writeable
        assert problem.name == f"{family}-0{index}"
        assert len(problem.name) <= 48
        assert problem.family == family
        assert problem.task in TASKS
        assert problem.target_range in TARGET_RANGES
        assert problem.fitting_output in OUTPUT_ACTIVATIONS
        assert problem.fitting_loss in LOSSES
        assert problem.source_licence


@every_family
def test_the_same_call_gives_the_same_problem(family):
    first, second = make(family, 1, 5), make_problem(family, 1, 5, N_TRAIN, N_VAL)
    assert all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ARRAYS)
    assert first.floor == second.floor


@every_standardised_family
def test_other_instances_and_other_seeds_differ(family):
    problem = make(family, 0, 0)
    for other in (make(family, 1, 0), make(family, 0, 1)):
        assert not np.array_equal(problem.train_inputs, other.train_inputs)
        assert not np.array_equal(problem.train_targets, other.train_targets)


@every_standardised_family
def test_natural_parameters_differ_between_instances_and_not_with_size(family):
    instances = [make(family, index, 0) for index in range(6)]
    parameters = {(p.train_inputs.shape[1], p.train_targets.shape[1], p.floor) for p in instances}
    assert len(parameters) >= 3
    for problem in instances[:3]:
        smaller = make_problem(family, int(problem.name[-2:]), 0, 64, 16)
        assert smaller.train_inputs.shape == (64, problem.train_inputs.shape[1])
        assert smaller.train_targets.shape == (64, problem.train_targets.shape[1])


@every_standardised_family
def test_inputs_are_standardised_by_the_training_part(family):
    inputs = as_float64(make(family, 0, 0).train_inputs)
    deviations = inputs.std(axis=0)
    assert np.abs(inputs.mean(axis=0)).max() < 1e-6
    assert np.all((np.abs(deviations - 1.0) < 1e-6) | (deviations == 0.0))
    if family != "digits":
        assert deviations.min() > 0.0


@every_family
def test_targets_are_in_the_declared_range(family):
    for index in range(3):
        problem = make(family, index, 0)
        targets = np.concatenate([problem.train_targets, problem.val_targets])
        if problem.target_range == "classes":
            assert problem.task in ("binary", "multiclass")
            assert np.isin(targets, (0.0, 1.0)).all()
            assert targets.shape[1] == 1 if problem.task == "binary" else np.all(targets.sum(axis=1) == 1.0)
            continue
        if problem.target_range == "label_set":
            assert problem.task == "binary"
            assert np.isin(targets, (0.0, 1.0)).all()
            assert len(np.unique(targets.sum(axis=1))) > 2, "none, one or several at once"
            continue
        if problem.target_range == "distribution":
            assert problem.task == "multiclass"
            assert np.all(targets > 0.0)
            np.testing.assert_allclose(targets.sum(axis=1), 1.0, atol=1e-6)
            continue
        assert problem.task == "regression"
        low, high = {"unit_interval": (0, 1), "symmetric_unit": (-1, 1), "non_negative": (0, math.inf)}.get(
            problem.target_range, (-math.inf, math.inf)
        )
        assert targets.min() >= low
        assert targets.max() <= high
        if problem.target_range == "real" and family not in DOCUMENTED:
            assert targets.min() < -1.0
            assert targets.max() > 1.0


@every_family
def test_something_can_be_learned(family):
    for index in range(6):
        problem = make(family, index, 0)
        objective = OBJECTIVE_OF_LOSS[problem.fitting_loss]
        constant = constant_loss(problem.train_targets, problem.task, objective)
        assert constant > 0.01
        if family in REAL or family == "hypercube":
            assert problem.floor is None
            assert problem.best_predictions is None
        else:
            assert (0.0 if family in DOCUMENTED else 1e-9) <= problem.floor < 0.8 * constant


@pytest.mark.parametrize("family", SYNTHETIC)
def test_the_floor_is_what_the_best_predictions_reach(family):
    deviations = []
    for index in range(12):
        problem = make(family, index, 0)
        objective = OBJECTIVE_OF_LOSS[problem.fitting_loss]
        losses = example_losses(problem.best_predictions, problem.train_targets, problem.task, objective)
        if problem.target_range == "distribution":
            assert losses.mean() == pytest.approx(problem.floor, rel=1e-6), "the targets themselves, without noise"
            continue
        deviations.append((losses.mean() - problem.floor) / (losses.std() / math.sqrt(len(losses))))
    # Skewed losses make single instances stray further than a normal number would; their mean may not.
    if deviations:
        assert np.abs(deviations).max() < 6.0
        assert abs(np.mean(deviations)) < 4.0 / math.sqrt(12)


@pytest.mark.parametrize("family", SYNTHETIC)
def test_nothing_near_the_best_predictions_is_better(family):
    """The expected loss has its minimum at the best predictions: the mean slope of the loss there is zero."""
    for index in range(6):
        problem = make(family, index, 0)
        residuals = as_float64(problem.train_targets) - problem.best_predictions
        for direction in (np.ones_like(residuals), as_float64(problem.best_predictions)):
            slopes = (residuals * direction)[:, 0]
            assert abs(slopes.mean()) <= 4.5 * slopes.std() / math.sqrt(len(slopes))


@pytest.mark.parametrize("family", [family for family in DOCUMENTED if family != "hypercube"])
def test_the_best_predictions_of_documented_data_reach_their_floor(family):
    """Without noise they are the targets; the cube of a normal number has heavy tails, so they are looked at wide."""
    for index in range(4):
        problem = make(family, index, 0)
        if problem.floor == 0.0:
            np.testing.assert_array_equal(problem.best_predictions, problem.train_targets)
            continue
        objective = OBJECTIVE_OF_LOSS[problem.fitting_loss]
        best = np.maximum(as_float64(problem.best_predictions), 1e-50)  # 0 times the logarithm of 0 is 0
        losses = example_losses(best, problem.train_targets, problem.task, objective)
        spread = losses.std()
        if problem.task == "multiclass":  # where clouds hardly touch, the rare examples that cost much may be none
            spread = max(spread, math.sqrt((best * np.log(best) ** 2).sum(axis=1).mean()))
        assert abs(losses.mean() - problem.floor) < 6 * spread / math.sqrt(len(losses))


@pytest.mark.parametrize("family", REAL)
def test_no_example_is_in_both_parts(family):
    problem = make(family, 0, 0)
    training = {row.tobytes() for row in problem.train_inputs}
    assert not any(row.tobytes() in training for row in problem.val_inputs)


def test_real_data_are_clipped_to_what_there_is():
    problem = make_problem("wine", 0, 0, 512, 128)
    assert (len(problem.train_inputs), len(problem.val_inputs)) == (143, 35)
    assert split_sizes(100, 80, 20) == (80, 20)
    assert split_sizes(100, 1000, 8) == (99, 1)


def test_all_tasks_and_target_ranges_are_covered():
    problems = [make(family, 0, 0) for family in FAMILIES]
    assert {p.task for p in problems} == set(TASKS)
    assert {p.target_range for p in problems} == set(TARGET_RANGES) == set(FITTING)


# ------------------------------------------------------------------------------------------ documented data


def test_documented_data_are_what_is_documented():
    parabola = make_problem("parabola", 0, 0, n_train=50, n_val=16)
    np.testing.assert_allclose(parabola.train_inputs[:, 0], [0.1 * i for i in range(50)], rtol=1e-6)
    np.testing.assert_allclose(parabola.best_predictions, 5 * parabola.train_inputs**2, rtol=1e-6)
    quartic = make_problem("quartic", 0, 0, n_train=400, n_val=64)
    np.testing.assert_allclose(quartic.train_targets, as_float64(quartic.train_inputs) ** 4, rtol=1e-6)
    assert (quartic.train_inputs.min(), quartic.train_targets.max()) == (-100.0, 1e8)
    doubles = make_problem("doubles", 0, 0, n_train=200, n_val=32)
    assert doubles.train_inputs[:, 0].tolist() == list(range(200))
    assert doubles.train_targets[:, 0].tolist() == [2 * x for x in range(200)]
    for index, n_points in enumerate((4, 6)):
        xor = make("xor", index, 0)
        assert [int(a) ^ int(b) for a, b in xor.train_inputs] == xor.train_targets[:, 0].tolist()
        assert len(xor.train_inputs) == n_points
        assert len({tuple(point) for point in xor.train_inputs.tolist()}) == 4
    bits = make("equal_bits", 0, 0)
    assert [float(a == b) for a, b in bits.train_inputs] == bits.train_targets[:, 0].tolist()
    assert len({tuple(point) for point in bits.train_inputs.tolist()}) == 4


def test_every_second_instance_of_the_quartic_is_the_first_standardised():
    raw, scaled = make("quartic", 0, 0), make("quartic", 1, 0)
    for name in ("inputs", "targets"):
        values, training = as_float64(getattr(raw, f"val_{name}")), as_float64(getattr(raw, f"train_{name}"))
        expected = (values - training.mean()) / training.std()
        np.testing.assert_allclose(getattr(scaled, f"val_{name}"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["parabola", "quartic", "doubles"])
def test_points_on_a_line_are_validated_between_them(family):
    problem = make(family, 0, 0)
    train, val = sorted(problem.train_inputs[:, 0].tolist()), problem.val_inputs[:, 0].tolist()
    distance = train[1] - train[0]
    assert len(set(val)) == N_VAL
    for x in val:
        assert min(abs(x - other) for other in train) == pytest.approx(distance / 2, rel=1e-3)


def test_a_linear_map_has_ten_weights_that_count():
    problem = make("linear_map", 0, 0)
    x, y = as_float64(problem.train_inputs), as_float64(problem.train_targets)[:, 0]
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.count_nonzero(np.abs(weights) > 1e-3) == 10
    assert weights.min() > -1e-3
    assert weights.max() < 100.0


def test_classes_of_documented_data_are_as_many_and_where_they_should_be():
    squares = make("two_squares", 0, 0)
    assert np.array_equal(np.floor(squares.train_inputs).min(axis=1), squares.train_targets[:, 1])
    blobs = make("blobs", 0, 0)
    for k in range(3):
        members = as_float64(blobs.train_inputs)[blobs.train_targets[:, k] == 1.0]
        assert np.abs(members.std(axis=0) - 1.0).max() < 0.4
        assert np.abs(members.mean(axis=0)).max() < 10.5
    for problem in (squares, blobs):
        counts = problem.train_targets.sum(axis=0)
        assert counts.max() - counts.min() <= 1.0
    hypercube = make("hypercube", 0, 0)
    assert np.linalg.matrix_rank(hypercube.train_inputs, tol=1e-3) == 5, "two of the seven inputs mix two others"
    assert abs(hypercube.train_targets.mean() - 0.5) < 0.03


# ------------------------------------------------------------------------------------------------ the table


def test_a_mistyped_family_is_answered_with_the_right_one():
    with pytest.raises(
        UsageError, match=r"no problem family 'spiral'. Did you mean 'spirals'\? Known families: digits,"
    ):
        make_problem("spiral", 0, 0)
    with pytest.raises(UsageError, match="Known families"):
        make_problem("zzz", 0, 0)


@pytest.mark.parametrize(("index", "n_train", "n_val"), [(-1, 64, 16), (0, 15, 16), (0, 64, 7)])
def test_impossible_instances_are_refused(index, n_train, n_val):
    with pytest.raises(UsageError):
        make_problem("moons", index, 0, n_train, n_val)


def test_importing_the_table_imports_neither_scikit_learn_nor_torch():
    code = (
        "import sys, curvebench.generation.problems; sys.exit(bool({'sklearn', 'torch', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------------------------------- the best constant


def test_constant_loss_of_a_regression_is_the_variance():
    targets = make("compass", 0, 0).train_targets
    expected = as_float64(targets).var(axis=0).mean()
    assert constant_loss(targets, "regression", "squared_error") == pytest.approx(expected, rel=1e-12)
    assert math.isnan(constant_loss(targets, "regression", "cross_entropy"))


@pytest.mark.parametrize("family", ["moons", "digits"])
@pytest.mark.parametrize("objective", ["squared_error", "cross_entropy"])
def test_constant_loss_of_classes_is_the_loss_of_their_frequencies(family, objective):
    problem = make(family, 0, 0)
    frequencies = np.broadcast_to(as_float64(problem.train_targets).mean(axis=0), problem.train_targets.shape)
    losses = example_losses(frequencies, problem.train_targets, problem.task, objective)
    found = constant_loss(problem.train_targets, problem.task, objective)
    assert found == pytest.approx(losses.mean(), rel=1e-12)


def test_constant_loss_of_one_class_is_zero():
    assert constant_loss(np.ones((5, 1)), "binary", "cross_entropy") == 0.0
    assert constant_loss(np.tile([0.0, 1.0, 0.0], (5, 1)), "multiclass", "cross_entropy") == 0.0


def test_constant_loss_refuses_unknown_names():
    with pytest.raises(UsageError, match="objectives are squared_error, cross_entropy"):
        constant_loss(np.ones((5, 1)), "binary", "hinge")
    with pytest.raises(UsageError, match="tasks are"):
        constant_loss(np.ones((5, 1)), "ranking", "squared_error")


# ------------------------------------------------------------------------------------------------ the parts


def test_a_constant_column_has_scale_one():
    means, scales = mean_and_scale(np.array([[0.5, 1.0], [0.5, 3.0], [0.5, 5.0]]))
    assert means.tolist() == [0.5, 3.0]
    assert scales[0] == 1.0
    assert scales[1] == pytest.approx(math.sqrt(8 / 3))


def test_poisson_counts_have_the_right_frequencies():
    counts = _draw_poisson(stream(0, "poisson"), np.full(5000, 3.0))
    observed = np.bincount(counts, minlength=9)
    expected = 5000 * np.array([math.exp(-3.0) * 3.0**k / math.factorial(k) for k in range(9)])
    assert ((observed[:9] - expected) ** 2 / expected).sum() < 26


def test_labels_follow_their_probabilities():
    posterior = np.tile([0.2, 0.0, 0.5, 0.3], (4000, 1))
    observed = np.bincount(draw_labels(stream(0, "labels"), posterior), minlength=4)
    assert observed[1] == 0
    expected = np.array([800, 2000, 1200])
    assert ((observed[[0, 2, 3]] - expected) ** 2 / expected).sum() < 14


def test_softmax_is_softmax():
    scores = np.array([[1.0, -2.0, 0.5], [800.0, 0.0, 799.0]])
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(_softmax(scores), shifted / shifted.sum(axis=1, keepdims=True), rtol=1e-14)


def test_posterior_is_bayes_rule():
    points = stream(0, "points").normal((20, 3))
    centres = stream(0, "centres").normal((4, 5, 3))
    squares = ((points[:, None, None] - centres) ** 2).sum(axis=-1)
    density = np.exp(-squares / (2 * 0.7**2)).sum(axis=-1)
    np.testing.assert_allclose(
        posterior_of_clouds(points, centres, 0.7), density / density.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_frequent_classes_are_likelier():
    points = stream(0, "points").normal((20, 3))
    centres, shares = stream(0, "centres").normal((4, 1, 3)), np.array([0.4, 0.3, 0.2, 0.1])
    expected = posterior_of_clouds(points, centres, 0.7) * shares
    np.testing.assert_allclose(
        posterior_of_clouds(points, centres, 0.7, shares), expected / expected.sum(axis=1, keepdims=True), rtol=1e-12
    )


def test_many_classes_are_as_frequent_as_words():
    """The first of the classes are the most frequent, in some instances by far."""
    over = []
    for index in range(8):
        counts = make_problem("many_classes", index, 0, 1024, 128).train_targets.sum(axis=0)
        assert 10 <= len(counts) <= 40
        over.append(counts[: len(counts) // 4].mean() / counts[-(len(counts) // 4) :].mean())
    assert min(over) > 0.8
    assert max(over) > 3


def test_the_class_of_a_sequence_is_which_two_events_came_in_which_order():
    """Scaling hardly changes which two coordinates of kinds stand out, where the noise is low."""
    for index in range(8):
        problem = make("sequences", index, 0)
        examples, n_classes = problem.train_inputs, problem.train_targets.shape[1]
        n_kinds = math.isqrt(n_classes)
        coordinates = examples.reshape(len(examples), -1, SEQUENCE_FEATURES)[:, :, :n_kinds]
        found = []
        for sequence in coordinates:
            first, second = sorted(np.argsort(sequence, axis=None)[-2:])  # step by step, so the earlier comes first
            found.append(n_kinds * (first % n_kinds) + second % n_kinds)
        agreement = np.mean(found == problem.train_targets.argmax(axis=1))
        backwards = [n_kinds * (pair % n_kinds) + pair // n_kinds for pair in found]
        assert agreement > 0.4
        assert agreement > np.mean(backwards == problem.train_targets.argmax(axis=1)) + 0.1


def test_probabilities_of_two_events_are_bayes_rule():
    scatter, coordinates = 0.4, stream(0, "events").normal((20, 5, 3))

    def likelihood(sequence, means):
        return math.prod(math.exp(-((x - m) ** 2) / (2 * scatter**2)) for x, m in zip(sequence, means, strict=True))

    expected = np.zeros((20, 9))
    for example, sequence in enumerate(coordinates):
        for earlier, later in itertools.combinations(range(5), 2):
            for first, second in itertools.product(range(3), repeat=2):
                means = np.zeros((5, 3))
                means[earlier, first] = means[later, second] = 1.0
                expected[example, 3 * first + second] += likelihood(sequence.ravel(), means.ravel())
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_posterior_of_pairs(coordinates, scatter), expected, rtol=1e-10)


def test_sequences_differ_in_length_classes_and_noise():
    problems = [make("sequences", index, 0) for index in range(12)]
    assert len({p.train_inputs.shape[1] for p in problems}) >= 4
    assert {p.train_targets.shape[1] for p in problems} == {4, 9}
    assert all(p.train_inputs.shape[1] % SEQUENCE_FEATURES == 0 for p in problems)
    floors = [p.floor / constant_loss(p.train_targets, p.task, "cross_entropy") for p in problems]
    assert max(floors) > 2 * min(floors)


def test_parameters_stay_between_their_ends():
    draw = stream(0, "parameters")
    assert {integer_between(draw, 2, 4) for _ in range(60)} == {2, 3, 4}
    assert all(0.01 <= log_uniform(draw, 0.01, 3.0) <= 3.0 for _ in range(60))


# ------------------------------------------------------------------------------------------------- the bits

GOLDEN = {
    "digits": "b6d8e2863f4a436c",
    "breast_cancer": "f1abb943278c2830",
    "wine": "9b01f2367707ff0f",
    "diabetes": "565176190d8c2bdd",
    "teacher": "ac2f7b1415541065",
    "teacher_classes": "a0fff6d2cc338217",
    "unit_teacher": "99d84411f7d4f4e3",
    "counts": "f70ef16836526666",
    "friedman1": "f19e4c3f0989549c",
    "sine": "1de443ac2277bcb6",
    "compass": "cb75b20fffb099d8",
    "spirals": "2c83599253162473",
    "moons": "5be41b363a9f44f6",
    "gaussian_mixture": "af88fe1eb18c65c7",
    "label_sets": "9418fa843dece9e3",
    "shares": "5b5987305e57451d",
    "noisy_labels": "0bc809f825bfc7f5",
    "many_classes": "bebc8023f97dce14",
    "sequences": "d24f996136894bf0",
    "parabola": "0e23e27a2129fff1",
    "quartic": "b91bf1c2e373b821",
    "doubles": "f342be75a3344964",
    "linear_map": "6eadda2ba5ba033d",
    "xor": "61664ca072321d44",
    "equal_bits": "b5743adef3543299",
    "two_squares": "4591cbd38ce6178b",
    "blobs": "0492c9ec6f1898e5",
    "hypercube": "28758e218b574352",
}


@every_family
def test_bits_are_what_they_were(family):
    """A new hash here means that every data set changes: decide it, do not let it happen."""
    digest = hashlib.sha256()
    for index in range(3):
        problem = make(family, index, 2024)
        for name in ARRAYS:
            digest.update(repr(getattr(problem, name).shape).encode())
            digest.update(getattr(problem, name).astype("<f4").tobytes())
        if problem.floor is not None:
            digest.update(np.float64(problem.floor).astype("<f8").tobytes())
            digest.update(problem.best_predictions.astype("<f4").tobytes())
        objective = OBJECTIVE_OF_LOSS[problem.fitting_loss]
        constant = constant_loss(problem.train_targets, problem.task, objective)
        digest.update(np.float64(constant).astype("<f8").tobytes())
    assert digest.hexdigest()[:16] == GOLDEN[family]
