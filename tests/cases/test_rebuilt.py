"""What comes of documented programs: looked up in a data set, and told as a page, JSON and tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from command import command
from oracles.made_up_programs import N_SEEDS, made_up_programs, sites_of

from curvebench.cases.asking import OK, Subject, ask_about_runs, make
from curvebench.cases.programs import NOT_REBUILT, PROGRAMS
from curvebench.cases.rebuilt import ABSTAINS, Effect, most_frequent, rebuild, report, runs_of, to_markdown
from curvebench.data import store
from curvebench.data.dataset import Dataset
from curvebench.materiality import FAMILIES
from curvebench.remedies import family_members
from curvebench.spec import DIAGNOSES, OTHER, Action, InputError, Remedy, UsageError

T_90_OF_4_SEEDS = 1.637744353696210


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return made_up_programs(make_dataset)


@pytest.fixture(scope="module")
def found(dataset):
    return rebuild(dataset)


def rows_of(dataset, site):
    """The rows of a site, one by one."""
    phenomenon, output, rate = site
    return [
        i
        for i in range(len(dataset))
        if dataset["phenomenon"][i] == phenomenon
        and dataset["output_activation"][i] == output.activation
        and dataset["loss"][i] == output.loss
        and math.isclose(dataset["base_lr"][i], rate)
    ]


def mean_and_bounds(values):
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    half = T_90_OF_4_SEEDS * deviation / math.sqrt(len(values))
    return mean, mean - half, mean + half


def test_every_program_is_looked_up_at_its_documented_rate(dataset, found):
    for rebuilt, program in zip(found, PROGRAMS, strict=True):
        assert rebuilt.program is program
        rows = rows_of(dataset, sites_of(program)[0])
        assert rebuilt.rows.tolist() == rows
        assert dataset["seed"][rows].tolist() == list(range(N_SEEDS))
        assert {rebuilt.diagnosis} == set(dataset["diagnosis"][rows].tolist())
        assert rebuilt.accepted == tuple(
            n for n, yes in zip(DIAGNOSES, dataset["accepted"][rows[0]], strict=True) if yes
        )


def test_the_gain_is_that_of_the_best_remedy_of_the_labels_family(dataset, found):
    for rebuilt in found:
        gains = dataset["remedy_gain"][rebuilt.rows].astype(float)
        families = [rebuilt.diagnosis] if rebuilt.diagnosis in FAMILIES else FAMILIES
        members = [int(i) for name in families for i in family_members(dataset.meta.remedies, name)]
        means = {i: gains[:, i].mean() for i in members if np.isfinite(gains[:, i]).all()}
        best = max(means, key=lambda i: means[i])
        assert rebuilt.remedy == dataset.meta.remedies[best]
        mean, lower, upper = mean_and_bounds(gains[:, best].tolist())
        assert (rebuilt.helps.mean, rebuilt.helps.lower, rebuilt.helps.upper) == pytest.approx((mean, lower, upper))


def gain_of(before, after):
    """In shares of the cap."""
    before, after = min(before, 1.0), min(after, 1.0)
    if abs(before - after) < 0.005 or before == after == 1.0:
        return 0.0
    return 1 - after / before if after <= before else before / after - 1


def test_the_documented_fix_is_held_against_the_program_seed_by_seed(dataset, found):
    change = dataset.meta.remedies.index(Remedy(Action.CHANGE_OUTPUT))
    for rebuilt in found:
        program = rebuilt.program
        faulty, fixed = (rows_of(dataset, site) for site in sites_of(program))
        gains = []
        for i, j in zip(faulty, fixed, strict=True):
            before = float(dataset["final_loss"][i]) / float(dataset["loss_cap"][i])
            is_remedy = not program.is_apart and program.fixed_output != program.output
            loss = dataset["remedy_final_loss"][j, change] if is_remedy else dataset["final_loss"][j]
            gains.append(gain_of(before, float(loss) / float(dataset["loss_cap"][j])))
        if any(math.isnan(gain) for gain in gains):
            assert math.isnan(rebuilt.fixed.mean)
            assert rebuilt.fixed.verdict == "unsure"
            continue
        expected = mean_and_bounds(gains)
        assert (rebuilt.fixed.mean, rebuilt.fixed.lower, rebuilt.fixed.upper) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("bounds", "verdict"), [((0.1, 0.9), "yes"), ((0.0, 0.099), "no"), ((0.09, 0.1), "unsure"), ((-0.5, 0.5), "unsure")]
)
def test_a_fix_helps_by_the_test_that_labels_are_made_of(bounds, verdict):
    assert Effect(sum(bounds) / 2, *bounds, material=0.1).verdict == verdict


class Fixed:
    """Gives each run an answer from a list, round and round; abstains from negative ones."""

    def __init__(self, answers):
        self.answers = answers

    def predict_proba(self, X):
        return np.eye(6)[[abs(self.answers[i % len(self.answers)]) for i in range(len(X))]]

    def abstain(self, X):
        return np.array([self.answers[i % len(self.answers)] < 0 for i in range(len(X))])


def told(dataset, found, *answers):
    verdicts = [
        ask_about_runs(Subject(f"mine:{i}", Fixed(a), None), runs_of(dataset, found)) for i, a in enumerate(answers)
    ]
    return report(dataset, None, found, verdicts)


def test_answers_are_counted_program_by_program(dataset, found):
    result = told(dataset, found, [0, 0, 2, -5])
    counters = result.answers()["mine:0"]
    assert len(counters) == len(PROGRAMS)
    assert all(counter == {"lr_too_high": 2, "lr_too_low": 1, ABSTAINS: 1} for counter in counters)
    assert most_frequent(counters[0]) == "lr_too_high"


def test_right_is_what_helps_and_on_other_to_do_nothing(dataset, found):
    for answer, name in enumerate(DIAGNOSES):
        right, documented = told(dataset, found, [answer]).n_right()["mine:0"]
        accepted = [rebuilt.accepted if rebuilt.diagnosis != OTHER else ("healthy",) for rebuilt in found]
        assert right == sum(name in names for names in accepted)
        assert documented == sum(program.cause == name for program in PROGRAMS)
    n_other = sum(rebuilt.diagnosis == OTHER for rebuilt in found)
    assert told(dataset, found, [-1]).n_right()["mine:0"][0] == n_other


def test_the_page_marks_what_is_right(dataset, found):
    page = to_markdown(told(dataset, found, [0, 0, 2, -5]), dataset.meta.thresholds, "curvebench documented x.h5")
    assert page.startswith("# Documented faulty programs, rebuilt\n")
    assert "curvebench documented x.h5" in page
    (line,) = (line for line in page.splitlines() if line.startswith("| `mine:0` |"))
    cells = line.split(" | ")[3:]
    for rebuilt, cell in zip(found, cells, strict=True):
        for name in ("lr_too_high", "lr_too_low", ABSTAINS):
            assert (f"**{name}**" in cell) == (name in rebuilt.right)
    for program in NOT_REBUILT:
        assert program.reason in page


def test_another_data_set_is_refused_with_the_command_that_makes_the_right_one(make_dataset, dataset):
    with pytest.raises(InputError, match=r"of the recipe 'made-up'.*curvebench generate documented -o documented\.h5"):
        rebuild(make_dataset())
    rates = np.where(dataset["phenomenon"] == "flux_1352", 0.5, dataset["base_lr"])
    with pytest.raises(InputError, match=r"no run of 'flux_1352' with identity at the rate 1\."):
        rebuild(Dataset({**dataset.columns, "base_lr": rates}, dataset.meta))


def test_curves_of_another_length_are_refused(dataset, found):
    with pytest.raises(UsageError, match="was fitted to curves of 99 points; these have 16"):
        ask_about_runs(Subject("it", Fixed([0]), 99), dataset)


def test_runs_are_asked_about_as_they_stand_in_the_data_set(dataset, found):
    runs = runs_of(dataset, found)
    verdicts = ask_about_runs(make("rules"), runs)
    assert verdicts.status == OK
    assert len(verdicts.said) == N_SEEDS * len(PROGRAMS)
    expected = np.concatenate([dataset["train_loss"][rebuilt.rows] for rebuilt in found])
    np.testing.assert_array_equal(runs["train_loss"], expected)


# ---------------------------------------------------------------------------------------------- the command


@pytest.fixture
def file(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store.write(dataset, tmp_path / "documented.h5")
    return "documented.h5"


def test_the_command_shows_stores_and_prints(file):
    done = command("documented", file, "-d", "rules", "-o", "page.md", "-q")
    assert (done.code, done.err) == (0, "")
    for program in PROGRAMS:
        assert program.name in done.out
    with open("page.md", encoding="utf-8") as page:
        text = page.read()
    command_line = "curvebench generate documented -o documented.h5 && curvebench documented documented.h5"
    assert f"{command_line} -d rules -o page.md" in text
    assert command("documented", file, "-o", "page.md").code == 2, "it exists"


def test_json_has_every_program(file):
    done = command("documented", file, "-d", "rules", "-d", "published/umlaut", "--json", "-q")
    assert [entry["program"] for entry in done.json["programs"]] == [program.name for program in PROGRAMS]
    assert len(done.json["not_rebuilt"]) == len(NOT_REBUILT)
    for entry in done.json["programs"]:
        assert set(entry["said"]) == {"rules", "published/umlaut"}
        assert all(sum(said.values()) == N_SEEDS for said in entry["said"].values())


def test_by_default_our_rules_and_all_published_ones_are_asked(file):
    names = set(command("documented", file, "--json", "-q").json["programs"][0]["said"])
    assert "rules" in names
    assert len([name for name in names if name.startswith("published/")]) >= 10


def test_one_that_learns_is_fitted_on_another_data_set(file, make_dataset, tmp_path):
    assert "--fit-on" in command("documented", file, "-d", "forest").err
    store.write(make_dataset(n_cells=12), tmp_path / "train.h5")
    done = command("documented", file, "-d", "forest", "--fit-on", "train.h5", "-o", "page.md", "--json", "-q")
    assert done.code == 0
    assert len(done.json["fit_on_sha256"]) == 64
    with open("page.md", encoding="utf-8") as page:
        assert f"fitted on `{done.json['fit_on_sha256']}`" in page.read()


def test_who_fails_is_named_and_the_code_is_one(file):
    with open("broken.py", "w") as module:
        module.write("def broken(curve):\n    raise ValueError('no idea')\n")
    done = command("documented", file, "-d", "broken.py:broken", "-q")
    assert done.code == 1
    assert "no idea" in done.err


def test_help_has_an_example():
    assert "Example: curvebench documented" in command("documented", "--help").out
