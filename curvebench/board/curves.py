"""The curves of the explorer: a stratified sample of test runs, small enough to lie in a page, and all verdicts on it.

Numbers are packed into two characters of 6 bits each, see `pack`; the page unpacks them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.board.stored import WHOLE, AnswerFile, Answers, Submission, read_answers
from curvebench.board.texts import clean
from curvebench.data.counterfactuals import curve_after
from curvebench.data.dataset import Dataset
from curvebench.data.phenomena import PHENOMENA, find_phenomena
from curvebench.remedies import direction
from curvebench.spec import DIAGNOSES, LABELS, Action, Bool, Float, Int

N_CURVES = 300
"""Runs in the page; more would make it slow to load from a phone."""

EXPLORED_SPLITS = ("test", "test_ood")

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
NOTHING, BEYOND = 4095, 4094
"""Codes for what was not there (NaN), and for what left the scale or was infinite."""

LOG10_LOWEST, LOG10_HIGHEST, LEVELS = -6.0, 1.5, 4000
"""Losses, in units of the best constant's, are packed as logarithms between these, in so many steps."""

Json = dict[str, Any]


# ----------------------------------------------------------------------------------------------- packing


def pack(codes: ArrayLike) -> str:
    """Whole numbers from 0 to 4095 as text, two characters each.

    >>> pack([0, 1, 64, 4095])
    'AAABBA//'
    """
    return "".join(ALPHABET[code >> 6] + ALPHABET[code & 63] for code in np.asarray(codes).tolist())


def pack_losses(curve: Float, cap: float) -> str:
    """A curve, (n_points,), on a logarithmic scale; steps of 0.4 %.

    Args:
        curve: losses; NaN where there is none.
        cap: loss of the best constant prediction, which is 1 on the scale.
    """
    with np.errstate(all="ignore"):
        log = np.log10(np.asarray(curve, dtype=np.float64) / cap)
        place = (log - LOG10_LOWEST) / (LOG10_HIGHEST - LOG10_LOWEST) * LEVELS
        codes = np.rint(np.clip(place, 0, LEVELS))
    codes[place > LEVELS] = BEYOND
    codes[np.isnan(curve)] = NOTHING
    return pack(np.where(np.isnan(codes), NOTHING, codes).astype(int))


def pack_shares(shares: ArrayLike, lowest: float, highest: float) -> str:
    """Numbers between two bounds in 4000 steps; NaN as `NOTHING`."""
    values = np.asarray(shares, dtype=np.float64)
    place = np.clip((values - lowest) / (highest - lowest), 0, 1) * LEVELS
    return pack(np.where(np.isnan(values), NOTHING, np.rint(place)).astype(int))


# ------------------------------------------------------------------------------------------------ sample


def choose_rows(
    stratum: Sequence[tuple[str, str]], is_preferred: Bool, names: Sequence[str], n_wanted: int = N_CURVES
) -> list[int]:
    """A sample that shows everything: labels in turn, within a label its phenomena in turn.

    Within a stratum the preferred come first, and then whoever has the smallest hash of its name: the same on every
    machine, and in no relation to how the runs lie in the file.

    Args:
        stratum: label and phenomenon of each of n candidates.
        is_preferred: (n,) bool.
        names: of the candidates, each once.
        n_wanted: how many at most.

    Returns:
        Indices of the candidates, in this order.
    """
    order = sorted(range(len(names)), key=lambda i: (not is_preferred[i], hashlib.sha256(names[i].encode()).digest()))
    of_label: dict[str, dict[str, list[int]]] = {}
    for i in order:
        label, phenomenon = stratum[i]
        of_label.setdefault(label, {}).setdefault(phenomenon, []).append(i)
    labels = sorted(of_label, key=LABELS.index)
    return list(
        _in_turn([list(_in_turn([cells[p] for p in sorted(cells)])) for cells in (of_label[label] for label in labels)])
    )[:n_wanted]


def _in_turn(lists: Sequence[Sequence[int]]) -> Iterable[int]:
    """The first of each list, then the second of each, until all are used."""
    return (i for i in chain.from_iterable(zip_longest(*lists)) if i is not None)


def _shown_phenomena(dataset: Dataset, rows: Int) -> dict[str, Bool]:
    """Phenomenon -> (n_rows,) which of the rows show it."""
    return {name: shown[rows] for name, shown in find_phenomena(dataset).items()}


def _rarest(shown: dict[str, Bool], n_rows: int) -> list[str]:
    """The rarest phenomenon that each row shows; empty where it shows none."""
    rarest = [""] * n_rows
    for name in sorted(shown, key=lambda name: (-int(shown[name].sum()), name)):
        for row in np.flatnonzero(shown[name]):
            rarest[row] = name
    return rarest


# ------------------------------------------------------------------------------------------- what is shown


