"""What a value may be, where its name decides it: in tables, and held against values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toloka_airflow.checks.values import is_id, is_integer, is_number, is_object, is_unknown_yet
from toloka_airflow.checks.wording import NULL, did_you_mean, nearest, one_of, shown

if TYPE_CHECKING:
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Path, Problem

ValueKind = Literal["integer", "number", "boolean", "text", "id"]

_KINDS: dict[ValueKind, tuple[Callable[[Any], bool], str]] = {
    "integer": (is_integer, "a whole number"),
    "number": (is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "text": (lambda value: isinstance(value, str), "text"),
    "id": (is_id, "an id, which is digits, such as 83859"),
}


@dataclass(frozen=True)
class Spec:
    """
    What one value may be.

    :param kind: Its type.
    :param required: Whether it must be there.
    :param minimum: The least it may be, in `unit`.
    :param maximum: The most it may be, in `unit`.
    :param unit: What it counts, such as ``seconds``.
    :param choices: What it may be, if that is a list.
    :param is_open: Whether there are more choices than the documentation names.
    """

    kind: ValueKind
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    is_open: bool = False

    def complaint(self, value: Any) -> Complaint | None:
        """Return what is wrong with a value, to stand behind the words ``... is 5``; None if nothing is."""
        fits, words = _KINDS[self.kind]
        if not fits(value):
            rule = "wrong-form" if self.kind == "id" and isinstance(value, str) else "wrong-type"
            return Complaint(rule, f"it must be {one_of(self.choices) if self.choices else words}{self._of_unit}")
        if self.choices and value not in self.choices:
            return self._unknown(value)
        if self.minimum is not None and value < self.minimum:
            return Complaint("out-of-range", f"it must not be less than {self.minimum:g}{self._of_unit}")
        if self.maximum is not None and value > self.maximum:
            return Complaint("out-of-range", f"it must not be more than {self.maximum:g}{self._of_unit}")
        return None

    @property
    def _of_unit(self) -> str:
        return f" ({self.unit})" if self.unit else ""

    def _unknown(self, value: Any) -> Complaint:
        near = nearest(value, self.choices)
        if self.is_open and not near:
            known = f"the documentation names {one_of(self.choices)} and says that there are more"
            return Complaint("unknown-value", known, "warning")
        return Complaint("unknown-value", f"it must be {one_of(self.choices)}{did_you_mean(near)}")


class Complaint(NamedTuple):
    """What is wrong with a value: the rule, and the rest of a sentence that began with its name and the value."""

    rule: str
    message: str
    level: Literal["error", "warning"] = "error"


def check_value(document: Document, path: Path, name: str, value: Any, spec: Spec) -> Iterator[Problem]:
    """Return what is wrong with a value, unless it is not known yet."""
    if not document.file and is_unknown_yet(value):
        return
    if wrong := spec.complaint(value):
        yield document.problem(wrong.rule, path, f"{name} is {shown(value)}; {wrong.message}", wrong.level)


def check_fields(
    document: Document, path: Path, value: Any, specs: Mapping[str, Spec], owner: str, homes: Mapping[str, str]
) -> Iterator[Problem]:
    """
    Return what is wrong with an object whose keys are known.

    :param owner: What has these keys, to name it.
    :param homes: What has keys that do not belong here, by the key.
    """
    if not is_object(value):
        return  # that it is none is said by its schema
    meant: set[str | None] = set()
    for key in value:
        if key in specs and value[key] is None and not specs[key].required:
            yield document.problem("null-value", (*path, key), NULL.format(key), "warning")
        elif key in specs:
            yield from check_value(document, (*path, key), key, value[key], specs[key])
        elif near := _meant(key, specs.keys() - value.keys(), specs, homes):
            meant.add(near)
            yield document.problem("unknown-key", (*path, key), f"{owner} has no {shown(key)}{did_you_mean(near)}")
        elif key in homes:
            message = f"{owner} has no {shown(key)}; it belongs to {homes[key]}"
            yield document.problem("misplaced-key", (*path, key), message)
        elif document.file or not is_unknown_yet(key):
            message = f"{owner} has no {shown(key)} in the API's documentation; Toloka may refuse or ignore it"
            yield document.problem("unknown-key", (*path, key), message, "warning")
    for name, spec in specs.items():
        if spec.required and name not in value and name not in meant:
            yield document.problem("missing-key", (*path, name), f"{name} is missing, which {owner} must have")


def _meant(key: Any, absent: Collection[str], known: Collection[str], homes: Mapping[str, str]) -> str | None:
    """Return which key a misspelt one stands for: rather one that is not there, or else one that is there twice."""
    return nearest(key, absent) or (None if key in homes else nearest(key, known))
