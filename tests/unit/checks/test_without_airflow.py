"""Checking local files imports no Airflow, which takes longer than all the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.checked_configurations import POOL, PROJECT

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
from datetime import datetime, UTC
from toloka_airflow.checks import check_files
problems = check_files(sys.argv[1:], now=datetime(2029, 12, 1, tzinfo=UTC))
print([str(problem) for problem in problems], sorted({"airflow", "msgspec"} & set(sys.modules)))
"""


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "json", "parquet"])
def test_it(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(PROJECT))
    (tmp_path / "pool.json").write_text(json.dumps(POOL))
    control = {"known_solutions": [{"output_values": {"kind": "cat"}}], "infinite_overlap": True}
    tasks = [{"input_values": {"image": "a"}}, {"input_values": {"image": "b"}, **control}]
    file = tmp_path / f"tasks.{suffix}"
    if suffix == "csv":
        file.write_text("INPUT:image,GOLDEN:kind\na,\nb,cat\n")
    elif suffix == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        # The columns are those of the first row.
        parquet.write_table(pyarrow.Table.from_pylist([dict.fromkeys(tasks[1]) | tasks[0], tasks[1]]), file)
    else:
        file.write_text("\n".join(map(json.dumps, tasks)) if suffix == "jsonl" else json.dumps(tasks))
    command = [sys.executable, "-c", CODE, str(tmp_path / "project.yaml"), str(tmp_path / "pool.json"), str(file)]
    output = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    assert output.stdout == "[] ['msgspec']\n", output.stderr
