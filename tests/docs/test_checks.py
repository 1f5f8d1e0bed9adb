"""What docs/checks.md shows of ``airflow-toloka check`` is what it prints, and its tables are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.checks import PARTS
from docs.made_parts import updated
from toloka_airflow.cli.__main__ import main

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "checks.md").read_text()
FILES = dict(re.findall(r"^```yaml\n(?=# (\w+\.yaml)\n)(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
SESSIONS = re.findall(r"^```console\n\$ airflow-toloka (.*?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


def test_there_is_something_to_show() -> None:
    assert FILES.keys() == {"pool.yaml", "training.yaml"}
    assert SESSIONS


@pytest.mark.parametrize(("command", "output"), SESSIONS)
def test_what_is_shown(command: str, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.split()) == 1
    assert capsys.readouterr().out == output


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    [command] = re.findall(r"`airflow-toloka (check --json .*?)` prints", PAGE)
    [shown] = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert main(command.split()) == 1
    assert json.loads(capsys.readouterr().out) == json.loads(shown)


def test_the_options_that_are_named_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    text = capsys.readouterr().out
    named = set(re.findall(r"(?<![<-])--[a-z][a-z-]+", PAGE))
    assert {option for option in named if option not in text} == set()


def test_the_tables_are_up_to_date() -> None:
    assert updated(PAGE, PARTS) == PAGE, "run make docs"


def test_without_its_markers_the_page_is_refused() -> None:
    with pytest.raises(ValueError, match="markers of its warnings"):
        updated("# Nothing", PARTS)
