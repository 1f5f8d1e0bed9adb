"""
Python values as JSON and back, by type: what is read is what its declared type says, or refused.

The JSON never says what a value is, and nothing that it names is called. Classes, constants and functions are named by
keys of a `Table`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import partial
from inspect import signature
from typing import Any, Union, get_args, get_origin, get_type_hints

from toloka_airflow.emulator.simulation.scalars import NOTHING, SCALARS, Anything, Choice, Codec, checked, row, shown


@dataclass(frozen=True)
class Table:
    """
    All that may be written and read; the fields of things are those of their classes, which are dataclasses.

    :param shared: Classes whose objects refer to each other: they are written once each and have numbers.
    :param fields: Types of fields by class, where the annotation of the class does not tell enough.
    :param constants: Objects of the code by class and name.
    :param functions: By the type that stands for a call of one of them: how many arguments the caller gives, and the
        functions by name. All other arguments are part of the value, a `partial`.
    :param names: What annotations of the code refer to.
    """

    shared: Mapping[str, type]
    fields: Mapping[type, Mapping[str, Any]]
    constants: Mapping[type, Mapping[str, Any]]
    functions: Mapping[type, tuple[int, Mapping[str, Callable[..., Any]]]]
    names: Mapping[str, Any]
    _codecs: dict[Any, Codec] = field(default_factory=dict, init=False, repr=False)
    _attributes: dict[Any, dict[str, Codec]] = field(default_factory=dict, init=False, repr=False)

    def codec(self, kind: Any) -> Codec:
        """Return what writes and reads values of a type."""
        if isinstance(kind, Codec):
            return kind
        if kind not in self._codecs:
            self._codecs[kind] = self._made(kind)
        return self._codecs[kind]

    def codecs(self, kind: Any) -> dict[str, Codec]:
        """Return those of the attributes of a class."""
        if kind not in self._attributes:
            self._attributes[kind] = {name: self.codec(hint) for name, hint in self._hints(kind).items()}
        return self._attributes[kind]

    def hints(self, thing: Any) -> dict[str, Any]:
        """Return the types that the code tells of a class or a function."""
        return get_type_hints(thing, localns=dict(self.names))

    def _hints(self, kind: Any) -> Mapping[str, Any]:
        origin = get_origin(kind) or kind
        hints = {**self.hints(origin), **self.fields.get(origin, {})}
        names = [part.name for part in fields(origin) if part.init]
        return {name: _filled_in(hints[name], get_args(kind)) for name in names}

    def _made(self, kind: Any) -> Codec:
        origin, args = get_origin(kind), get_args(kind)
        if kind is Any:
            return Anything()
        if kind in SCALARS:
            return SCALARS[kind]
        if origin in (Union, types.UnionType):
            return Either([self.codec(arg) for arg in args])
        if origin in (list, Sequence) or (origin is tuple and args[1:] == (...,)):
            return ListOf(self.codec(args[0]), tuple if origin is tuple else list)
        if origin is tuple:
            return TupleOf([self.codec(arg) for arg in args])
        if origin is dict:
            values = self.codec(args[1])
            return DictOf(values) if args[0] is str else PairsOf(self.codec(args[0]), values)
        return self._of_class(kind)

    def _of_class(self, kind: Any) -> Codec:
        if kind in self.shared.values():
            return Reference(kind)
        if kind in self.constants:
            return Constant(self.constants[kind])
        if kind in self.functions:
            given, functions = self.functions[kind]
            return Call({name: Function(function, given, self) for name, function in functions.items()})
        if isinstance(kind, type) and issubclass(kind, Enum):
            return Choice(kind)
        if is_dataclass(get_origin(kind) or kind):
            return Value(get_origin(kind) or kind, self.codecs(kind))
        raise TypeError(f"{kind!r} is not in the table")


def _filled_in(hint: Any, args: tuple[Any, ...]) -> Any:
    return hint[args] if getattr(hint, "__parameters__", ()) else hint


class Writer:
    """Give numbers to shared things, and write them one after the other: however deep they are."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._names = {kind: name for name, kind in table.shared.items()}
        self._numbers: dict[int, int] = {}
        self._things: list[Any] = []

    def number(self, thing: Any) -> int:
        """Return the number of a shared thing."""
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self._things)
            self._things.append(thing)
        return self._numbers[id(thing)]

    def things(self) -> list[Any]:
        """Return all things that have a number, and those that they refer to: name of the class and attributes."""
        # The list grows meanwhile.
        return [[self._names[type(thing)], _written(thing, self._codecs(thing), self)] for thing in self._things]

    def _codecs(self, thing: Any) -> dict[str, Codec]:
        return self._table.codecs(type(thing))


