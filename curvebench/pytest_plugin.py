"""A pytest plugin: tests of a diagnoser that fail where it is not good enough, or has become worse.

All that is heavy is imported when the first diagnoser is evaluated, so that other tests don't pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from curvebench.data.dataset import Dataset
    from curvebench.evaluation.baselines import Entry
    from curvebench.evaluation.evaluate import Judgement
    from curvebench.evaluation.results import Result
    from curvebench.guard import Limit

BASELINE, MAX_DROP, UPDATE, PICTURES = (
    f"--curvebench-{name}" for name in ("baseline", "max-drop", "update-baseline", "pictures")
)

MARKER = "curvebench"

_ENTRIES = "curvebench_entries"
"""Under this name a worker of pytest-xdist sends the controller what goes into the baseline."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("curvebench", "tests of diagnosers of loss curves")
    group.addoption(
        BASELINE, metavar="FILE", help="Compare with the answers in this file; a test fails if its scores fell."
    )
    group.addoption(
        MAX_DROP,
        metavar="SCORE:DROP",
        action="append",
        help="What a score may lose against the baseline, for instance value:0.05; may be repeated. A test fails if "
        "the loss is larger and its 95 %% interval excludes zero. Default: value:0.05,macro_f1:0.05.",
    )
    group.addoption(
        UPDATE, action="store_true", help=f"Write the answers of tests that pass into the file of {BASELINE}."
    )
    group.addoption(
        PICTURES,
        metavar="FOLDER",
        default="curvebench-failures",
        help="Where curves are drawn that are judged worse. Default: curvebench-failures.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; read the baseline, if there is to be one."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(min_SCORE=..., max_SCORE=...): limits of the scores of diagnosers that the test gives to the "
        "fixture curvebench_evaluate, for instance min_value=0.3, min_macro_f1=0.5",
    )
    config.stash[_SESSION] = _Session.from_options(config)


