"""What the README shows is what the project does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from toloka_airflow.hooks import TolokaHook

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CONNECTION = re.compile(r"^export AIRFLOW_CONN_TOLOKA_DEFAULT=(.*)$", re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for kind, text in BLOCKS if kind == language]


@pytest.mark.parametrize("value", [shlex.split(form)[0] for form in CONNECTION.findall(README)])
def test_every_form_of_the_connection_is_understood(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", value)
    address = TolokaHook().get_conn().base_url
    if "sandbox" in value:
        assert address == "https://sandbox.toloka.dev"
    elif "yandex_tasks" in value:
        assert address == "https://tasks.yandex.ru"
    elif "127.0.0.1" in value:
        assert address == "http://127.0.0.1:8123"
    else:
        assert address == "https://toloka.dev"


def test_all_forms_are_shown() -> None:
    forms = [shlex.split(form)[0] for form in CONNECTION.findall(README)]
    assert any(form.startswith("toloka://") for form in forms)
    assert any(form.startswith("{") and json.loads(form) for form in forms)


def test_the_emulator_is_used_as_shown() -> None:
    [code] = [text for text in blocks("python") if "EmulatorServer(" in text]
    exec(compile(code, "README.md", "exec"), {})
