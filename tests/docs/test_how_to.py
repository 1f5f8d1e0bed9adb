"""The snippets of docs/how-to/, in the order of its table of contents, are one DAG, which runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from tests.airflow_home import airflow_home, clean_environment
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
INDEX = (DOCS / "how-to" / "index.md").read_text()
FIRST_DAG = (DOCS / "first-dag.md").read_text()
NAMES = re.findall(r"^([a-z-]+)$", INDEX.partition("```{toctree}")[2], re.MULTILINE)
PAGES = {name: (DOCS / "how-to" / f"{name}.md").read_text() for name in NAMES}
SNIPPET = re.compile(r"^```python\n(?!# \w+\.py\n)(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = re.compile(
    r"^```yaml\n# dags/comments/(\S+)\n(.*?)^```$|`dags/comments/(\S+)`:\n\n```csv\n(.*?)^```$", re.M | re.S
)
HEAD = '''
from airflow.sdk import DAG

FOLDER = "{{ params.folder }}"


def next_page(dag, before):
    """Let the tasks of a page follow those of the pages before it."""
    added = [task for name, task in dag.task_dict.items() if name not in before]
    names = {task.task_id for task in added}
    for task in added:
        if not task.upstream_task_ids & names:
            task.set_upstream([dag.get_task(name) for name in before if not dag.get_task(name).is_teardown])
    return before | names


with DAG("how_to", schedule=None, params={"folder": ""}) as dag:
    before = set()
'''


def page_of_dag(text: str) -> str:
    return indent("\n".join(SNIPPET.findall(text)), "    ") + "    before = next_page(dag, before)\n"


def test_all_pages_are_in_the_table() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in (DOCS / "how-to").glob("*.md") if path.stem != "index")
    assert re.findall(r"\((\S+)\.md\) \|", INDEX) == NAMES


def test_the_snippets_are_a_dag_that_runs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for found in FILES.findall(FIRST_DAG):
        name, text = filter(None, found)
        (tmp_path / name).write_text(text)
    path = tmp_path / "how_to.py"
    path.write_text(HEAD + "".join(page_of_dag(text) for text in PAGES.values()))
    with EmulatorServer(seed=1, speed=1200) as toloka:
        env = clean_environment(
            AIRFLOW_HOME=str(airflow_home(tmp_path_factory)),
            AIRFLOW_CONN_TOLOKA_DEFAULT=toloka.connection,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path),
        )
        conf = json.dumps({"folder": f"file://{tmp_path}"})
        command = [sys.executable, "tests/system/run_example.py", str(path), "--conf", conf]
        done = subprocess.run(command, env=env, cwd=ROOT, text=True, capture_output=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    ended = json.loads(done.stdout.splitlines()[-1])
    assert {name: state for name, state in ended["tasks"].items() if state != "success"} == {}
    assert ended["state"] == "success"


@pytest.mark.parametrize(
    "name", re.findall(r"^\| `(\w+(?:Operator|Sensor))\(", (DOCS / "operators.md").read_text(), re.M)
)
def test_every_operator_has_its_how_to(name: str) -> None:
    assert any(f"`{name}`" in text or f"{name}(" in text for text in PAGES.values())
