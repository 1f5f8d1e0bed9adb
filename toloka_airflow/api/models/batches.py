"""What the API answers to a list of things to create or to set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import Raw, read_object, shape

__all__ = ["BatchAnswer"]

ModelT = TypeVar("ModelT")


@dataclass(frozen=True)
class BatchAnswer(Generic[ModelT]):
    """
    What became of each item of a list, by its position.

    :param items: What was created or set.
    :param errors: What is wrong with the others, by field.
    """

    items: dict[int, ModelT]
    errors: dict[int, Raw]
    raw: Raw = field(repr=False, compare=False)


def read_batch(request: str, answer: Any, read: Callable[[Raw], ModelT], count: int) -> BatchAnswer[ModelT]:
    """
    Return what became of each item of a list.

    :param count: How many items were sent.
    :raises TolokaError: If the answer does not say that of each of them, once.
    """
    items = read_object(answer, "items") if isinstance(answer, Mapping) else {}
    errors = read_object(answer, "validation_errors") if isinstance(answer, Mapping) else {}
    if sorted([*items, *errors]) != sorted(map(str, range(count))):
        raise TolokaError(
            f"{request} sent {counted(count, 'item')}, and the answer is not about each of them: {shape(answer)}"
        )
    return BatchAnswer(
        {int(index): read(item) for index, item in items.items()},
        {int(index): error for index, error in errors.items()},
        answer,
    )
