"""The pytest plugin, in projects of its own: what passes, what fails and what is said; and the page on it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import matplotlib.figure  # noqa: F401 - libraries that a project inside this process may not load a second time
import numpy as np  # noqa: F401
import pytest
import sklearn.metrics  # noqa: F401

import curvebench
from curvebench import guard
from curvebench.data.store import write
from curvebench.evaluation.baselines import read_baseline
from curvebench.plots import save_plot  # noqa: F401

pytest_plugins = ["pytester"]

IS_INSTALLED = bool(entry_points(group="pytest11", name="curvebench"))
PLUGIN = () if IS_INSTALLED else ("-p", "curvebench.pytest_plugin")
"""A checkout that was not installed anew since the plugin came has no entry point."""

PAGE = (Path(__file__).parents[1] / "docs" / "ci.md").read_text(encoding="utf-8")
PYTHON, SHELL, YAML = (re.findall(rf"```{x}\n(.*?)```", PAGE, re.DOTALL) for x in ("python", "bash", "yaml"))
MAKE_BASELINE, JOB, SPEED = SHELL
ONE_TEST = """
def test_it(curvebench_evaluate):
    assert curvebench_evaluate("rules", "small.h5").status == "ok"
"""
BASELINE = ("--curvebench-baseline", "b.json")
UPDATE = "--curvebench-update-baseline"


@pytest.fixture(scope="session")
def small(make_dataset, tmp_path_factory):
    """A made-up data set in a file, quicker than the one that is shipped."""
    path = tmp_path_factory.mktemp("plugin") / "small.h5"
    write(make_dataset(n_cells=36, n_points=8), path)
    return path


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch):
    """One picture of a failure takes a second, and shows as much."""
    monkeypatch.setattr(guard, "EXAMPLES", 1)


@pytest.fixture
def project(pytester, small):
    """A folder with the data set, in which pytest is run."""
    (pytester.path / "small.h5").symlink_to(small)
    return pytester


def run(project, *arguments):
    """Run pytest in this process, without the plugin of hypothesis, which would be imported anew each time."""
    return project.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments)


# --------------------------------------------------------------------------------------- being a plugin


def test_it_costs_nothing_until_it_is_used():
    heavy = ("numpy", "h5py", "sklearn", "pydantic", "typer", "rich", "matplotlib", "numba", "torch")
    code = f"""
