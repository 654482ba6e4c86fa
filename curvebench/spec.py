"""The contract: diagnoses, remedies, training jobs, diagnosers. Imports nothing of ours; everything points here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.floating[Any]]
Int = NDArray[np.integer[Any]]
Bool = NDArray[np.bool_]


# ---------------------------------------------------------------------------------------------- errors


LONGEST_SENTENCE = 8_000
"""Characters of an error; what is told of a file that nobody vouches for may be as long as the file."""


class CurveBenchError(Exception):
    """A failure that is explained in one sentence; `exit_code` is what the command line ends with.

    >>> str(InputError("a" * 9_000))[7_990:]
    'aaaaaaaaaa… (1,000 more characters)'
    """

    exit_code = 4

    def __init__(self, sentence: str = "") -> None:
        n_more = len(sentence) - LONGEST_SENTENCE
        super().__init__(sentence if n_more <= 0 else f"{sentence[:LONGEST_SENTENCE]}… ({n_more:,} more characters)")


class CheckFailed(CurveBenchError):  # noqa: N818 - a check that fails is no error of the program
    """A check said no: a file does not verify, a score fell."""

    exit_code = 1


class UsageError(CurveBenchError):
    """The caller asked for something that does not exist or is not allowed."""

    exit_code = 2


class InputError(CurveBenchError):
    """A file, a recipe or a data set is broken, foreign or empty."""

    exit_code = 3


# ------------------------------------------------------------------------------- diagnoses and remedies


class Diagnosis(StrEnum):
    """What is wrong with a run, named by the remedy that really helps."""

    LR_TOO_HIGH = "lr_too_high"
    LATE_LR_TOO_HIGH = "late_lr_too_high"
    LR_TOO_LOW = "lr_too_low"
    LATE_LR_TOO_LOW = "late_lr_too_low"
    OUTPUT_MISMATCH = "output_mismatch"
    HEALTHY = "healthy"


DIAGNOSES: tuple[str, ...] = tuple(d.value for d in Diagnosis)
"""The six diagnoses in the order of every probability column."""

OTHER, INDETERMINATE = "other", "indeterminate"
LABELS: tuple[str, ...] = (*DIAGNOSES, OTHER, INDETERMINATE)
"""What the column `diagnosis` may hold; the last two are kept but not scored."""

SPLITS: tuple[str, ...] = ("train", "test", "test_ood")
DIFFICULTIES: tuple[str, ...] = ("easy", "medium", "hard")


class Action(StrEnum):
    """What can be done about a run."""

    NONE = "none"
    RESTART = "restart"
    RESUME = "resume"
    CHANGE_OUTPUT = "change_output"
    TRAIN_LONGER = "train_longer"


@dataclass(frozen=True, order=True)
class Remedy:
    """One thing to do about a run.

    Attributes:
        action: what is done.
        factor: what the learning rate is multiplied by (1 where the action leaves it alone).
        at: fraction of training, in [0, 1), from which a resumed run goes on; 0 for the other actions.
    """

    action: Action
    factor: float = 1.0
    at: float = 0.0

    def __str__(self) -> str:
        """A name a person can read.

        >>> print(Remedy(Action.RESUME, 0.1, 0.75), Remedy(Action.RESTART, 10.0), Remedy(Action.NONE), sep=", ")
        resume x0.1 at 0.75, restart x10, none
        """
        match self.action:
            case Action.RESTART:
                return f"restart x{self.factor:.3g}"
            case Action.RESUME:
                return f"resume x{self.factor:.3g} at {self.at:.3g}"
            case _:
                return self.action.value


NO_REMEDY = Remedy(Action.NONE)

FAMILY_OF_DIAGNOSIS: Mapping[str, tuple[Action, int]] = {
    Diagnosis.LR_TOO_HIGH: (Action.RESTART, -1),
    Diagnosis.LATE_LR_TOO_HIGH: (Action.RESUME, -1),
    Diagnosis.LR_TOO_LOW: (Action.RESTART, +1),
    Diagnosis.LATE_LR_TOO_LOW: (Action.RESUME, +1),
    Diagnosis.OUTPUT_MISMATCH: (Action.CHANGE_OUTPUT, 0),
    Diagnosis.HEALTHY: (Action.NONE, 0),
}
"""The family of remedies that each diagnosis stands for: the action and the sign of log(factor)."""


# ------------------------------------------------------------------------------------ names of parts

TASKS: tuple[str, ...] = ("regression", "binary", "multiclass")
HIDDEN_ACTIVATIONS: tuple[str, ...] = ("relu", "tanh", "gelu", "sigmoid")
LAYER_ACTIVATIONS: tuple[str, ...] = (*HIDDEN_ACTIVATIONS, "elu")
"""Hidden activations of layers that are stated one by one."""
OUTPUT_ACTIVATIONS: tuple[str, ...] = ("identity", "sigmoid", "tanh", "relu", "softplus", "softmax", "hardtanh")
LOSSES: tuple[str, ...] = ("squared_error", "cross_entropy_logits", "cross_entropy_probabilities")
OPTIMIZERS: tuple[str, ...] = ("sgd", "momentum", "adam", "adamw", "rmsprop")

OBJECTIVES: tuple[str, ...] = ("squared_error", "cross_entropy")
"""The losses as functions of predictions in target space; runs with different outputs are compared in these."""

OBJECTIVE_OF_LOSS: Mapping[str, str] = {
    "squared_error": "squared_error",
    "cross_entropy_logits": "cross_entropy",
    "cross_entropy_probabilities": "cross_entropy",
}

PROBABILITY_FLOOR = 1e-7
"""Probabilities are clipped to [1e-7, 1] (binary: [1e-7, 1 - 1e-7]) before their logarithm is taken."""

OPTIMIZER_SLOTS: Mapping[str, int] = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2, "rmsprop": 1}
"""How many numbers per parameter an optimiser remembers."""


# ------------------------------------------------------------------------------------------- training


class _Frozen:
    """Makes the arrays of a frozen dataclass read-only too."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.setflags(write=False)
                object.__setattr__(self, field.name, view)


