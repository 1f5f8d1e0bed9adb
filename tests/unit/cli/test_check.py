"""``airflow-toloka check``: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import POOL, PROJECT
from toloka_airflow._internal.troubleshooting import PAGE
from toloka_airflow.checks.rule_names import WARNINGS
from toloka_airflow.cli.__main__ import main

ROOT = Path(__file__).parents[3]
HELP = f"Help: {PAGE}#configuration"
TRAINING = {
    "project_id": "10",
    "private_name": "School",
    "inherited_instructions": True,
    "training_tasks_in_task_suite_count": 1,
}
GOOD_POOL = {
    **POOL,
    "project_id": "10",
    "will_expire": "2100-01-01T00:00:00",
    "quality_control": {
        "configs": [
            {
                "collector_config": {"type": "SKIPPED_IN_ROW_ASSIGNMENTS"},
                "rules": [
                    {
                        "conditions": [{"key": "skipped_in_row_count", "operator": "GTE", "value": 10}],
                        "action": {
                            "type": "RESTRICTION_V2",
                            "parameters": {"scope": "PROJECT", "duration": 1, "duration_unit": "DAYS"},
                        },
                    }
                ],
            }
        ]
    },
}
MISSPELT = """\
project_id: "10"
private_name: Pool
may_contain_adult_content: false
will_expire: "2100-01-01T00:00:00"
reward_per_assignment: 0.02
assignment_max_duration_seconds: 600
defaults: {default_overlap_for_new_task_suites: 2, default_overlap_for_new_tasks: 2}
mixer_config:
  real_tasks_count: 2
  golden_task_count: 0
  training_tasks_count: 0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("project.json", PROJECT)
    write("pool.json", GOOD_POOL)
    Path("pool.yaml").write_text(MISSPELT)
    Path("tasks.csv").write_text("INPUT:text\nIs it so?\nAnd is it now?\n")
    return tmp_path


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["check", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def write(name: str, content: Any) -> None:
    Path(name).write_text(json.dumps(content, indent=1))


Check = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "files",
    [
        ("project.json", "pool.json", "tasks.csv"),
        ("tasks.csv", "pool.json", "project.json"),
        ("--tasks", "tasks.csv", "pool.json", "--project", "project.json"),
        ("pool.json",),
    ],
)
def test_what_is_right(check: Check, files: tuple[str, ...]) -> None:
    assert check(*files) == (0, "no errors, no warnings\n", "")


def test_a_mistake_is_where_it_is_written(check: Check) -> None:
    code, out, err = check("pool.yaml", "--off", "no-quality-rule")
    assert (code, err) == (1, "")
    assert out == (
        'pool.yaml:10: mixer_config.golden_task_count: error: mixer_config has no key "golden_task_count"; '
        f"did you mean 'golden_tasks_count'? [unknown-key]\n1 error, no warnings. {HELP}\n"
    )


def test_mistakes_of_a_round_together(check: Check) -> None:
    Path("tasks.csv").write_text("INPUT:text,GOLDEN:answer\nIs it so?,yes\nAnd now?,maybe\n")
    code, out, _ = check("tasks.csv", "pool.json", "project.json")
    assert code == 1
    assert re.search(r'^tasks.csv:3: .*answer: error: .*"maybe"', out, re.MULTILINE)


def test_what_is_summed_up_is_counted(check: Check) -> None:
    """Thirty tasks with the same mistake are no four errors, although they are four lines."""
    Path("tasks.csv").write_text("INPUT:text,TASK:overlap\n" + "Is it so?,many\n" * 30)
    code, out, _ = check("tasks.csv", "pool.json", "project.json")
    assert code == 1
    assert out.count(": error: ") == 4
    assert re.search(r"^30 errors, no warnings", out, re.MULTILINE), out
    assert json.loads(check("--json", "tasks.csv", "pool.json")[1])["errors"] == 30
    Path("tasks.csv").write_text("INPUT:text,TASK:overlap\nIs it so?,many\n")
    assert re.search(r"^1 error, no warnings", check("tasks.csv", "pool.json", "project.json")[1], re.MULTILINE)


def test_json_for_machines(check: Check) -> None:
    code, out, err = check("--json", "pool.yaml", "--off", "no-quality-rule")
    assert (code, err) == (1, "")
    assert json.loads(out) == {
        "errors": 1,
        "warnings": 0,
        "problems": [
            {
                "level": "error",
                "rule": "unknown-key",
                "file": "pool.yaml",
                "line": 10,
                "path": ["mixer_config", "golden_task_count"],
                "message": "mixer_config has no key \"golden_task_count\"; did you mean 'golden_tasks_count'?",
                "count": 1,
            }
        ],
    }


def test_warnings_do_not_fail_unless_they_shall(check: Check) -> None:
    write("pool.json", {key: value for key, value in GOOD_POOL.items() if key != "quality_control"})
    files = ("pool.json", "project.json")
    code, out, _ = check(*files)
    assert code == 0
    assert re.fullmatch(r"pool.json:1: quality_control: warning: .* \[no-quality-rule\]\nno errors, 1 warning\n", out)
    assert check(*files, "--strict")[0] == 1
    assert check(*files, "--strict", "--off", "no-quality-rule") == (0, "no errors, no warnings\n", "")


