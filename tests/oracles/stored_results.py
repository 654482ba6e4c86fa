"""Made-up results of made-up diagnosers about a data set, stored as real ones are."""

from __future__ import annotations

import functools
import json
import math

import numpy as np

from curvebench.data.dataset import content_sha256
from curvebench.evaluation.scores import SCORES, Judged, confusion, scores
from curvebench.remedies import oracle_actions, treat
from curvebench.spec import DIAGNOSES

VIEWS = ("whole", "first-25", "first-50", "first-75", "smoothed", "every-4th", "scaled", "noised")
SKILL_LEFT = dict(zip(VIEWS, (1.0, 0.3, 0.6, 0.85, 0.95, 0.7, 1.0, 0.5), strict=True))
HEALTHY = DIAGNOSES.index("healthy")


def write_result(
    folder,
    dataset,
    name,
    *,
    slug,
    kind="own",
    skill=2.0,
    covers=DIAGNOSES,
    tracks=("curve",),
    status="ok",
    texts=None,
    mapping=None,
    share=1.0,
    version=1,
    digest=None,
    seed=0,
    bounds=0.05,
):
    """Store the result of somebody who is right the more often, the larger `skill` is, and knows the `covers` only.

    `texts` replaces free texts by their key; `share` of the runs is asked about; returns the path of the JSON.
    """
    rng = np.random.default_rng(seed)
    texts = {"description": "made up for tests", "source": "https://example.org/paper", "message": ""} | (texts or {})
    rows = {
        split: np.flatnonzero((dataset["split"] == split) & dataset.is_scored)
        for split in ("test", "test_ood")
        if ((dataset["split"] == split) & dataset.is_scored).any()
    }
    asked = {split: np.sort(rng.permutation(r)[: max(1, int(share * len(r)))]) for split, r in rows.items()}
    evaluations, arrays = [], {"run": np.sort(np.concatenate(list(asked.values())))}
    for track in tracks:
        for split, these in asked.items():
            for view in VIEWS if track == tracks[0] else ("whole",):
                evaluation, answers = _evaluation(dataset, these, skill * SKILL_LEFT[view], covers, rng, bounds)
                evaluation |= {"track": track, "split": split, "view": view, "status": "ok", "message": ""}
                if status != "ok":
                    nothing = ("scores", "intervals", "confusion", "microseconds_per_curve", "reliability")
                    evaluation |= dict.fromkeys((*nothing, "by_severity", "by_base_rate"))
                    evaluation |= {"status": status, "message": texts["message"]}
                else:
                    arrays |= {f"{key}_{len(evaluations)}": value for key, value in answers.items()}
                evaluations.append(evaluation)
    recipe = dataset.meta.recipe_name
    result = {
        "format": "curvebench-result",
        "version": 1,
        "data_set": {
            "name": recipe,
            "version": version,
            "content_sha256": digest or content_sha256(dataset),
            "n_points": dataset.n_points,
        },
        "diagnoser": {
            "name": name,
            "kind": kind,
            "description": texts["description"],
            "source": texts["source"],
            "version": texts.get("version", "0.1.0"),
            "sha256": texts.get("sha256", "ab" * 32),
            "covers": list(covers),
            "mapping": mapping or {},
        },
        "run": {
            "time": texts.get("time", "2026-11-23T04:00:00Z"),
            "machine": texts.get("machine", "AMD EPYC, 2 cores"),
            "python": texts.get("python", "3.11.7"),
            "versions": {texts.get("package", "numpy"): texts.get("package_version", "2.4.6")},
        },
        "subset": {
            "name": "all" if share == 1.0 else "stratified",
            "n_of": {split: [len(asked[split]), len(rows[split])] for split in rows},
        },
        "evaluations": evaluations,
        "early": {split: _early(evaluations, split) for split in rows} if status == "ok" else {},
        "transfer": {"value": None, "macro_f1": None},
        "worst_view": {},
        "rerun": {
            "master_seed": 8,
            "content_sha256": texts.get("rerun", "cd" * 32),
            "scores": {"test": {"value": 0.41}},
            "time": texts.get("time", "2026-11-24T04:00:00Z"),
        },
        "predictions_sha256": "0" * 64,
    }
    path = folder / f"{recipe}-v{version}" / f"{slug}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, sort_keys=True, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if status == "ok":
        np.savez(path.with_name(f"{slug}.predictions.npz"), **arrays)
    return path


