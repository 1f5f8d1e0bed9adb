"""The command ``airflow-toloka estimate``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import TOKEN, connect
from tests.worlds import PROJECT
from toloka_airflow._internal.troubleshooting import PAGE
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.cli.__main__ import main
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

CONFIG: dict[str, Any] = {
    "private_name": "Pool",
    "may_contain_adult_content": False,
    "will_expire": "2030-06-01T00:00:00",
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 360,
    "defaults": {"default_overlap_for_new_task_suites": 2, "default_overlap_for_new_tasks": 3},
    "mixer_config": {"real_tasks_count": 5, "golden_tasks_count": 0, "training_tasks_count": 0},
}
HELP = f"Help: {PAGE}#not-enough-money"
ENDLESS = [{"input_values": {"text": "a"}, "infinite_overlap": True}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a project, a pool, and 20 tasks as a table and as JSON; the present one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project.json").write_text(json.dumps(PROJECT))
    (tmp_path / "pool.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tasks.csv").write_text("INPUT:text\n" + "".join(f"Is it {i}?\n" for i in range(20)))
    (tmp_path / "tasks.json").write_text(json.dumps([{"input_values": {"text": f"{i}"}} for i in range(20)]))
    return tmp_path


def run(*arguments: str) -> int:
    return main(["estimate", *arguments])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("folder")
class TestMoney:
    def test_a_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("project.json", "pool.json", "tasks.csv") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[:6] == [
            "                        least   most",
            "tasks                      20     20",
            "pages                       4      4",
            "assignments                12     12",
            "price of an assignment  0.026  0.026",
            "rewards                  0.24   0.24",
        ]
        assert "total                   0.312  0.312" in lines
        assert "- Bonuses are not in it, nor is the training that people must pass, which is not paid." in lines

    @pytest.mark.parametrize(
        "files",
        [
            ["tasks.csv", "pool.json", "project.json"],
            ["pool.json", "tasks.json"],
            ["--pool", "pool.json", "--tasks", "tasks.json"],
            ["--pool", "pool.json", "tasks.csv", "--project", "project.json"],
        ],
    )
    def test_json_and_files_in_any_order(self, capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
        answer = printed(capsys, *files)
        assert answer["total"] == {"least": 0.312, "most": 0.312}
        assert answer["duration"]["source"] == "time_limit"
        assert "rehearsal" not in answer

    def test_yaml_and_lines(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "pool.yaml").write_text("reward_per_assignment: 0.02\nmixer_config: {real_tasks_count: 5}\n")
        lines = [json.dumps({"input_values": {"text": "a"}, "overlap": 2})] * 10
        (folder / "tasks.jsonl").write_text("\n".join(lines))
        assert printed(capsys, "pool.yaml", "tasks.jsonl")["total"]["most"] == 0.104

    @pytest.mark.parametrize(
        ("options", "total"),
        [
            (["--fee", "0.5"], 0.36),
            (["--fee", "50%"], 0.36),
            (["--fee", "0"], 0.24),
            (["--min-fee", "0.02"], 0.48),
            (["--rejected", "25%"], 0.312),
        ],
    )
    def test_options(self, capsys: pytest.CaptureFixture[str], options: list[str], total: float) -> None:
        assert printed(capsys, "pool.json", "tasks.json", *options)["total"]["most"] == total

    def test_rejections(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "pool.json").write_text(json.dumps(CONFIG | {"auto_accept_solutions": False}))
        assert printed(capsys, "pool.json", "tasks.json", "--rejected", "0.25")["total"]["most"] == 0.234

    def test_a_limit(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("pool.json", "tasks.json", "--max-total", "0.312") == 0
        assert run("pool.json", "tasks.json", "--max-total", "0.31") == 1
        out, err = capsys.readouterr()
        assert err == f"airflow-toloka estimate: the pool may cost 0.312, and --max-total is 0.31. {HELP}\n"
        assert out.count("total                   0.312  0.312") == 2

    def test_people_at_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        hours = printed(capsys, "pool.json", "tasks.json", "--at-once", "2-4")["duration"]["hours"]
        # 12 answers of 36 s by four people, and of 360 s by two.
        assert hours == {"least": 0.03, "most": 0.6}
        text = printed(capsys, "pool.json", "tasks.json", "--at-once", "3")["duration"]["assumptions"][1]
        assert "3 to 3 people work at a time" in text

    def test_there_is_nothing_that_could_send_anything(self, folder: Path) -> None:
        code = (
            "import sys; from toloka_airflow.cli.__main__ import main; "
            "status = main(['estimate', 'project.json', 'pool.json', 'tasks.csv', '--json']); "
            "print(status, 'toloka_airflow.hooks' in sys.modules, 'requests' in sys.modules, file=sys.stderr)"
        )
        here = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=here)
        assert done.stderr.split()[-3:] == ["0", "False", "False"]
        assert json.loads(done.stdout)["total"]["most"] == 0.312


def test_the_documentation_shows_what_is_printed_for_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[3]
    files = [f"{root}/dags_examples/reviews/{name}" for name in ("project.yaml", "pool.yaml", "tasks.csv")]
    assert run(*files) == 0
    assert f"```text\n{capsys.readouterr().out}```" in (root / "docs" / "estimates.md").read_text()


@pytest.mark.usefixtures("folder")
class TestWhatCannotBeEstimated:
    def test_nobody_knows(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "tasks.json").write_text(json.dumps(ENDLESS))
        assert run("pool.json", "tasks.json") == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "1 of 1 task has an infinite overlap" in err

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            ([], "give the file of the pool and that of the tasks, too"),
            (["pool.json"], "give the file of the tasks, too"),
            (["tasks.json"], "give the file of the pool, too"),
            (["pool.json", "pool.json", "tasks.json"], "pool.json and pool.json are both a pool"),
            (["pool.json", "tasks.json", "--pool", "pool.json"], "are both a pool"),
            (["pool.json", "tasks.csv"], "tasks.csv: it is a table, whose columns are fields of the project"),
            (["pool.json", "tasks.json", "tasks.csv"], "by --training-tasks FILE, and only a rehearsal needs them"),
            (["pool.json", "tasks.json", "--svg", "a.svg"], "--svg is the picture of a rehearsal; give --rehearse"),
            (["pool.json", "gone.csv", "project.json"], "gone.csv"),
            (["pool.json", "gone.json"], "gone.json"),
            (["pool.json", "tasks.txt"], "tasks.txt"),
            (["strange.json", "tasks.json"], "strange.json: no key of it says whether it is a project, a pool"),
            (["broken.yaml", "tasks.json"], "broken.yaml"),
            (["odd.json", "tasks.json"], "reward_per_assignment is 'much'"),
            (["pool.json", "tasks.json", "--conn-id", "toloka_default"], "give --project-id"),
        ],
    )
    def test_it_could_not_be_tried(
        self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
    ) -> None:
        (folder / "tasks.txt").write_text("a")
        (folder / "strange.json").write_text('{"strange": 1}')
        (folder / "broken.yaml").write_text("a: b: c")
        (folder / "odd.json").write_text(json.dumps(CONFIG | {"reward_per_assignment": "much"}))
        assert run(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("airflow-toloka estimate: ")
        assert why in err

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--fee", "much"),
            ("--fee", "2"),
            ("--min-fee", "-1"),
            ("--rejected", "101%"),
            ("--max-total", "nan"),
            ("--at-once", "0"),
            ("--at-once", "5-4"),
            ("--at-once", "many"),
        ],
    )
    def test_options_that_are_none(self, capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
        with pytest.raises(SystemExit) as caught:
            run("pool.json", "tasks.json", f"{option}={value}")
        assert caught.value.code == 2
        assert f"argument {option}: '{value}' is no" in capsys.readouterr().err


class TestPreviousPools:
    @pytest.fixture
    def toloka(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
        crowd = CrowdSettings(size=20, seconds_per_task=(10, 10), skip_rate=0, expire_rate=0)
        with EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00", crowd=crowd) as server:
            connect(monkeypatch, server.url)
            server.progressions.set(Progression(seconds=0))
            yield server

    def test_hours(self, folder: Path, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
        client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
        pool_id = toloka.add_pool(40, open=True, project=PROJECT)
        toloka.clock.advance(3600)
        project_id = client.get_pool(pool_id).project_id
        options = ["--conn-id", "toloka_default", "--project-id", project_id]
        duration = printed(capsys, "pool.json", "tasks.json", *options)["duration"]
        assert (duration["source"], duration["pools"]) == ("previous_pools", [pool_id])
        assert 12 * 6 / 3600 <= duration["work_hours"]["most"] <= 12 * 14 / 3600

    def test_a_rehearsal_has_their_pace(
        self, folder: Path, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pool_id = toloka.add_pool(40, open=True, project=PROJECT)
        toloka.clock.advance(3600)
        project_id = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).get_pool(pool_id).project_id
        measured = ["--conn-id", "toloka_default", "--project-id", project_id]

        def hours(*options: str) -> dict[str, float]:
            files = ("pool.json", "tasks.json", "project.json", "--rehearse", "--runs", "1", *options)
            rehearsed: dict[str, float] = printed(capsys, *files)["rehearsal"]["hours"]
            return rehearsed

        assert hours(*measured) != hours()
        assert hours(*measured, "--pace", "100") == hours("--pace", "100")

    def test_a_connection_that_is_not_there(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("pool.json", "tasks.json", "--conn-id", "gone", "--project-id", "7") == 2
        assert "gone" in capsys.readouterr().err

    def test_a_toloka_that_refuses(
        self, folder: Path, toloka: EmulatorServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        toloka.accept_tokens("another")
        assert run("pool.json", "tasks.json", "--conn-id", "toloka_default", "--project-id", "7") == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "AUTHENTICATION_ERROR" in err
        assert TOKEN not in err


@pytest.mark.usefixtures("folder")
class TestRehearsing:
    OPTIONS = ("--rehearse", "--runs", "2", "--people", "5", "--start", "2030-01-01T00:00:00")

    def test_with_the_table(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("project.json", "pool.json", "tasks.csv", *self.OPTIONS, "--svg", "picture.svg") == 0
        out = capsys.readouterr().out
        assert "total                   0.312  0.312" in out
        assert "money" in out.lower()
        assert (folder / "picture.svg").read_text().startswith("<svg")

    def test_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        answer = printed(capsys, "project.json", "pool.json", "tasks.csv", *self.OPTIONS)
        assert answer["total"]["most"] == 0.312
        assert answer["rehearsal"]

    def test_it_needs_the_project(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("pool.json", "tasks.json", *self.OPTIONS) == 2
        assert "to rehearse, give the project, too" in capsys.readouterr().err
