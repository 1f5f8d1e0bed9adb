"""What docs/start.md and docs/first-dag.md have a newcomer type is typed here, in one shell, against a local Toloka."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_home import airflow_home, clean_environment
from toloka_airflow.checks import check
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
START = (ROOT / "docs" / "start.md").read_text()
FIRST_DAG = (ROOT / "docs" / "first-dag.md").read_text()
COMMANDS = re.compile(r"(?<! -->\n)^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = re.compile(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETUP = "".join(block for block in COMMANDS.findall(START) if "AIRFLOW_CONN" in block)
CSV = re.compile(r"^The file `(\S+)`:\n\n```csv\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def env(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder as after the installation, with what its extras bring, and an Airflow whose database is ready."""
    (tmp_path / "toloka_airflow").symlink_to(ROOT)
    (tmp_path / "airflow").symlink_to(airflow_home(tmp_path_factory))
    site = tmp_path_factory.mktemp("site")
    hidden = "".join(f"sys.modules[{name!r}] = None\n" for name in not_installed())
    (site / "sitecustomize.py").write_text(f"import sys\n{hidden}")
    clean = clean_environment()
    path = os.pathsep.join([str(site), str(ROOT), *filter(None, [clean.get("PYTHONPATH")])])
    return {**clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": path}


def not_installed() -> list[str]:
    """Return the modules of the extras that docs/start.md does not install, and the tests have."""
    [named] = re.findall(r"^pip install .* '\./toloka_airflow\[(.*)\]'$", START, re.MULTILINE)
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    kept = {package for extra in named.split(",") for package in extras[extra].split()}
    return sorted({package for extra in ("emulator", "parquet", "quality") for package in extras[extra].split()} - kept)


def test_what_is_not_installed_is_not_there(env: dict[str, str]) -> None:
    assert not_installed() == ["pyarrow"]
    done = subprocess.run(
        [sys.executable, "-c", "import pyarrow"], env=env, text=True, capture_output=True, check=False
    )
    assert "ModuleNotFoundError: import of pyarrow halted" in done.stderr


def typed(page: str) -> str:
    """Return what a page has typed; the Toloka of the test is there already."""
    return "".join(block for block in COMMANDS.findall(page) if not block.startswith("toloka-emulator"))


def run(commands: str, env: dict[str, str], folder: Path, toloka: EmulatorServer) -> str:
    assert "http://127.0.0.1:8123" in commands
    shell = ["bash", "-euo", "pipefail", "-c", commands.replace("http://127.0.0.1:8123", toloka.url)]
    done = subprocess.run(shell, cwd=folder, env=env, text=True, capture_output=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    return done.stdout


def labels(folder: Path) -> list[dict[str, Any]]:
    [path] = folder.glob("*/labels.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_from_nothing_to_labels(env: dict[str, str], tmp_path: Path) -> None:
    with EmulatorServer(seed=1, speed=600) as toloka:
        printed = run(typed(START), env, tmp_path, toloka)
    assert "(True, " in printed
    [shown] = re.findall(r"^```json\n(.*?)^```$", START, re.MULTILINE | re.DOTALL)
    assert [label.keys() for label in labels(tmp_path / "out")] == [json.loads(shown).keys()] * 3


def test_the_emulator_is_started_as_shown() -> None:
    [command] = re.findall(r"^toloka-emulator (.*) &$", START, re.MULTILINE)
    assert command == "--port 8123 --speed 600"


def write_files(folder: Path) -> None:
    """Write what docs/first-dag.md shows."""
    for name, text in [*FILES.findall(FIRST_DAG), *CSV.findall(FIRST_DAG)]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)


def test_the_first_dag(env: dict[str, str], tmp_path: Path) -> None:
    write_files(tmp_path)
    with EmulatorServer(seed=1, speed=600) as toloka:
        printed = run(SETUP + typed(FIRST_DAG), env, tmp_path, toloka)
    assert re.search(r"^total +0\.39 +0\.39$", printed, re.MULTILINE)
    found = labels(tmp_path / "comments")
    assert len(found) == 8
    table = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
    assert [(row["comment"], row["topic"]) for row in table] == [
        (label["input_values"]["comment"], label["output_values"]["topic"]) for label in found
    ]


def test_a_file_of_ones_own(env: dict[str, str], tmp_path: Path) -> None:
    write_files(tmp_path)
    dags, mine = tmp_path / "dags", tmp_path / "dags" / "messages"
    (dags / "comments").rename(mine)
    dag = (dags / "comments.py").rename(dags / "messages.py")
    [where] = re.findall(r"^## Your own file\n(.*?)^## ", FIRST_DAG, re.MULTILINE | re.DOTALL)
    told = re.findall(r"`([^`]+)`", where)
    [header] = [code for code in told if code.startswith("INPUT:") and "," in code]
    [answer] = [code for code in told if code.startswith("team:")]
    columns = [code for code in told if code.endswith("{type: string}")]
    assert len(columns) == 2
    [optional] = [code for code in told if code.endswith("required: false}")]
    assert dag.read_text().count('"comments"') + dag.read_text().count('/comments"') == 3
    change(dag, ("/comments", "/messages"), ('"comments"', '"messages"'), ('["topic"]', '["team"]'))
    controls = re.compile(r"^quality_control:.*", re.MULTILINE | re.DOTALL)
    change(mine / "pool.yaml", ("golden_tasks_count: 1", "golden_tasks_count: 0"), (controls, ""))
    field = re.compile(r"( *{{field [^\n]*\n?)+")
    fields = [
        f'      {{{{field type="radio" name="team" value="{team}" label="{team}"}}}}'
        for team in ("goods", "delivery", "account")
    ]
    change(
        mine / "project.yaml",
        ("comment: {type: string}", "\n    ".join([*columns, f"note: {optional}"])),
        (re.compile("topic: {.*"), answer),
        ("{{comment}}", "{{text}}"),
        (field, "\n".join(fields) + "\n"),
    )
    texts = ["Where is it?", '"It is blue, not red."', *(f"Message {number}" for number in range(3, 21))]
    rows = [f"M{number},{text},{'again' * (number == 2)}" for number, text in enumerate(texts, 1)]
    (mine / "tasks.csv").write_text("\n".join([f"{header},INPUT:note", *rows, ""]))

    [checks] = [block for block in COMMANDS.findall(FIRST_DAG) if "airflow-toloka check" in block]
    trial = 'airflow dags test messages --conf "{\\"output\\": \\"file://$PWD/out\\"}"\n'
    with EmulatorServer(seed=1, speed=600) as toloka:
        printed = run(SETUP + checks.replace("/comments", "/messages") + trial, env, tmp_path, toloka)
    assert "no errors, 3 warnings" in printed
    found = [label["input_values"] for label in labels(tmp_path / "out")]
    assert [task["id"] for task in found] == [f"M{number}" for number in range(1, 21)]
    assert found[1] == {"id": "M2", "text": "It is blue, not red.", "note": "again"}
    assert "note" not in found[0]


def test_a_text_that_people_write(tmp_path: Path) -> None:
    write_files(tmp_path)
    files = tmp_path / "dags" / "comments"
    [told] = re.findall(r"^### A text that people write\n(.*?)^## ", FIRST_DAG, re.MULTILINE | re.DOTALL)
    output, field, review, days = re.findall(r"`([^`]*(?:: |}})[^`]*)`", told)
    change(
        files / "project.yaml",
        (re.compile("topic: {.*"), output),
        (re.compile(r"( *{{field [^\n]*\n?)+"), f"      {field}\n"),
    )
    change(
        files / "pool.yaml",
        ("auto_accept_solutions: true", f"{review}\n{days}"),
        ("golden_tasks_count: 1", "golden_tasks_count: 0"),
        (re.compile(r"^quality_control:.*", re.MULTILINE | re.DOTALL), ""),
    )
    (files / "tasks.csv").write_text('INPUT:comment\n"It hums, ""softly"", at night."\nIt came late.\n')
    problems = check(project=files / "project.yaml", pool=files / "pool.yaml", tasks=files / "tasks.csv")
    assert [problem.rule for problem in problems] == ["given-later", "given-later", "no-quality-rule"]
    change(files / "project.yaml", ("{type: string, max_length", "{type: sting, max_length"))
    assert "error" in [problem.level for problem in check(project=files / "project.yaml")]


def change(path: Path, *replacements: tuple[str | re.Pattern[str], str]) -> None:
    text = path.read_text()
    for old, new in replacements:
        pattern = old if isinstance(old, re.Pattern) else re.compile(re.escape(old))
        assert pattern.search(text), (path.name, old)
        text = pattern.sub(new, text)
    path.write_text(text)
