"""
The tasks of files, held against the project and the pool, and counted for what the pool says of them.

They are read by what the upload reads them by, so what is readable here is readable there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.checks.documents import Documents, count, number
from toloka_airflow.checks.problems import Path, Problem
from toloka_airflow.checks.task_values import ValuesCheck, Wrong
from toloka_airflow.checks.values import is_id
from toloka_airflow.checks.wording import did_you_mean, nearest, shown
from toloka_airflow.transfer.row_sources import BadRow, Row
from toloka_airflow.transfer.upload.task_files import SourceError, TaskSource, task_source

MAX_DETAILED = 20
"""How many problems of tasks are given one by one; of each kind at most `MAX_ALIKE`. The others are counted."""
MAX_ALIKE = 3
MAX_OVERLAP = 30_000
MAX_INPUT_BYTES = 1_048_576
_SHARE_ROWS = 2_000

_KEYS = frozenset(
    {
        *(
            "input_values",
            "known_solutions",
            "baseline_solutions",
            "message_on_unknown_solution",
            "localization_config",
        ),
        *("pool_id", "overlap", "infinite_overlap", "reserved_for", "unavailable_for"),
        *("traits_all_of", "traits_any_of", "traits_none_of_any"),
    }
)
_PEOPLE = "a list of the ids of people"
_TRAITS = "a list of traits"
# What keys of a task are in the reference; those of solutions and the overlap are checked with what they mean.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "message_on_unknown_solution": (lambda value: isinstance(value, str), "text"),
    "pool_id": (is_id, "an id, which is digits"),
    **{key: (lambda value: _is_texts(value), _PEOPLE) for key in ("reserved_for", "unavailable_for")},
    **{key: (lambda value: _is_texts(value), _TRAITS) for key in _KEYS if key.startswith("traits_")},
}
# What tasks have that were fetched; Toloka passes over it in new ones.
_READ_ONLY = frozenset({"id", "created", "origin_task_id", "remaining_overlap"})


@dataclass
class TaskCounts:
    """
    What there is in the files of tasks.

    :param real: Tasks without a known solution.
    :param control: Tasks with one, and without a hint.
    :param training: Tasks with one and a hint.
    :param finite_control: Control tasks with an overlap of their own or by default: they run out.
    :param overlaps: How many real tasks have which overlap; ``None`` stands for that of the pool's defaults.
    """

    real: int = 0
    control: int = 0
    training: int = 0
    finite_control: int = 0
    overlaps: Counter[float | None] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Return how many tasks there are."""
        return self.real + self.control + self.training


def check_tasks(
    documents: Documents, *, on_progress: Callable[[float], None] | None = None
) -> tuple[list[Problem], TaskCounts | None]:
    """
    Return what is wrong with the tasks, and what there is of them; ``None`` if there are none to read.

    The line of a problem is that of the file; where there are no lines, the path begins with the index of the task.

    :param on_progress: Called with the share of the tasks that has been read, from 0 to 1, where that is known.
    """
    counts, report = TaskCounts(), _Report()
    check = _TaskCheck(documents, counts)
    sources = documents.sources_of_tasks
    for index, given in enumerate(sources):
        try:
            source = task_source(given)
        except SourceError as exc:
            report.add(Problem("error", "task-file", (), str(exc), given if isinstance(given, str) else ""))
            continue
        before = counts.total
        for number_of_task, entry in enumerate(_read(source, documents, report)):
            if on_progress and not number_of_task % _SHARE_ROWS and (share := source.share_read()) is not None:
                on_progress((index + share) / len(sources))
            if isinstance(entry, BadRow):
                for problem in entry.problems:
                    report.add_wrong(source, entry.number, (), "error", Wrong("task-unreadable", problem))
            else:
                for path, level, wrong in check.problems(source, entry):
                    report.add_wrong(source, entry.number, path, level, wrong)
        if counts.total == before and not report.has_problems_of(source):
            report.add(Problem("error", "no-tasks", (), "it has no tasks", source.name if source.is_file else ""))
    if on_progress and sources:
        on_progress(1.0)
    return report.problems(), counts if counts.total else None


def _read(source: TaskSource, documents: Documents, report: _Report) -> Iterator[Row | BadRow]:
    """Iterate over the tasks; what ends them early is reported."""
    specs = documents.specs
    try:
        yield from source.entries(None if specs is None else lambda: specs)
    except SourceError as exc:
        text, line = str(exc).removeprefix(source.name), None
        where, _, rest = text.removeprefix(f", {source.unit} ").partition(": ")
        if rest and where.isdecimal():
            text, line = rest, int(where)
        elif text.startswith(": "):
            # What is wrong with a table as a whole is wrong with its header, which is no row of Parquet.
            text, line = text[2:], 1 if source.unit == "line" else None
        elif text.startswith(" "):
            text = f"it{text}"
        report.add_wrong(source, line, (), "error", Wrong("task-file", text))


