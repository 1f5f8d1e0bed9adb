"""The calls of toloka-kit that docs/migration.md translates are those that it has."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "migration.md").read_text()
TABLE = PAGE.partition("| `toloka.client` | Here |")[2]


def test_they_are_methods_of_its_client() -> None:
    first_column = "\n".join(re.findall(r"^\|(.*?)\|", TABLE, re.MULTILINE))
    names = re.findall(r"`([a-z_]+)\(|over `([a-z_]+)\(", first_column)
    called = {name for pair in names for name in pair if name}
    assert len(called) > 20
    with warnings.catch_warnings():
        # It warns of pkg_resources, which it uses itself.
        warnings.simplefilter("ignore")
        kit = pytest.importorskip("toloka.client", reason="run by: make test-fidelity")
    assert {name for name in called if not hasattr(kit.TolokaClient, name)} == set()