class Reader:
    """Make all shared things, empty, and then fill them."""

    def __init__(self, table: Table, things: Any) -> None:
        self.things: list[Any] = []
        for written in checked(things, list):
            name, _ = row(written, 2)
            if not isinstance(name, str) or name not in table.shared:
                raise ValueError(f"{shown(name)} is no class of things in a snapshot")
            self.things.append(object.__new__(table.shared[name]))
        for number, (thing, (name, values)) in enumerate(zip(self.things, things, strict=True)):
            with _at(f"things.{number} ({name})"):
                for field_name, value in _read(values, table.codecs(type(thing)), self).items():
                    setattr(thing, field_name, value)

    def thing(self, number: Any, kind: type) -> Any:
        """Return the shared thing of a number."""
        known = type(number) is int and 0 <= number < len(self.things)
        if not known or type(self.things[number]) is not kind:
            raise ValueError(f"a {kind.__name__} is expected, and things has none of number {shown(number)}")
        return self.things[number]


class _at:  # noqa: N801  a context manager, and faster than one that is made of a generator
    """Say where in the document something is wrong."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: object) -> None:
        if isinstance(value, ValueError):
            raise ValueError(f"{self._place}: {value}") from value


def _written(thing: Any, codecs: Mapping[str, Codec], writer: Writer) -> dict[str, Any]:
    return {name: codec.write(getattr(thing, name), writer) for name, codec in codecs.items()}


def _read(values: Any, codecs: Mapping[str, Codec], reader: Reader) -> dict[str, Any]:
    odd = checked(values, dict).keys() ^ codecs.keys()
    if odd:
        raise ValueError(f"fields that are missing or unknown: {shown(sorted(odd))}")
    read: dict[str, Any] = {}
    for name, codec in codecs.items():
        with _at(name):
            read[name] = codec.read(values[name], reader)
    return read


class Either(Codec):
    """A value of the first type that takes it."""

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self._codecs = codecs

    def write(self, value: Any, writer: Writer) -> Any:
        """Write it as what it is."""
        if value is None:
            return None
        return next(codec for codec in self._codecs if codec is not NOTHING).write(value, writer)

    def read(self, data: Any, reader: Reader) -> Any:
        """Read it as the first type that it can be."""
        wrong: ValueError | None = None
        for codec in self._codecs:
            try:
                return codec.read(data, reader)
            except ValueError as exc:
                wrong = wrong or exc
        raise wrong or ValueError("nothing fits")


class ListOf(Codec):
    """Values of one type."""

    def __init__(self, each: Codec, kind: Callable[[Iterable[Any]], Any]) -> None:
        self._each = each
        self._kind = kind

    def write(self, value: Any, writer: Writer) -> Any:
        """Return a list."""
        return [self._each.write(item, writer) for item in value]

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a list or a tuple."""
        return self._kind([self._each.read(item, reader) for item in checked(data, list)])


class TupleOf(Codec):
    """So many values, each of a type of its own."""

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self._codecs = codecs

    def write(self, value: Any, writer: Writer) -> Any:
        """Return a list."""
        return [codec.write(item, writer) for codec, item in zip(self._codecs, value, strict=True)]

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a tuple."""
        items = row(data, len(self._codecs))
        return tuple(codec.read(item, reader) for codec, item in zip(self._codecs, items, strict=True))


class DictOf(Codec):
    """Values of one type by text."""

    def __init__(self, values: Codec) -> None:
        self._values = values

    def write(self, value: Any, writer: Writer) -> Any:
        """Return an object."""
        return {name: self._values.write(item, writer) for name, item in value.items()}

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a dictionary."""
        return {name: self._values.read(item, reader) for name, item in checked(data, dict).items()}


