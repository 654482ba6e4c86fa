"""A toy is called a toy, a hopeless benchmark hopeless."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.audited import changed, labels_of_pairs, relabelled, scored

from curvebench.data.dataset import Dataset
from curvebench.diagnosers.features import FEATURES
from curvebench.evaluation.audit.contest import LEAST_SHARE, Closed, Contest, hold_contest, not_hopeless, not_trivial
from curvebench.evaluation.audit.report import FAILED, PASSED, check_of
from curvebench.evaluation.evaluate import evaluate
from curvebench.remedies import treat
from curvebench.spec import DIAGNOSES

N_POINTS = 32
T = np.linspace(0, 1, N_POINTS)


@pytest.fixture(scope="module")
def dataset(make_dataset):
    made = scored(make_dataset(n_cells=72, n_rates=8, n_seeds=2, n_points=N_POINTS))
    return relabelled(made, labels_of_pairs(made))


def codes_of(dataset: Dataset) -> np.ndarray:
    return np.array([DIAGNOSES.index(label) for label in dataset.labels])


def noisy(loss: np.ndarray) -> np.ndarray:
    return loss * np.exp(np.random.default_rng(0).normal(0, 0.01, loss.shape))


@pytest.fixture(scope="module")
def toy(dataset) -> Dataset:
    """How deep the loss falls is the label."""
    depth = 10.0 ** -codes_of(dataset)[:, None]
    return changed(dataset, train_loss=noisy(depth + (1 - depth) * np.exp(-20 * T)))


@pytest.fixture(scope="module")
def two_fold(dataset) -> Dataset:
    """How deep it falls (about three depths) and how rough it is (two) are the label; neither alone."""
    code, rng = codes_of(dataset), np.random.default_rng(1)
    depth = 10.0 ** -(code // 2 + rng.uniform(-0.6, 0.6, len(code)))[:, None]
    roughness = np.where(code % 2, 0.01, 0.015)[:, None]
    loss = (depth + (1 - depth) * np.exp(-20 * T)) * np.exp(roughness * rng.normal(0, 1, (len(code), N_POINTS)))
    return changed(dataset, train_loss=loss)


def test_a_toy_fails(toy):
    contest = hold_contest(toy)
    found = not_trivial(contest)
    assert contest.one_liners["final-over-first"].macro_f1 > 0.8
    assert found.values["macro_f1"] > 0.9
    assert found.values["value"] > 0.5
    assert check_of("not_trivial", found).status == FAILED
    assert check_of("not_hopeless", not_hopeless(contest)).status == FAILED, "nobody is better than the one-liner"


def test_what_takes_two_features_is_neither_a_toy_nor_hopeless(two_fold):
    contest = hold_contest(two_fold)
    assert contest.forest.macro_f1 > 0.6
    assert check_of("not_trivial", not_trivial(contest)).status == PASSED
    assert check_of("not_hopeless", not_hopeless(contest)).status == PASSED
    assert len(not_trivial(contest).details["best_one_liners"]) == 5


def test_where_curves_say_nothing_it_is_hopeless(dataset):
    contest = hold_contest(dataset)
    assert check_of("not_trivial", not_trivial(contest)).status == PASSED
    assert check_of("not_hopeless", not_hopeless(contest)).status == FAILED


def test_everybody_competes_and_shares_are_those_of_the_gap(two_fold):
    contest = hold_contest(two_fold)
    assert list(contest.one_liners) == list(FEATURES)
    bar = evaluate(two_fold, "constant-best", n_bootstrap=1).scores
    assert vars(contest.bar) == pytest.approx({name: bar[name] for name in ("value", "macro_f1")})
    for name, shares in [*contest.one_liners.items(), ("forest", contest.forest)]:
        reached = evaluate(two_fold, name if name == "forest" else f"zoo/{name}", n_bootstrap=1).scores
        share = {key: (reached[key] - bar[key]) / (1 - bar[key]) for key in ("value", "macro_f1")}
        assert shares.macro_f1 == pytest.approx(share["macro_f1"])
        assert shares.value >= share["value"] - 1e-12, "being told what helped does no harm"


def test_who_is_told_the_gains_of_train_prescribes_the_best_of_each_bin(two_fold):
    """The one-liner that takes no part, bin by bin."""
    from curvebench.diagnosers.oneliners import OneLiner
    from curvebench.evaluation.audit.contest import _Table
    from curvebench.evaluation.evaluate import judge

    one_liner = OneLiner("final-over-first")
    judgement = judge(two_fold, one_liner)
    table = _Table(two_fold, judgement)
    remedies = [remedy for remedy in two_fold.meta.remedies if remedy.action != "train_longer"]
    train = two_fold.split("train")
    bins = one_liner.bins(train.to_numpy3d())
    best = {}
    for b in range(len(one_liner.edges) + 1):
        gains = train["remedy_gain"][bins == b]
        sums = [treat([r] * len(gains), two_fold.meta.remedies, gains).net_gain.sum() for r in remedies]
        best[b] = int(np.argmax(sums))
    test = two_fold.split("test")
    expected = [best[b] for b in one_liner.bins(test.to_numpy3d())]
    assert table.best_in_bins(one_liner).tolist() == expected
    prescribed = treat([remedies[i] for i in expected], two_fold.meta.remedies, test["remedy_gain"])
    value = prescribed.net_gain.sum() / judgement.judged.oracle_net_gain.sum()
    assert table.value_of(np.array(expected)) == pytest.approx(value)
    assert table.value_of(table.best_of_trees()) > value + 0.1, "what takes two features is for the trees"


def test_ratios_stay_defined_where_one_liners_close_nothing():
    contest = Contest(Closed(0.1, 0.1), {"a": Closed(-0.5, 0.0), "b": Closed(-0.2, -0.1)}, Closed(0.3, 0.02))
    assert vars(contest.best) == {"value": -0.2, "macro_f1": 0.0}
    assert not_hopeless(contest).values == {"value": 0.3 / LEAST_SHARE, "macro_f1": 0.02 / LEAST_SHARE}