import sys, pytest
before = set(sys.modules)
import curvebench.pytest_plugin
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(sorted(new & set({heavy})), sorted(name for name in sys.modules if name.startswith("curvebench")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "[] ['curvebench', 'curvebench.pytest_plugin']"


def test_every_public_name_is_found_where_it_is_looked_up():
    assert set(curvebench.__all__) - {"__version__"} == set(curvebench._PLACES)
    assert set(curvebench.__all__) <= set(dir(curvebench))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        curvebench.nonsense  # noqa: B018


def test_the_marker_is_registered_and_the_options_are_explained(project):
    run(project, "--markers").stdout.fnmatch_lines(["@pytest.mark.curvebench(min_SCORE=*"])
    text = run(project, "--help").stdout.str()
    for option in (BASELINE[0], "--curvebench-max-drop", UPDATE, "--curvebench-pictures"):
        assert option in text
        assert f"`{option}" in PAGE


def test_tests_of_others_are_left_alone(project):
    project.makepyfile("def test_it(): pass")
    run(project, "--strict-markers", "-W", "error").assert_outcomes(passed=1)


# ------------------------------------------------------------------------------------------------ limits


def test_the_fixture_gives_the_result_of_an_evaluation(project):
    project.makepyfile(
        """
        import curvebench

        def rises(curve):
            return "lr_too_high" if curve[-1] > curve[0] else "healthy"

        def test_it(curvebench_evaluate):
            result = curvebench_evaluate(rises, "small.h5", split="test_ood", track="curve", name="Rises")
            expected = curvebench.evaluate(curvebench.load("small.h5"), rises, split="test_ood")
            assert result.diagnoser == "Rises"
            assert result.scores == expected.scores

        def test_fitted_elsewhere(curvebench_evaluate):
            assert curvebench_evaluate("forest", "small.h5", fit_on="small.h5").status == "ok"
        """
    )
    run(project).assert_outcomes(passed=2)


@pytest.mark.parametrize("data", ["mini", "small.h5"])
def test_a_limit_that_is_not_kept_fails_with_a_table_and_curves(project, data):
    project.makepyfile(
        f"""
        import pytest

        @pytest.mark.curvebench(min_value=2, max_brier=9)
        def test_it(curvebench_evaluate):
            curvebench_evaluate("constant", "{data}")
        """
    )
    done = run(project, "--curvebench-pictures", "drawn")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            f"constant on the split test of {data} (track curve) does not keep the limits; * problem instances:",
            "score * now * 95 % interval  wanted*",
            "value * 0.000 * at least 2  FAILED",
            "brier * at most 9",
            "Curves that were judged worse, in */drawn/test_a_limit*:",
            "  *.png: labelled *, now healthy",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "def __call__" not in done.stdout.str()
    named = re.findall(r"^  (\S+\.png):", done.stdout.str(), re.MULTILINE)
    drawn = list((project.path / "drawn").rglob("*.png"))
    assert sorted(path.name for path in drawn) == sorted(set(named))  # in CI pytest says the message twice
    assert named


def test_markers_add_up_and_the_closest_has_the_last_word(project):
    project.makepyfile(
        """
        import pytest

        @pytest.mark.curvebench(min_value=2, max_brier=9)
        class TestIt:
            @pytest.mark.curvebench(min_value=-9)
            def test_kept(self, curvebench_evaluate):
                curvebench_evaluate("rules", "small.h5")

            @pytest.mark.curvebench(max_brier=0)
            def test_both_broken(self, curvebench_evaluate):
                curvebench_evaluate("rules", "small.h5")
        """
    )
    done = run(project)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["value * at least 2  FAILED", "brier * at most 0 * FAILED"])


@pytest.mark.parametrize(
    ("marker", "body", "outcome", "words"),
    [
        ("min_valu=1", "curvebench_evaluate('rules', 'small.h5')", "errors", "did you mean 'min_value'?"),
        ("0.3", "curvebench_evaluate('rules', 'small.h5')", "errors", "takes limits by their names"),
        ("min_value=0", "pass", "errors", "evaluated no diagnoser"),
        ("", "curvebench_evaluate('rulez', 'small.h5')", "failed", "Did you mean 'rules'?"),
        ("", "curvebench_evaluate('rules', 'missing.h5')", "failed", "missing.h5: there is no such file."),
        ("", "curvebench_evaluate('rules', 'small.h5', split='tests')", "failed", "There is no split 'tests'"),
        ("", "curvebench_evaluate(lambda curve: 1 / 0, 'small.h5')", "failed", "failed: ZeroDivisionError"),
        ("", "curvebench_evaluate(lambda curve: 'ill', 'small.h5')", "failed", "invalid_output: 'ill' is no diagnosis"),
    ],
)
def test_what_cannot_be_checked_is_said(project, marker, body, outcome, words):
    project.makepyfile(
        f"import pytest\n@pytest.mark.curvebench({marker})\ndef test_it(curvebench_evaluate):\n    {body}\n"
    )
    done = run(project)
    assert done.parseoutcomes()[outcome] == 1
    assert words in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_a_marked_test_without_the_fixture_is_an_error(project):
    project.makepyfile("import pytest\n@pytest.mark.curvebench(min_value=1)\ndef test_it(): pass")
    done = run(project)
    done.assert_outcomes(errors=1)
    assert "does not use the fixture curvebench_evaluate" in done.stdout.str()


def test_a_test_that_failed_before_is_not_reported_twice(project):
    project.makepyfile(
        "import pytest\n@pytest.mark.curvebench(min_value=1)\ndef test_it(curvebench_evaluate): assert False"
    )
    run(project).assert_outcomes(failed=1)


# ---------------------------------------------------------------------------------------------- baselines


def test_a_baseline_is_written_kept_to_and_written_anew(project):
    project.makepyfile(ONE_TEST)
    done = run(project, *BASELINE, UPDATE)
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["curvebench: baseline */b.json: 1 evaluations written, 0 others kept"])
    before = (project.path / "b.json").read_bytes()
    run(project, *BASELINE, "--curvebench-max-drop", "value:0,macro_f1:0,log_loss:0").assert_outcomes(passed=1)
    assert run(project, *BASELINE, UPDATE).ret == 0
    assert (project.path / "b.json").read_bytes() == before


WORSE = """
import curvebench, os

class Spoiled:
    "The rules, but for so many of the curves that they diagnose: these are called healthy."
    def predict_proba(self, X):
        p = curvebench.diagnosers.resolve("rules").predict_proba(X).copy()
        said = (p.argmax(axis=1) != 5).nonzero()[0]
        p[said[: int(os.environ["N_SPOILED"])]] = [0, 0, 0, 0, 0, 1]
        return p

import curvebench.diagnosers

def test_it(curvebench_evaluate):
    curvebench_evaluate(Spoiled(), "small.h5")
"""