class _TaskCheck:
    """Check task by task, and count them."""

    def __init__(self, documents: Documents, counts: TaskCounts) -> None:
        specs = documents.specs
        self._counts = counts
        self._inputs = None if specs is None else ValuesCheck(specs[0])
        self._outputs = None if specs is None else ValuesCheck(specs[1], partly=True)
        self._urls = [name for name, spec in (specs or ({}, {}))[0].items() if str(spec["type"]).lower() == "url"]
        self._is_training = documents.pool is None and documents.training is not None
        self._needs_overlap = documents.pool is not None and (
            number(documents.pool.at("defaults", "default_overlap_for_new_tasks")) is None
        )
        self._first_of: dict[int, tuple[TaskSource, int]] = {}

    def problems(self, source: TaskSource, row: Row) -> Iterator[tuple[Path, Any, Wrong]]:
        """Iterate over what is wrong with a task: where, the level, what."""
        task, values = row.fields, row.fields["input_values"]
        if self._inputs is not None:
            for name, wrong in self._inputs.wrong(values):
                yield ("input_values", name), "error", wrong
        for name in self._urls:
            if isinstance(url := values.get(name), str) and url.split() != [url]:
                message = f"is {shown(url)}, which is empty or has white space, as no URL has"
                yield ("input_values", name), "warning", Wrong("url-syntax", message)
        if row.text is not None and len(row.text) > MAX_INPUT_BYTES:
            message = f"has {len(row.text)} bytes; Toloka takes at most {MAX_INPUT_BYTES} of input in a request"
            yield ("input_values",), "error", Wrong("task-size", message)
        if len(task) > 1:
            yield from _wrong_keys(task)
        if "known_solutions" in task or "baseline_solutions" in task:
            yield from self._wrong_solutions(task)
        yield from self._count(task)
        if (first := self._first(source, row.number, values)) is not None:
            where = f"{first[0].unit} {first[1]}" if first[0] is source else first[0].where(first[1])
            message = f"are those of {where}, too: people get, and are paid for, the same twice"
            yield ("input_values",), "warning", Wrong("duplicate-task", message)

    def _wrong_solutions(self, task: Mapping[str, Any]) -> Iterator[tuple[Path, Any, Wrong]]:
        for key, weight in (("known_solutions", "correctness_weight"), ("baseline_solutions", "confidence_weight")):
            solutions = task.get(key)
            if solutions is None:
                continue
            if not isinstance(solutions, list):
                yield (key,), "error", Wrong("task-key", f'is {shown(solutions)}; write [{{"output_values": {{...}}}}]')
                continue
            for index, solution in enumerate(solutions):
                path = key, index
                values = solution.get("output_values") if isinstance(solution, dict) else None
                if not isinstance(values, dict):
                    yield path, "error", Wrong("task-key", f'is {shown(solution)}; write {{"output_values": {{...}}}}')
                    continue
                if not values:
                    yield (*path, "output_values"), "warning", Wrong("control-empty", "are empty: any answer is right")
                for name in solution.keys() - {"output_values", weight}:
                    near = did_you_mean(nearest(name, ("output_values", weight)))
                    yield (*path, name), "error", Wrong("task-key", f"is no key of a solution{near}")
                if weight in solution and not 0 <= (number(solution[weight]) or 0) <= 1:
                    yield (*path, weight), "error", Wrong("task-key", f"is {shown(solution[weight])}; it is 0 to 1")
                for name, wrong in self._outputs.wrong(values) if self._outputs else ():
                    yield (*path, "output_values", name), "error", wrong

    def _count(self, task: Mapping[str, Any]) -> Iterator[tuple[Path, Any, Wrong]]:
        """Count a task, and iterate over what is wrong with its overlap and its kind."""
        counts, overlap, infinite = self._counts, task.get("overlap"), task.get("infinite_overlap")
        has_hint, is_known = bool(task.get("message_on_unknown_solution")), bool(task.get("known_solutions"))
        if overlap is not None and (not count(overlap) or overlap > MAX_OVERLAP):
            yield ("overlap",), "error", Wrong("task-overlap", f"is {shown(overlap)}; it is 1 to {MAX_OVERLAP}")
        elif infinite is not None and not isinstance(infinite, bool):
            message = f"is {shown(infinite)}; it must be true or false"
            yield ("infinite_overlap",), "error", Wrong("task-overlap", message)
        elif overlap is not None and infinite:
            yield ("overlap",), "error", Wrong("task-overlap", f"is {overlap}, though infinite_overlap is true")
        elif overlap is None and not infinite and self._needs_overlap:
            message = "is missing, and the pool has no defaults.default_overlap_for_new_tasks"
            yield ("overlap",), "error", Wrong("task-overlap", message)
        if is_known:
            kind = "training" if has_hint else "control"
            setattr(counts, kind, getattr(counts, kind) + 1)
            counts.finite_control += not has_hint and not infinite and not self._is_training
            return
        counts.real += 1
        counts.overlaps[float("inf") if infinite else overlap if isinstance(overlap, int) else None] += 1
        if has_hint:
            message = "is never shown, as the task has no known_solutions"
            yield ("message_on_unknown_solution",), "warning", Wrong("hint-without-solution", message)
        if self._is_training:
            message = "are missing: a task of a training without them teaches nothing"
            yield ("known_solutions",), "warning", Wrong("training-without-solution", message)
        elif infinite is True:
            message = "is true without known_solutions: everybody gets the task, and is paid, until the pool is closed"
            yield ("infinite_overlap",), "warning", Wrong("infinite-overlap", message)

    def _first(self, source: TaskSource, number_of_task: int, values: dict[str, Any]) -> tuple[TaskSource, int] | None:
        """Return where the first task is that has the same input; ``None`` if it is this."""
        try:
            key = hash(frozenset(values.items()))
        except TypeError:
            key = hash(json.dumps(values, sort_keys=True, default=repr))
        first = self._first_of.setdefault(key, (source, number_of_task))
        return None if first == (source, number_of_task) else first


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _wrong_keys(task: Mapping[str, Any]) -> Iterator[tuple[Path, Any, Wrong]]:
    for key, value in task.items():
        is_kind, words = _KINDS.get(key, (None, ""))
        if is_kind and value is not None and not is_kind(value):
            yield (key,), "error", Wrong("task-key", f"is {shown(value)}; it must be {words}")
        if key in _KEYS or key in _READ_ONLY:
            continue
        near = nearest(key, _KEYS - task.keys())
        if near:
            yield (key,), "error", Wrong("task-key", f"is no key of a task{did_you_mean(near)}")
        else:
            yield (key,), "warning", Wrong("unknown-task-key", "is no key of a task that this version knows")


