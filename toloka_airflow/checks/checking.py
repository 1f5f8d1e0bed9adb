"""Check configurations: one while a DAG is parsed, or all of a labelling round together."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks import names, relations, structure
from toloka_airflow.checks.documents import Document, Documents, Kind
from toloka_airflow.checks.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from decimal import Decimal

    from airflow.sdk import ObjectStoragePath

    Tasks = str | os.PathLike[str] | Iterable[Any] | None
    Source = Mapping[str, Any] | str | os.PathLike[str] | ObjectStoragePath | Document

_CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
_AT_LINE = re.compile(r", line ([0-9]+): ")


def check(
    project: Source | None = None,
    pool: Source | None = None,
    training: Source | None = None,
    tasks: Tasks = None,
    *,
    off: Collection[str] = (),
    min_pay_per_hour: Decimal | float | str | None = None,
    seconds_per_page: float | None = None,
    now: datetime | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Problem]:
    """
    Return what is wrong with the configurations of a labelling round, each and together; empty if all is well.

    :param project: What the API takes as a project: a mapping, the path of a JSON or YAML file, or a `Document`.
    :param pool: The same of a pool.
    :param training: The same of a training.
    :param tasks: The path of a file with tasks, a list of tasks, or a tuple of several of both. They are for the pool,
        or for the training if there is no pool.
    :param off: The names of warnings that are not wanted, of `rule_names.WARNINGS`. Errors cannot be switched off.
    :param min_pay_per_hour: What people should earn at least, in US dollars an hour; it is not checked without.
    :param seconds_per_page: How long people take for a page; by default, as long as they may.
    :param now: The time to check dates against; by default, the time it is.
    :param on_progress: Called with the share of the tasks that was read, from 0 to 1.
    :raises ValueError: If `off` has a name that no warning has, or a number is none above 0.
    """
    # A DAG that is parsed needs none of these.
    from toloka_airflow.checks import sense

    _check_off(off)
    problems: list[Problem] = []
    documents: dict[str, Document] = {}
    for kind, source in (("project", project), ("pool", pool), ("training", training)):
        if source is not None:
            document = _read(kind, source, problems)  # type: ignore[arg-type]
            if document is not None:
                documents[kind] = document
    for document in documents.values():
        problems += structure.check_structure(document)
        problems += names.check_names(document)
    together, counts = Documents(**documents, tasks=tasks), None
    if tasks is not None:
        from toloka_airflow.checks.tasks import check_tasks

        of_tasks, counts = check_tasks(together, on_progress=on_progress)
        problems += of_tasks
    problems += relations.check_relations(together, counts, now=now)
    problems += sense.check_sense(
        together, counts, min_pay_per_hour=min_pay_per_hour, seconds_per_page=seconds_per_page
    )
    return _wanted(problems, off)


def check_files(
    paths: Iterable[str | os.PathLike[str]],
    *,
    project: Source | None = None,
    pool: Source | None = None,
    training: Source | None = None,
    tasks: str | os.PathLike[str] | None = None,
    off: Collection[str] = (),
    min_pay_per_hour: Decimal | float | str | None = None,
    seconds_per_page: float | None = None,
    now: datetime | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Problem]:
    """
    Return what is wrong with files of which it is to be found out what each of them is.

    JSON and YAML files are configurations, each of what most of its keys belong to; others are tasks, and so is JSON
    with a list. Further arguments are those of `check`; the first four are for files of which it is known.

    :raises ValueError: If two files are configurations of the same kind, or `off` has a name that no warning has.
    """
    _check_off(off)
    problems: list[Problem] = []
    known = {"project": project, "pool": pool, "training": training, "tasks": None if tasks is None else (tasks,)}
    sources: dict[str, Any] = {kind: source for kind, source in known.items() if source is not None}
    for path in paths:
        source: Any = path
        if not _is_tasks(path):
            try:
                document = Document.read("pool", path)
            except ValueError as exc:
                problems.append(_unreadable(str(path), exc))
                continue
            kind = kind_of(document.value)
            if kind is None:
                is_task = "input_values" in document.value or "tasks" in document.value
                problems.append(document.problem("unknown-file", (), _TASKS_ARE_A_LIST if is_task else _NOT_KNOWN))
                continue
            source = Document(kind, document.value, document.file, document.lines)
        if not isinstance(source, Document):
            sources["tasks"] = (*sources.get("tasks", ()), source)
            continue
        if source.kind in sources:
            raise ValueError(f"{path} and another file both are of the kind {source.kind}; check them one by one")
        sources[source.kind] = source
    checked = check(
        **sources,
        off=off,
        min_pay_per_hour=min_pay_per_hour,
        seconds_per_page=seconds_per_page,
        now=now,
        on_progress=on_progress,
    )
    return _wanted([*problems, *checked], off)


_TASKS_ARE_A_LIST = 'this is one object; tasks in JSON are a list of objects like {"input_values": {"image": "..."}}'
_NOT_KNOWN = "nothing says whether this is a project, a pool or a training: it has no key that only one of them has"


def check_config(document: Document, given: Collection[str] = ()) -> list[Problem]:
    """
    Return the errors in one configuration, while the DAG that has it is parsed.

    No file of tasks is read, and no other configuration. Values that are not known yet, which are templates and what is
    no JSON such as an `XComArg`, are passed over if the configuration is no file, as the content of files is not
    templated.

    :param given: The keys that the operator supplies besides the configuration, such as ``project_id``.
    """
    problems = [
        *structure.check_structure(document, given),
        *names.check_names(document),
        *relations.check_alone(document),
    ]
    return [problem for problem in problems if problem.level == "error"]


def kind_of(value: Mapping[str, Any]) -> Kind | None:
    """Return what a configuration is, by its keys; None if it has none that only one of the kinds has."""
    keys = structure.own_keys()
    counts: dict[Kind, int] = {kind: sum(str(key) in own for key in value) for kind, own in keys.items()}
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] else None


def _is_tasks(path: str | os.PathLike[str]) -> bool:
    name = os.fspath(path)
    if not name.lower().endswith(_CONFIG_SUFFIXES):
        return True
    if not name.lower().endswith(".json"):
        return False
    try:
        with open(name, encoding="utf-8-sig") as file:
            return file.read(1024).lstrip()[:1] == "["
    except (OSError, UnicodeDecodeError):
        return False  # what is wrong with it is said when it is read


def _read(kind: Kind, source: Source, problems: list[Problem]) -> Document | None:
    if isinstance(source, Document):
        if source.kind != kind:
            raise ValueError(f"{kind} is the Document of a {source.kind}")
        return source
    if isinstance(source, Mapping):
        return Document(kind, source)
    try:
        return Document.read(kind, source)  # type: ignore[arg-type]
    except ValueError as exc:
        problems.append(_unreadable(str(source), exc))
        return None


def _unreadable(file: str, exc: ValueError) -> Problem:
    """Return what is wrong with a file, which `Problem` names itself."""
    _, _, message = str(exc).partition(file)
    line = _AT_LINE.match(message)
    if line:
        return Problem("error", "unreadable", (), message[line.end() :], file, int(line[1]))
    message = message.removeprefix("': ") if message.startswith("': ") else f"it{message}"
    return Problem("error", "unreadable", (), message, file)


def _check_off(off: Collection[str]) -> None:
    if isinstance(off, str):
        raise ValueError(f"off is {off!r}; it must be a list of names")
    from toloka_airflow.checks.rule_names import WARNINGS

    for name in off:
        if name not in WARNINGS:
            raise ValueError(
                f"off has {name!r}; the warnings that can be switched off are {', '.join(sorted(WARNINGS))}"
            )


def _wanted(problems: list[Problem], off: Collection[str]) -> list[Problem]:
    def position(problem: Problem) -> tuple[str, int]:
        return problem.file, problem.line or 0

    return sorted(
        (problem for problem in problems if problem.level == "error" or problem.rule not in off), key=position
    )
