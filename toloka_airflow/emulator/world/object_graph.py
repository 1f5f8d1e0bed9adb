"""
Objects that refer to each other, written as a list in which each has a number.

A value is a JSON scalar, or `[number]`. Only what belongs to the emulator's world can be written and read: reading
makes objects of its classes and names its functions, and calls neither.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from decimal import Decimal
from enum import Enum
from functools import partial
from importlib import import_module
from random import Random
from types import FunctionType, MethodType
from typing import Any

PACKAGE = "toloka_airflow.emulator"
# Where the things of a world are defined; nothing else is imported for a name in a snapshot.
ROOMS = ("world.", "rules.", "people.")
SCALARS = (str, int, float, bool, type(None))
FACTORIES: dict[str, Any] = {"list": list, "dict": dict, "set": set, "int": int}


def write(root: Any, world: Any) -> list[Any]:
    """Return all objects that can be reached from the root, the root first."""
    return _Writer(world).write(root)


def read(things: list[Any], world: Any) -> Any:
    """Return the root of objects that were written."""
    return _Reader(things, world).read()


class _Writer:
    """Write objects one after the other: however deep they are, this never calls itself."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._numbers: dict[int, int] = {}
        # All that has a number, so that no other object gets its identity.
        self._queue: list[Any] = []

    def write(self, root: Any) -> list[Any]:
        self._value(root)
        return [self._written(thing) for thing in self._queue]

    def _value(self, thing: Any) -> Any:
        if type(thing) in SCALARS:
            return thing
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self._queue)
            self._queue.append(thing)
        return [self._numbers[id(thing)]]

    def _values(self, things: Any) -> list[Any]:
        return [self._value(thing) for thing in things]

    def _written(self, thing: Any) -> list[Any]:
        match thing:
            case self._world:
                return ["world"]
            case list() | tuple():
                return [type(thing).__name__, self._values(thing)]
            case set():
                # Sets of one world have different orders in different processes.
                return ["set", self._values(sorted(thing, key=str))]
            case defaultdict():
                return ["defaultdict", getattr(thing.default_factory, "__name__", ""), self._values(_flat(thing))]
            case dict():
                return ["dict", self._values(_flat(thing))]
            case _:
                return self._written_whole(thing)

    def _written_whole(self, thing: Any) -> list[Any]:
        match thing:
            case Enum():
                return ["enum", _name(type(thing)), thing.name]
            case Decimal():
                return ["decimal", str(thing)]
            case re.Pattern():
                return ["pattern", thing.pattern]
            case Random():
                version, numbers, gauss = thing.getstate()
                return ["random", [version, list(numbers), gauss]]
            case FunctionType():
                return ["function", _name(thing)]
            case time.monotonic:
                return ["monotonic"]
            case MethodType():
                return ["method", self._value(thing.__self__), thing.__name__]
            case partial():
                return ["partial", self._values((thing.func, *thing.args)), self._values(_flat(thing.keywords))]
        return ["object", _name(type(thing)), self._values(_flat(_attributes(thing)))]


class _Reader:
    """Make all objects first, empty where they can be filled, and then fill them."""

    def __init__(self, things: list[Any], world: Any) -> None:
        self._things = things
        self._world = world
        self._made: dict[int, Any] = {}

    def read(self) -> Any:
        for number in range(len(self._things)):
            self._get(number)
        for number, written in enumerate(self._things):
            self._fill(self._made[number], written)
        return self._made[0]

    def _get(self, number: int) -> Any:
        if number not in self._made:
            self._made[number] = self._make(self._things[number])
        return self._made[number]

    def _value(self, value: Any) -> Any:
        return self._get(value[0]) if isinstance(value, list) else value

    def _values(self, values: list[Any]) -> list[Any]:
        return [self._value(value) for value in values]

    def _make(self, written: list[Any]) -> Any:
        match written:
            case ["world"]:
                return self._world
            case ["monotonic"]:
                return time.monotonic
            case ["list", _]:
                return []
            case ["set", _]:
                return set()
            case ["dict", _]:
                return {}
            case ["defaultdict", factory, _]:
                return defaultdict(FACTORIES[factory])
            case ["object", name, _]:
                return object.__new__(_named(name, type))
            case _:
                return self._make_whole(written)

    def _make_whole(self, written: list[Any]) -> Any:
        match written:
            case ["tuple", values]:
                return tuple(self._values(values))
            case ["enum", name, member]:
                return _named(name, type)[member]
            case ["decimal", text]:
                return Decimal(text)
            case ["pattern", text]:
                return re.compile(text)
            case ["random", [version, numbers, gauss]]:
                random = Random()
                random.setstate((version, tuple(numbers), gauss))
                return random
            case ["function", name]:
                return _named(name, FunctionType)
            case ["method", owner, name]:
                return getattr(self._value(owner), name)
            case ["partial", values, keywords]:
                function, *arguments = self._values(values)
                return partial(function, *arguments, **_paired(self._values(keywords)))
        raise ValueError(f"unknown kind of thing: {written!r}")

    def _fill(self, thing: Any, written: list[Any]) -> None:
        match written:
            case ["list", values]:
                thing.extend(self._values(values))
            case ["set", values]:
                thing.update(self._values(values))
            case ["dict", values] | ["defaultdict", _, values]:
                thing.update(_paired(self._values(values)))
            case ["object", _, values]:
                for name, value in _paired(self._values(values)).items():
                    object.__setattr__(thing, name, value)


def _attributes(thing: Any) -> dict[str, Any]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: getattr(thing, name) for name in (*slots, *getattr(thing, "__dict__", ()))}


def _flat(pairs: dict[Any, Any]) -> list[Any]:
    return [part for pair in pairs.items() for part in pair]


def _paired(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _name(thing: Any) -> str:
    """Return the name of a class or a function, and make sure that it leads back."""
    name = f"{thing.__module__.removeprefix(f'{PACKAGE}.')}:{thing.__qualname__}"
    if _named(name, type(thing)) is not thing:
        raise TypeError(f"{thing!r} cannot be part of a snapshot")
    return name


def _named(name: str, kind: type) -> Any:
    module, _, attribute = name.partition(":")
    if not module.startswith(ROOMS) or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{name} does not belong to the world")
    found = getattr(import_module(f"{PACKAGE}.{module}"), attribute, None)
    if not isinstance(found, kind) or found.__module__ != f"{PACKAGE}.{module}":
        raise ValueError(f"{name} does not belong to the world")
    return found
