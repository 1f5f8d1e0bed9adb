"""What `make test` runs in the shared Airflow is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.system.conftest import SHORT


@pytest.mark.parametrize("name", SHORT)
def test_what_is_listed_is_a_test(name: str) -> None:
    file, _, function = name.partition("::")
    statements = ast.parse((Path(__file__).parent / file).read_text()).body
    assert function in {statement.name for statement in statements if isinstance(statement, ast.FunctionDef)}
