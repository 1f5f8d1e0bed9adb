"""Bonuses as files and lists have them, or as a function makes them of answers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import read_decimal
from toloka_airflow.transfer.row_sources import BadRow, Cells, Row, RowSource
from toloka_airflow.transfer.values import value_reader

MIN_AMOUNT, MAX_AMOUNT = Decimal("0.005"), Decimal(100)
PLACES = 3
"""Decimals of an amount, as the least one has; more could be rounded, and the sum would be another one."""
LANGUAGE = "EN"
"""Of a text that is given without one."""
_FIELDS = (
    *("user_id", "amount", "assignment_id", "private_comment"),
    *("public_title", "public_message", "without_message"),
)
_TEXTS = ("public_title", "public_message")
_OF_ANSWERS = {
    "user_id": ("user_id", "ASSIGNMENT:worker_id"),
    "assignment_id": ("assignment_id", "ASSIGNMENT:assignment_id"),
}
"""How downloaded answers call what a bonus has, too: in rows of this package, and on Toloka's own pages."""

Decide = Callable[[dict[str, Any]], Any]
"""Returns the amount of a bonus for an answer, or a mapping with the fields of one; ``None`` for none."""


class Bonus(NamedTuple):
    """
    A bonus to pay.

    :param number: Where it is in its source, counted from 1.
    :param amount: In the currency of the account.
    :param others: The other fields that it has, as the API takes them.
    """

    number: int
    user_id: str
    amount: Decimal
    others: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        """The bonus as the API takes it; its few decimals survive as a float."""
        return {"user_id": self.user_id, "amount": float(self.amount), **self.others}


class BonusRows:
    """
    What rows mean as bonuses.

    :param defaults: Fields of those that have none of their own.
    """

    header = "user_id"

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self._defaults = {name: value for name, value in defaults.items() if value is not None}

    def columns(self, names: list[str], *, nested: bool) -> Cells:
        """Return what reads the rows of a table; raise `ValueError` for a column that no bonus has."""
        if problems := _unknown(names):
            raise ValueError("; ".join(problems))
        if missing := [name for name in ("user_id", "amount") if name not in names]:
            raise ValueError(f"missing columns: {', '.join(missing)}")
        return Cells(names)

    def row(self, number: int, value: Any, text: bytes | None = None, *, has_floats: bool = True) -> Row | BadRow:
        """Return the bonus of a row."""
        if not isinstance(value, Mapping):
            return BadRow(
                number, [f'it is {value!r:.100}; a bonus is an object like {{"user_id": "…", "amount": 0.5}}']
            )
        # A cell that is empty, or null, is no value.
        given = {name: field for name, field in value.items() if field is not None}
        problems = _unknown(given)
        fields: dict[str, Any] = {}
        for name, field in {**self._defaults, **given}.items():
            if name in _FIELDS:
                try:
                    fields[name] = _READERS[name](field)
                except (ValueError, TypeError) as exc:
                    problems.append(f"{name}: {exc}")
        problems += [f"it has no {name}" for name in ("user_id", "amount") if name not in given]
        if not problems:
            problems += _settle_message(fields)
        return BadRow(number, problems) if problems else Row(number, fields)


class AnswerRows(BonusRows):
    """
    What rows of answers mean as bonuses, by a function; a row without fields is one without a bonus.

    :param decide: Gets a row, with the cells of a table as they are.
    """

    def __init__(self, decide: Decide, defaults: Mapping[str, Any]) -> None:
        super().__init__(defaults)
        self._decide = decide

    def columns(self, names: list[str], *, nested: bool) -> Cells:
        """Return what reads the rows of a table, whose columns may be any."""
        return Cells(names)

    def row(self, number: int, value: Any, text: bytes | None = None, *, has_floats: bool = True) -> Row | BadRow:
        """Return the bonus for a row."""
        if not isinstance(value, dict):
            return BadRow(number, [f"it is {value!r:.100}; an answer is an object"])
        try:
            made = self._decide(value)
        except Exception as exc:
            exc.add_note(f"The function bonus was called with answer {number}")
            raise
        if made is None:
            return Row(number, {})
        person = {
            field: value[name] for field, names in _OF_ANSWERS.items() for name in reversed(names) if value.get(name)
        }
        return super().row(number, {**person, **(made if isinstance(made, Mapping) else {"amount": made})})


