"""The page of failure modes names what there is in the source of Airflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import airflow
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "failure-modes.md"
IS_3_3 = airflow.__version__.startswith("3.3")
SECTION = PAGE.read_text().partition("## Every end without a task of ours")[2].partition("\n## ")[0]
ROWS = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ")][2:]


def named(cell: str) -> Iterator[tuple[str, str]]:
    """Return the files that a cell names, each with the functions behind it."""
    for part in cell.split("; "):
        file, *names = re.findall("`([^`]+)`", part) or [""]
        yield from ((file, name) for name in (names or [""]) if file)


def test_every_row_says_who_closes_pool_and_training() -> None:
    assert len(ROWS) > 15
    assert [row for row in ROWS if len(row) != 4 or not all(row)] == []


@pytest.mark.skipif(not IS_3_3, reason="the names are those of Airflow 3.3")
@pytest.mark.parametrize(("file", "name"), sorted({pair for row in ROWS for pair in named(row[1])}))
def test_airflow_has_it(file: str, name: str) -> None:
    source = (Path(airflow.__file__).parent / file).read_text()
    assert not name or re.search(rf"^ *(def )?{name}\b", source, re.MULTILINE)
