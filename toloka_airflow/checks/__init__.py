"""A configuration, checked and estimated without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toloka_airflow.checks.checking import check, check_config, check_files
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Problem

__all__ = ["Document", "Problem", "check", "check_config", "check_files"]


def __getattr__(name: str) -> Any:
    """Import the checks when they are needed: whoever reckons with money needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from toloka_airflow.checks import checking

    return getattr(checking, name)


def __dir__() -> list[str]:
    return __all__
