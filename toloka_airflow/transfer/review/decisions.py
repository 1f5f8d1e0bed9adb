"""Decisions about answers as people have them: a mapping, a list, JSON Lines, or the table that Toloka's page takes."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Assignment, AssignmentStatus
from toloka_airflow.storage.lines import not_utf8, read_lines
from toloka_airflow.storage.tables import (
    DELIMITERS,
    MAX_BYTES,
    TableError,
    check_delimiter,
    read_records,
    wrong_number_of_cells,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

ID, VERDICT, COMMENT = "ASSIGNMENT:assignment_id", "ACCEPT:verdict", "ACCEPT:comment"
VERDICTS = {
    "+": AssignmentStatus.ACCEPTED,
    "ACCEPTED": AssignmentStatus.ACCEPTED,
    "APPROVED": AssignmentStatus.ACCEPTED,
    "-": AssignmentStatus.REJECTED,
    "REJECTED": AssignmentStatus.REJECTED,
}
"""The marks that Toloka's page takes, and the words for them in its files and in its API."""
MAX_COMMENT = 2048
MAX_LINE = 64 * 1024
"""Bytes; a line of a table may be longer, as it may have the inputs and outputs beside the verdict."""
_FIELDS = {"status", "public_comment"}
_STATUSES = ("ACCEPTED", "REJECTED")


@dataclass(frozen=True)
class Decision:
    """
    What to do about one answer.

    :param public_comment: What the person who answered reads; who is rejected reads why.
    :param known: The answer as it was listed, if it was.
    """

    assignment_id: str
    status: AssignmentStatus
    public_comment: str | None
    known: Assignment | None = None


def checked_decision(where: str, assignment_id: str, decision: Any, known: Assignment | None = None) -> Decision:
    """
    Return a decision that was given as an object.

    :raises ValueError: If it is none; names ``where`` it was given.
    """
    if not isinstance(decision, Mapping) or set(decision) - _FIELDS or "status" not in decision:
        raise ValueError(
            f"{where}: it is {decision!r:.200}; a decision has {' and '.join(sorted(_FIELDS))}, and an acceptance may "
            "do without the comment"
        )
    status, comment = decision["status"], decision.get("public_comment")
    if status not in _STATUSES:
        raise ValueError(f"{where}: status is {status!r}; it must be {' or '.join(_STATUSES)}")
    if comment is not None or status == "REJECTED":
        check_comment(f"{where}: public_comment", comment)
    return Decision(assignment_id, AssignmentStatus(status), comment, known)


def check_comment(name: str, comment: object) -> None:
    """
    Make sure that people can be sent this comment.

    :param name: What to call it in the error.
    :raises ValueError: If they cannot.
    """
    if not isinstance(comment, str) or not comment.strip() or len(comment) > MAX_COMMENT:
        raise argument_error(
            f"{name} is {comment!r:.100}; people read it, so it must be text of up to {MAX_COMMENT} characters that "
            "says why",
            "decisions",
        )


def read_mapping(decisions: Mapping[str, Any]) -> Iterator[Decision]:
    """
    Iterate over decisions by the ids of assignments.

    :raises ValueError: At the first that is no decision, or decides again, as 5 and "5" are one id.
    """
    ids: set[str] = set()
    for name, decision in decisions.items():
        assignment_id = checked_id("decisions: an assignment's id", name)
        if assignment_id in ids:
            raise ValueError(f"decisions: assignment {assignment_id} is decided twice")
        ids.add(assignment_id)
        yield checked_decision(f"decisions: assignment {assignment_id}", assignment_id, decision)


def read_list(decisions: Iterable[Any]) -> Iterator[Decision]:
    """
    Iterate over a list of decisions with the ids of assignments, as another task returns it.

    :raises ValueError: At the first that is no decision, or decides again.
    """
    return _once("decisions: ", "number", enumerate(decisions, 1))


def read_file(path: ObjectStoragePath) -> Iterator[Decision]:
    """
    Iterate over the decisions in a file: a table if its name ends with ``.tsv`` or ``.csv``, else JSON Lines.

    JSON Lines are never all in memory, but their ids are: about 160 bytes for each.

    :raises ValueError: At the first line that is no decision, or decides again.
    """
    delimiter = DELIMITERS.get(path.path.lower().removesuffix(".gz")[-4:])
    if delimiter is not None:
        return _read_table(path, delimiter)
    name = f"decisions: {path}, "
    lines = ((number, line) for number, line in read_lines("decisions", path, max_bytes=MAX_LINE) if line.strip())
    return _once(name, "line", ((number, _parsed(f"{name}line {number}", line)) for number, line in lines))


def _once(name: str, unit: str, decisions: Iterable[tuple[int, Any]]) -> Iterator[Decision]:
    """Iterate over decisions that have the ids of assignments, none of them twice."""
    numbers: dict[str, int] = {}
    for number, fields in decisions:
        where = f"{name}{unit} {number}"
        if not isinstance(fields, Mapping) or "assignment_id" not in fields:
            raise ValueError(f"{where}: it is no object with an assignment_id")
        assignment_id = checked_id(f"{where}: assignment_id", fields["assignment_id"])
        if assignment_id in numbers:
            raise ValueError(f"{where}: {assignment_id} is decided twice, first in {unit} {numbers[assignment_id]}")
        numbers[assignment_id] = number
        yield checked_decision(where, assignment_id, {key: fields[key] for key in fields if key != "assignment_id"})


