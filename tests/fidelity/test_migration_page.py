"""The calls of toloka-kit that docs/migration.md translates are those that it has."""

from __future__ import annotations

import re
from pathlib import Path

from toloka.client import TolokaClient

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "migration.md").read_text()
TABLE = PAGE.partition("| `toloka.client` | Here |")[2]


def test_they_are_methods_of_its_client() -> None:
    first_column = "\n".join(re.findall(r"^\|(.*?)\|", TABLE, re.MULTILINE))
    names = re.findall(r"`([a-z_]+)\(|over `([a-z_]+)\(", first_column)
    called = {name for pair in names for name in pair if name}
    assert len(called) > 20
    assert {name for name in called if not hasattr(TolokaClient, name)} == set()
