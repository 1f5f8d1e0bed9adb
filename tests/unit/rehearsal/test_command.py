"""``airflow-toloka estimate --rehearse``, as a user runs it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.unit.rehearsal.configs import ANSWER_AGAIN, ban_below, pool, project, tasks
from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.cli.__main__ import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write a project, a pool and tasks."""
    monkeypatch.chdir(tmp_path)
    Path("project.json").write_text(json.dumps(project()))
    Path("pool.json").write_text(json.dumps(pool(will_expire="2050-01-01T00:00:00")))
    Path("tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks(20)))
    return ["project.json", "pool.json", "tasks.jsonl"]


def run(*arguments: str) -> int:
    return main(["estimate", "--rehearse", "--runs", "2", "--people", "15", *arguments])


def test_the_table_stands_below_the_estimate(files, capsys):
    assert run(*files) == 0
    output, progress = capsys.readouterr()
    assert progress.splitlines() == ["run 1 of 2", "run 2 of 2"]
    lines = [line.split() for line in output.splitlines()]
    # 20 tasks, three answers each, at 2 cents and the fee.
    assert ["money,", "with", "the", "fee", "$1.56", "$1.56"] in lines
    assert ["estimate", "$1.56", "as", "runs", "took"] in lines
    assert ["median", "range", "of", "2", "runs"] in lines


def test_the_same_command_gives_the_same_output_and_picture(files, capsys):
    outputs = []
    for name in ("first.svg", "second.svg"):
        assert run(*files, "--json", "--seed", "5", "--svg", name) == 0
        outputs.append((capsys.readouterr().out, Path(name).read_bytes()))
    assert outputs[0] == outputs[1]
    rehearsal = json.loads(outputs[0][0])["rehearsal"]
    assert (rehearsal["completed"], rehearsal["money"]["median"]) == (2, 1.56)
    assert "15 people" in ET.fromstring(outputs[0][1]).findtext("{http://www.w3.org/2000/svg}title")


def test_the_crowd_is_that_of_the_options(files, capsys):
    Path("pool.json").write_text(json.dumps(pool(ban_below(60), ANSWER_AGAIN, golden=1)))
    Path("tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks(100, golden=30)))

    def rehearsed(*options: str) -> dict:
        assert run(*files, "--json", *options) == 0
        return json.loads(capsys.readouterr().out)["rehearsal"]

    careless, careful = rehearsed("--accuracy", "0.5"), rehearsed("--accuracy", "0.95")
    assert careless["banned"]["low"] > careful["banned"]["high"]
    assert careless["accuracy"]["result"]["high"] < careful["accuracy"]["result"]["low"]
    assert careful["hours"]["high"] < rehearsed("--accuracy", "0.95", "--pace", "900")["hours"]["low"]


def test_a_run_ends_at_the_limit_or_when_the_pool_expires(files, capsys):
    limits = ("--max-days", "0.01", "--start", "2049-12-31T23:59:00", "--pace", "600")
    assert run(*files, *limits) == 0
    assert "Not completed in 2 of 2 runs: 2 EXPIRED. They count above, but not for the time." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--accuracy", "2"], "accuracy is 2.0; it must be a share between 0 and 1"),
        (["--people", "0"], "people is 0"),
        (["--runs", "0"], "runs is 0"),
        (["--pace", "5000"], "nobody would be done in time"),
        (["--svg", "nowhere/rehearsal.svg"], "nowhere/rehearsal.svg"),
        (["--training-tasks", "none.csv", "--training", "training.json"], "none.csv"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(files, capsys, options, message):
    requirement = {"training_pool_id": "1", "training_passing_skill_value": 50}
    if "--training" in options:
        Path("pool.json").write_text(json.dumps(pool(quality_control={"training_requirement": requirement})))
        training = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}
        Path("training.json").write_text(json.dumps(training))
    assert run(*files, *options) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_wrong_date_is_refused(files, capsys):
    with pytest.raises(SystemExit):
        run(*files, "--start", "soon")
    assert "'soon' is no date" in capsys.readouterr().err


def test_the_fee_is_that_of_the_estimate(files, capsys):
    assert run(*files, "--fee", "0.5", "--min-fee", "0.03") == 0
    output = capsys.readouterr().out
    # 60 answers, at 2 cents and a fee of 3, for the estimate and in the runs.
    assert "$3.00   $3.00" in output
    assert "$3.00   as runs took" in output
    assert "a fee of 50%, but at least $0.03." in output
    assert run(*files, "--fee", "0") == 0
    output = capsys.readouterr().out
    assert "$1.20   as runs took" in output
    assert output.count("Toloka takes no fee.") == 2


def test_a_picture_that_cannot_be_written_is_said_before_the_first_run(files, capsys):
    assert run(*files, "--svg", "gone/rehearsal.svg") == 2
    error = capsys.readouterr().err
    text = (
        "airflow-toloka estimate: cannot rehearse: --svg is 'gone/rehearsal.svg', which cannot be written where this "
        "runs (No such file or directory). Name one in a folder that this process may write to, or let it write there"
    )
    assert error == with_link(text, "paths-and-files") + "\n"