def _parsed(where: str, line: bytes) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{where}: it is not JSON: {exc}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError(f"of {', '.join(name for name, _ in pairs)}, one is there twice")
    return fields


class _Verdict(NamedTuple):
    line: int
    status: AssignmentStatus
    comment: str


def _read_table(path: ObjectStoragePath, delimiter: str) -> Iterator[Decision]:
    """
    Iterate over the decisions in a table, which holds about 250 bytes for each in memory.

    An assignment has a row for each of its tasks. It is decided by the rows that have a verdict: by one of them, as
    Toloka's page wants it, or by several that agree; the comment stands in at least one if it is a rejection.
    """
    verdicts: dict[str, _Verdict] = {}
    for line, (assignment_id, verdict, comment) in _verdict_rows(path, delimiter):
        where = f"decisions: {path}, line {line}"
        if not verdict:
            if comment:
                raise ValueError(f"{where}: it has an {COMMENT} but no {VERDICT}; give it one, or empty both")
            continue
        assignment_id = checked_id(f"{where}: {ID}", assignment_id)
        status = VERDICTS.get(verdict.upper())
        if status is None:
            raise ValueError(f"{where}: {VERDICT} is {verdict!a:.100}; it must be {', '.join(VERDICTS)} or empty")
        one = _Verdict(line, status, intern(comment))
        verdicts[assignment_id] = _joined(where, assignment_id, verdicts.get(assignment_id, one), one)
    for assignment_id, (line, status, comment) in verdicts.items():
        if status is AssignmentStatus.REJECTED and not comment:
            raise ValueError(
                f"decisions: {path}, line {line}: assignment {assignment_id} is rejected without an {COMMENT}; people "
                "read it, so say why"
            )
        decision = {"status": status.value, "public_comment": comment or None}
        yield checked_decision(f"decisions: {path}, line {line}: assignment {assignment_id}", assignment_id, decision)


def _joined(where: str, assignment_id: str, first: _Verdict, second: _Verdict) -> _Verdict:
    if first.status != second.status:
        raise ValueError(
            f"{where}: {assignment_id} is {second.status.value} here, but {first.status.value} in line {first.line}; "
            "all of an assignment is accepted or rejected"
        )
    if first.comment and second.comment and first.comment != second.comment:
        raise ValueError(f"{where}: {assignment_id} has another {COMMENT} in line {first.line}; people read one")
    return second if second.comment and not first.comment else first


def _verdict_rows(path: ObjectStoragePath, delimiter: str) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Iterate over the line, and over assignment, verdict and comment, of each row that is not blank."""
    header: list[str] = []
    for number, cells in _records(path, delimiter):
        where = f"decisions: {path}, line {number}"
        if not header:
            header = _checked_header(where, cells, delimiter)
        elif len(cells) != len(header):
            raise ValueError(f"{where}: {wrong_number_of_cells(len(cells), len(header), delimiter)}")
        else:
            row = dict(zip(header, cells, strict=True))
            yield number, (row[ID], row[VERDICT], row.get(COMMENT, ""))
    if not header:
        raise ValueError(f"decisions: {path} is empty; its first line must have the columns {ID}, {VERDICT}, {COMMENT}")


def _checked_header(where: str, names: list[str], delimiter: str) -> list[str]:
    try:
        check_delimiter(names, delimiter)
    except ValueError as exc:
        raise ValueError(f"{where}: {exc}") from None
    wanted = {ID, VERDICT, COMMENT}
    for name in names:
        # Else what it was to say would be missing without a word.
        if name.upper().startswith("ACCEPT:") and name not in wanted:
            raise ValueError(f"{where}: there is a column {name!r:.100}; those of a review are {VERDICT} and {COMMENT}")
        if name in wanted and names.count(name) > 1:
            raise ValueError(f"{where}: the column {name} is there {names.count(name)} times")
    if missing := [name for name in (ID, VERDICT) if name not in names]:
        shown = ", ".join(repr(name) for name in names[:20])
        raise ValueError(f"{where}: there is no column {' and no '.join(missing)}; the header is {shown:.500}")
    return names


def _records(path: ObjectStoragePath, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Iterate over the line and the cells of each row that is not blank."""
    try:
        for number, cells in read_records(_texts(path), delimiter):
            if any(stripped := [cell.strip() for cell in cells]):
                yield number, stripped
    except TableError as exc:
        raise ValueError(f"decisions: {path}, line {exc.line}: {exc}") from None


def _texts(path: ObjectStoragePath) -> Iterator[str]:
    for number, line in read_lines("decisions", path, max_bytes=MAX_BYTES):
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError as exc:
            raise ValueError(f"decisions: {path}, line {number}: {not_utf8(exc)}") from None
