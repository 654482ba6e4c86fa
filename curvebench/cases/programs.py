"""Documented faulty programs: what posts, issues and benchmarks of faults say was wrong, and what they say mends it.

Facts alone, with their addresses. Those of `PROGRAMS` are rebuilt by the recipe `documented`; `NOT_REBUILT` says of the
rest what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from curvebench.spec import OTHER, Diagnosis, Output

RECIPE = "documented"
"""The recipe that rebuilds them; its phenomena are called like the programs."""

FIX = "-fix"
"""What the phenomenon ends with that is a program as its documented fix leaves it."""


class Fix(StrEnum):
    """What a documented fix does."""

    LOWER_RATE = "lower rate"
    RAISE_RATE = "raise rate"
    CHANGE_OUTPUT = "change output"
    CHANGE_LOSS = "change loss"
    CHANGE_OPTIMIZER = "change optimiser"
    CHANGE_HIDDEN = "change hidden activation"
    SCALE_DATA = "scale data"
    TRAIN_LONGER = "train longer"
    OTHERWISE = "otherwise"


@dataclass(frozen=True)
class Program:
    """A documented program that is rebuilt.

    Attributes:
        name: of the post or issue; its phenomenon in the recipe.
        source: address.
        cause: the documented cause as a diagnosis, the first of them where there are several; `OTHER` for none of ours.
        fixes: what the documented fix does.
        rate: the documented base rate.
        output: the documented output activation and loss.
        fixed_rate: the rate of the documented fix, or the one tried for it where it names none.
        fixed_output: its output activation and loss.
        is_apart: whether the fix changes what no remedy changes, so that it has a phenomenon of its own.
        departures: in what the rebuilt program is otherwise than the documented one.
    """

    name: str
    source: str
    cause: str
    fixes: tuple[Fix, ...]
    rate: float
    output: Output
    fixed_rate: float
    fixed_output: Output
    is_apart: bool = False
    departures: str = ""

    @property
    def fixed_phenomenon(self) -> str:
        """The phenomenon in which the fix is looked up."""
        return self.name + FIX if self.is_apart else self.name


@dataclass(frozen=True)
class NotRebuilt:
    """A documented program that is not rebuilt.

    Attributes:
        name: of the post or issue.
        source: address.
        cause: as in `Program`.
        fixes: as in `Program`.
        reason: what is missing.
    """

    name: str
    source: str
    cause: str
    fixes: tuple[Fix, ...]
    reason: str


_LINEAR = Output("identity", "squared_error")
_LOGITS = Output("identity", "cross_entropy_logits")
"""A softmax or sigmoid with its cross entropy, as the engines compute it."""

_DEEP_LOCALIZE = "https://github.com/Wardat-ISU/DeepLocalize/tree/297bc34/Benchmark/StackOverflow/"
_DEEP_MUFL = "https://github.com/ali-ghanbari/deepmufl-ase-2023/blob/a69ba43/Dataset/all-bugs/"
_STACK_OVERFLOW = "https://stackoverflow.com/questions/"

_EQUAL_BATCHES = "all batches of an epoch are nearly as large as each other, where the last one would be smaller"

PROGRAMS: tuple[Program, ...] = (
    Program(
        "48934338",
        _DEEP_LOCALIZE + "48934338",
        Diagnosis.LR_TOO_HIGH,
        (Fix.LOWER_RATE,),
        0.1,
        _LINEAR,
        0.001,
        _LINEAR,
        departures=_EQUAL_BATCHES,
    ),
    Program(
        "34311586",
        _DEEP_LOCALIZE + "34311586",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT, Fix.RAISE_RATE, Fix.TRAIN_LONGER),
        0.001,
        Output("softmax", "squared_error"),
        0.1,
        Output("sigmoid", "squared_error"),
        is_apart=True,
        departures="momentum of the ordinary kind for Nesterov's; which two of the six points are repeated is a guess",
    ),
    Program(
        "50306988",
        _DEEP_LOCALIZE + "50306988",
        Diagnosis.LR_TOO_LOW,
        (Fix.RAISE_RATE, Fix.TRAIN_LONGER),
        0.001,
        _LOGITS,
        0.01,
        _LOGITS,
        is_apart=True,
        departures=f"where the classes lie is a guess; {_EQUAL_BATCHES}; the fix is tried on other points",
    ),
    Program(
        "52800582",
        _DEEP_LOCALIZE + "52800582",
        OTHER,
        (Fix.SCALE_DATA, Fix.CHANGE_HIDDEN),
        0.001,
        _LINEAR,
        0.001,
        _LINEAR,
        is_apart=True,
        departures="the fix is tried without its change of the hidden activation",
    ),
    Program(
        "54738769",
        _DEEP_MUFL + "54738769/bug.py",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT,),
        0.001,
        Output("softmax", "squared_error"),
        0.001,
        _LINEAR,
        departures=_EQUAL_BATCHES,
    ),
    Program(
        "44758894",
        _DEEP_MUFL + "44758894/bug.py",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT, Fix.CHANGE_LOSS),
        0.01,
        Output("relu", "squared_error"),
        0.01,
        _LOGITS,
        departures=f"the batch size is that of Keras; {_EQUAL_BATCHES}",
    ),
    Program(
        "autotrainer_improper_activation",
        "https://github.com/shiningrain/AUTOTRAINER/tree/03a463e/AutoTrainer/demo_case/Improper_Activation_case",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT,),
        0.0001,
        Output("relu", "cross_entropy_probabilities"),
        0.0001,
        _LOGITS,
        departures=_EQUAL_BATCHES,
    ),
    Program(
        "keras_3040",
        "https://github.com/keras-team/keras/issues/3040",
        Diagnosis.LR_TOO_HIGH,
        (Fix.LOWER_RATE,),
        0.001,
        _LINEAR,
        1e-5,
        _LINEAR,
        departures="the documented fix names no rate",
    ),
    Program(
        "flux_1352",
        "https://github.com/FluxML/Flux.jl/issues/1352",
        Diagnosis.LR_TOO_HIGH,
        (Fix.LOWER_RATE,),
        1.0,
        Output("identity", "squared_error"),
        0.01,
        Output("identity", "squared_error"),
        departures="512 of the 10,000 examples; the rate stays 1 where it falls to 0.1 after 10 of the 510 updates; "
        "the documented fix names no rate",
    ),
)

_UNSTATED_DATA = "its data are a file or printed numbers that are no part of what we have"
_UNSTATED_PROGRAM = "network and data stand in the post alone, which is no part of what we have"

NOT_REBUILT: tuple[NotRebuilt, ...] = (
    NotRebuilt(
        "31556268",
        _DEEP_LOCALIZE + "31556268",
        Diagnosis.LR_TOO_LOW,
        (Fix.RAISE_RATE, Fix.TRAIN_LONGER, Fix.CHANGE_LOSS),
        "its loss is the mean absolute error, which no engine has",
    ),
    NotRebuilt(
        "38648195",
        _DEEP_LOCALIZE + "38648195",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT, Fix.CHANGE_LOSS),
        "dropout: networks that draw random numbers cannot be trained in a stack; 60,000 examples",
    ),
    NotRebuilt(
        "50555434",
        _DEEP_MUFL + "50555434/bug.py",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT,),
        "its loss is the mean absolute error, which no engine has; how its rows were normalised is not stated",
    ),
    NotRebuilt("44066044", _DEEP_LOCALIZE + "44066044", OTHER, (Fix.SCALE_DATA, Fix.CHANGE_OUTPUT), _UNSTATED_DATA),
    NotRebuilt(
        "39525358", _DEEP_LOCALIZE + "39525358", Diagnosis.LR_TOO_LOW, (Fix.SCALE_DATA, Fix.RAISE_RATE), _UNSTATED_DATA
    ),
    NotRebuilt(
        "linear_regression_live_4",
        "https://github.com/llSourcell/linear_regression_live/issues/4",
        Diagnosis.LR_TOO_HIGH,
        (Fix.LOWER_RATE, Fix.SCALE_DATA),
        _UNSTATED_DATA,
    ),
    NotRebuilt(
        "tensorflow_8630",
        "https://github.com/tensorflow/tensorflow/issues/8630",
        Diagnosis.LR_TOO_HIGH,
        (Fix.SCALE_DATA,),
        _UNSTATED_DATA,
    ),
    NotRebuilt(
        "brainjs_687",
        "https://github.com/BrainJS/brain.js/issues/687",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.SCALE_DATA,),
        _UNSTATED_DATA,
    ),
    NotRebuilt("58609115", _DEEP_LOCALIZE + "58609115", OTHER, (Fix.CHANGE_OUTPUT, Fix.CHANGE_LOSS), _UNSTATED_DATA),
    NotRebuilt(
        "48385830",
        _DEEP_LOCALIZE + "48385830",
        Diagnosis.LR_TOO_HIGH,
        (Fix.CHANGE_OUTPUT, Fix.CHANGE_LOSS, Fix.CHANGE_HIDDEN),
        "MNIST does not come with the package, and nothing is downloaded",
    ),
    NotRebuilt(
        "47724077",
        _DEEP_LOCALIZE + "47724077",
        Diagnosis.LR_TOO_LOW,
        (Fix.SCALE_DATA, Fix.CHANGE_OPTIMIZER, Fix.RAISE_RATE),
        "the data set Adult does not come with the package, and nothing is downloaded",
    ),
    NotRebuilt(
        "46247619",
        _DEEP_MUFL + "46247619/bug.py",
        Diagnosis.OUTPUT_MISMATCH,
        (Fix.CHANGE_OUTPUT,),
        "strides, kernels and activations of its convolutions are not stated",
    ),
    NotRebuilt(
        "graykode_bert",
        "https://github.com/graykode/nlp-tutorial/issues/77",
        Diagnosis.LR_TOO_HIGH,
        (Fix.LOWER_RATE,),
        "a network of its own on four printed sentences, which are no part of what we have",
    ),
    NotRebuilt("37624102", _STACK_OVERFLOW + "37624102", Diagnosis.LR_TOO_HIGH, (Fix.LOWER_RATE,), _UNSTATED_PROGRAM),
    NotRebuilt(
        "46642627",
        _STACK_OVERFLOW + "46642627",
        Diagnosis.LR_TOO_HIGH,
        (Fix.SCALE_DATA, Fix.CHANGE_OPTIMIZER, Fix.LOWER_RATE),
        _UNSTATED_PROGRAM,
    ),
    NotRebuilt("44998910", _STACK_OVERFLOW + "44998910", Diagnosis.LR_TOO_LOW, (Fix.RAISE_RATE,), _UNSTATED_PROGRAM),
    NotRebuilt(
        "58237726",
        _STACK_OVERFLOW + "58237726",
        Diagnosis.LR_TOO_LOW,
        (Fix.RAISE_RATE, Fix.OTHERWISE),
        _UNSTATED_PROGRAM,
    ),
    NotRebuilt(
        "41977498",
        _STACK_OVERFLOW + "41977498",
        Diagnosis.LR_TOO_LOW,
        (Fix.CHANGE_OPTIMIZER, Fix.RAISE_RATE, Fix.TRAIN_LONGER),
        _UNSTATED_PROGRAM,
    ),
    NotRebuilt(
        "56380303",
        _STACK_OVERFLOW + "56380303",
        Diagnosis.LR_TOO_HIGH,
        (Fix.CHANGE_OPTIMIZER, Fix.LOWER_RATE),
        _UNSTATED_PROGRAM,
    ),
)