class _Report:
    """Problems of tasks: the first of each kind in detail, and how many more there are."""

    def __init__(self) -> None:
        self._detailed: list[Problem] = []
        self._others: dict[tuple[str, str, Any], list[Any]] = {}
        self._alike: Counter[tuple[str, str, Any]] = Counter()

    def add(self, problem: Problem) -> None:
        """Add a problem as it is."""
        self._detailed.append(problem)

    def add_wrong(self, source: TaskSource, number_of_task: int | None, path: Path, level: Any, wrong: Wrong) -> None:
        """Add what is wrong with a task."""
        kind = source.name, wrong.rule, tuple(part for part in path if isinstance(part, str))
        self._alike[kind] += 1
        if kind in self._others:
            self._others[kind][1] += 1
            return
        has_lines = source.unit == "line"
        name = ".".join(map(str, path))
        problem = Problem(
            level,
            wrong.rule,
            path if has_lines or number_of_task is None else (number_of_task - 1, *path),
            f"{name} {wrong.message}" if name else wrong.message,
            source.name if source.is_file else "",
            number_of_task if has_lines else None,
        )
        if self._alike[kind] <= MAX_ALIKE and len(self._detailed) < MAX_DETAILED:
            self._detailed.append(problem)
        else:
            self._others[kind] = [problem, 1]

    def has_problems_of(self, source: TaskSource) -> bool:
        """Return whether something is wrong with the tasks of a file."""
        return any(name == source.name for name, _, _ in self._alike)

    def problems(self) -> list[Problem]:
        """Return the problems, and for each kind of which there are more, the next and how many follow."""
        summed_up = [
            replace(problem, message=f"{problem.message}; and so it is in {others - 1} more", count=others)
            if others > 1
            else problem
            for problem, others in islice(self._others.values(), MAX_DETAILED)
        ]
        rest: dict[tuple[Any, str], list[int]] = {}
        for problem, others in islice(self._others.values(), MAX_DETAILED, None):
            rest.setdefault((problem.level, problem.rule), []).append(others)
        file = self._detailed[0].file if self._detailed else ""
        for (level, rule), counts in rest.items():
            message = f"there are {level}s of {counted(len(counts), 'more kind')}; mend these first"
            summed_up.append(Problem(level, rule, (), message, file, count=sum(counts)))
        return self._detailed + summed_up
