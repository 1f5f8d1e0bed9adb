r"""
Answers in the format in which Toloka's own pages hand out results: tab-separated, with ``INPUT:`` and ``OUTPUT:``.

- ``GOLDEN:`` holds the right answer, and so marks control tasks.
- ``ASSIGNMENT:status`` is APPROVED for ACCEPTED, as there.
- ``ACCEPT:verdict`` and ``ACCEPT:comment`` are filled in once for an assignment that was decided, ``+`` or ``-``.
- An array is its elements with commas in between. A comma in a text is ``\,``, and a pair of coordinates is in quotes.
  What could not be read from that as it was, such as an element that is empty, makes a JSON array of it.

The columns are those of the documentation of Toloka's pages (guide/concepts/result-of-eval and accept) and of
toloka-kit's ``GetAssignmentsTsvParameters``.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping
from typing import IO, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.row_files import GZIP_LEVEL
from toloka_airflow.storage.row_writers import RowWriter

_ASSIGNMENT = {
    "assignment_id": "assignment_id",
    "worker_id": "user_id",
    "status": "status",
    "started": "created",
    "task_suite_id": "task_suite_id",
    "submitted": "submitted",
    "accepted": "accepted",
    "rejected": "rejected",
    "reward": "assignment_reward",
}
"""What a column is called behind ``ASSIGNMENT:``, and where it is in a row; first come those of Toloka's pages."""
_STATUSES = {"ACCEPTED": "APPROVED"}
_VERDICTS = {"ACCEPTED": "+", "REJECTED": "-"}
_TO_BE_QUOTED = re.compile(r'["\t\r\n]')
_HALVES = re.compile("[\ud800-\udfff]")


class TsvAnswers(RowWriter):
    """
    Write answers to a file.

    :param file: The file, open for writing.
    :param input_spec: The project's input fields.
    :param output_spec: The project's output fields.
    :param link: Returns the address of an assignment's page.
    :param compressed: Whether to write gzip.
    :param log: Where it is reported what a table cannot hold.
    """

    def __init__(
        self,
        file: IO[bytes],
        input_spec: Mapping[str, Any],
        output_spec: Mapping[str, Any],
        *,
        link: Callable[[str], str],
        compressed: bool,
        log: Any,
    ) -> None:
        super().__init__()
        self._file, self._link, self._compressed, self._log = file, link, compressed, log
        self._inputs = {name: str(field["type"]).lower() for name, field in input_spec.items()}
        self._outputs = {name: str(field["type"]).lower() for name, field in output_spec.items()}
        self._assignment_id: str | None = None
        self._assignment_cells: list[str] = []
        self._several_solutions = self._halves = 0
        self._write_cells([self._header()])

    def _header(self) -> list[str]:
        return [
            *(f"INPUT:{name}" for name in self._inputs),
            *(f"OUTPUT:{name}" for name in self._outputs),
            *(f"GOLDEN:{name}" for name in self._outputs),
            "HINT:text",
            "ASSIGNMENT:link",
            *(f"ASSIGNMENT:{name}" for name in _ASSIGNMENT),
            "ASSIGNMENT:task_id",
            "ACCEPT:verdict",
            "ACCEPT:comment",
        ]

    def write_lines(self, lines: list[bytes]) -> None:
        """
        Write some answers.

        :raises ValueError: If one has a field that the project does not name, as it has no column.
        """
        self._write_cells([self._cells(json.loads(line)) for line in lines])

    def close(self) -> None:
        """Report what a table cannot hold."""
        if self._several_solutions:
            self._log.warning(
                "%s to control tasks with several right answers, of which the columns GOLDEN: hold the "
                "first; files of JSON Lines and Parquet have all of them",
                counted(self._several_solutions, "answer is", "answers are"),
            )
        if self._halves:
            self._log.warning(
                "No table can hold %s, so U+FFFD is there instead. Files of JSON Lines and Parquet have them",
                counted(self._halves, "half of a character", "halves of characters"),
            )

    def _write_cells(self, rows: list[list[str]]) -> None:
        content = self._encoded("".join("\t".join(map(_quoted, cells)) + "\n" for cells in rows))
        self._file.write(gzip.compress(content, GZIP_LEVEL, mtime=0) if self._compressed else content)

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode()
        except UnicodeEncodeError:
            text, count = _HALVES.subn("\ufffd", text)
            self._halves += count
            return text.encode()

    def _cells(self, row: Mapping[str, Any]) -> list[str]:
        solutions = row.get("known_solutions") or [{}]
        self._several_solutions += len(solutions) > 1
        # Toloka's page takes a decision once for each assignment.
        verdict = comment = ""
        if row["assignment_id"] != self._assignment_id:
            self._assignment_id = row["assignment_id"]
            self._assignment_cells = self._of_assignment(row)
            verdict = _VERDICTS.get(row["status"], "")
            comment = _cell(row.get("public_comment")) if verdict else ""
        return [
            *self._values(row, "INPUT", self._inputs, row["input_values"]),
            *self._values(row, "OUTPUT", self._outputs, row["output_values"]),
            *self._values(row, "GOLDEN", self._outputs, solutions[0].get("output_values") or {}),
            _cell(row.get("message_on_unknown_solution")),
            *self._assignment_cells,
            row["task_id"],
            verdict,
            comment,
        ]

    def _of_assignment(self, row: Mapping[str, Any]) -> list[str]:
        facts = {**row, "status": _STATUSES.get(row["status"], row["status"])}
        return [self._link(row["assignment_id"]), *(_cell(facts.get(key)) for key in _ASSIGNMENT.values())]

    def _values(
        self, row: Mapping[str, Any], kind: str, types: Mapping[str, str], values: Mapping[str, Any]
    ) -> list[str]:
        if unknown := [name for name, value in values.items() if name not in types and value is not None]:
            raise ValueError(
                f"Task {row['task_id']} of assignment {row['assignment_id']} has {kind}:{unknown[0]}, which the "
                "project does not name, so it has no column in a TSV: name the file *.jsonl or *.parquet"
            )
        return [_cell(values.get(name), type_name) for name, type_name in types.items()]


def _quoted(cell: str) -> str:
    """Return a cell as it is written; a carriage return, too, is in quotes: `csv` leaves it bare, which ends a row."""
    return '"' + cell.replace('"', '""') + '"' if _TO_BE_QUOTED.search(cell) else cell


def _cell(value: Any, type_name: str = "string") -> str:
    if value is None:
        return ""
    if isinstance(value, str) and type_name != "json":
        return value
    if isinstance(value, list) and type_name.startswith("array_"):
        return _array(value, type_name.removeprefix("array_"))
    return compact_json(value)


def _array(values: list[Any], type_name: str) -> str:
    if not values or not all(_is_plain(value, type_name) for value in values):
        return compact_json(values)
    items = [value if isinstance(value, str) else compact_json(value) for value in values]
    if type_name == "coordinates":
        return ",".join(f'"{item}"' for item in items)
    return ",".join(items if type_name == "json" else [item.replace(",", "\\,") for item in items])


def _is_plain(value: Any, type_name: str) -> bool:
    """Return whether an element of an array can be told from the others, and is read as what it is."""
    if type_name == "json":
        return isinstance(value, dict)
    text = value if isinstance(value, str) else compact_json(value)
    return value is not None and text == text.strip() and text[:1] not in ("", "[", "{") and not set(text) & {'"', "\\"}
