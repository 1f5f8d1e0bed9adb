"""
Answers one after the other, from files in every format that `GetAssignmentsOperator` writes, and from lists.

JSON Lines and Parquet are read here, as there may be millions of rows in them; other tables go the way of all others.
Values stay as they are in their file: text of JSON as `msgspec.Raw`, cells of a TSV as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_airflow._internal.wording import counted
from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.lines import not_utf8, read_lines
from toloka_airflow.storage.paths import NO_SUCH_FILE, is_path, local_file, refuse_rows_as_text, storage_path
from toloka_airflow.transfer.row_sources import Cells, PlainRows, row_source

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.storage.paths import LocalFile

MAX_LINE = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_PARQUET_ROWS = 10_000
_EXPECTED = (
    'an answer is an object like {"task_id": "t1", "user_id": "u1", "output_values": {"label": "cat"}}; in a table, a '
    "row with the columns ASSIGNMENT:task_id, ASSIGNMENT:worker_id and OUTPUT:label, one for each field"
)
_TABLE = {
    "task_id": "ASSIGNMENT:task_id",
    "user_id": "ASSIGNMENT:worker_id",
    "assignment_id": "ASSIGNMENT:assignment_id",
    "pool_id": "ASSIGNMENT:pool_id",
    "status": "ASSIGNMENT:status",
    "submitted": "ASSIGNMENT:submitted",
    "created": "ASSIGNMENT:started",
    "assignment_reward": "ASSIGNMENT:reward",
}
"""The facts of an answer, and their columns in Toloka's own tables."""
_OF_ASSIGNMENT = {"id": "assignment_id", "reward": "assignment_reward"}
"""What is called otherwise in an assignment as the API answers it."""


class Solution(msgspec.Struct, gc=False):
    """A right answer to a control task."""

    output_values: dict[str, msgspec.Raw]


class Answer(msgspec.Struct, gc=False):
    """
    An answer: one task of one assignment.

    Ids are as they are in their file; `None` is what is not there. Values are those of their file, or `msgspec.Raw`.
    """

    output_values: dict[str, msgspec.Raw]
    task_id: str | int
    user_id: str | int
    assignment_id: str | int | None = None
    pool_id: str | int | None = None
    status: str | None = None
    submitted: Any = None
    created: Any = None
    assignment_reward: float | None = None
    known_solutions: list[Solution] | None = None
    input_values: msgspec.Raw = msgspec.Raw()  # with None as an alternative, it would take no objects


decoder = msgspec.json.Decoder(Answer)


class AnswerSource:
    """
    Answers of a file or an iterable, read once, as a stream.

    :param answers: The path of a file, or an iterable of rows.
    :raises ValueError: If it is neither, or a file in an unknown format.
    """

    is_untyped = False
    """Whether all values are texts, as in a TSV."""
    has_json_texts = False
    """Whether objects are texts, as in Parquet."""
    unit = "line"

    def __init__(self, answers: Any) -> None:
        self.field_names: set[str] = set()
        """Fields that the file says it has, besides those that its answers have."""
        self.name = "answers"
        if not is_path(answers):
            if isinstance(answers, Mapping | bytes) or not isinstance(answers, Iterable):
                raise ValueError(
                    f"answers is {answers!r:.200}; it must be the path of a file with answers, or a list of them"
                )
            self.unit = "item"
            self._rows = self._of_rows(enumerate(answers, 1))
            return
        if not str(answers).strip():
            raise ValueError(f"answers is {str(answers)!r}: a template or an upstream task gave no path")
        refuse_rows_as_text("answers", answers)
        self.name = f"answers: {answers}"
        plain = str(answers).lower().removesuffix(".gz")
        if plain.endswith((".jsonl", ".ndjson")):
            self._rows = self._of_lines(_opened(answers))
        elif str(answers).lower().endswith(".parquet"):
            self.unit, self.has_json_texts = "row", True
            self._rows = self._of_parquet(_opened(answers))
        else:
            self.is_untyped = plain.endswith((".tsv", ".csv"))
            self._rows = self._of_table(answers)

    def __iter__(self) -> Iterator[tuple[int, Answer]]:
        """Iterate over the answers, and the number of the row that each is from."""
        return self._rows

    def where(self, number: int) -> str:
        """Return where a row is, for people."""
        return f"{self.name}, {self.unit} {number}"

    def _of_lines(self, path: Any) -> Iterator[tuple[int, Answer]]:
        decode = decoder.decode
        for number, line in read_lines("answers", path, max_bytes=MAX_LINE):
            try:
                yield number, decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                text = line.removeprefix(_BOM).strip(b" \t\r\n")
                if text:
                    yield from self._of_rows([(number, self._loads(number, text))])

    def _loads(self, number: int, text: bytes) -> Any:
        try:
            return json.loads(text.decode())
        except UnicodeDecodeError as exc:
            raise ValueError(f"{self.where(number)}: {not_utf8(exc)}") from None
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"{self.where(number)}: it is not JSON: {exc}") from None

    def _of_table(self, answers: Any) -> Iterator[tuple[int, Answer]]:
        source = row_source("answers", answers)
        self.unit = source.unit
        rows = source.rows(_TableRows(self.field_names))
        return self._of_rows((row.number, row.fields) for row in rows)

    def _of_rows(self, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Answer]]:
        for number, row in rows:
            try:
                for answer in _answers_of(row):
                    yield number, answer
            except (AttributeError, KeyError, TypeError, ValueError) as exc:
                raise ValueError(f"{self.where(number)}: {_problem(exc)}") from None

    def _of_parquet(self, path: Any) -> Iterator[tuple[int, Answer]]:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as exc:
            raise ValueError(f"{self.name}: Parquet needs pyarrow: install airflow-toloka[parquet]") from exc
        number = 0
        wanted = [*_TABLE, "output_values", "known_solutions", "input_values", "other_values"]
        try:
            with path.fs.open(path.path, "rb") as file:
                report_read(path)
                table = parquet.ParquetFile(file)
                schema = table.schema_arrow
                columns = [name for name in wanted if name in schema.names]
                if "output_values" in columns:
                    self.field_names.update(field.name for field in schema.field("output_values").type)
                for batch in table.iter_batches(batch_size=_PARQUET_ROWS, columns=columns):
                    names = batch.schema.names
                    for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                        number += 1
                        yield from self._of_rows([(number, _with_others(dict(zip(names, cells, strict=True))))])
        except FileNotFoundError:
            raise ValueError(f"answers is {str(path)!r}, {NO_SUCH_FILE}") from None
        except pyarrow.ArrowException as exc:
            raise ValueError(f"{self.where(number + 1)}: it cannot be read as Parquet: {exc}") from exc


