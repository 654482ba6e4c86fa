"""Trains one group: its sweep, then every remedy of every run. What comes out are outcomes; labels come later."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from curvebench.generation.moments import branch_fault, branch_step, count_updates, outcome_steps, record_steps
from curvebench.generation.networks import initial_parameters, initial_state
from curvebench.generation.plan import Group, outputs_of_group, remedies_of_recipe
from curvebench.generation.problems import Problem, constant_loss, in_units, make_problem, turned
from curvebench.generation.random_streams import stream
from curvebench.generation.recipe import Recipe, ScheduleSpec
from curvebench.generation.sweep import best_index, extensions, refinements
from curvebench.spec import (
    OBJECTIVE_OF_LOSS,
    OBJECTIVES,
    Action,
    Bool,
    Engine,
    Float,
    InputError,
    Int,
    Output,
    Remedy,
    State,
    TrainingJob,
    Trajectories,
)

PRETRAINING = ScheduleSpec(name="pretraining", shape="cosine", decay=30.0)
"""Schedule of the training that goes before fine-tuning, as long as the fine-tuning itself."""

TURN = (0.1 * math.pi, 0.4 * math.pi)
"""Between these angles the inputs of the problem that it is trained on are turned, in radians."""


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
        source: the related problem that the networks were trained on before; None where they begin afresh.
        source_loss: (2, n) own objective on the source at the start and at the end of the run; NaN without a source.
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
    source: Problem | None
    source_loss: Float


Pair = tuple[int, int]
"""Cell index and rate index."""


def run_group(recipe: Recipe, group: Group, engine: Engine) -> GroupOutcomes:
    """Train a group's sweep and all its remedies; a pure function of recipe, group and engine.

    Raises:
        InputError: the problem has fewer examples than the recipe asks for, too few to tell the moments of its
            resumptions apart.
    """
    trainer = _GroupTrainer(recipe, group, engine)
    trainer.sweep()
    trainer.resume()
    trainer.look_back()
    trainer.train_longer()
    return trainer.outcomes()


def run_remedies(
    recipe: Recipe, group: Group, wanted: Mapping[Pair, Collection[int]], engine: Engine, first_seed: int = 0
) -> dict[Pair, Float]:
    """Train some runs of a group and some of their remedies, with any paired seeds.

    Args:
        recipe: that the group is of.
        group: what the runs have in common.
        wanted: cell and rate -> remedies to try, as indices into `remedies_of_recipe`.
        engine: trains them.
        first_seed: the first of the K seeds; the runs of the data set itself have those from 0.

    Returns:
        Cell and rate -> (K, n_remedies) float32 outcomes in the cell's own objective, as stored in
        `remedy_final_loss`: none (index 0) and the wanted ones, all others NaN.

    Raises:
        InputError: the group has no such cell.
    """
    trainer = _GroupTrainer(recipe, group, engine, first_seed)
    if (last := max((cell for cell, _ in wanted), default=0)) >= len(trainer.cells):
        raise InputError(
            f"Group {group.index} of the recipe has {len(trainer.cells)} cells; number {last} was asked for."
        )
    tried = {pair: sorted({0, *columns}) for pair, columns in wanted.items()}
    twins = [trainer.twin(pair, column) for pair, columns in tried.items() for column in columns]
    trainer.train(twin for twin in twins if twin is not None)
    trainer.resume(
        {
            pair: [trainer.resume_of_column[c] for c in columns if c in trainer.resume_of_column]
            for pair, columns in tried.items()
        }
    )
    is_longer = [remedy.action is Action.TRAIN_LONGER for remedy in trainer.remedies]
    trainer.train_longer(pair for pair, columns in tried.items() if any(is_longer[c] for c in columns))
    outcomes = {}
    for pair, columns in tried.items():
        outcomes[pair] = np.full((trainer.n_seeds, len(trainer.remedies)), np.nan, np.float32)
        outcomes[pair][:, columns] = trainer.remedied(pair)[0][:, columns]
    return outcomes


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
    source_loss: Float


def _examples(problem: Problem) -> dict[str, Any]:
    """The data of a job."""
    names = ("train_inputs", "train_targets", "val_inputs", "val_targets")
    return {name: getattr(problem, name) for name in names}


class _GroupTrainer:
    """Keeps what has been trained of a group, by cell and rate."""

    def __init__(self, recipe: Recipe, group: Group, engine: Engine, first_seed: int = 0):
        self.recipe, self.group, self.engine = recipe, group, engine
        self.n_seeds = recipe.sweep.seeds
        self.seed_numbers = range(first_seed, first_seed + self.n_seeds)
        self.remedies = remedies_of_recipe(recipe)
        self.resumes = [remedy for remedy in self.remedies if remedy.action == Action.RESUME]
        self.resume_of_column = {self.remedies.index(remedy): i for i, remedy in enumerate(self.resumes)}
        restarts = [column for column, remedy in enumerate(self.remedies) if remedy.action == Action.RESTART]
        reach = len(restarts) // 2
        shifts = [*range(-reach, 0), *range(1, reach + 1)]
        self.shift_of_column = dict(zip(restarts, shifts, strict=True))
        problem = make_problem(group.family, group.instance, recipe.master_seed, group.n_train, group.n_val)
        self.problem = in_units(problem, group.input_scale)
        self.optimizer = group.setting.to_optimizer()
        self.network = group.network.to_network(self.problem.train_inputs.shape[1], self.problem.train_targets.shape[1])
        self.cells = self._cells()
        self.fitting = {c.schedule.name: i for i, c in enumerate(self.cells) if c.output == self.cells[0].output}
        self.caps = np.array(
            [constant_loss(self.problem.train_targets, self.problem.task, OBJECTIVES[c.objective]) for c in self.cells]
        )
        n_train = len(self.problem.train_inputs)
        self.batch_size = min(group.setting.batch_size, n_train)
        self.n_steps = count_updates(n_train, group.setting.batch_size, group.setting.epochs)
        if fault := branch_fault(recipe.remedies.resume_at, self.n_steps, recipe.n_points):
            raise InputError(
                f"{self.problem.name} has only {n_train} training examples for remedies.resume_at: {fault}"
            )
        self.record_steps = record_steps(self.n_steps, recipe.n_points)
        self.initial = np.stack(
            [
                initial_parameters(self.network, recipe.master_seed, group.index, seed, group.input_scale)
                for seed in self.seed_numbers
            ]
        )
        self.batches = self._batches()
        self.source: Problem | None = None
        if group.fine_tuning:
            self._pretrain()
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
        for seed in self.seed_numbers:
            draw = stream(self.recipe.master_seed, "batches", self.group.index, seed)
            for _ in range(2 * self.group.setting.epochs):
                orders.append(draw.permutation(n_train)[: per_epoch * self.batch_size])
        batches = np.stack(orders).reshape(self.n_seeds, -1, self.batch_size).astype(np.int32)
        for place, seed in enumerate(self.seed_numbers):
            draw = stream(self.recipe.master_seed, "bad batches", self.group.index, seed)
            for step in draw.integers(self.n_steps, (self.group.setting.bad_batches,)):
                batches[place, step] = int(draw.integers(n_train))
        return batches

    def _pretrain(self) -> None:
        """Train the networks on the related problem first; fine-tuning starts where the best rate leaves them.

        The rate is chosen as a person would, by the mean loss of a coarse pass; the schedule is `PRETRAINING`.
        """
        draw = stream(self.recipe.master_seed, "turned", self.group.index)
        self.source = turned(self.problem, float(draw.uniform((), *TURN)), draw)
        seeds, coarse = np.arange(self.n_seeds), self.group.grid.coarse
        shape = PRETRAINING.over(self.n_steps)
        rates = np.stack([shape * self.group.grid.rate(k) for k in coarse]).astype(np.float32)
        start = initial_state(np.tile(self.initial, (len(coarse), 1)), self.optimizer.n_slots)
        job = self._job(
            self.cells[0].output,
            np.tile(seeds, len(coarse)),
            np.repeat(rates, self.n_seeds, axis=0),
            start,
            checkpoint_steps=(self.n_steps,),
            telemetry=False,
        )
        result = self.engine.train(replace(job, **_examples(self.source)))
        losses = result.outcome[:, self.cells[0].objective].reshape(len(coarse), self.n_seeds)
        shares = {k: mean_share(row, self.caps[0]) for k, row in zip(coarse, losses, strict=True)}
        best = coarse.index(best_index(shares))
        self.initial = result.checkpoints[self.n_steps].parameters[best * self.n_seeds + seeds]

    # ----------------------------------------------------------------------------------------- sweep

    def sweep(self) -> None:
        """The coarse pass, extension of its ends, refinement; each follows from the outcomes so far."""
        cells, grid = range(len(self.cells)), self.group.grid
        self._train_with_twins([(cell, k) for cell in cells for k in grid.coarse])
        for _ in range(grid.max_extensions):
            self._train_with_twins([(cell, k) for cell in cells for k in extensions(self._shares(cell), grid)])
        self._train_with_twins([(cell, k) for cell in cells for k in refinements(self._shares(cell), grid)])

    def _shares(self, cell: int) -> dict[int, float]:
        """Rate index -> mean over seeds of the capped outcome as a share of the cap."""
        return {
            k: mean_share(block.trajectories.outcome[:, self.cells[cell].objective], self.caps[cell])
            for (c, k), block in self.blocks.items()
            if c == cell
        }

    def _train_with_twins(self, pairs: Iterable[Pair]) -> None:
        """Train these, and the twins with the fitting output that `change_output` needs."""
        wanted = dict.fromkeys(pairs)
        self.train([*wanted, *((self.fitting[self.cells[cell].schedule.name], k) for cell, k in wanted)])

    def train(self, pairs: Iterable[Pair]) -> None:
        """Train what is new of these with every seed."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.blocks]
        for output, chosen in self._by_output(new):
            runs = [(pair, seed) for pair in chosen for seed in range(self.n_seeds)]
            seeds = np.array([seed for _, seed in runs])
            rates = np.stack([self._rates(pair, self.n_steps) for pair, _ in runs])
            start = initial_state(self.initial[seeds], self.optimizer.n_slots)
            at = tuple(sorted({self._branch_step(remedy) for remedy in self.resumes} | self._ends()))
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
                shape = schedule.over(n_steps)
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
            **_examples(self.problem),
            batches=self.batches[:, :n_steps],
            seed_of_run=seeds,
            rates=rates,
            start=start,
            record_steps=self.record_steps,
            outcome_steps=outcome_steps(n_steps),
            checkpoint_steps=checkpoint_steps,
            telemetry=telemetry,
        )

    def _ends(self) -> set[int]:
        """The last update, if it is asked what the networks have forgotten by then."""
        return {self.n_steps} if self.group.fine_tuning else set()

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
            source_loss=np.full((2, n), np.nan),
        )

    # -------------------------------------------------------------------------------------- remedies

    def _branch_step(self, remedy: Remedy) -> int:
        """Number of updates at which a resumed remedy branches off."""
        return branch_step(remedy.at, self.n_steps, self.recipe.n_points)

    def resume(self, wanted: Mapping[Pair, Collection[int]] | None = None) -> None:
        """Every `resume x f at t` of every run, or those wanted; a run that was dead by then stays as it was.

        Args:
            wanted: cell and rate -> indices into `resumes`.
        """
        if wanted is None:
            wanted = dict.fromkeys(self.blocks, range(len(self.resumes)))
        for at in sorted({self._branch_step(remedy) for remedy in self.resumes}):
            alike: dict[tuple[int, ...], list[Pair]] = {}
            for pair, columns in wanted.items():
                here = tuple(i for i in columns if self._branch_step(self.resumes[i]) == at)
                alike.setdefault(here, []).append(pair)
            for columns, pairs in alike.items():
                for output, chosen in self._by_output(pairs if columns else []):
                    self._resume_at(at, list(columns), output, chosen)
            for block in self.blocks.values():
                del block.checkpoints[at]

    def look_back(self) -> None:
        """The loss on the problem that the networks came from, before and after they were fine-tuned."""
        if self.source is None:
            return
        for output, pairs in self._by_output(self.blocks):
            ends = [self.blocks[pair].checkpoints[self.n_steps].parameters for pair in pairs]
            losses = self._source_losses(output, np.concatenate([self.initial, *ends]))
            before, *after = losses.reshape(len(pairs) + 1, self.n_seeds)
            for pair, loss in zip(pairs, after, strict=True):
                self.blocks[pair].source_loss = np.stack([before, loss])
                self.blocks[pair].checkpoints.clear()

    def _source_losses(self, output: Output, parameters: Float) -> Float:
        """The own objective of networks (n, n_parameters) on the source, (n,); inf where they died.

        An engine evaluates after updates only: one is made, at a rate of zero.
        """
        assert self.source is not None
        n, last = len(parameters), self.n_steps - 1
        slots = initial_state(parameters, self.optimizer.n_slots).slots
        seeds = np.arange(n) % self.n_seeds
        job = self._job(
            output, seeds, np.zeros((n, self.n_steps), np.float32), State(parameters, slots, last), telemetry=False
        )
        job = replace(job, **_examples(self.source), outcome_steps=np.array([self.n_steps]))
        return self.engine.train(job).outcome[:, OBJECTIVES.index(OBJECTIVE_OF_LOSS[output.loss])]

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

    def train_longer(self, wanted: Iterable[Pair] | None = None) -> None:
        """Train all, or those wanted, twice as long, the schedule stretched; as many seeds as the recipe says."""
        n_longer = min(self.recipe.remedies.train_longer_seeds, self.n_seeds)
        if n_longer == 0:
            return
        for output, pairs in self._by_output(self.blocks if wanted is None else wanted):
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
        remedied = [self.remedied(pair) for pair in pairs]

        def curves(name: str) -> Float:
            with np.errstate(over="ignore"):  # what single precision does not hold is infinite
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
            source=self.source,
            source_loss=np.concatenate([block.source_loss for block in blocks], axis=1),
        )

    def remedied(self, pair: Pair) -> tuple[Float, Float]:
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
                        table[:, column] = resumed[:, self.resume_of_column[column], own]
                    case Action.TRAIN_LONGER:
                        table[:, column] = longer[:, own]
                    case _:
                        twin = self.twin(pair, column)
                        if twin in self.blocks:
                            table[:, column] = getattr(self.blocks[twin].trajectories, outcome)[:, own]
            tables.append(_finite_or_inf(table))
        return tables[0], tables[1]

    def twin(self, pair: Pair, column: int) -> Pair | None:
        """The cell and rate whose run is what a remedy leads to; None where it leads to no run of the sweep."""
        cell, k = pair
        match self.remedies[column].action:
            case Action.NONE:
                return pair
            case Action.RESTART:
                return cell, k + self.shift_of_column[column]
            case Action.CHANGE_OUTPUT:
                twin = self.fitting[self.cells[cell].schedule.name]
                return None if twin == cell else (twin, k)
            case _:
                return None


def mean_share(outcomes: Float, cap: float) -> float:
    """Mean over seeds of the capped outcome as a share of the cap; summed in order, so that bits are portable."""
    shares = [min(float(j), float(cap)) / float(cap) if np.isfinite(j) else 1.0 for j in outcomes]
    return sum(shares) / len(shares)


def _finite_or_inf(outcomes: Float) -> Float:
    """As stored: float32; beyond its range is inf; NaN stays (untried)."""
    with np.errstate(over="ignore"):
        return outcomes.astype(np.float32)