class PairsOf(Codec):
    """Values of one type by keys that are no text."""

    def __init__(self, keys: Codec, values: Codec) -> None:
        self._pairs = ListOf(TupleOf([keys, values]), list)

    def write(self, value: Any, writer: Writer) -> Any:
        """Return a list of pairs."""
        return self._pairs.write(value.items(), writer)

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a dictionary."""
        return dict(self._pairs.read(data, reader))


class Reference(Codec):
    """A shared thing, by its number."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def write(self, value: Any, writer: Writer) -> Any:
        """Return the number."""
        return writer.number(value)

    def read(self, data: Any, reader: Reader) -> Any:
        """Return the thing, which may still be empty."""
        return reader.thing(data, self._kind)


class Constant(Codec):
    """An object of the code, by its name."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named

    def write(self, value: Any, writer: Writer) -> Any:
        """Return the name."""
        return next(name for name, constant in self._named.items() if constant is value)

    def read(self, data: Any, reader: Reader) -> Any:
        """Return the object."""
        if not isinstance(data, str) or data not in self._named:
            raise ValueError(f"one of {', '.join(self._named)} is expected, not {shown(data)}")
        return self._named[data]


class Value(Codec):
    """An object of a dataclass that is part of one other: its own constructor makes and checks it."""

    def __init__(self, kind: Callable[..., Any], codecs: Mapping[str, Codec]) -> None:
        self._kind = kind
        self._codecs = codecs

    def write(self, value: Any, writer: Writer) -> Any:
        """Return its fields."""
        return _written(value, self._codecs, writer)

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a new one."""
        return self._kind(**_read(data, self._codecs, reader))


class Shape(Codec):
    """A dictionary of these keys, each with a type of its own."""

    def __init__(self, table: Table, fields: Mapping[str, Any]) -> None:
        self._codecs = {name: table.codec(kind) for name, kind in fields.items()}

    def write(self, value: Any, writer: Writer) -> Any:
        """Return an object."""
        return {name: codec.write(value[name], writer) for name, codec in self._codecs.items()}

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a dictionary."""
        return _read(data, self._codecs, reader)


class State(dict[str, Any]):
    """Attributes for an object that is there already."""

    def put_into(self, thing: Any) -> None:
        """Give the object these attributes."""
        for name, value in self.items():
            if isinstance(value, State):
                value.put_into(getattr(thing, name))
            else:
                setattr(thing, name, value)


class Part(Codec):
    """
    Something that there is once, and that goes on with another state.

    :param fields: Types of the attributes that are its state.
    :param lasting: The other attributes: given from outside, bound to this process, or made from the rest.
    """

    def __init__(self, table: Table, fields: Mapping[str, Any], lasting: Iterable[str] = ()) -> None:
        self._codecs = {name: table.codec(kind) for name, kind in fields.items()}
        self._names = {*fields, *lasting}

    def write(self, value: Any, writer: Writer) -> Any:
        """Return its state."""
        if vars(value).keys() != self._names:
            raise TypeError(f"{type(value).__name__} has other attributes: {vars(value).keys() ^ self._names}")
        return _written(value, self._codecs, writer)

    def read(self, data: Any, reader: Reader) -> State:
        """Return the state that it shall have."""
        return State(_read(data, self._codecs, reader))


class Function:
    """A function of the code, and what its arguments are besides those that the caller gives."""

    def __init__(self, function: Callable[..., Any], given: int, table: Table) -> None:
        self.function = function
        hints = table.hints(function)
        self.codecs = {name: table.codec(hints[name]) for name in list(signature(function).parameters)[given:]}


class Call(Codec):
    """A function of the table with its arguments; to read it calls nothing."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions
        self._names = {known.function: name for name, known in functions.items()}

    def write(self, value: Any, writer: Writer) -> Any:
        """Return the name of the function and the arguments."""
        call = value if isinstance(value, partial) else partial(value)
        if call.func not in self._names:
            raise TypeError(f"{call.func!r} is not in the table")
        name = self._names[call.func]
        known = self._functions[name]
        return [name, {key: codec.write(call.keywords[key], writer) for key, codec in known.codecs.items()}]

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a partial of the function."""
        name, arguments = row(data, 2)
        if not isinstance(name, str) or name not in self._functions:
            raise ValueError(f"{shown(name)} is no function of the emulator")
        known = self._functions[name]
        with _at(name):
            return partial(known.function, **_read(arguments, known.codecs, reader))