def _evaluation(dataset, rows, skill, covers, rng, bounds):
    n = len(rows)
    label = np.array([DIAGNOSES.index(d) for d in dataset["diagnosis"][rows]])
    has_word = np.isin(DIAGNOSES, covers)
    weight = rng.normal(0, 1, (n, 6)) + skill * np.eye(6)[label] + np.where(has_word, 0, -50)
    probabilities = np.exp(weight) / np.exp(weight).sum(axis=1, keepdims=True)
    prediction = probabilities.argmax(axis=1)
    abstained = rng.random(n) < 0.01
    prediction[abstained] = HEALTHY
    remedies, gains = dataset.meta.remedies, dataset["remedy_gain"][rows]
    treatment = treat([remedies[dataset.meta.fixed_actions[DIAGNOSES[p]]] for p in prediction], remedies, gains)
    oracle = _oracle(dataset)[rows]
    judged = Judged(
        label=label,
        accepted=dataset["accepted"][rows].astype(bool),
        prediction=prediction,
        probabilities=probabilities,
        net_gain=treatment.net_gain,
        oracle_net_gain=treat([remedies[i] for i in oracle], remedies, gains).net_gain,
    )
    of = {name: _number(value) for name, value in scores(judged).items()}
    is_right = judged.credited == label
    evaluation = {
        "counts": {
            "n_runs": n,
            "n_problem_instances": len(np.unique(dataset["problem"][rows])),
            "n_families": len(np.unique(dataset["problem_family"][rows])),
            "n_abstained": int(abstained.sum()),
            "n_crashed": 0,
            "n_snapped": int(treatment.is_snapped.sum()),
            "n_unmatched": int(treatment.is_unmatched.sum()),
        },
        "scores": {name: of[name] for name in SCORES},
        "intervals": {name: None if v is None else [v - bounds, v + bounds] for name, v in of.items()},
        "confusion": confusion(judged).tolist(),
        "microseconds_per_curve": 12.3 + len(covers),
        "reliability": _reliability(probabilities.max(axis=1), is_right),
        "by_severity": _by_severity(dataset["best_gain"][rows], is_right),
        "by_base_rate": [
            {"share_of_faulty": share, "false_alarms_per_100_alarms": 100 * (1 - share) / (1 + share)}
            for share in (0.01, 0.1, 0.5)
        ],
    }
    answers = {
        "prediction": prediction.astype(np.uint8),
        "remedy": treatment.index.astype(np.int16),
        "probabilities": probabilities.astype(np.float32),
        "abstained": abstained,
        "crashed": np.zeros(n, dtype=bool),
    }
    return evaluation, answers


@functools.lru_cache(maxsize=4)
def _oracle(dataset):
    """For every run of the data set, so that a subset has the same oracle."""
    return oracle_actions(dataset["remedy_gain"], dataset.cell_rate, dataset["seed"], dataset.meta.remedies)


def _number(value):
    return float(value) if math.isfinite(value) else None


def _reliability(confidence, is_right):
    of_bin = np.minimum((10 * confidence).astype(int), 9)
    bins = [of_bin == b for b in range(10)]
    return {
        "confidence": [float(confidence[b].mean()) if b.any() else None for b in bins],
        "accuracy": [float(is_right[b].mean()) if b.any() else None for b in bins],
        "count": [int(b.sum()) for b in bins],
    }


def _by_severity(severity, is_right):
    found = []
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.9), (0.9, 1.0)):
        inside = (severity >= low) & (severity < high)
        accuracy = float(is_right[inside].mean()) if inside.any() else None
        found.append({"severity": [low, high], "n": int(inside.sum()), "accuracy": accuracy, "value": accuracy})
    return found


def _early(evaluations, split):
    fractions = {"first-25": 0.25, "first-50": 0.5, "first-75": 0.75, "whole": 1.0}
    return [
        {
            "fraction": fractions[e["view"]],
            "value": e["scores"]["value"],
            "false_alarms_per_100_healthy": e["scores"]["false_alarms_per_100_healthy"],
            "gain_left": 1 - fractions[e["view"]],
        }
        for e in evaluations
        if e["split"] == split and e["view"] in fractions
    ]