def test_a_real_loss_fails_and_noise_does_not(project, monkeypatch):
    project.makepyfile(WORSE)
    monkeypatch.setenv("N_SPOILED", "0")
    assert run(project, *BASELINE, UPDATE).ret == 0
    monkeypatch.setenv("N_SPOILED", "1")  # falls by less than is allowed, or not clearly
    run(project, *BASELINE).assert_outcomes(passed=1)
    monkeypatch.setenv("N_SPOILED", "100000")
    drops = ("--curvebench-max-drop", "macro_f1:0.02", "--curvebench-max-drop", "brier:2")
    done = run(project, *BASELINE, *drops)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "Spoiled on the split test of small.h5 (track curve) has become worse than the baseline */b.json; *:",
            "score * before * now * change * 95 % interval *",
            "macro_f1 * FAILED",
            "brier *",
            "label * runs  score *",
            "lr_too_high * recall *",
            "Curves that were judged worse, in */curvebench-failures/*:",
            "  *.png: labelled *, before *, now healthy",
            f"To accept what is now, run the test with {UPDATE}, and commit the file.",
        ]
    )
    assert any((project.path / "curvebench-failures").rglob("*.png"))
    allowed = run(project, *BASELINE, "--curvebench-max-drop", "macro_f1:0.9")
    allowed.assert_outcomes(passed=1)
    run(project, *BASELINE, UPDATE).assert_outcomes(passed=1)
    run(project, *BASELINE).assert_outcomes(passed=1)


def test_only_what_passed_goes_into_the_baseline_and_the_rest_stays(project):
    project.makepyfile(
        test_a=ONE_TEST,
        test_b=ONE_TEST.replace('"rules"', '"constant"'),
        test_c=ONE_TEST.replace('== "ok"', '== "not ok"'),
    )
    done = run(project, *BASELINE, UPDATE)
    done.assert_outcomes(passed=2, failed=1)
    keys = [f"test_{x}.py::test_it [{name}, small.h5, test, curve]" for x, name in (("a", "rules"), ("b", "constant"))]
    assert sorted(read_baseline(project.path / "b.json")) == keys
    done = run(project, *BASELINE, UPDATE, "test_b.py")
    done.stdout.fnmatch_lines(["*: 1 evaluations written, 1 others kept"])
    assert sorted(read_baseline(project.path / "b.json")) == keys


def test_a_test_that_the_baseline_does_not_know_fails(project):
    project.makepyfile(test_a=ONE_TEST)
    assert run(project, *BASELINE, UPDATE).ret == 0
    project.makepyfile(test_b=ONE_TEST)
    done = run(project, *BASELINE)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["The baseline */b.json has nothing for test_b.py::test_it *, and commit the file."])


def test_the_same_evaluation_twice_needs_names(project):
    twice = """
def test_it(curvebench_evaluate):
    for name in {}:
        curvebench_evaluate("rules", "small.h5", name=name)
"""
    project.makepyfile(twice.format("[None, None]"))
    done = run(project, *BASELINE, UPDATE)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*was evaluated twice; give the second another name=."])
    project.makepyfile(twice.format('["a", "b"]'))
    run(project, *BASELINE, UPDATE).assert_outcomes(passed=1)
    assert len(read_baseline(project.path / "b.json")) == 2


