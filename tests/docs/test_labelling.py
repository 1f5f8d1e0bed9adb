"""What docs/labelling.md shows is one DAG, which runs; what it quotes is in the examples."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from pyarrow import parquet

from tests.airflow_home import airflow_home, clean_environment
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "labelling.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = re.compile(r"The file `(\S+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"# (\w+\.py)\n(.*)", re.DOTALL)
COLUMNS = "".join(
    re.findall(r"^\|(.*?)\|", TEXT.partition("### Answers in Parquet")[2].partition("###")[0], re.MULTILINE)
)
IMPORTS, *STEPS = (text for text in PYTHON if not QUOTED.match(text))
DAG = f"""
{IMPORTS}
from airflow.sdk import DAG

with DAG("labelling", schedule=None, params={{"folder": "", "until": ""}}) as dag:
{indent(chr(10).join(STEPS), "    ")}
"""


@pytest.fixture
def ended(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How the DAG of the page ends, in a folder with the files of the page."""
    for name, text in FILES.findall(TEXT):
        (tmp_path / name).write_text(text)
    (tmp_path / "labelling.py").write_text(DAG)
    conf = json.dumps({"folder": f"file://{tmp_path}"})
    with EmulatorServer(seed=1, speed=1200) as toloka:
        env = clean_environment(
            AIRFLOW_HOME=str(airflow_home(tmp_path_factory)),
            AIRFLOW_CONN_TOLOKA_DEFAULT=toloka.connection,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path),
        )
        command = [sys.executable, "tests/system/run_example.py", str(tmp_path / "labelling.py"), "--conf", conf]
        done = subprocess.run(command, env=env, cwd=ROOT, text=True, capture_output=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_the_snippets_are_a_dag_that_runs(ended: dict[str, Any], tmp_path: Path) -> None:
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    answers = [json.loads(line) for line in gzip.decompress((tmp_path / "answers.jsonl.gz").read_bytes()).splitlines()]
    shown = [json.loads(line) for line in TEXT.splitlines() if line.startswith('{"assignment_id"')]
    assert set(shown[0]) == set(answers[0]) - {"known_solutions"}
    table = parquet.read_table(tmp_path / "answers.parquet")
    assert table["task_id"].to_pylist() == [answer["task_id"] for answer in answers]
    assert set(table.column_names) == set(re.findall(r"`(\w+)`", COLUMNS))
    labels = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    [label] = [json.loads(line) for line in TEXT.splitlines() if line.startswith('{"confidence"')]
    assert len(labels) >= 3
    assert set(label) == set(labels[0]) - {"known_solutions"}
    own = [json.loads(line) for line in (tmp_path / "majority.jsonl").read_text().splitlines()]
    assert {row["task_id"]: row["input_values"] for row in own} == {
        row["task_id"]: row["input_values"] for row in labels
    }