@pytest.mark.parametrize(
    "off", [["--off", "no-quality-rule,given-later"], ["--off", "no-quality-rule", "--off=given-later"]]
)
def test_several_warnings_are_left_out(check: Check, off: list[str]) -> None:
    left = {key: value for key, value in GOOD_POOL.items() if key not in ("quality_control", "project_id")}
    write("pool.json", left)
    files = ("pool.json", "project.json")
    assert check(*files)[1].endswith("\nno errors, 2 warnings\n")
    assert check(*files, *off) == (0, "no errors, no warnings\n", "")


def test_the_pay_for_an_hour(check: Check) -> None:
    assert check("pool.json", "--min-pay-per-hour", "0.12")[0:2] == (0, "no errors, no warnings\n")
    assert "[pay-per-hour]" in check("pool.json", "--min-pay-per-hour", "0.13")[1]
    assert check("pool.json", "--min-pay-per-hour", "0.13", "--seconds-per-page", "60")[1] == "no errors, no warnings\n"


def test_a_file_is_what_it_is_said_to_be(check: Check) -> None:
    write("odd.json", TRAINING)
    assert check("--training", "odd.json", "--off", "training-unused")[0] == 0
    code, out, _ = check("--project", "odd.json")
    assert code == 1
    assert "public_name is missing, which a project must have [missing-key]" in out


def test_list(check: Check) -> None:
    code, out, _ = check("--list")
    assert code == 0
    assert dict(re.split(" {2,}", line) for line in out.splitlines()) == WARNINGS
    assert json.loads(check("--list", "--json")[1]) == WARNINGS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: [", "pool.yaml:2: error: no YAML: "),
        ("a: 1\na: 2", "pool.yaml:2: error: no YAML: 'a' is there twice"),
        ("- 1", "pool.yaml: error: it holds a list, not an object with fields [unreadable]"),
        ("", "pool.yaml: error: it is empty; it must hold an object with fields [unreadable]"),
        ("\udcff", "pool.yaml: error: it is not UTF-8: "),
        ("some: thing", "pool.yaml:1: error: nothing says whether"),
    ],
)
def test_what_is_no_configuration_is_a_mistake(check: Check, content: str, message: str) -> None:
    Path("pool.yaml").write_text(content, encoding="utf-8", errors="surrogateescape")
    code, out, _ = check("pool.yaml")
    assert code == 1
    assert out.startswith(message)


@pytest.mark.parametrize("name", ["folder", "folder.yaml"])
def test_a_folder_is_no_file(check: Check, name: str) -> None:
    """A folder without a suffix was said to be tasks of an unknown format."""
    Path(name).mkdir()
    message = f"airflow-toloka check: {name} is a folder; give the files in it, such as {name}/*.yaml. {HELP}\n"
    assert check(name) == (2, "", message)


def test_one_task_is_no_list_of_tasks(check: Check) -> None:
    write("tasks.json", {"input_values": {"text": "Is it so?"}})
    code, out, _ = check("project.json", "tasks.json")
    assert code == 1
    assert "tasks.json:1: error: this is one object; tasks in JSON are a list" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no files are given; try --help"),
        (["nothing.yaml"], "nothing.yaml: there is no such file"),
        (["--tasks", "nothing.csv"], "nothing.csv: there is no such file"),
        (["pool.json", "pool.yaml"], "another file both are of the kind pool"),
        (["pool.json", "--off", "no-such-warning"], "off has 'no-such-warning'; the warnings that can be switched off"),
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_what_cannot_be_tried(check: Check, arguments: list[str], message: str, json_wanted: bool) -> None:
    code, out, err = check(*arguments, *(["--json"] if json_wanted else []))
    assert (code, out) == (2, "")
    assert err.startswith("airflow-toloka check: ")
    assert message in err


@pytest.mark.parametrize("value", ["none", "0", "-1", "nan", "inf"])
@pytest.mark.parametrize("option", ["--min-pay-per-hour", "--seconds-per-page"])
def test_what_is_no_number(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "pool.json", f"{option}={value}"])
    assert ended.value.code == 2
    assert f"{value!r} is no number above 0" in capsys.readouterr().err


def test_progress_is_for_terminals(folder: Path) -> None:
    """The command waits for what is written into a pipe; nobody else would let it take longer than a second."""
    os.mkfifo("slow.yaml")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "toloka_airflow.cli", "check", "slow.yaml"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = b""
    while b" ... " not in shown:
        assert select.select([ours], [], [], 120)[0], "nothing is shown"
        shown += os.read(ours, 1000)
    Path("slow.yaml").write_text("some: thing")
    out, _ = process.communicate(timeout=120)
    while select.select([ours], [], [], 0)[0]:
        try:
            shown += os.read(ours, 1000)
        except OSError:  # what Linux says of a terminal that nobody has open any more
            break
    os.close(ours)
    assert b"\x1b" not in out.encode()
    assert re.match(rb"\r\x1b\[KChecking slow.yaml ... \d+ s", shown)
    assert shown.endswith(b"\r\x1b[K")
    assert out.endswith(f"1 error, no warnings. {HELP}\n")


def test_nothing_is_shown_elsewhere() -> None:
    os.mkfifo("slow.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "toloka_airflow.cli", "check", "slow.yaml"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    Path("slow.yaml").write_text("some: thing")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (1, "")
    assert out.endswith(f"1 error, no warnings. {HELP}\n")
