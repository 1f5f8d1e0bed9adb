"""What docs/windows.md shows is what the project does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
from airflow.sdk import DAG, task_group

from toloka_airflow import timetables
from toloka_airflow.windows import pool_window

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "windows.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


def test_the_dag_is_the_example() -> None:
    example = (ROOT / "dags_examples" / "weekday_window.py").read_text()
    code = re.sub(r"^ *#.*\n", "", example[example.index("from datetime") :], flags=re.MULTILINE)
    assert code == blocks("python")[0]


def test_each_element_of_a_mapped_group_has_a_window() -> None:
    with DAG("dag", schedule=None) as dag:
        exec(blocks("python")[1], {"task_group": task_group, "pool_window": pool_window})
    assert {"each.window.check", "each.window.close"} <= dag.task_dict.keys()
    assert dag.get_task("each.window.close").get_closest_mapped_task_group() is not None


def test_the_preview_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    [command], [shown] = blocks("sh"), blocks("text")
    python, dash_m, module, *arguments = shlex.split(command)
    assert (python, dash_m, module) == ("python", "-m", timetables.__name__)
    timetables.main(arguments)
    assert capsys.readouterr().out == shown


def test_the_result_has_the_fields_that_are_documented() -> None:
    [result] = blocks("json")
    text = (ROOT / "toloka_airflow" / "windows.py").read_text()
    [fields] = re.findall(r"``window\.result`` is ``\{(.*?)\}``", text, re.DOTALL)
    assert {f'"{key}"' for key in json.loads(result)} == set(re.split(r",\s+", fields))


def test_the_picture_is_one() -> None:
    texts = {element.text for element in ElementTree.parse(ROOT / "docs" / "images" / "week.svg").iter()}
    assert {"closed by the DAG", "closed by its expiry date", "a holiday: no window"} <= texts