def explorer_data(dataset: Dataset, submissions: Sequence[Submission], n_wanted: int = N_CURVES) -> Json:
    """The sample with all that the explorer shows of it.

    Args:
        dataset: what the results are about.
        submissions: its results; those without stored answers have no verdicts.
        n_wanted: curves at most.

    Raises:
        InputError: stored answers do not fit to the data set.
    """
    files = {s.slug: read_answers(s.answers_path, len(dataset)) for s in submissions if s.answers_path.exists()}
    candidates = np.flatnonzero(dataset.is_scored & np.isin(dataset["split"], EXPLORED_SPLITS))
    n_asked = np.zeros(len(candidates), dtype=int)
    for file in files.values():
        n_asked += np.isin(candidates, file.runs)
    shown = _shown_phenomena(dataset, candidates)
    stratum = list(zip(dataset["diagnosis"][candidates].tolist(), _rarest(shown, len(candidates)), strict=True))
    chosen = choose_rows(stratum, n_asked == n_asked.max(initial=0), dataset["run"][candidates].tolist(), n_wanted)
    rows = candidates[chosen]
    names = [name for name in PHENOMENA if shown[name][chosen].any()]
    return {
        "phenomena": [[name, PHENOMENA[name].teaches] for name in names],
        "remedies": [[r.action.value, float(f"{r.factor:.3g}"), r.at] for r in dataset.meta.remedies],
        "n_points": dataset.n_points,
        "runs": [
            _run_data(dataset, int(row), [i for i, name in enumerate(names) if shown[name][at]])
            for row, at in zip(rows, chosen, strict=True)
        ],
        "verdicts": [
            verdict for s in submissions if s.slug in files for verdict in _verdicts(dataset, rows, s, files[s.slug])
        ],
    }


def _run_data(dataset: Dataset, row: int, phenomena: list[int]) -> Json:
    cap = float(dataset["loss_cap"][row])
    gains = dataset["remedy_gain"][row]
    tried = np.flatnonzero(~np.isnan(gains))
    text = {
        name: clean(str(dataset[name][row]), 64)
        for name in (
            "problem_family",
            "architecture",
            "activation",
            "output_activation",
            "loss",
            "optimizer",
            "schedule",
        )
    }
    number = {
        name: float(f"{float(dataset[name][row]):.4g}")
        for name in ("depth", "width", "batch_size", "epochs", "base_lr")
    }
    return {
        "run": clean(str(dataset["run"][row]), 64),
        "split": str(dataset["split"][row]),
        "label": DIAGNOSES.index(str(dataset["diagnosis"][row])),
        "accepted": sum(1 << i for i in np.flatnonzero(dataset["accepted"][row]).tolist()),
        "injected": str(dataset["injected"][row]),
        "difficulty": str(dataset["difficulty"][row]),
        "phenomena": phenomena,
        "trained": {**text, **number},
        "final": float(f"{min(float(dataset['final_loss'][row]) / cap, 1e9):.4g}"),
        "curve": pack_losses(dataset["train_loss"][row], cap),
        "tried": pack(tried),
        "gains": pack_shares(gains[tried], -1.0, 1.0),
        "after": [
            [index, *_tail(curve, cap)]
            for index in _drawn_remedies(dataset, gains)
            if (curve := curve_after(dataset, row, index)) is not None
        ],
    }


def _drawn_remedies(dataset: Dataset, gains: Float) -> list[int]:
    """Remedies whose curves are shown: all resumptions, the best restart down and up, the change of output."""
    tried = [(i, r) for i, r in enumerate(dataset.meta.remedies) if not np.isnan(gains[i])]
    drawn = [i for i, remedy in tried if remedy.action in (Action.RESUME, Action.CHANGE_OUTPUT)]
    for sign in (-1, 1):
        restarts = [i for i, remedy in tried if remedy.action is Action.RESTART and direction(remedy) == sign]
        drawn += sorted(restarts, key=lambda i: (-gains[i], i))[:1]
    return drawn


def _tail(curve: Float, cap: float) -> tuple[int, str]:
    """First point of a curve that is there, and the curve from there on."""
    start = int(np.argmin(np.isnan(curve)))
    return start, pack_losses(curve[start:], cap)


# --------------------------------------------------------------------------------------------- verdicts


def _verdicts(dataset: Dataset, rows: Int, submission: Submission, file: AnswerFile) -> list[Json]:
    """What a diagnoser said about the sample, for each track that it was shown."""
    of_track: dict[str, _Said] = {}
    for number, evaluation in enumerate(submission.result.evaluations):
        if evaluation.view != WHOLE or evaluation.status != "ok" or evaluation.split not in EXPLORED_SPLITS:
            continue
        asked = file.runs[dataset["split"][file.runs] == evaluation.split]
        answers = file.of(number, len(asked), len(dataset.meta.remedies))
        said = of_track.setdefault(evaluation.track, _Said(len(rows)))
        for place in np.flatnonzero(np.isin(rows, asked)):
            said.note(int(place), answers, int(np.searchsorted(asked, rows[place])))
    return [
        {
            "slug": submission.slug,
            "track": track,
            "said": "".join(said.prediction),
            "confidence": pack_shares(said.confidence, 0.0, 1.0),
            "remedy": pack(np.where(said.remedy < 0, NOTHING, said.remedy)),
        }
        for track, said in of_track.items()
    ]


class _Said:
    """What was said about n runs: a digit for each diagnosis, `a` abstained, `x` crashed, `.` not asked."""

    def __init__(self, n_runs: int) -> None:
        self.prediction = ["."] * n_runs
        self.confidence = np.full(n_runs, np.nan)
        self.remedy: NDArray[np.int64] = np.full(n_runs, -1, dtype=np.int64)

    def note(self, place: int, answers: Answers, i: int) -> None:
        prediction = str(int(answers.prediction[i]))
        self.prediction[place] = "x" if answers.crashed[i] else "a" if answers.abstained[i] else prediction
        self.confidence[place] = answers.probabilities[i, answers.prediction[i]]
        self.remedy[place] = answers.remedy[i]