class _Session:
    """What is shared by all tests of a session.

    Attributes:
        baseline_path: where the baseline is; None without one.
        baseline: name of an evaluation -> its answers before; None where there is nothing to compare with.
        drops: score -> what it may lose.
        new: name of an evaluation -> its answers now, of tests that passed.
        message: what became of the baseline, to be shown at the end.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.folder: Path = config.invocation_params.dir
        self.pictures: Path = self.folder / config.getoption(PICTURES)
        self.is_updating: bool = config.getoption(UPDATE)
        self.baseline_path: Path | None = None
        self.baseline: dict[str, Entry] | None = None
        self.drops: dict[str, float] = {}
        self.new: dict[str, Entry] = {}
        self.message = ""
        self._datasets: dict[Path, Dataset] = {}

    @classmethod
    def from_options(cls, config: pytest.Config) -> _Session:
        """What the options ask for.

        Raises:
            pytest.UsageError: they contradict each other, or the baseline is missing or damaged.
        """
        session = cls(config)
        file, drops = config.getoption(BASELINE), config.getoption(MAX_DROP)
        if file is None:
            if given := [option for option, value in ((UPDATE, session.is_updating), (MAX_DROP, drops)) if value]:
                raise pytest.UsageError(f"{given[0]} needs a baseline: give {BASELINE} FILE too.")
            return session
        from curvebench.data.store import check_target
        from curvebench.evaluation.baselines import read_baseline
        from curvebench.guard import DEFAULT_DROPS, parse_drops
        from curvebench.spec import CurveBenchError

        path = session.baseline_path = session.folder / file
        try:
            session.drops = parse_drops(drops) if drops else dict(DEFAULT_DROPS)
            if session.is_updating:
                check_target(path, overwrite=True)
            if path.exists() or not session.is_updating:
                session.baseline = read_baseline(path)
        except CurveBenchError as error:
            hint = "" if path.exists() else f" To make it, run the same with {UPDATE} and commit the file."
            raise pytest.UsageError(f"{error}{hint}") from None
        return session

    def load(self, data: str | Path) -> Dataset:
        """A data set, read once in a session."""
        from curvebench.data.shipped import locate
        from curvebench.data.store import load

        path = locate(data).absolute()
        if path not in self._datasets:
            self._datasets[path] = load(data)
        return self._datasets[path]

    def write_baseline(self) -> None:
        """Write what passed beside what is there of other tests; a failure becomes the message."""
        from curvebench.evaluation.baselines import write_baseline

        assert self.baseline_path is not None
        before = self.baseline or {}
        write_baseline({**before, **self.new}, self.baseline_path)
        n_kept = len(set(before) - set(self.new))
        self.message = f"baseline {self.baseline_path}: {len(self.new)} evaluations written, {n_kept} others kept"


_SESSION = pytest.StashKey[_Session]()
_PASSED = pytest.StashKey[bool]()


# ------------------------------------------------------------------------------------------------- the tests


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Complain of a marked test that could not check anything."""
    if any(marker.name == MARKER for marker in item.own_markers) and "curvebench_evaluate" not in getattr(
        item, "fixturenames", ()
    ):
        pytest.fail(
            f"The test is marked {MARKER} but does not use the fixture curvebench_evaluate, so nothing would be "
            "checked: take the fixture as an argument and give it a diagnoser.",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether the test passed, for only then its answers may become the baseline."""
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def curvebench_evaluate(request: pytest.FixtureRequest) -> Iterator[Callable[..., Result]]:
    """Evaluate a diagnoser, and fail the test where it is not good enough or has become worse.

    A function `(diagnoser, data="mini", *, split="test", track=None, fit_on=None, name=None)` that returns the
    `curvebench.Result`. The diagnoser is anything that `curvebench.evaluate` takes; `data` and `fit_on` are paths, or
    names of data sets that come with the package. It fails the test if the diagnoser raises or breaks the contract, if
    a limit of the marker `curvebench` is not kept, or if a score fell against the baseline.
    """
    checks = _Checks(request)
    yield checks
    if request.node.stash.get(_PASSED, False):
        if checks.limits and not checks.n_evaluated:
            pytest.fail(
                f"The test is marked {MARKER} but evaluated no diagnoser: call curvebench_evaluate.", pytrace=False
            )
        checks.session.new.update(checks.answers)


class _Checks:
    """The fixture's value: evaluates diagnosers for one test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        from curvebench.guard import parse_limits
        from curvebench.spec import UsageError

        self.node = request.node
        self.session: _Session = request.config.stash[_SESSION]
        self.n_evaluated = 0
        self.answers: dict[str, Entry] = {}
        wanted: dict[str, Any] = {}
        for marker in reversed(list(request.node.iter_markers(MARKER))):  # the closest has the last word
            if marker.args:
                pytest.fail(f"The marker {MARKER} takes limits by their names, such as min_value=0.3.", pytrace=False)
            wanted |= marker.kwargs
        try:
            self.limits: list[Limit] = parse_limits(wanted)
        except UsageError as error:
            pytest.fail(str(error), pytrace=False)

    def __call__(
        self,
        diagnoser: object,
        data: str | Path = "mini",
        *,
        split: str = "test",
        track: str | None = None,
        fit_on: str | Path | None = None,
        name: str | None = None,
    ) -> Result:
        """See `curvebench_evaluate`."""
        from curvebench.evaluation.evaluate import examine
        from curvebench.spec import CurveBenchError

        __tracebackhide__ = True
        try:
            dataset = self.session.load(data)
            fitting = None if fit_on is None else self.session.load(fit_on)
            (examination,) = examine(dataset, diagnoser, {split: None}, track=track, fit_on=fitting, name=name)
        except CurveBenchError as error:
            pytest.fail(str(error), pytrace=False)
        result, judgement = examination.result, examination.judgement
        self.n_evaluated += 1
        title = f"{result.diagnoser} on the split {split} of {Path(data).name} (track {result.track})"
        if judgement is None:
            pytest.fail(f"{title}: {result.status}: {result.message}", pytrace=False)
        self._check_limits(title, result, judgement, dataset)
        key = f"{self.node.nodeid} [{result.diagnoser}, {Path(data).name}, {split}, {result.track}]"
        self._check_baseline(title, key, result, judgement, dataset)
        return result

    def _check_limits(self, title: str, result: Result, judgement: Judgement, dataset: Dataset) -> None:
        from curvebench.guard import account_of_limits, draw_examples, truth_of

        __tracebackhide__ = True
        if table := account_of_limits(result, self.limits):
            pictures = draw_examples(dataset, judgement, truth_of(judgement), self._folder())
            _fail(f"{title} does not keep the limits", judgement, table, pictures)

    def _check_baseline(self, title: str, key: str, result: Result, judgement: Judgement, dataset: Dataset) -> None:
        """Compare with the baseline, unless it is to be written, and keep the answers for the next one."""
        from curvebench.evaluation.baselines import entry_of, judgement_before
        from curvebench.evaluation.compare import compare_judgements
        from curvebench.guard import account_of_losses, draw_examples, reference_of
        from curvebench.spec import InputError

        __tracebackhide__ = True
        session = self.session
        if session.baseline_path is None:
            return
        if key in self.answers:
            pytest.fail(f"{key} was evaluated twice; give the second another name=.", pytrace=False)
        self.answers[key] = entry_of(result, judgement, dataset)
        if session.is_updating or session.baseline is None:
            return
        update = f"To accept what is now, run the test with {UPDATE}, and commit the file."
        if key not in session.baseline:
            pytest.fail(f"The baseline {session.baseline_path} has nothing for {key}. {update}", pytrace=False)
        try:
            before = judgement_before(session.baseline[key], result, judgement, dataset)
        except InputError as error:
            pytest.fail(f"{title}: {error}. {update}", pytrace=False)
        differences, _, _ = compare_judgements(judgement, before)
        if table := account_of_losses(differences, session.drops, judgement.judged.label.tolist()):
            pictures = draw_examples(dataset, judgement, reference_of(before, "before"), self._folder())
            _fail(
                f"{title} has become worse than the baseline {session.baseline_path}",
                judgement,
                table,
                [*pictures, update],
            )

    def _folder(self) -> Path:
        """Where pictures of this test go."""
        return self.session.pictures / re.sub(r"[^A-Za-z0-9_.-]+", "-", self.node.nodeid)


def _fail(title: str, judgement: Judgement, table: list[str], after: list[str]) -> None:
    __tracebackhide__ = True
    basis = f"{len(judgement.rows):,} runs of {len(judgement.family)} problem instances"
    pytest.fail("\n".join([f"{title}; {basis}:", "", *table, "", *after]), pytrace=False)


# ------------------------------------------------------------------------------------------------ the baseline


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a worker of pytest-xdist has for the baseline."""
    if text := getattr(node, "workeroutput", {}).get(_ENTRIES):
        from curvebench.evaluation.baselines import from_text

        node.config.stash[_SESSION].new.update(from_text(text))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the baseline, or send what goes into it to who writes it."""
    ours = session.config.stash[_SESSION]
    if not (ours.is_updating and ours.new):
        return
    from curvebench.evaluation.baselines import to_text
    from curvebench.spec import CurveBenchError

    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_ENTRIES] = to_text(ours.new)
        return
    try:
        ours.write_baseline()
    except CurveBenchError as error:
        ours.message = f"ERROR: {error}"
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what became of the baseline."""
    ours = config.stash[_SESSION]
    if ours.is_updating:
        terminalreporter.write_line(
            f"curvebench: {ours.message or 'no test that passed evaluated a diagnoser; no baseline is written'}"
        )
