"""Configurations with the places of their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from toloka_airflow.checks.problems import Path, Problem
from toloka_airflow.checks.values import is_array, is_integer, is_number
from toloka_airflow.storage.config_files import read_config_with_lines

if TYPE_CHECKING:
    import os

Kind = Literal["project", "pool", "training"]


@dataclass(frozen=True)
class Document:
    """
    A configuration, and where each of its values is.

    :param kind: ``project``, ``pool`` or ``training``.
    :param value: What the API takes.
    :param file: Its file; empty if it is none.
    :param lines: The line of each value, by its path.
    """

    kind: Kind
    value: Mapping[str, Any]
    file: str = ""
    lines: Mapping[Path, int] = field(default_factory=dict)

    @classmethod
    def read(cls, kind: Kind, file: str | os.PathLike[str]) -> Document:
        """
        Read a JSON or YAML file.

        :raises ValueError: If there is no such file or no such content in it, with the file and the line.
        """
        value, lines = read_config_with_lines(kind, file)
        return cls(kind, value, str(file), lines)

    def at(self, *path: str | int) -> Any:
        """Return the value that keys and indexes lead to; ``None`` if there is none."""
        value: Any = self.value
        for key in path:
            is_there = key in value if isinstance(value, Mapping) else key in _indexes(value)
            if not is_there:
                return None
            value = value[key]
        return value

    def mapping(self, *path: str | int) -> Mapping[str, Any]:
        """Return the object that keys and indexes lead to; an empty one if there is none, or something else."""
        value = self.at(*path)
        return value if isinstance(value, Mapping) else {}

    def indexes(self, *path: str | int) -> range:
        """Return the indexes of the list that keys and indexes lead to; none if there is no list."""
        return _indexes(self.at(*path))

    def problem(self, rule: str, path: Path, message: str, level: Literal["error", "warning"] = "error") -> Problem:
        """Return what is wrong with a value; for what is missing, the line is that of what it is missing in."""
        return Problem(level, rule, path, message, self.file, self._line(path))

    def _line(self, path: Path) -> int | None:
        for length in range(len(path), -1, -1):
            if line := self.lines.get(path[:length]):
                return line
        return 1 if self.lines else None


@dataclass(frozen=True)
class Documents:
    """
    What belongs together: the configurations of a labelling round, and its tasks.

    :param tasks: The path of a file of tasks, a list of tasks, or several of both as a tuple, as they are uploaded one
        after the other. They are for the pool, or for the training if there is no pool.
    """

    project: Document | None = None
    pool: Document | None = None
    training: Document | None = None
    tasks: str | os.PathLike[str] | Iterable[Any] | None = None

    @property
    def sources_of_tasks(self) -> tuple[Any, ...]:
        """Return what tasks are read from."""
        if self.tasks is None:
            return ()
        return self.tasks if isinstance(self.tasks, tuple) else (self.tasks,)

    @property
    def specs(self) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]] | None:
        """
        Return the fields of input and output with their types; ``None`` without a project.

        What is no field is left out, and a type that is none has a name that no type has: other checks say so.
        """
        if self.project is None or not self.project.mapping("task_spec"):
            return None
        inputs, outputs = (
            {
                name: {**spec, "type": spec["type"] if isinstance(spec.get("type"), str) else "unknown"}
                for name, spec in self.project.mapping("task_spec", side).items()
                if isinstance(name, str) and isinstance(spec, Mapping)
            }
            for side in ("input_spec", "output_spec")
        )
        return inputs, outputs


def _indexes(value: Any) -> range:
    return range(len(value)) if is_array(value) else range(0)


def number(value: Any) -> int | float | None:
    """Return a number, or ``None`` for what is none."""
    return value if is_number(value) else None


def count(value: Any) -> int | None:
    """Return a number of things, or ``None`` for what is none."""
    return value if is_integer(value) and value >= 0 else None
