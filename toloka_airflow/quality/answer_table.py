"""The table of answers, and its votes; `toloka_airflow.quality.answers` reads it, and says what counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.methods.votes import Votes
from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATUSES = ("ACTIVE", "SUBMITTED", "ACCEPTED", "REJECTED", "SKIPPED", "EXPIRED")
"""Of assignments, in the order in which they come: of an answer that is there twice, the later status is taken."""
COUNTED = ("SUBMITTED", "ACCEPTED")
STATUS_CODES = {status: code for code, status in enumerate(STATUSES)}
STATUS_CODES["APPROVED"] = STATUS_CODES["ACCEPTED"]  # as Toloka's pages and tables call it


@dataclass(frozen=True, eq=False)
class Field:
    """
    What was answered in an output field.

    :param name: Of the field.
    :param values: The distinct values that occur, in answers and known solutions, sorted by their text in JSON.
    :param labels: Per answer: the index of its value; -1 where the field was not answered.
    :param known: Per task: the index of the right value of a control task; -1 where none is known, or several are.
    :param alternatives: The indices of the right values of the control tasks that have several, by the index of the
        task.
    """

    name: str
    values: tuple[Any, ...]
    labels: NDArray[np.int32]
    known: NDArray[np.int32]
    alternatives: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """
    Answers in columns. Nothing in it depends on the order of rows.

    :param task_ids: Of all tasks, sorted.
    :param person_ids: Of all people, sorted.
    :param assignment_ids: Of all assignments, sorted.
    :param tasks: Per answer: an index into ``task_ids``.
    :param people: Per answer: an index into ``person_ids``.
    :param assignments: Per answer: an index into ``assignment_ids``.
    :param statuses: Per answer: an index into `STATUSES`.
    :param submitted: Per answer: seconds since 1970; nan if unknown.
    :param seconds: Per answer: what its page took, divided by the tasks on it; nan if unknown. When a page was begun is
        in a TSV and in files of ``rows="assignments"`` only.
    :param rewards: Per assignment: dollars; nan if unknown.
    :param is_control: Per task.
    :param fields: By their names.
    :param counted: The statuses that count.
    :param pool_ids: Of all pools, sorted.
    :param pools: Per task: an index into ``pool_ids``; -1 if unknown.
    :param inputs: Per task: its input values as JSON; `None` unless they were to be read.
    :param known_solutions: Of control tasks, by the index of the task: their known solutions as JSON; empty unless
        inputs were to be read.
    """

    task_ids: tuple[str, ...]
    person_ids: tuple[str, ...]
    assignment_ids: tuple[str, ...]
    tasks: NDArray[np.int32]
    people: NDArray[np.int32]
    assignments: NDArray[np.int32]
    statuses: NDArray[np.int8]
    submitted: NDArray[np.float64]
    seconds: NDArray[np.float64]
    rewards: NDArray[np.float64]
    is_control: NDArray[np.bool_]
    fields: Mapping[str, Field]
    counted: tuple[str, ...] = COUNTED
    pool_ids: tuple[str, ...] = ()
    pools: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    inputs: tuple[bytes, ...] | None = None
    known_solutions: Mapping[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many answers there are."""
        return len(self.tasks)

    @property
    def is_counted(self) -> NDArray[np.bool_]:
        """Return per answer whether its status counts."""
        return np.isin(self.statuses, [STATUS_CODES[status] for status in self.counted])

    def vote_rows(self, field: str) -> NDArray[np.int64]:
        """
        Return the indices of the answers that are votes on a field, sorted by task and person.

        :raises ValueError: If the field was not read.
        """
        labels = self.field(field).labels
        rows = np.flatnonzero(self.is_counted & (labels >= 0))
        by_key = np.lexsort(
            (
                self.assignments[rows],
                np.nan_to_num(self.submitted[rows], nan=-np.inf),
                self.people[rows],
                self.tasks[rows],
            )
        )
        rows = rows[by_key]
        tasks, people = self.tasks[rows], self.people[rows]
        is_last = np.ones(len(rows), np.bool_)
        is_last[:-1] = (tasks[1:] != tasks[:-1]) | (people[1:] != people[:-1])
        return rows[is_last]

    def votes(self, field: str) -> Votes:
        """
        Return what counts of the answers in a field: one vote of each person for each task.

        :raises ValueError: If the field was not read.
        """
        rows = self.vote_rows(field)
        return Votes(
            tasks=self.tasks[rows],
            people=self.people[rows],
            labels=self.field(field).labels[rows],
            task_count=len(self.task_ids),
            person_count=len(self.person_ids),
            label_count=len(self.field(field).values),
        )

    def field(self, name: str) -> Field:
        """
        Return a field.

        :raises ValueError: If it was not read.
        """
        if name not in self.fields:
            raise ValueError(f"field is {name!r}{instead(name, self.fields)}")
        return self.fields[name]


def instead(name: str, known: Iterable[str]) -> str:
    """Return what there is instead of a name that there is not, as the end of a sentence."""
    names = sorted(known)
    plain = name.removeprefix("OUTPUT:")  # as Toloka's tables call it
    near = get_close_matches(plain, names, 1, 0.6) or [other for other in names if other.lower() == plain.lower()]
    question = f"; did you mean {near[0]!r}?" if near else ""
    return f"; there are {', '.join(names):.500}{question}" if names else "; there are none"
