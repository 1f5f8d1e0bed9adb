"""Configurations with the places of their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from toloka_airflow.checks.problems import Path, Problem
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

    def problem(self, rule: str, path: Path, message: str, level: Literal["error", "warning"] = "error") -> Problem:
        """Return what is wrong with a value; for what is missing, the line is that of what it is missing in."""
        return Problem(level, rule, path, message, self.file, self._line(path))

    def _line(self, path: Path) -> int | None:
        for length in range(len(path), -1, -1):
            if line := self.lines.get(path[:length]):
                return line
        return 1 if self.lines else None
