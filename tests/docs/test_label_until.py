"""What docs/quality.md says of `label_until` is what it does; its DAG is quoted from an example, which runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

from toloka_airflow.label_until import label_until
from toloka_airflow.operators.labelling_stops import REASONS

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "quality.md").read_text().partition("\n## Label until sure\n")[2].partition("\n## ")[0]
DOCSTRING = label_until.__doc__ or ""


def test_the_result_has_the_fields_that_are_documented() -> None:
    [result] = re.findall(r"^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    [fields] = re.findall(r"``group\.result`` is ``\{(.*?)\}``", DOCSTRING, re.DOTALL)
    assert [f'"{key}"' for key in json.loads(result)] == re.split(r",\s+", fields)


def test_every_reason_is_documented() -> None:
    table = SECTION.partition("### Why it ends")[2].partition("\n### ")[0]
    heading, *reasons = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert (heading, tuple(reasons)) == ("stopped_by", REASONS)
    assert tuple(re.findall(r"^    - ``(\w+)``: ", DOCSTRING, re.MULTILINE)) == REASONS


def test_what_a_task_behind_the_group_takes_is_in_its_result() -> None:
    [result] = re.findall(r"^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    keys = re.findall(r'labels\.result\["(\w+)"\]', SECTION)
    assert keys == ["answers_path", "path"]
    assert json.loads(result).keys() >= set(keys)
