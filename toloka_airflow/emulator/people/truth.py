"""What the right answers are, and what wrong ones look like."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.items import Task

DEFAULT_RANGE = (0, 9)
WORDS = ("amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heron")


class Truth:
    """
    Know the right answer to each task.

    What was told wins, then the task's own known solution; for other tasks there is a hidden truth that
    depends on nothing but the seed, the input and the field.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        # By the names of the input fields, then by their values: a look-up, whatever the number of rules.
        self._told: dict[tuple[str, ...], dict[tuple[str, ...], Json]] = {}

    def tell(self, rules: Iterable[Json]) -> None:
        """Replace what was told: `match` is a part of the input values, `output_values` the answer to it."""
        told: dict[tuple[str, ...], dict[tuple[str, ...], Json]] = {}
        for rule in rules:
            names = tuple(sorted(rule["match"]))
            told.setdefault(names, {})[_values(rule["match"], names)] = rule["output_values"]
        # The rule that names most fields is the most specific one.
        self._told = dict(sorted(told.items(), key=lambda item: -len(item[0])))

    def of(self, task: Task, output_spec: Json) -> Json:
        """Return the right output values for a task."""
        known = self._known(task)
        return {
            name: known[name] if name in known else self._hidden(task, name, spec) for name, spec in output_spec.items()
        }

    def _known(self, task: Task) -> Json:
        inputs: Json = task.body["input_values"]
        for names, by_values in self._told.items():
            if all(name in inputs for name in names):
                told = by_values.get(_values(inputs, names))
                if told is not None:
                    return told
        solutions: list[Json] = task.body.get("known_solutions") or [{"output_values": {}}]
        values: Json = solutions[0]["output_values"]
        return values

    def _hidden(self, task: Task, name: str, spec: Json) -> Any:
        key = json.dumps([self._seed, task.body["input_values"], name], sort_keys=True).encode()
        return pick(spec, int.from_bytes(blake2b(key, digest_size=8).digest()))


def _values(inputs: Json, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(json.dumps(inputs[name], sort_keys=True) for name in names)


def wrong(spec: Json, right: Any, random: Random) -> Any:
    """Return an allowed value that is not the right one, if there is any."""
    options = _options(spec)
    if options is not None:
        others = [option for option in options if option != right]
        return random.choice(others) if others else right
    start = random.getrandbits(48)
    guesses = (pick(spec, start + i) for i in range(3))
    return next((guess for guess in guesses if guess != right), right)


def pick(spec: Json, number: int) -> Any:
    """Return an allowed value; which one is decided by `number`."""
    options = _options(spec)
    if options is not None:
        return options[number % len(options)]
    kind = str(spec["type"]).lower()
    if kind.startswith("array_"):
        return [pick({**spec, "type": kind.removeprefix("array_")}, number)]
    if kind == "integer":
        low, high = _range(spec)
        return int(low) + number % (int(high) - int(low) + 1)
    if kind == "float":
        low, high = _range(spec)
        return round(low + (high - low) * (number % 1000) / 999, 4)
    return _text(kind, number)


def _options(spec: Json) -> list[Any] | None:
    if spec.get("allowed_values") and not str(spec["type"]).lower().startswith("array_"):
        return list(spec["allowed_values"])
    return [True, False] if str(spec["type"]).lower() == "boolean" else None


def _range(spec: Json) -> tuple[float, float]:
    low = spec.get("min_value")
    high = spec.get("max_value")
    if low is None:
        low = DEFAULT_RANGE[0] if high is None or high >= DEFAULT_RANGE[0] else high - DEFAULT_RANGE[1]
    return low, max(low, low + DEFAULT_RANGE[1] if high is None else high)


def _text(kind: str, number: int) -> Any:
    word = f"{WORDS[number % len(WORDS)]} {number % 9973}"
    match kind:
        case "url":
            return f"https://example.com/{number % 9973}"
        case "coordinates":
            return f"{number % 180 - 90},{number % 360 - 180}"
        case "json":
            return {"value": word}
        case _:
            return word
