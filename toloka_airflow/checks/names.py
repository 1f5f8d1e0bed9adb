"""Names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Problem

WARNINGS: dict[str, str] = {}


def check_names(document: Document) -> Iterator[Problem]:
    """Return nothing."""
    return iter(())
