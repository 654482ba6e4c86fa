"""What training loops print: lines like `epoch 3 loss 0.52 lr 1e-3`, `iter 100: loss 3.2`, Keras' progress bar."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from curvebench.logs.files import lines_of
from curvebench.logs.limits import MAX_TEXT_LINE
from curvebench.logs.names import WORDS, Role, role_of, words_of
from curvebench.logs.numbers import count_of, parse_number
from curvebench.logs.run import Budget, Run, RunBuilder
from curvebench.spec import InputError

SOURCE = "text"

_PAIR = re.compile(
    r"""(?<![\w/.])
    (?P<key>[A-Za-z_](?>[\w/.\-]{0,60}))      # a name
    ["']?
    (?>\s{0,4}(?:[:=]|\bis\b|\bof\b|\s)?\s{0,8})  # what may stand between it and its value
    (?>(?:tensor\(|[\[(\#"']\s{0,4})?)
    (?P<value>(?>[-+]?(?:
        \d{1,3}(?:,\d{3}){1,5}(?!,?\d)(?:\.\d+)?          # 12,000: thousands, or decimals
        |\d+,\d+(?:[eE][-+]?\d+)?(?![.,]?\d)              # 0,52: decimals
        |\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|(?i:nan|inf(?:inity)?)
    )))
    (?![\w%])
    """,
    re.VERBOSE,
)
"""A name and the number after it. Every repetition is bounded or atomic, so that no line takes quadratic time."""

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")

_ROLE_WORD = re.compile(r"[A-Za-z]{2,12}")

_SHORT = {"s": "step", "it": "iter", "ep": "epoch", "e": "epoch"}
"""One-letter names that only text logs use -> what they stand for."""

_ESCAPE = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]|[\b]")


_CARRIED = "\0"
"""Stands before the name of a value whose line had no step of its own."""


def read(text: str, name: str, budget: Budget) -> Run:
    """The one run in the lines of a text.

    A loss without a step or epoch in its own line belongs to the last that was printed. Where some lines of a loss have
    a step of their own, only these count: others are source code, settings or summaries. So do a rate and a norm where
    any value has a step of its own.

    Raises:
        InputError: no line has a loss.
    """
    notes: list[str] = []
    builder = RunBuilder(name, SOURCE, budget)
    last: dict[str, float] = {}
    commas: list[str] = []
    for line in lines_of(text, MAX_TEXT_LINE, notes):
        if builder.is_cut:
            break
        found = pairs_of(line, commas)
        own = {key: value for key, value in found.items() if role_of(key) in (Role.STEP, Role.EPOCH)}
        if own:
            roles = {role_of(key) for key in own}
            last = {key: value for key, value in last.items() if role_of(key) not in roles} | own
        if len(found) > len(own):
            mark = "" if own else _CARRIED
            builder.add(last | {mark + key: value for key, value in found.items() if key not in own})
    builder.notes += notes
    if commas:
        builder.notes.append(f"Commas were read as decimal points, as in {commas[0]}.")
    run = builder.build()
    columns = {key: column for key, column in run.columns.items() if not key.startswith(_CARRIED)}
    is_placed = any(role_of(key) not in (Role.STEP, Role.EPOCH) for key in columns)
    n_without = 0
    for carried, column in run.columns.items():
        if carried.startswith(_CARRIED):
            key = carried.removeprefix(_CARRIED)
            if key in columns or (is_placed and role_of(key) not in (Role.LOSS, Role.VALIDATION_LOSS)):
                n_without += len(column.rows)
            else:
                columns[key] = column
    if not any(role_of(key) in (Role.LOSS, Role.VALIDATION_LOSS) for key in columns):
        raise InputError("It is a text in which no line has a loss, like 'epoch 3 loss 0.52'.")
    if n_without:
        notes = [*run.notes, f"Left out: {count_of(n_without, 'value')} without a step or an epoch in its line."]
        return replace(run, columns=columns, notes=tuple(notes))
    return replace(run, columns=columns)


def pairs_of(line: str, commas: list[str] | None = None) -> dict[str, float]:
    """The values in a line that matter to a curve; a loss in a line about validation is a validation loss.

    Args:
        line: of a text.
        commas: numbers whose comma was read as a decimal point are added to it.

    >>> pairs_of("Epoch [3/10], train loss: 0.52, val loss: 0.61, lr 1e-3")
    {'Epoch': 3.0, 'train_loss': 0.52, 'val_loss': 0.61, 'lr': 0.001}
    >>> pairs_of("step:0/5100 val_loss:16.01 train_time:479ms"), pairs_of("{'loss': nan, 'epoch': 0.5}")
    ({'step': 0.0, 'val_loss': 16.01}, {'loss': nan, 'epoch': 0.5})
    """
    if "\r" in line:
        line = next((piece for piece in reversed(line.split("\r")) if piece.strip()), "")
    if "\x1b" in line or "\b" in line:
        line = _ESCAPE.sub("", line)
    found: dict[str, float] = {}
    seen_until, side = 0, ""
    for match in _PAIR.finditer(line):
        key = _SHORT.get(match["key"], match["key"])
        role = role_of(key)
        if role in (Role.NOTHING, Role.TIME):
            continue
        for word in _ROLE_WORD.findall(line, seen_until, match.start()):
            side = _side_of(word) or side
        seen_until = match.end()
        if role is Role.LOSS and side and not set(words_of(key)) & WORDS["train"]:
            key = f"{side}_{key}"
        value = _number(match["value"], role, [] if commas is None else commas)
        if value is not None:
            found.setdefault(key, value)
    return found


def _number(word: str, role: Role, commas: list[str]) -> float | None:
    """The number that a word spells; a lone comma stands before decimals, but in a count of steps before thousands."""
    is_thousands = (
        word.count(",") > 1 or "." in word or (role in (Role.STEP, Role.EPOCH) and _THOUSANDS.fullmatch(word))
    )
    if "," not in word or is_thousands:
        return parse_number(word.replace(",", ""))
    commas.append(word)
    return parse_number(word, decimal_comma=True)


@lru_cache(maxsize=4096)
def _side_of(word: str) -> str:
    """Whether a word says that training or validation is meant."""
    small = word.lower()
    return "train" if small in WORDS["train"] else "val" if small in WORDS["validation"] else ""