def read_bonuses(source: RowSource, rows: BonusRows, most: int) -> list[Bonus]:
    """
    Return all bonuses of a source, every one checked.

    :param most: How many there may be.
    :raises SourceError: If some cannot be paid, with the first of them.
    """
    bonuses: list[Bonus] = []
    for number, fields, _ in source.rows(rows):
        if not fields:
            continue
        if len(bonuses) == most:
            raise source.error(
                number,
                f"this is more than {most} bonuses, which Toloka lets an account pay in a day (daily_quota); give what "
                "is left to another task, on another day. Nothing was paid",
            )
        bonuses.append(Bonus(number, fields.pop("user_id"), fields.pop("amount"), fields))
    return bonuses


def read_texts(value: Any) -> dict[str, str]:
    """
    Return a text in one or more languages.

    :param value: A mapping by languages, such as ``{"EN": "Thank you"}``, or JSON of one; or the text itself.
    :raises ValueError: If it is none.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _read_json(value)
    texts = {LANGUAGE: value} if isinstance(value, str) else value
    if isinstance(texts, Mapping):
        # A struct column of Parquet has every language in every row.
        texts = {language: text for language, text in texts.items() if text is not None}
    if not isinstance(texts, dict) or not texts or not all(isinstance(t, str) and t.strip() for t in texts.values()):
        raise ValueError(f'{value!r:.100} is no text, and no object like {{"EN": "Thank you"}}')
    return texts


def _settle_message(fields: dict[str, Any]) -> list[str]:
    """Say whether there is a message; return what is wrong with it."""
    texts = [name for name in _TEXTS if name in fields]
    is_silent = fields.setdefault("without_message", not texts)
    if is_silent and texts:
        return [f"without_message is true, and there is a {texts[0]}"]
    missing = [name for name in _TEXTS if name not in fields]
    if not is_silent and missing:
        return [f"it has no {missing[0]}; people get a title and a message, or neither (without_message)"]
    return []


def _unknown(names: Iterable[str]) -> list[str]:
    """Return what is wrong with names that no field of a bonus has."""
    problems = []
    for name in names:
        if name not in _FIELDS:
            close = difflib.get_close_matches(str(name).strip().lower(), _FIELDS, 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            problems.append(f"there is no field {name!r:.100}{hint}")
    if problems:
        problems[-1] += f"; a bonus has {', '.join(_FIELDS)}"
    return problems


def _read_amount(value: Any) -> Decimal:
    amount = None if isinstance(value, bool) else read_decimal(value.strip() if isinstance(value, str) else value)
    if amount is None or not MIN_AMOUNT <= amount <= MAX_AMOUNT:
        raise ValueError(f"it is {value!r:.100}; it must be a number from {MIN_AMOUNT} to {MAX_AMOUNT}, such as 0.25")
    if amount != round(amount, PLACES):
        raise ValueError(f"it is {value!r:.100}; round it to {PLACES} decimals, or the sum that is paid may be another")
    return amount


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.100} is no text")
    return value


def _read_id(value: Any) -> str:
    return checked_id("it", value.strip() if isinstance(value, str) else value)


_read_json = value_reader("json")
_READERS: dict[str, Callable[[Any], Any]] = {
    "user_id": _read_id,
    "amount": _read_amount,
    "assignment_id": _read_id,
    "private_comment": _read_text,
    "public_title": read_texts,
    "public_message": read_texts,
    "without_message": value_reader("boolean"),
}