class _TableRows(PlainRows):
    """Rows of a table; the names of its output fields are added to some."""

    def __init__(self, field_names: set[str]) -> None:
        super().__init__(_TABLE["user_id"], expected=_EXPECTED)
        self._field_names = field_names

    def columns(self, names: list[str], *, nested: bool) -> Cells:
        """Return what reads the rows."""
        self._field_names.update(name[7:] for name in names if name.startswith("OUTPUT:"))
        return super().columns(names, nested=nested)


def _opened(answers: Any) -> ObjectStoragePath | LocalFile:
    return local_file(answers) or storage_path("answers", answers)


def _with_others(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of Parquet with what its columns could not hold."""
    others = row.pop("other_values", None)
    if others is None:
        return row
    for name, value in json.loads(others).items():
        known = row.get(name)
        row[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return row


def _answers_of(row: Any) -> Iterator[Answer]:
    if not isinstance(row, Mapping):
        raise ValueError(f"it is {row!r:.100}; {_EXPECTED}")
    if "output_values" in row:
        yield _answer(row)
    elif "tasks" in row and "solutions" in row:
        yield from _answers_of_assignment(row)
    else:
        yield _answer(_row_of_table(row))


def _answers_of_assignment(row: Mapping[str, Any]) -> Iterator[Answer]:
    tasks, solutions = row["tasks"], row["solutions"] or ()
    if len(tasks) != len(solutions) and solutions:
        raise ValueError(
            f"assignment {row.get('id')} has {counted(len(tasks), 'task')} but {counted(len(solutions), 'solution')}"
        )
    facts = {_OF_ASSIGNMENT.get(name, name): value for name, value in row.items() if name not in ("tasks", "solutions")}
    for task, solution in zip(tasks, solutions, strict=False):
        yield _answer({**facts, **task, "task_id": task["id"], "output_values": solution["output_values"]})


def _row_of_table(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of Toloka's own table as one of JSON Lines."""
    if not any(name.startswith(("OUTPUT:", "ASSIGNMENT:")) for name in row):
        raise ValueError(f"it has no output_values; {_EXPECTED}")
    for name in ("task_id", "user_id"):
        if row.get(_TABLE[name]) is None:
            raise ValueError(f"it has no {_TABLE[name]}; {_EXPECTED}")
    known = {name.removeprefix("GOLDEN:"): value for name, value in row.items() if name.startswith("GOLDEN:")}
    facts = {name: row.get(column) for name, column in _TABLE.items()}
    return {
        **facts,
        "output_values": {name[7:]: value for name, value in row.items() if name.startswith("OUTPUT:")},
        "known_solutions": [{"output_values": known}] if known else None,
        "input_values": {name[6:]: value for name, value in row.items() if name.startswith("INPUT:")},
    }


def _answer(row: Mapping[str, Any]) -> Answer:
    for name in ("task_id", "user_id"):
        if row.get(name) is None:
            raise ValueError(f"it has no {name}; {_EXPECTED}")
    solutions = row.get("known_solutions")
    if not isinstance(solutions, Sequence | None) or isinstance(solutions, str):
        raise ValueError(f"known_solutions is {solutions!r:.100}; it must be a list")
    values = [row["output_values"], *(solution["output_values"] for solution in solutions or ())]
    for value in values:
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f"output_values is {value!r:.100}; it must be an object")
    given, *known = [{} if value is None else dict(value) for value in values]
    reward = row.get("assignment_reward")
    return Answer(
        output_values=given,
        task_id=row["task_id"],
        user_id=row["user_id"],
        assignment_id=row.get("assignment_id"),
        pool_id=row.get("pool_id"),
        status=row.get("status"),
        submitted=row.get("submitted"),
        created=row.get("created"),
        assignment_reward=None if reward is None else float(reward),
        known_solutions=[Solution(value) for value in known] or None,
        input_values=row.get("input_values", msgspec.Raw()),
    )


def _problem(exc: Exception) -> str:
    if isinstance(exc, KeyError):
        return f"it has no {exc.args[0]}; {_EXPECTED}"
    return str(exc)
