"""What the API found wrong with one of many items, by the log of the operation that was to create them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class InvalidField(NamedTuple):
    """
    Something that the API found wrong with an item.

    :param number: Of the item in its source.
    """

    number: int
    field: str
    code: str | None
    message: str


def read_invalid_fields(number: int, output: Any) -> Iterator[InvalidField]:
    """Iterate over the fields in the output of a step: a map of fields, or an error with that map as its payload."""
    output = output if isinstance(output, dict) else {}
    fields = output.get("payload", output)
    if not fields or not isinstance(fields, dict) or not all(isinstance(problem, dict) for problem in fields.values()):
        fields = {"": output}
    for name, problem in fields.items():
        yield InvalidField(number, name, problem.get("code"), str(problem.get("message") or ""))
