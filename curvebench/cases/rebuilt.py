"""Documented programs, rebuilt: what was said to be wrong, what really helps, and what each diagnoser says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curvebench.cases.asking import OK, Verdicts
from curvebench.cases.programs import NOT_REBUILT, PROGRAMS, RECIPE, Program
from curvebench.data.dataset import Dataset, content_sha256
from curvebench.materiality import FAMILIES, best_members, mean_and_half_width
from curvebench.remedies import gain
from curvebench.spec import DIAGNOSES, OTHER, Action, Diagnosis, Float, InputError, Int, Output, Remedy

ABSTAINS = "abstains"
"""Stands for the answer of whoever gives none."""

_SAME_RATE = 0.01
"""Rates that differ by less than this share are the same."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Effect:
    """A gain over the seeds.

    Attributes:
        mean: of the gain.
        lower: lower end of the one-sided t-interval that labels are made of.
        upper: upper end.
        material: the mean gain from which on it matters.
    """

    mean: float
    lower: float
    upper: float
    material: float

    @property
    def verdict(self) -> str:
        """Whether it helps by a material amount: yes, no or unsure."""
        if self.lower >= self.material:
            return "yes"
        return "no" if self.upper < self.material else "unsure"

    def __str__(self) -> str:
        """The mean with its interval.

        >>> print(Effect(0.5, 0.42, 0.58, 0.1))
        0.50 [0.42, 0.58]
        """
        return f"{self.mean:.2f} [{self.lower:.2f}, {self.upper:.2f}]"


@dataclass(frozen=True)
class Rebuilt:
    """What came of one program at its documented rate.

    Attributes:
        program: what was documented.
        rows: (K,) its runs in the data set, one for each seed.
        diagnosis: the label by intervention.
        accepted: all diagnoses that are accepted for it.
        remedy: the best one of the label's family, or of all families where the label stands for none; None where
            nothing was tried.
        helps: what that remedy brings.
        fixed: what the documented fix brings, as a gain in shares of the loss of the best constant.
    """

    program: Program
    rows: Int
    diagnosis: str
    accepted: tuple[str, ...]
    remedy: Remedy | None
    helps: Effect
    fixed: Effect

    @property
    def right(self) -> tuple[str, ...]:
        """What a diagnoser may say to be right; where none of our causes is at work, that all is well, or nothing."""
        return (Diagnosis.HEALTHY, ABSTAINS) if self.diagnosis == OTHER else self.accepted


@dataclass(frozen=True)
class Rebuilding:
    """All programs, and what diagnosers say about them.

    Attributes:
        dataset_sha256: content hash of the data set made by the recipe.
        fit_on_sha256: that of the data set on which those that learn were fitted; empty where there is none.
        found: one for each program.
        verdicts: of each diagnoser, about the runs of all programs one after the other.
    """

    dataset_sha256: str
    fit_on_sha256: str
    found: tuple[Rebuilt, ...]
    verdicts: tuple[Verdicts, ...]

    def answers(self) -> dict[str, list[Counter[str]]]:
        """Diagnoser -> for each program how often it said what, about its seeds."""
        ends = np.cumsum([len(rebuilt.rows) for rebuilt in self.found])
        answered = {}
        for verdicts in self.verdicts:
            said = [
                ABSTAINS if abstained else name
                for name, abstained in zip(verdicts.names_said, verdicts.abstained, strict=True)
            ]
            answered[verdicts.name] = [
                Counter(said[end - len(rebuilt.rows) : end]) for rebuilt, end in zip(self.found, ends, strict=True)
            ]
        return answered

    def to_json(self) -> Json:
        """Everything as JSON."""
        answers = self.answers()
        return {
            "dataset_sha256": self.dataset_sha256,
            "fit_on_sha256": self.fit_on_sha256,
            "programs": [
                {
                    "program": r.program.name,
                    "source": r.program.source,
                    "documented_cause": str(r.program.cause),
                    "documented_fixes": [str(fix) for fix in r.program.fixes],
                    "diagnosis": r.diagnosis,
                    "accepted": list(r.accepted),
                    "remedy": None if r.remedy is None else str(r.remedy),
                    "remedy_gain": _json_of(r.helps),
                    "fix_helped": r.fixed.verdict,
                    "fix_gain": _json_of(r.fixed),
                    "said": {name: dict(said[i]) for name, said in answers.items()},
                }
                for i, r in enumerate(self.found)
            ],
            "not_rebuilt": [
                {
                    "program": p.name,
                    "source": p.source,
                    "documented_cause": str(p.cause),
                    "documented_fixes": [str(fix) for fix in p.fixes],
                    "reason": p.reason,
                }
                for p in NOT_REBUILT
            ],
        }

    def n_right(self) -> dict[str, tuple[int, int]]:
        """Diagnoser -> programs where its most frequent answer is right, and where it is the documented cause."""
        return {
            name: (
                sum(most_frequent(said) in r.right for r, said in zip(self.found, counters, strict=True)),
                sum(most_frequent(said) == r.program.cause for r, said in zip(self.found, counters, strict=True)),
            )
            for name, counters in self.answers().items()
        }


