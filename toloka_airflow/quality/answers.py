"""
Answers in columns: a million of them in memory, whatever format they were written in.

An answer is one task of one assignment, a row of the file that `GetAssignmentsOperator` writes. What counts:

- **Status.** All answers are in the table. Those in a status that counts are votes: SUBMITTED and ACCEPTED, unless
  other statuses are named. Rejected answers are no votes by default.
- **Unanswered.** A field that is not there, null, NaN or a text of white space only was not answered, and is no vote.
- **Several choices.** The value of a list of texts or numbers is the set of them, and of an object of booleans those
  that are true: order, repetitions and what was not chosen do not matter. An empty list was answered: nothing applies.
- **Equal values.** 3 and 3.0 are equal, also within lists and objects; ``true`` and 1 are not, nor are 3 and ``"3"``.
- **Repeated answers.** If a person has answered a task several times, the answer that was submitted last counts; of
  several at the same time, or at unknown times, that of the assignment with the greatest id. Answers that do not count,
  and those without the field, are not among them. Every method and measure takes `AnswerTable.votes`, so this is the
  only rule. A row that is in the file twice is one answer.
- **Control tasks.** A task is one if any of its rows has known solutions. If these give a field several right answers,
  `Field.known` has none of them, and `Field.alternatives` has all. A TSV has the first only.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from toloka_airflow.quality.answer_files import Answer, AnswerSource
from toloka_airflow.quality.answer_table import COUNTED, STATUS_CODES, STATUSES, AnswerTable, Field, instead
from toloka_airflow.quality.answer_values import FieldValues, json_texts, typed_cells
from toloka_airflow.quality.numeric import np
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.transfer.values import without_numpy

if TYPE_CHECKING:
    import os

    from airflow.sdk import ObjectStoragePath
    from numpy.typing import NDArray

__all__ = ["AnswerTable", "read_answers"]

_UNKNOWN_STATUS = "SUBMITTED"
_MAX_NAMES = 100


def read_answers(
    answers: str | os.PathLike[str] | ObjectStoragePath | Iterable[Mapping[str, Any]],
    *,
    fields: Sequence[str],
    statuses: Sequence[str] = COUNTED,
    inputs: bool = False,
) -> AnswerTable:
    """
    Read answers into columns, as a stream.

    A million answers, of three people each to a third of a million tasks, take some 200 MB.

    Files of Toloka's own format (TSV) do not say what is a number, a list or an object. If all texts of a column are
    JSON, such as ``3`` or ``true``, they are taken for it. If there are commas, and none has white space beside it, all
    cells of the column are taken for lists. In Parquet, objects are texts, too, and read likewise.

    :param answers: The path of a file that `GetAssignmentsOperator` wrote: JSON Lines, also of ``rows="assignments"``,
        TSV, either also with gzip, or Parquet; or a list of such rows. A row needs ``task_id``, ``user_id`` and
        ``output_values``; without a status, it is taken for SUBMITTED.
    :param fields: The output fields.
    :param statuses: The statuses of assignments whose answers count as votes; all others are in the table, too.
    :param inputs: Whether to keep the input values of tasks and their known solutions, as JSON.
    :raises ValueError: If an argument cannot be used, at the first row that cannot be read, or if there are answers and
        none has one of the fields.
    """
    names = _checked_names("fields", fields, "a list of output fields")
    counted = _checked_names("statuses", statuses, "a list of statuses")
    if unknown := [status for status in counted if status not in STATUSES]:
        raise ValueError(f"statuses: {unknown[0]!r} is none{instead(unknown[0], STATUSES)}")
    source = AnswerSource(answers)
    reading = _Reading(source, names, with_inputs=inputs)
    for number, answer in source:
        try:
            reading.add(number, answer)
        except (TypeError, ValueError, RecursionError) as exc:
            raise ValueError(f"{source.where(number)}: {exc}") from None
    return reading.table(counted)


def _checked_names(argument: str, names: Any, wanted: str) -> tuple[str, ...]:
    if isinstance(names, str) or not names or not all(name and isinstance(name, str) for name in names):
        raise ValueError(f"{argument} is {names!r}; it must be {wanted}")
    return tuple(dict.fromkeys(names))


class _Ids:
    """Ids, as numbers in the order in which they came."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def code(self, identifier: str | int) -> int:
        text = identifier if type(identifier) is str else str(identifier)
        return self.codes.setdefault(text, len(self.codes))

    def sorted(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """Return the ids, sorted, and where each number is among them; forget them here."""
        ids = sorted(self.codes)
        positions = np.empty(len(ids), np.int32)
        for position, text in enumerate(ids):
            positions[self.codes[text]] = position
        self.codes = {}
        return tuple(ids), positions


def seconds_since_1970(time: Any) -> float:
    """
    Return a time as Toloka writes it, in UTC without saying so; nan if it is not there.

    :raises ValueError: If it is no time.
    """
    if time is None or time == "":
        return math.nan
    if isinstance(time, int | float) and not isinstance(time, bool):
        return float(time)
    parsed = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


class _Reading:
    """What has been read so far, in columns that grow."""

    def __init__(self, source: AnswerSource, fields: tuple[str, ...], *, with_inputs: bool) -> None:
        self._source, self._fields, self._with_inputs = source, fields, with_inputs
        self._task_ids, self._person_ids, self._assignment_ids, self._pool_ids = _Ids(), _Ids(), _Ids(), _Ids()
        self._tasks, self._people, self._assignments = array("i"), array("i"), array("i")
        self._statuses, self._submitted, self._created = array("b"), array("d"), array("d")
        self._rewards: dict[int, float] = {}
        self._pools, self._inputs = array("i"), list[bytes]()
        self._values = {name: FieldValues() for name in fields}
        self._labels = {name: array("i") for name in fields}
        self._known: dict[str, dict[int, set[int]]] = {name: {} for name in fields}
        self._control_tasks: set[int] = set()
        self._known_solutions: dict[int, bytes] = {}
        self._field_names: set[str] = set()
        self._last_times: tuple[Any, Any] = (None, None)
        self._last_seconds = (math.nan, math.nan)

    def add(self, number: int, answer: Answer) -> None:
        """Add an answer."""
        if answer.task_id == "" or answer.user_id == "":
            raise ValueError(f"it has no {'task_id' if answer.task_id == '' else 'user_id'}")
        values = answer.output_values
        for name in self._fields:
            try:
                self._labels[name].append(self._values[name].code(values.get(name)))
            except (TypeError, ValueError, RecursionError) as exc:
                raise ValueError(f"output_values.{name}: {exc}") from None
        if len(self._field_names) < _MAX_NAMES and not self._field_names.issuperset(values):
            self._field_names.update(values)
        task = self._task_ids.code(answer.task_id)
        if task == len(self._pools):
            self._pools.append(-1 if answer.pool_id is None else self._pool_ids.code(answer.pool_id))
            if self._with_inputs:
                self._inputs.append(_json_bytes(answer.input_values))
        if answer.known_solutions:
            self._add_known(task, answer)
        self._tasks.append(task)
        self._people.append(self._person_ids.code(answer.user_id))
        self._add_assignment(number, answer)

    def _add_assignment(self, number: int, answer: Answer) -> None:
        identifier = answer.assignment_id
        assignment = self._assignment_ids.code(f"row {number}" if identifier is None else identifier)
        self._assignments.append(assignment)
        status = STATUS_CODES.get(answer.status or _UNKNOWN_STATUS)
        if status is None:
            raise ValueError(f"status is {answer.status!r}{instead(str(answer.status), STATUSES)}")
        self._statuses.append(status)
        times = answer.submitted, answer.created
        if times != self._last_times:
            try:
                self._last_seconds = seconds_since_1970(times[0]), seconds_since_1970(times[1])
            except (TypeError, ValueError) as exc:
                raise ValueError(f"submitted or created is no time: {exc}") from None
            self._last_times = times
        self._submitted.append(self._last_seconds[0])
        self._created.append(self._last_seconds[1])
        if answer.assignment_reward is not None:
            self._rewards[assignment] = answer.assignment_reward

    def _add_known(self, task: int, answer: Answer) -> None:
        solutions = answer.known_solutions or ()
        self._control_tasks.add(task)
        if self._with_inputs and task not in self._known_solutions:
            self._known_solutions[task] = _json_bytes([{"output_values": each.output_values} for each in solutions])
        for solution in solutions:
            for name, value in solution.output_values.items():
                if name in self._known and (code := self._values[name].code(value)) >= 0:
                    self._known[name].setdefault(task, set()).add(code)
            self._field_names.update(solution.output_values)

    def table(self, counted: tuple[str, ...]) -> AnswerTable:
        """Return all that was read; to be called once."""
        self._ensure_fields()
        task_ids, task_positions = self._task_ids.sorted()
        person_ids, person_positions = self._person_ids.sorted()
        assignment_ids, assignment_positions = self._assignment_ids.sorted()
        pool_ids, pool_positions = self._pool_ids.sorted()
        tasks = task_positions[_taken(self._tasks)]
        people = person_positions[_taken(self._people)]
        assignments = assignment_positions[_taken(self._assignments)]
        statuses, submitted, created = _taken(self._statuses), _taken(self._submitted), _taken(self._created)
        fields = {name: self._field(name, task_positions) for name in self._fields}
        rows = _without_repetitions(assignments, tasks, statuses, [fields[name].labels for name in self._fields])
        tasks, people, assignments, statuses, submitted, created = (
            column[rows] for column in (tasks, people, assignments, statuses, submitted, created)
        )
        rewards = np.full(len(assignment_ids), np.nan)
        rewards[assignment_positions[list(self._rewards)]] = list(self._rewards.values())
        pages = np.bincount(assignments, minlength=len(assignment_ids))
        seconds = submitted - created
        seconds[seconds < 0] = np.nan
        is_control = np.zeros(len(task_ids), np.bool_)
        is_control[task_positions[list(self._control_tasks)]] = True
        pools = np.empty(len(task_ids), np.int32)
        pools[task_positions] = np.append(pool_positions, np.int32(-1))[_taken(self._pools)]
        inputs = None
        if self._with_inputs:
            inputs = tuple(self._inputs[number] for number in np.argsort(task_positions))
        return AnswerTable(
            task_ids=task_ids,
            person_ids=person_ids,
            assignment_ids=assignment_ids,
            tasks=tasks,
            people=people,
            assignments=assignments,
            statuses=statuses,
            submitted=submitted,
            seconds=seconds / pages[assignments],
            rewards=rewards,
            is_control=is_control,
            fields={
                name: Field(each.name, each.values, each.labels[rows], each.known, each.alternatives)
                for name, each in fields.items()
            },
            counted=counted,
            pool_ids=pool_ids,
            pools=pools,
            inputs=inputs,
            known_solutions={int(task_positions[task]): text for task, text in self._known_solutions.items()},
        )

    def _ensure_fields(self) -> None:
        names = self._field_names | self._source.field_names
        for name in self._fields:
            if self._tasks and name not in names:
                raise ValueError(f"{self._source.name}: no answer has the field {name!r}{instead(name, names)}")

    def _field(self, name: str, task_positions: NDArray[np.int32]) -> Field:
        convert = typed_cells if self._source.is_untyped else json_texts if self._source.has_json_texts else None
        values, positions = self._values[name].sorted(convert)
        codes = np.array(positions, np.int32)
        known = np.full(len(task_positions), -1, np.int32)
        alternatives = {}
        for task, given in self._known[name].items():
            position, right = int(task_positions[task]), sorted({int(codes[code]) for code in given} - {-1})
            if len(right) == 1:
                known[position] = right[0]
            elif right:
                alternatives[position] = tuple(right)
        return Field(name, values, codes[_taken(self._labels.pop(name))], known, alternatives)


def _taken(column: array[Any]) -> NDArray[Any]:
    """Return a column as numpy has it, without a copy."""
    return np.frombuffer(column, column.typecode)


def _without_repetitions(
    assignments: NDArray[np.int32], tasks: NDArray[np.int32], statuses: NDArray[np.int8], labels: Sequence[Any]
) -> NDArray[np.int64]:
    """Return the answers, sorted, each once: where a row is there twice, that with the later status."""
    by_key = np.lexsort((*labels, statuses, assignments, tasks))
    tasks, assignments = tasks[by_key], assignments[by_key]
    is_last = np.ones(len(by_key), np.bool_)
    is_last[:-1] = (tasks[1:] != tasks[:-1]) | (assignments[1:] != assignments[:-1])
    return by_key[is_last]


def _json_bytes(value: Any) -> bytes:
    if type(value) is msgspec.Raw:
        return bytes(value) or b"null"
    return b"null" if value is None else compact_json(_without_raw(value)).encode()


def _without_raw(value: Any) -> Any:
    if type(value) is msgspec.Raw:
        return json.loads(bytes(value))
    if isinstance(value, Mapping):
        return {name: _without_raw(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_raw(item) for item in value]
    return without_numpy(value)