@dataclass(frozen=True)
class Network:
    """A multi-layer perceptron without its output activation.

    Attributes:
        n_inputs: features per example.
        n_outputs: outputs per example.
        depth: number of hidden layers.
        width: units in each hidden layer.
        activation: one of `HIDDEN_ACTIVATIONS`.
        init_gain: factor on the standard deviation of the initial weights (He for relu and gelu, else LeCun).
    """

    n_inputs: int
    n_outputs: int
    depth: int
    width: int
    activation: str
    init_gain: float = 1.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units per layer, inputs first, outputs last."""
        return (self.n_inputs, *[self.width] * self.depth, self.n_outputs)

    @property
    def n_parameters(self) -> int:
        """Weights and biases.

        >>> Network(16, 4, depth=2, width=32, activation="relu").n_parameters
        1732
        """
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))


@dataclass(frozen=True)
class ModuleNetwork:
    """A network that a factory of `torch.nn.Module` makes, without its output activation; engine `torch` only.

    The factory is called with `(n_inputs, n_outputs, depth, width, activation)` and says what the last three mean to
    it. Its module maps (batch, n_inputs) to (batch, n_outputs).

    Attributes:
        module: the factory: a name of `curvebench.generation.engine.MODULES`, or "package.module:callable".
        n_inputs: features per example; an example is flat, and the module gives it its shape.
        n_outputs: outputs per example.
        depth: number of layers or blocks.
        width: units or channels of each.
        activation: one of `HIDDEN_ACTIVATIONS`.
        init_gain: factor on the factory's own initial values of all parameters with two axes or more.
        layers: hidden layers one by one, as "50 relu"; of `dense` only, which is told of them too.
    """

    module: str
    n_inputs: int
    n_outputs: int
    depth: int
    width: int
    activation: str
    init_gain: float = 1.0
    layers: tuple[str, ...] = ()


SEQUENCE_FEATURES = 4
"""Features of every step of a sequence. An example is flat, step by step, so it has n_inputs / 4 steps."""


@dataclass(frozen=True, order=True)
class Output:
    """How a network ends: what is applied to its last layer and the loss that it is trained with.

    Attributes:
        activation: one of `OUTPUT_ACTIVATIONS`.
        loss: one of `LOSSES`; "cross_entropy_logits" takes the activation's values for logits.
    """

    activation: str
    loss: str


@dataclass(frozen=True)
class Optimizer:
    """An optimiser with the semantics and the default constants of `torch.optim`.

    Attributes:
        name: one of `OPTIMIZERS`; "momentum" is SGD with momentum.
        momentum: of "momentum" only.
        beta1: decay of the first moment (adam, adamw).
        beta2: decay of the second moment (adam, adamw).
        alpha: decay of the second moment (rmsprop).
        epsilon: added to the root of the second moment.
        weight_decay: decoupled (adamw only).
    """

    name: str
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    alpha: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    @property
    def n_slots(self) -> int:
        """Numbers remembered per parameter."""
        return OPTIMIZER_SLOTS[self.name]


@dataclass(frozen=True)
class State(_Frozen):
    """Networks at one moment of their training; where a run starts and where a remedy resumes.

    Attributes:
        parameters: (n_runs, n_parameters); of an MLP layer by layer, weights (n_in, n_out) row by row, then biases;
            of a module in the order of its `named_parameters`, each row by row.
        slots: (n_runs, n_slots, n_parameters); momentum; or first, then second moment; or second moment.
        n_updates: updates already made.
    """

    parameters: Float
    slots: Float
    n_updates: int


@dataclass(frozen=True)
class TrainingJob(_Frozen):
    """Many runs of one network on one problem that differ in seed and learning rates only.

    A trainer multiplies gradients by `rates` and never knows what a fault is.

    Attributes:
        network: shared by all runs.
        task: one of `TASKS`.
        output: output activation and loss, shared by all runs.
        optimizer: shared by all runs.
        train_inputs: (n_train, n_inputs).
        train_targets: (n_train, n_outputs); classes are one-hot (multiclass) or 0/1 (binary).
        val_inputs: (n_val, n_inputs).
        val_targets: (n_val, n_outputs).
        batches: (n_seeds, n_steps, batch_size) rows of the training set, int.
        seed_of_run: (n_runs,) index into the first axis of `batches`.
        rates: (n_runs, n_steps) learning rate of every update of the whole training, float32.
        start: where the runs begin; updates before `start.n_updates` are not made again.
        record_steps: (n_points,) ascending numbers of updates after which a point is recorded.
        outcome_steps: ascending numbers of updates after which the whole-set objectives are evaluated.
        checkpoint_steps: ascending numbers of updates after which the state is kept.
        telemetry: record validation loss and gradient norm too.
    """

    network: Network | ModuleNetwork
    task: str
    output: Output
    optimizer: Optimizer
    train_inputs: Float
    train_targets: Float
    val_inputs: Float
    val_targets: Float
    batches: Int
    seed_of_run: Int
    rates: Float
    start: State
    record_steps: Int
    outcome_steps: Int
    checkpoint_steps: tuple[int, ...] = ()
    telemetry: bool = True

    @property
    def n_runs(self) -> int:
        """Number of networks trained."""
        return int(self.rates.shape[0])


@dataclass(frozen=True)
class Trajectories(_Frozen):
    """What training left behind, in the order of the job's runs. NaN and inf stand as they happened.

    After the first non-finite mini-batch loss a run is dead: its last recorded value repeats.

    Attributes:
        train_loss: (n_runs, n_points) mean mini-batch loss since the last point; at 0 updates the first
            mini-batch's loss before any update; NaN before the job's start.
        val_loss: (n_runs, n_points) loss on the validation set, in the training loss; NaN without telemetry.
        grad_norm: (n_runs, n_points) Euclidean norm of the last mini-batch gradient before the point.
        outcome: (n_runs, n_objectives) mean over `outcome_steps` of each of `OBJECTIVES` on the training
            set, predictions in target space, float64; inf where it is not finite or the run is dead; NaN for
            an objective that the task has not.
        val_outcome: (n_runs, n_objectives), the same on the validation set.
        is_dead: (n_runs,) whether a mini-batch loss was not finite.
        checkpoints: update number -> state of all runs (non-finite for the dead).
    """

    train_loss: Float
    val_loss: Float
    grad_norm: Float
    outcome: Float
    val_outcome: Float
    is_dead: Bool
    checkpoints: Mapping[int, State]


class Engine(Protocol):
    """Trains networks. Two engines given the same job agree to rounding until a run diverges."""

    name: str

    def prepare(self, say: Callable[[str], None]) -> None:
        """Make ready, compile if need be, so that no worker has to; what takes long is said in a sentence."""
        ...

    def train(self, job: TrainingJob) -> Trajectories:
        """Train every run of the job."""
        ...


# ----------------------------------------------------------------------------------------- diagnosers

CHANNELS: tuple[str, ...] = ("train_loss", "val_loss", "grad_norm", "learning_rate", "optimizer")
"""Channels of a curve; `optimizer` is the constant index into `OPTIMIZERS`."""

TRACKS: Mapping[str, tuple[str, ...]] = {
    "curve": CHANNELS[:1],
    "telemetry": CHANNELS[:3],
    "config": CHANNELS,
}
"""What a diagnoser may look at: track -> channels, in the order of the channel axis."""


@runtime_checkable
class Diagnoser(Protocol):
    """Judges loss curves.

    May also have `fit(X, y)` (y: diagnosis names), `abstain(X) -> (n_curves,) bool` (scored as "no action"),
    `crashed(X) -> (n_curves,) bool` (the tool behind it failed: counted, and scored as abstained) and
    `prescribe(X) -> sequence of Remedy`, or None for a curve where the fixed action of the diagnosis is to be taken.
    Never sees labels of the curves it judges, cells, seeds or files.
    An attribute `track` names the smallest track it needs (default "curve").
    """

    def predict_proba(self, X: Float) -> Float:
        """Probabilities of the diagnoses.

        Args:
            X: (n_curves, n_channels, n_points) float32, channels of a track, NaN and inf as they happened.

        Returns:
            (n_curves, 6), columns in the order of `DIAGNOSES`, rows summing to one.
        """
        ...
