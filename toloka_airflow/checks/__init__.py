"""A configuration, checked and estimated without a server."""

from __future__ import annotations

from toloka_airflow.checks.checking import check, check_config, check_files
from toloka_airflow.checks.documents import Document
from toloka_airflow.checks.problems import Problem

__all__ = ["Document", "Problem", "check", "check_config", "check_files"]
