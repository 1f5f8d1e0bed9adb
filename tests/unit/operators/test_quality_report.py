"""The report is written as a whole, says what is in it, and the task leads to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from tests.reports import answers, labels
from tests.support import TOKEN, ScriptedServer, TaskInstance, connect, from_templates, run_task
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.links import REPORT_XCOM_KEY, ReportLink, file_address
from toloka_airflow.operators.assignments import GetAssignmentsOperator
from toloka_airflow.operators.quality_report import QualityReportOperator


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    with EmulatorServer(seed=1, frozen=True) as server:
        server.progressions.set(Progression(seconds=0))
        connect(monkeypatch, server.url)
        yield server


def report(path: Any, **arguments: Any) -> Any:
    return run_task(QualityReportOperator(task_id="report", path=path, **arguments))


def test_without_toloka(server: ScriptedServer, connection: str, tmp_path: Path) -> None:
    """Nothing is asked of Toloka without a pool."""
    rows = answers()
    files = {}
    for name, given in (("answers", rows), ("labels", labels(rows))):
        files[name] = tmp_path / f"{name}.jsonl"
        files[name].write_text("".join(f"{json.dumps(row)}\n" for row in given))
    path = tmp_path / "new" / "report.html"
    done = report(path, answers=str(files["answers"]), labels=str(files["labels"]), toloka_conn_id=connection)
    assert "The least sure tasks" in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert done.result.keys() == {
        *("path", "url", "tasks", "answers", "people", "labels", "alpha", "sure", "spent", "committed", "per_label")
    }
    assert (done.result["path"], done.result["url"], done.result["answers"]) == (str(path), None, len(rows))
    # Stored, as Airflow logs an error of the task that went well if it looks for the link and finds nothing.
    assert done.xcoms[REPORT_XCOM_KEY] == ""
    assert server.seen == []


def test_with_a_pool(toloka: EmulatorServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool_id = toloka.add_pool(12, overlap=3, open=True)
    toloka.clock.advance(7 * 24 * 3600)
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    path = f"file://{tmp_path}/answers.jsonl"
    statuses = ("SUBMITTED", "ACCEPTED", "REJECTED")
    run_task(GetAssignmentsOperator(task_id="download", pool_id=pool_id, path=path, status=statuses))
    people = sorted({json.loads(line)["user_id"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()})
    project_id = client.get_pool(pool_id).project_id
    for person, scope in zip(
        people, ({"scope": "POOL", "pool_id": pool_id}, {"scope": "PROJECT", "project_id": project_id}), strict=False
    ):
        client.set_user_restriction({"user_id": person, **scope})
    capsys.readouterr()
    done = report(
        f"file://{tmp_path}/report.html",
        answers=path,
        pool_id=pool_id,
        title="Cats & dogs",
        url="https://reports.example.org/1.html",
    )
    log = capsys.readouterr().out
    html = (tmp_path / "report.html").read_text()
    assert "<h1><bdi>Cats &amp; dogs</bdi></h1>" in html
    assert "2 of them are banned" in html
    assert "By Toloka&#39;s own count" in html
    assert done.result["answers"] == 36
    assert done.xcoms["toloka_link"].startswith(f"{toloka.url}/requester/")
    assert done.xcoms[REPORT_XCOM_KEY] == "https://reports.example.org/1.html" == done.result["url"]
    assert f"36 answers of {len(people)} people to 12 tasks" in log
    assert "which is at https://reports.example.org/1.html" in log


def test_it_may_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    rows = answers()
    instance = TaskInstance(task_id="report")
    task = QualityReportOperator(task_id="report", path=path, answers=rows)
    first = run_task(task, instance).result
    path.write_text("half of it")
    assert run_task(task, instance).result == first
    assert path.read_text().endswith("</html>")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "hdfs:///report.html"}, "path is"),
        ({"answers": "nowhere.jsonl"}, "there is no such file"),
        ({"pool_id": "../21"}, "pool_id"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], words: str, tmp_path: Path) -> None:
    given = {"answers": answers(2), **arguments}
    path = given.pop("path", "report.html")
    with pytest.raises(AirflowFailException, match=words):
        report(path if "://" in path else tmp_path / path, **given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"path": "/nowhere/report.txt"}, "path is '/nowhere/report.txt'; it must end with .html"),
        ({"url": "javascript:0"}, "url is 'javascript:0'; it must begin with https://"),
        ({"fields": "label"}, "fields is 'label'; it must be a list"),
    ],
)
def test_what_cannot_be_is_found_when_the_dag_is_parsed(arguments: dict[str, Any], words: str) -> None:
    """And when the task runs, if a template gave it."""
    with pytest.raises(ValueError, match=words):
        QualityReportOperator(task_id="report", answers=answers(2), **{"path": "/nowhere/report.html", **arguments})
    make = partial(QualityReportOperator, task_id="report", answers=answers(2))
    with pytest.raises(AirflowFailException, match=words):
        run_task(from_templates(make, **{"path": "/nowhere/report.html", **arguments}))


def test_answers_that_can_be_read_once_are_refused() -> None:
    with pytest.raises(ValueError, match="read only once"):
        QualityReportOperator(task_id="report", path="report.html", answers=iter(()))


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (
            {"protocol": "gs", "path": "bucket/a b/report.html"},
            "https://storage.cloud.google.com/bucket/a%20b/report.html",
        ),
        (
            {"protocol": "s3", "path": "bucket/a&b.html"},
            "https://s3.console.aws.amazon.com/s3/object/bucket?prefix=a%26b.html",
        ),
        ({"protocol": "s3", "path": "bucket/report.html", "endpoint_url": "http://minio:9000"}, None),
        ({"protocol": "s3", "path": "b/r.html", "client_kwargs": {"endpoint_url": "http://minio"}}, None),
        ({"protocol": "file", "path": "/data/report.html"}, None),
        ({"protocol": "sftp", "path": "/data/report.html"}, None),
        ({"protocol": "abfs", "path": "container/report.html"}, None),
    ],
)
def test_which_stores_have_an_address(path: dict[str, Any], address: str | None) -> None:
    fs = SimpleNamespace(endpoint_url=path.pop("endpoint_url", None), client_kwargs=path.pop("client_kwargs", None))
    assert file_address(SimpleNamespace(fs=fs, **path)) == address  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_another_s3_by_the_environment_has_no_address(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://minio:9000")
    path = SimpleNamespace(protocol="s3", path="bucket/report.html", fs=SimpleNamespace(client_kwargs=None))
    assert file_address(path) is None  # type: ignore[arg-type]


def test_it_has_the_link() -> None:
    links = QualityReportOperator(task_id="report", path="report.html", answers=[]).operator_extra_links
    assert ReportLink in [type(link) for link in links]