def rebuild(dataset: Dataset, programs: Sequence[Program] = PROGRAMS) -> tuple[Rebuilt, ...]:
    """Look every program up in a data set that the recipe made.

    Raises:
        InputError: the data set is of another recipe, or lacks a program.
    """
    if dataset.meta.recipe_name != RECIPE:
        raise InputError(
            f"The data set is of the recipe {dataset.meta.recipe_name!r}; documented programs are rebuilt by "
            f"`curvebench generate {RECIPE} -o {RECIPE}.h5`."
        )
    return tuple(_rebuilt(dataset, program) for program in programs)


def runs_of(dataset: Dataset, found: Iterable[Rebuilt]) -> Dataset:
    """The runs of all programs at their documented rates, one program after the other."""
    return dataset.select(np.concatenate([rebuilt.rows for rebuilt in found]))


def report(
    dataset: Dataset, fit_on: Dataset | None, found: Sequence[Rebuilt], verdicts: Sequence[Verdicts]
) -> Rebuilding:
    """Put together what was found and what was said."""
    fitted_on = "" if fit_on is None else content_sha256(fit_on)
    return Rebuilding(content_sha256(dataset), fitted_on, tuple(found), tuple(verdicts))


def most_frequent(said: Counter[str]) -> str:
    """The most frequent answer; of equally frequent ones the first in the order of the diagnoses."""
    return max((*DIAGNOSES, ABSTAINS), key=lambda name: said[name])


def _rebuilt(dataset: Dataset, program: Program) -> Rebuilt:
    rows = _rows_at(dataset, program.name, program.output, program.rate)
    confidence, material = (dataset.meta.thresholds[name] for name in ("confidence", "material_gain"))
    means, half_widths = mean_and_half_width(dataset["remedy_gain"][rows][None], confidence)
    best = best_members(means, half_widths, dataset.meta.remedies)
    diagnosis = str(dataset["diagnosis"][rows[0]])
    family = FAMILIES.index(diagnosis) if diagnosis in FAMILIES else int(np.argmax(best.mean[0]))
    member = int(best.index[0, family])
    mean, lower, upper = (float(part[0, family]) for part in (best.mean, best.lower, best.upper))
    return Rebuilt(
        program=program,
        rows=rows,
        diagnosis=diagnosis,
        accepted=tuple(name for name, yes in zip(DIAGNOSES, dataset["accepted"][rows[0]], strict=True) if yes),
        remedy=None if member < 0 else dataset.meta.remedies[member],
        helps=Effect(mean, lower, upper, material),
        fixed=_effect_of_fix(dataset, program, rows),
    )


def _effect_of_fix(dataset: Dataset, program: Program, rows: Int) -> Effect:
    """The gain of the documented fix, seed by seed; in shares of the cap, since a fix may change the targets' units."""
    thresholds = dataset.meta.thresholds
    is_remedy = not program.is_apart and program.fixed_output != program.output
    output = program.output if is_remedy else program.fixed_output
    fixed = _rows_at(dataset, program.fixed_phenomenon, output, program.fixed_rate)
    if is_remedy:
        losses = dataset["remedy_final_loss"][fixed][:, dataset.meta.remedies.index(Remedy(Action.CHANGE_OUTPUT))]
    else:
        losses = dataset["final_loss"][fixed]
    before, after = (
        loss.astype(np.float64) / dataset["loss_cap"][at]
        for loss, at in ((dataset["final_loss"][rows], rows), (losses, fixed))
    )
    gains: Float = gain(before, after, 1.0, thresholds["tie"])
    mean, half_width = mean_and_half_width(gains[None, :, None], thresholds["confidence"])
    middle, half = float(mean[0, 0]), float(half_width[0, 0])
    return Effect(middle, middle - half, middle + half, thresholds["material_gain"])


def _rows_at(dataset: Dataset, phenomenon: str, output: Output, rate: float) -> Int:
    """Rows of a program with this output at the rate nearest the documented one, by seed."""
    is_it = (
        (dataset["phenomenon"] == phenomenon)
        & (dataset["output_activation"] == output.activation)
        & (dataset["loss"] == output.loss)
    )
    distance = np.where(is_it, np.abs(np.log(dataset["base_lr"] / rate)), np.inf)
    if not len(distance) or distance.min() > _SAME_RATE:
        raise InputError(f"The data set has no run of {phenomenon!r} with {output.activation} at the rate {rate:g}.")
    rows = np.flatnonzero(distance == distance.min())
    return np.asarray(rows[np.argsort(dataset["seed"][rows], kind="stable")], dtype=np.intp)


