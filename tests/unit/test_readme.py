"""What the README and docs/connection.md show of connections is understood; the README's DAG is an example."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from setup import long_description
from toloka_airflow._internal.troubleshooting import DOCUMENTATION
from toloka_airflow.hooks import TolokaHook

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {"README.md": README, "connection.md": (ROOT / "docs" / "connection.md").read_text()}
CONNECTION = re.compile(r"^export AIRFLOW_CONN_TOLOKA_DEFAULT=(.*)$", re.MULTILINE)
FORMS = [(page, shlex.split(form)[0]) for page, text in PAGES.items() for form in CONNECTION.findall(text)]


@pytest.mark.parametrize(("page", "value"), FORMS)
def test_every_form_of_the_connection_is_understood(page: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert len([form for page, form in FORMS if page == "README.md"]) == 3
    forms = [form for page, form in FORMS if page == "connection.md"]
    assert any(form.startswith("toloka://") for form in forms)
    assert any(form.startswith("{") and json.loads(form) for form in forms)


def test_the_dag_is_the_whole_example() -> None:
    """Not a part of it: who copies it has a DAG that runs, as tests/system/test_examples.py runs the example."""
    [shown] = re.findall(r"^```python\n# label_texts\.py\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    example = (ROOT / "dags_examples" / "label_texts.py").read_text()
    assert example[example.index("from datetime") :] == shown


def test_it_is_short() -> None:
    """One and a half screens beside the DAG: everything else is in docs/."""
    assert len(re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL).splitlines()) < 85


def test_on_a_package_index_links_lead_to_the_site() -> None:
    """tests/site/test_site.py follows them; what is not on the site has none."""
    shown = long_description()
    assert re.findall(r"\]\((?!https?://)[^)]*\)", shown) == []
    assert f"[report]({DOCUMENTATION}quality.html#report)" in shown
    assert f"]({DOCUMENTATION}_images/architecture.svg)" in shown
    assert f"[`label_digits`]({DOCUMENTATION}examples.html)" in shown
    assert f"- CONTRIBUTING.md, [CHANGELOG.md]({DOCUMENTATION}changelog.html), LICENSE: Apache 2.0" in shown
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert code.findall(shown) == code.findall(README)


def test_every_make_command_is_in_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make (?:-C \S+ )?([a-z]+)\b", README)) <= {*targets, "and", "git"}
