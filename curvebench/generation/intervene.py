"""Trains one group: its sweep, then every remedy of every run. What comes out are outcomes; labels come later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.generation.plan import Group, outputs_of_group, remedies_of_recipe
from curvebench.generation.problems import Problem, constant_loss, make_problem
from curvebench.generation.random_streams import stream
from curvebench.generation.recipe import Recipe, ScheduleSpec
from curvebench.generation.schedules import schedule_shape
from curvebench.generation.sweep import extensions, refinements
from curvebench.spec import (
    OBJECTIVE_OF_LOSS,
    OBJECTIVES,
    Action,
    Bool,
    Engine,
    Float,
    Int,
    Output,
    Remedy,
    State,
    TrainingJob,
    Trajectories,
)

OUTCOME_SHARE = 0.05
"""Share of the updates, at the end, over which the outcome is averaged."""

N_OUTCOMES = 4
"""Evaluations averaged in it."""


@dataclass(frozen=True)
class Cell:
    """One schedule and one output of a group."""

    schedule: ScheduleSpec
    output: Output

    @property
    def objective(self) -> int:
        """Index into `OBJECTIVES` of the cell's own loss."""
        return OBJECTIVES.index(OBJECTIVE_OF_LOSS[self.output.loss])


@dataclass(frozen=True)
class GroupOutcomes:
    """Everything that was measured on a group; rows in the order cell, rate, seed.

    Attributes:
        group: what was asked for.
        problem: its data.
        cells: its cells.
        caps: (n_cells,) objective of the best constant prediction in each cell's own loss.
        n_steps: updates of every run.
        record_steps: (n_recorded,) updates after which points were recorded.
        cell: (n,) index into `cells`.
        rate_index: (n,) index on the group's grid.
        seed: (n,) paired seed.
        trajectories: curves (n, n_recorded), of the runs themselves.
        final_loss: (n,) uncapped outcome in the own objective, inf where not finite.
        final_val_loss: (n,).
        remedy_final_loss: (n, n_remedies), NaN where untried.
        remedy_final_val_loss: (n, n_remedies).
        resumed_train_loss: (n, n_resumes, n_recorded), NaN before the branch and where untried.
    """

    group: Group
    problem: Problem
    cells: tuple[Cell, ...]
    caps: Float
    n_steps: int
    record_steps: Int
    cell: Int
    rate_index: Int
    seed: Int
    train_loss: Float
    val_loss: Float
    grad_norm: Float
    is_dead: Bool
    final_loss: Float
    final_val_loss: Float
    remedy_final_loss: Float
    remedy_final_val_loss: Float
    resumed_train_loss: Float


def run_group(recipe: Recipe, group: Group, engine: Engine) -> GroupOutcomes:
    """Train a group's sweep and all its remedies; a pure function of recipe, group and engine."""
    trainer = _GroupTrainer(recipe, group, engine)
    trainer.sweep()
    trainer.resume()
    trainer.train_longer()
    return trainer.outcomes()


Pair = tuple[int, int]
"""Cell index and rate index."""


@dataclass
class _Block:
    """The K runs of one cell and rate."""

    trajectories: Trajectories
    checkpoints: dict[int, State]
    resumed_outcome: Float
    resumed_val_outcome: Float
    resumed_train_loss: Float
    longer_outcome: Float
    longer_val_outcome: Float