def _json_of(effect: Effect) -> Json | None:
    if not np.isfinite(effect.mean):
        return None
    return {"mean": round(effect.mean, 4), "interval": [round(effect.lower, 4), round(effect.upper, 4)]}


# ------------------------------------------------------------------------------------------------ the page

_OPENING = """# Documented faulty programs, rebuilt

Benchmarks of faults are made of programs that somebody posted, with the cause that was named and the fix that was
advised. Here such programs are built again from what is documented of them, and labelled as everything else in
CurveBench: they are [trained again with every remedy](labels.md), and what really helps names the diagnosis. Nothing is
ever fitted or tuned on them.

This page is made by

```bash
{command}
```
"""

_READING = """
The label is that of the documented rate, over {n_seeds} seeds. The gain is that of the best remedy of the label's
family; where the label stands for none (`healthy`, `other`, `indeterminate`), of the best there is. 0.5 means that it
halved the loss; in brackets are the one-sided {percent:.0f} % bounds that labels are made of. The last column is the
documented fix as a whole, several changes together if need be, at the rate that it names: whether its gain is material,
and the gain, in shares of the loss of the best constant. It may help where no remedy does, for a remedy is one change
and trains as long as the program did."""

_ANSWERS = """
What each diagnoser says about the curve at the documented rate, and about how many of the seeds. Bold is what is right
by intervention; on `other`, to say `healthy` or to abstain is right. The two counts are of programs, by the most
frequent answer."""

_DIFFERENCES = """
Weights are drawn as Keras draws them (Glorot's uniform distribution, biases zero) unless the source says otherwise.
Data that a program draws are drawn anew. A softmax or sigmoid with its cross entropy is computed from logits."""


def to_markdown(rebuilding: Rebuilding, thresholds: Mapping[str, float], command: str) -> str:
    """The page.

    Args:
        rebuilding: what was found and said.
        thresholds: of the data set.
        command: that makes the page.
    """
    answers = rebuilding.answers()
    tallies = rebuilding.n_right()
    n = len(rebuilding.found)
    facts = [f"Data set: content `{rebuilding.dataset_sha256}`."]
    if rebuilding.fit_on_sha256:
        facts.append(f"Those that learn were fitted on `{rebuilding.fit_on_sha256}`.")
    parts = [
        _OPENING.format(command=command),
        " ".join(facts),
        "## What was said, and what helps",
        _READING.format(n_seeds=len(rebuilding.found[0].rows), percent=100 * thresholds["confidence"]),
        _table(
            [
                "program",
                "documented cause",
                "documented fix",
                "label by intervention",
                "best remedy",
                "gain",
                "did the fix help",
            ],
            [
                [
                    f"[{r.program.name}]({r.program.source})",
                    f"`{r.program.cause}`",
                    ", ".join(r.program.fixes),
                    _labels(r),
                    "none" if r.remedy is None else str(r.remedy),
                    "-" if r.remedy is None else str(r.helps),
                    f"{r.fixed.verdict}: {r.fixed}",
                ]
                for r in rebuilding.found
            ],
        ),
        "## What diagnosers say",
        _ANSWERS,
        _table(
            ["diagnoser", "right", "documented cause", *(r.program.name for r in rebuilding.found)],
            [
                [
                    f"`{verdicts.name}`",
                    *(f"{tally} of {n}" for tally in tallies[verdicts.name]),
                    *(_said(r, counter) for r, counter in zip(rebuilding.found, answers[verdicts.name], strict=True)),
                ]
                for verdicts in rebuilding.verdicts
                if verdicts.status == OK
            ],
        ),
        "## In what the rebuilt programs differ from the documented ones",
        _DIFFERENCES,
        _table(
            ["program", "differs in"],
            [[r.program.name, r.program.departures] for r in rebuilding.found if r.program.departures],
        ),
        "## Not rebuilt",
        _table(
            ["program", "documented cause", "documented fix", "why not"],
            [[f"[{p.name}]({p.source})", f"`{p.cause}`", ", ".join(p.fixes), p.reason] for p in NOT_REBUILT],
        ),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _labels(rebuilt: Rebuilt) -> str:
    """The label first, then what else is accepted."""
    others = [f"`{name}`" for name in rebuilt.accepted if name != rebuilt.diagnosis]
    also = f" (also {', '.join(others)})" if others else ""
    return f"`{rebuilt.diagnosis}`{also}"


def _said(rebuilt: Rebuilt, said: Counter[str]) -> str:
    order = sorted(said, key=lambda name: (name != most_frequent(said), -said[name]))
    shown = [f"**{name}** {said[name]}" if name in rebuilt.right else f"{name} {said[name]}" for name in order]
    return ", ".join(shown)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