def test_a_baseline_of_another_data_set_is_refused(project, make_dataset):
    project.makepyfile(ONE_TEST)
    assert run(project, *BASELINE, UPDATE).ret == 0
    (project.path / "small.h5").unlink()
    write(make_dataset(n_cells=36, n_points=8, seed=1), project.path / "small.h5")
    done = run(project, *BASELINE)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*the baseline was made with another data set (scored on *"])


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, BASELINE, f"There is no baseline */b.json. To make it, run the same with {UPDATE} and commit the file."),
        ("{", BASELINE, "*/b.json is no baseline of CurveBench, or it is damaged (*"),
        ("{", (*BASELINE, UPDATE), "*/b.json is no baseline of CurveBench, or it is damaged (*"),
        (None, (UPDATE,), f"{UPDATE} needs a baseline: give --curvebench-baseline FILE too."),
        (None, ("--curvebench-max-drop", "value:1"), "--curvebench-max-drop needs a baseline: *"),
        (None, (*BASELINE, UPDATE, "--curvebench-max-drop", "value"), "'value' does not say by how much *"),
        (None, ("--curvebench-baseline", "no/b.json", UPDATE), "*/no/b.json cannot be written: the folder *"),
    ],
)
def test_what_is_wrong_with_a_baseline_is_one_sentence(project, content, arguments, words):
    project.makepyfile(ONE_TEST)
    if content is not None:
        (project.path / "b.json").write_text(content)
    done = run(project, *arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: {words}"])
    assert "Traceback" not in done.stderr.str() + done.stdout.str()
    assert content is None or (project.path / "b.json").read_text() == content


def test_without_anything_to_write_no_baseline_appears(project):
    project.makepyfile("def test_it(): pass")
    done = run(project, *BASELINE, UPDATE)
    assert "no baseline is written" in done.stdout.str()
    assert not (project.path / "b.json").exists()


def test_a_baseline_that_cannot_be_written_is_said_at_the_end(project):
    project.makepyfile(ONE_TEST + "    import pathlib; pathlib.Path('b.json').mkdir()\n")
    done = run(project, *BASELINE, UPDATE)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stdout.fnmatch_lines(["curvebench: ERROR: */b.json cannot be written: it is a folder; choose another name."])


def test_workers_of_xdist_write_one_baseline(project):
    """Workers are processes, so this is what a few seconds are spent on."""
    project.makepyfile(test_a=ONE_TEST, test_b=ONE_TEST)
    done = project.runpytest_subprocess(*PLUGIN, "-p", "no:hypothesispytest", "-n", "2", *BASELINE, UPDATE)
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["*: 2 evaluations written, 0 others kept"])
    run(project, *BASELINE).assert_outcomes(passed=2)


# ------------------------------------------------------------------------------------------------ the page


@pytest.fixture
def example(pytester):
    """The project of the page, as printed."""
    for name, code in zip(("my_diagnoser.py", "test_my_diagnoser.py", "test_speed.py"), PYTHON, strict=True):
        assert name == "test_speed.py" or f"`{name}`" in PAGE
        (pytester.path / name).write_text(code, encoding="utf-8")
    (pytester.path / "test_speed.py").rename(pytester.path / "speed.py")
    return pytester


def printed(script):
    """Arguments of pytest in the lines of a script, after what is installed."""
    steps = [shlex.split(line) for line in script.splitlines()]
    ours = [step for step in steps if step[:3] == ["python", "-m", "pytest"]]
    assert all(step in ours or step[:4] == ["python", "-m", "pip", "install"] for step in steps)
    return [step[3:] for step in ours]


def test_the_job_passes_fails_on_a_worse_diagnoser_and_misses_its_baseline(example):
    [job], [make_baseline] = printed(JOB), printed(MAKE_BASELINE)
    done = run(example, *job)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: There is no baseline *. To make it, run the same with {UPDATE} and commit*"])

    assert run(example, *make_baseline).ret == 0
    assert json.loads((example.path / "curvebench-baseline.json").read_text())["format"] == "curvebench-baseline"
    passed = [sys.executable, "-m", "pytest", *PLUGIN, *job]
    subprocess.run(passed, cwd=example.path, check=True, capture_output=True, timeout=200)

    code = (example.path / "my_diagnoser.py").read_text()
    worse = code.replace("curve[-1] > curve[0]", "curve[-1] > 1e9 * curve[0]").replace("isfinite", "ones_like")
    (example.path / "my_diagnoser.py").write_text(worse)
    limits = (example.path / "test_my_diagnoser.py").read_text()
    (example.path / "test_my_diagnoser.py").write_text(limits.replace("min_macro_f1=0.2", "min_macro_f1=0"))
    done = run(example, *job)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["my_diagnoser on the split test of mini * has become worse than the baseline *"])
    assert any((example.path / "curvebench-failures").rglob("*.png"))


def test_the_job_on_github_runs_the_same_commands():
    assert re.findall(r"- run: (.*)", YAML[0]) == JOB.splitlines()
    assert "path: curvebench-failures" in YAML[0]


def test_the_speed_of_a_diagnoser_is_saved_and_compared(example, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # nothing is timed where tests run side by side
    pytest.importorskip("pytest_benchmark")
    save, compare = printed(SPEED)
    limit = compare.pop()
    assert limit == "--benchmark-compare-fail=median:50%"
    options = [
        *PLUGIN,
        "-p",
        "no:hypothesispytest",
        "speed.py",
        "--benchmark-max-time=0.05",
        "--benchmark-min-rounds=2",
    ]
    assert example.runpytest_inprocess(*options, *save).ret == 0
    # on a busy machine a fair share of runs is half as fast again, so that this must not fail here
    done = example.runpytest_inprocess(*options, *compare, "--benchmark-compare-fail=median:100000%")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*test_speed (0001_*"])
