"""What is wrong with a configuration, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Path = tuple[str | int, ...]
"""The keys and indexes that lead to a value: ``("quality_control", "configs", 0, "rules")``."""


@dataclass(frozen=True)
class Problem:
    """
    One thing that is wrong.

    :param level: ``error`` if Toloka would refuse it, or it does what nobody can mean; else ``warning``.
    :param rule: What was checked, by a short name in lower case with hyphens; a warning is switched off by it.
    :param path: Where in the document.
    :param message: A sentence that names the value and what to do.
    :param file: The file; empty for a configuration that is no file.
    :param line: Of the file, from 1; ``None`` if there is none.
    :param count: How many there are, if others that are alike are summed up in the message.
    """

    level: Literal["error", "warning"]
    rule: str
    path: Path
    message: str
    file: str = ""
    line: int | None = None
    count: int = 1

    @property
    def location(self) -> str:
        """Return where it is, as compilers say it: ``pool.yaml:12: quality_control.configs.0.rules``."""
        where = ":".join(str(part) for part in (self.file, self.line) if part)
        return ": ".join(part for part in (where, ".".join(map(str, self.path))) if part)

    def __str__(self) -> str:
        return f"{self.location}: {self.level}: {self.message} [{self.rule}]"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "level": self.level,
            "rule": self.rule,
            "file": self.file or None,
            "line": self.line,
            "path": list(self.path),
            "message": self.message,
            "count": self.count,
        }
