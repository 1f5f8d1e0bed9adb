"""Values that consist of nothing else, as JSON and back; and how what is read is checked."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from decimal import Decimal
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    from toloka_airflow.emulator.simulation.codecs import Reader, Writer

# From the first to the last millisecond of the years that dates can have; no count is as great.
BOUNDS = (-62_135_596_800_000, 253_402_300_799_999)
DECIMAL = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?")
# An integer of any size.
Whole = NewType("Whole", int)


def checked(value: Any, kind: type) -> Any:
    """Return a value of exactly this type; refuse others."""
    if type(value) is not kind:
        raise ValueError(f"{kind.__name__} is expected, not {shown(value)}")
    return value


def row(value: Any, length: int) -> Any:
    """Return a list of this length; refuse others."""
    if len(checked(value, list)) != length:
        raise ValueError(f"{length} values are expected, not {shown(value)}")
    return value


def shown(value: Any) -> str:
    """Return the beginning of a value, for messages."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]} ..."


class Codec(ABC):
    """Write values of one type, and read them."""

    @abstractmethod
    def write(self, value: Any, writer: Writer) -> Any:
        """Return the value as JSON."""

    @abstractmethod
    def read(self, data: Any, reader: Reader) -> Any:
        """Return the value; raise ValueError if it is none of this type."""


class Anything(Codec):
    """What is JSON already."""

    def write(self, value: Any, writer: Writer) -> Any:
        """Return it as it is."""
        return value

    def read(self, data: Any, reader: Reader) -> Any:
        """Return it as it is."""
        return data


class Scalar(Codec):
    """A text, a flag, a number or nothing."""

    def __init__(self, *kinds: type, bounds: tuple[int, int] | None = None) -> None:
        self._kinds = kinds
        self._bounds = bounds

    def write(self, value: Any, writer: Writer) -> Any:
        """Return it as it is."""
        return value

    def read(self, data: Any, reader: Reader) -> Any:
        """Return it as it is."""
        # Not isinstance: True is no number here.
        if type(data) not in self._kinds:
            raise ValueError(f"{self._kinds[0].__name__} is expected, not {shown(data)}")
        if self._bounds and not self._bounds[0] <= data <= self._bounds[1]:
            raise ValueError(f"{shown(data)} is out of bounds")
        return data


class Money(Codec):
    """A decimal number, as text."""

    def write(self, value: Any, writer: Writer) -> Any:
        """Return all its digits."""
        return format(value, "f")

    def read(self, data: Any, reader: Reader) -> Any:
        """Return the number."""
        if not isinstance(data, str) or not DECIMAL.fullmatch(data) or math.isinf(float(data)):
            raise ValueError(f"a decimal number is expected, not {shown(data)}")
        return Decimal(data)


class Blob(Codec):
    """Bytes, in base 64."""

    def write(self, value: Any, writer: Writer) -> Any:
        """Return text."""
        return b64encode(value).decode()

    def read(self, data: Any, reader: Reader) -> Any:
        """Return the bytes."""
        return b64decode(checked(data, str), validate=True)


class Chance(Codec):
    """A generator of random numbers: the state that Python gives it."""

    def write(self, value: Any, writer: Writer) -> Any:
        """Return the state."""
        version, numbers, gauss = value.getstate()
        return [version, list(numbers), gauss]

    def read(self, data: Any, reader: Reader) -> Any:
        """Return a generator in that state."""
        version, numbers, gauss = row(data, 3)
        if version != Random.VERSION or gauss is not None:
            raise ValueError("a state of another generator of random numbers")
        if not all(type(number) is int and 0 <= number < 2**32 for number in checked(numbers, list)):
            raise ValueError("numbers of 32 bits are expected")
        random = Random()
        random.setstate((version, tuple(numbers), gauss))
        return random


class Choice(Codec):
    """A member of an enumeration, by its value."""

    def __init__(self, kind: type[Enum]) -> None:
        self._kind = kind

    def write(self, value: Any, writer: Writer) -> Any:
        """Return the value of the member."""
        return value.value

    def read(self, data: Any, reader: Reader) -> Any:
        """Return the member."""
        for member in self._kind:
            if type(data) is type(member.value) and data == member.value:
                return member
        raise ValueError(f"a {self._kind.__name__} is expected, not {shown(data)}")


NOTHING = Scalar(type(None))
SCALARS: dict[Any, Codec] = {
    str: Scalar(str),
    bool: Scalar(bool),
    int: Scalar(int, bounds=BOUNDS),
    float: Scalar(float, int, bounds=BOUNDS),
    Whole: Scalar(int),
    None: NOTHING,
    type(None): NOTHING,
    Decimal: Money(),
    bytes: Blob(),
    Random: Chance(),
}