class _GroupTrainer:
    """Keeps what has been trained of a group, by cell and rate."""

    def __init__(self, recipe: Recipe, group: Group, engine: Engine):
        self.recipe, self.group, self.engine = recipe, group, engine
        self.n_seeds = recipe.sweep.seeds
        self.remedies = remedies_of_recipe(recipe)
        self.resumes = [remedy for remedy in self.remedies if remedy.action == Action.RESUME]
        restarts = [column for column, remedy in enumerate(self.remedies) if remedy.action == Action.RESTART]
        reach = len(restarts) // 2
        shifts = [*range(-reach, 0), *range(1, reach + 1)]
        self.shift_of_column = dict(zip(restarts, shifts, strict=True))
        self.problem = make_problem(group.family, group.instance, recipe.master_seed, group.n_train, group.n_val)
        self.optimizer = group.setting.to_optimizer()
        self.network = group.network.to_network(self.problem.train_inputs.shape[1], self.problem.train_targets.shape[1])
        self.cells = self._cells()
        self.fitting = {c.schedule.name: i for i, c in enumerate(self.cells) if c.output == self.cells[0].output}
        self.caps = np.array(
            [constant_loss(self.problem.train_targets, self.problem.task, OBJECTIVES[c.objective]) for c in self.cells]
        )
        n_train = len(self.problem.train_inputs)
        self.batch_size = min(group.setting.batch_size, n_train)
        self.n_steps = group.setting.epochs * (n_train // self.batch_size)
        self.record_steps = record_steps(self.n_steps, recipe.n_points)
        self.initial = np.stack(
            [initial_parameters(self.network, recipe.master_seed, group.index, s) for s in range(self.n_seeds)]
        )
        self.batches = self._batches()
        self.blocks: dict[Pair, _Block] = {}
        self.shapes: dict[tuple[str, int], Float] = {}
        self.rates: dict[tuple[int, int, int], Float] = {}

    def _cells(self) -> tuple[Cell, ...]:
        fitting = Output(self.problem.fitting_output, self.problem.fitting_loss)
        tried = outputs_of_group(self.group, self.recipe, self.problem.task)
        outputs = dict.fromkeys([fitting, *(Output(o.activation, o.loss) for o in tried)])
        return tuple(Cell(schedule, output) for output in outputs for schedule in self.group.schedules)

    def _batches(self) -> Int:
        """(n_seeds, 2 * n_steps, batch_size): every epoch a new permutation; examples left over are dropped."""
        n_train = len(self.problem.train_inputs)
        per_epoch = n_train // self.batch_size
        orders = []
        for seed in range(self.n_seeds):
            draw = stream(self.recipe.master_seed, "batches", self.group.index, seed)
            for _ in range(2 * self.group.setting.epochs):
                orders.append(draw.permutation(n_train)[: per_epoch * self.batch_size])
        return np.stack(orders).reshape(self.n_seeds, -1, self.batch_size).astype(np.int32)

    # ----------------------------------------------------------------------------------------- sweep

    def sweep(self) -> None:
        """The coarse pass, extension of its ends, refinement; each follows from the outcomes so far."""
        cells, grid = range(len(self.cells)), self.group.grid
        self._train([(cell, k) for cell in cells for k in grid.coarse])
        for _ in range(grid.max_extensions):
            self._train([(cell, k) for cell in cells for k in extensions(self._shares(cell), grid)])
        self._train([(cell, k) for cell in cells for k in refinements(self._shares(cell), grid)])

    def _shares(self, cell: int) -> dict[int, float]:
        """Rate index -> mean over seeds of the capped outcome as a share of the cap."""
        return {
            k: mean_share(block.trajectories.outcome[:, self.cells[cell].objective], self.caps[cell])
            for (c, k), block in self.blocks.items()
            if c == cell
        }

    def _train(self, pairs: Iterable[Pair]) -> None:
        """Train what is new of these, and the twins with the fitting output that `change_output` needs."""
        wanted = dict.fromkeys(pairs)
        twins = [(self.fitting[self.cells[cell].schedule.name], k) for cell, k in wanted]
        new = [pair for pair in dict.fromkeys([*wanted, *twins]) if pair not in self.blocks]
        for output, chosen in self._by_output(new):
            runs = [(pair, seed) for pair in chosen for seed in range(self.n_seeds)]
            seeds = np.array([seed for _, seed in runs])
            rates = np.stack([self._rates(pair, self.n_steps) for pair, _ in runs])
            start = initial_state(self.initial[seeds], self.optimizer.n_slots)
            at = tuple(sorted({self._branch_step(remedy) for remedy in self.resumes}))
            result = self.engine.train(self._job(output, seeds, rates, start, checkpoint_steps=at))
            for i, pair in enumerate(chosen):
                self.blocks[pair] = self._block(result, slice(i * self.n_seeds, (i + 1) * self.n_seeds))

    def _by_output(self, pairs: Iterable[Pair]) -> list[tuple[Output, list[Pair]]]:
        by_output: dict[Output, list[Pair]] = {}
        for pair in pairs:
            by_output.setdefault(self.cells[pair[0]].output, []).append(pair)
        return list(by_output.items())

    def _rates(self, pair: Pair, n_steps: int) -> Float:
        """(n_steps,) float32 learning rate of every update; many seeds and remedies ask for the same."""
        key = (*pair, n_steps)
        if key not in self.rates:
            cell, k = pair
            schedule = self.cells[cell].schedule
            shape = self.shapes.get((schedule.name, n_steps))
            if shape is None:
                shape = schedule_shape(schedule.shape, n_steps, schedule.decay, schedule.warmup)
                self.shapes[schedule.name, n_steps] = shape
            self.rates[key] = (shape * self.group.grid.rate(k)).astype(np.float32)
        return self.rates[key]

    def _job(
        self,
        output: Output,
        seeds: Int,
        rates: Float,
        start: State,
        *,
        checkpoint_steps: tuple[int, ...] = (),
        telemetry: bool = True,
    ) -> TrainingJob:
        n_steps = rates.shape[1]
        return TrainingJob(
            network=self.network,
            task=self.problem.task,
            output=output,
            optimizer=self.optimizer,
            train_inputs=self.problem.train_inputs,
            train_targets=self.problem.train_targets,
            val_inputs=self.problem.val_inputs,
            val_targets=self.problem.val_targets,
            batches=self.batches[:, :n_steps],
            seed_of_run=seeds,
            rates=rates,
            start=start,
            record_steps=self.record_steps,
            outcome_steps=outcome_steps(n_steps),
            checkpoint_steps=checkpoint_steps,
            telemetry=telemetry,
        )

    def _block(self, result: Trajectories, rows: slice) -> _Block:
        n, n_resumes, n_recorded = self.n_seeds, len(self.resumes), len(self.record_steps)
        part = Trajectories(
            result.train_loss[rows],
            result.val_loss[rows],
            result.grad_norm[rows],
            result.outcome[rows],
            result.val_outcome[rows],
            result.is_dead[rows],
            {},
        )
        states = {t: State(s.parameters[rows], s.slots[rows], t) for t, s in result.checkpoints.items()}
        return _Block(
            trajectories=part,
            checkpoints=states,
            resumed_outcome=np.full((n, n_resumes, len(OBJECTIVES)), np.nan),
            resumed_val_outcome=np.full((n, n_resumes, len(OBJECTIVES)), np.nan),
            resumed_train_loss=np.full((n, n_resumes, n_recorded), np.nan, np.float32),
            longer_outcome=np.full((n, len(OBJECTIVES)), np.nan),
            longer_val_outcome=np.full((n, len(OBJECTIVES)), np.nan),
        )

    # -------------------------------------------------------------------------------------- remedies

    def _branch_step(self, remedy: Remedy) -> int:
        """Number of updates at which a resumed remedy branches off.

        A recorded point, so that curves join, and one before the outcome is evaluated, so that the whole outcome is
        the remedy's own.
        """
        latest = int(np.searchsorted(self.record_steps, outcome_steps(self.n_steps)[0])) - 1
        return int(self.record_steps[min(round(remedy.at * (len(self.record_steps) - 1)), latest)])

    def resume(self) -> None:
        """Every `resume x f at t` of every run; a run that was dead by then stays as it was."""
        for at in sorted({self._branch_step(remedy) for remedy in self.resumes}):
            columns = [i for i, remedy in enumerate(self.resumes) if self._branch_step(remedy) == at]
            for output, pairs in self._by_output(self.blocks):
                self._resume_at(at, columns, output, pairs)
        for block in self.blocks.values():
            block.checkpoints.clear()

    def _resume_at(self, at: int, columns: list[int], output: Output, pairs: list[Pair]) -> None:
        living, states = [], []
        for pair in pairs:
            state = self.blocks[pair].checkpoints[at]
            alive = np.isfinite(state.parameters).all(axis=1) & ~self._was_dead(pair, at)
            dead = np.flatnonzero(~alive)[:, None]
            self.blocks[pair].resumed_outcome[dead, columns] = np.inf
            self.blocks[pair].resumed_val_outcome[dead, columns] = np.inf
            living += [(pair, int(seed)) for seed in np.flatnonzero(alive)]
            states += [(state.parameters[seed], state.slots[seed]) for seed in np.flatnonzero(alive)]
        if not living:
            return
        factors = [self.resumes[column].factor for column in columns]
        repeat = np.repeat(np.arange(len(living)), len(factors))
        rates = np.stack([self._rates(pair, self.n_steps) for pair, _ in living])[repeat]
        rates[:, at:] *= np.tile(np.array(factors, np.float32), len(living))[:, None]
        start = State(np.stack([p for p, _ in states])[repeat], np.stack([s for _, s in states])[repeat], at)
        seeds = np.array([seed for _, seed in living])[repeat]
        result = self.engine.train(self._job(output, seeds, rates, start, telemetry=False))
        for i, (pair, seed) in enumerate(living):
            block, rows = self.blocks[pair], slice(i * len(columns), (i + 1) * len(columns))
            block.resumed_outcome[seed, columns] = result.outcome[rows]
            block.resumed_val_outcome[seed, columns] = result.val_outcome[rows]
            block.resumed_train_loss[seed, columns] = result.train_loss[rows]

    def _was_dead(self, pair: Pair, at: int) -> Bool:
        """Whether each seed's training loss had ceased to be finite when `at` updates were made, (n_seeds,)."""
        points = self.record_steps <= at
        is_dead: Bool = np.any(~np.isfinite(self.blocks[pair].trajectories.train_loss[:, points]), axis=1)
        return is_dead

    def train_longer(self) -> None:
        """Train twice as long, the schedule stretched, for the seeds that the recipe asks it for."""
        n_longer = min(self.recipe.remedies.train_longer_seeds, self.n_seeds)
        if n_longer == 0:
            return
        for output, pairs in self._by_output(self.blocks):
            seeds = np.tile(np.arange(n_longer), len(pairs))
            rates = np.stack([self._rates(pair, 2 * self.n_steps) for pair in pairs for _ in range(n_longer)])
            start = initial_state(self.initial[seeds], self.optimizer.n_slots)
            result = self.engine.train(self._job(output, seeds, rates, start, telemetry=False))
            for i, pair in enumerate(pairs):
                rows = slice(i * n_longer, (i + 1) * n_longer)
                self.blocks[pair].longer_outcome[:n_longer] = result.outcome[rows]
                self.blocks[pair].longer_val_outcome[:n_longer] = result.val_outcome[rows]

    # -------------------------------------------------------------------------------------- outcomes

    def outcomes(self) -> GroupOutcomes:
        """Put everything into one table."""
        pairs = sorted(self.blocks)
        blocks = [self.blocks[pair] for pair in pairs]
        remedied = [self._remedied(pair) for pair in pairs]

        def curves(name: str) -> Float:
            return np.concatenate([getattr(block.trajectories, name) for block in blocks]).astype(np.float32)

        def own(name: str) -> Float:
            columns = [self.cells[cell].objective for cell, _ in pairs]
            parts = [getattr(b.trajectories, name)[:, column] for b, column in zip(blocks, columns, strict=True)]
            return _finite_or_inf(np.concatenate(parts))

        return GroupOutcomes(
            group=self.group,
            problem=self.problem,
            cells=self.cells,
            caps=self.caps,
            n_steps=self.n_steps,
            record_steps=self.record_steps,
            cell=np.repeat([cell for cell, _ in pairs], self.n_seeds),
            rate_index=np.repeat([k for _, k in pairs], self.n_seeds),
            seed=np.tile(np.arange(self.n_seeds), len(pairs)),
            train_loss=curves("train_loss"),
            val_loss=curves("val_loss"),
            grad_norm=curves("grad_norm"),
            is_dead=np.concatenate([block.trajectories.is_dead for block in blocks]),
            final_loss=own("outcome"),
            final_val_loss=own("val_outcome"),
            remedy_final_loss=np.concatenate([train for train, _ in remedied]),
            remedy_final_val_loss=np.concatenate([val for _, val in remedied]),
            resumed_train_loss=np.concatenate([block.resumed_train_loss for block in blocks]).astype(np.float32),
        )

    def _remedied(self, pair: Pair) -> tuple[Float, Float]:
        """Outcomes of all remedies in the cell's own objective, on training and validation set, (K, n_remedies)."""
        block = self.blocks[pair]
        own = self.cells[pair[0]].objective
        tables = []
        for outcome, resumed, longer in (
            ("outcome", block.resumed_outcome, block.longer_outcome),
            ("val_outcome", block.resumed_val_outcome, block.longer_val_outcome),
        ):
            table = np.full((self.n_seeds, len(self.remedies)), np.nan)
            for column, remedy in enumerate(self.remedies):
                match remedy.action:
                    case Action.RESUME:
                        table[:, column] = resumed[:, self.resumes.index(remedy), own]
                    case Action.TRAIN_LONGER:
                        table[:, column] = longer[:, own]
                    case _:
                        twin = self._twin(pair, remedy, column)
                        if twin in self.blocks:
                            table[:, column] = getattr(self.blocks[twin].trajectories, outcome)[:, own]
            tables.append(_finite_or_inf(table))
        return tables[0], tables[1]

    def _twin(self, pair: Pair, remedy: Remedy, column: int) -> Pair | None:
        """The cell and rate whose run is what `none`, `restart` or `change_output` leads to."""
        cell, k = pair
        match remedy.action:
            case Action.NONE:
                return pair
            case Action.RESTART:
                return cell, k + self.shift_of_column[column]
            case _:
                twin = self.fitting[self.cells[cell].schedule.name]
                return None if twin == cell else (twin, k)


def record_steps(n_steps: int, n_points: int) -> Int:
    """Numbers of updates, from 0 to n_steps, at which points are recorded: n_points, or fewer in a short training.

    >>> record_steps(10, 6).tolist(), record_steps(3, 6).tolist()
    ([0, 2, 4, 6, 8, 10], [0, 1, 2, 3])
    """
    n = min(n_points, n_steps + 1)
    return np.array([(i * n_steps) // (n - 1) for i in range(n)], dtype=np.int32)


def outcome_steps(n_steps: int) -> Int:
    """Numbers of updates at which the outcome is evaluated: evenly in the last 5 % of training, the end included.

    >>> outcome_steps(400).tolist(), outcome_steps(12).tolist()
    ([385, 390, 395, 400], [9, 10, 11, 12])
    """
    distance = max(1, int(OUTCOME_SHARE * n_steps) // N_OUTCOMES)
    return np.array([n_steps - i * distance for i in reversed(range(min(N_OUTCOMES, n_steps)))], dtype=np.int32)


def mean_share(outcomes: Float, cap: float) -> float:
    """Mean over seeds of the capped outcome as a share of the cap; summed in order, so that bits are portable."""
    shares = [min(float(j), float(cap)) / float(cap) if np.isfinite(j) else 1.0 for j in outcomes]
    return sum(shares) / len(shares)


def _finite_or_inf(outcomes: Float) -> Float:
    """As stored: float32; beyond its range is inf; NaN stays (untried)."""
    with np.errstate(over="ignore"):
        return outcomes.astype(np.float32)
