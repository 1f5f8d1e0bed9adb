"""Every example DAG is parsed with nothing defined, and runs to its end against the emulator."""

from __future__ import annotations

import gzip
import json
import math
import runpy
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import airflow as airflow_package
import pytest
import requests

from demo.airflow_api import wait_until
from tests.airflow_home import airflow_home, clean_environment
from tests.support import TOKEN
from tests.worlds import digits, small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import PoolStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "dags_examples").glob("*.py"))


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow whose database is ready and which has no connection."""
    return clean_environment(
        AIRFLOW_HOME=str(airflow_home(tmp_path_factory)),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags_examples"),
    )


@pytest.fixture
def toloka() -> Iterator[EmulatorServer]:
    """A local Toloka where a minute passes in 50 ms."""
    with EmulatorServer(seed=1, speed=1200) as server:
        yield server


def run(env: dict[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "tests/system/run_example.py", *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, text=True, capture_output=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert TOKEN not in done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def run_example(name: str, airflow: dict[str, str], conf: dict[str, Any]) -> dict[str, Any]:
    return run(airflow, f"dags_examples/{name}.py", "--conf", json.dumps(conf))


@pytest.fixture
def connected(airflow: dict[str, str], toloka: EmulatorServer) -> dict[str, str]:
    """The same Airflow with a connection to the local Toloka."""
    connection = json.dumps({"conn_type": "toloka", "host": toloka.url, "password": TOKEN})
    return {**airflow, "AIRFLOW_CONN_TOLOKA_DEFAULT": connection}


@pytest.fixture(scope="module")
def parsed(airflow: dict[str, str]) -> dict[str, str]:
    """The DAG ids of all examples, parsed with nothing defined and without a network, in one process."""
    return run(airflow, *(f"dags_examples/{name}.py" for name in EXAMPLES))


@pytest.mark.parametrize("name", EXAMPLES)
def test_parsing_needs_no_connection_and_no_network(name: str, parsed: dict[str, str]) -> None:
    assert parsed[f"dags_examples/{name}.py"] == name


def test_pool_lifecycle(connected: dict[str, str], toloka: EmulatorServer) -> None:
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    pool_id = small_pool(client)
    client.create_tasks([{"pool_id": pool_id, "input_values": {"text": "?"}, "overlap": 3}])
    ended = run_example("pool_lifecycle", connected, {"pool_id": pool_id})
    assert ended["state"] == "success"
    assert set(ended["tasks"].values()) == {"success"}
    assert client.get_pool(pool_id).status == PoolStatus.ARCHIVED


def test_label_texts(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    ended = run_example("label_texts", connected, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    [pool] = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_pools()
    assert (pool.status, pool.last_close_reason) == (PoolStatus.CLOSED, "COMPLETED")
    [path] = tmp_path.glob("*/labels.jsonl")
    labels = [json.loads(line) for line in path.read_text().splitlines()]
    texts = ["Best I ever had.", "Broke on the first day.", "Works as described."]
    assert sorted(row["input_values"]["text"] for row in labels) == texts


def test_label_digits(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    requests.put(f"{toloka.url}/_emulator/truth", json=digits(), timeout=10).raise_for_status()
    conf = {"images": 60, "output": f"file://{tmp_path}"}
    ended = run_example("label_digits", connected, conf)
    assert ended["state"] == "success", ended
    assert set(ended["tasks"].values()) == {"success"}
    [pool] = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_pools()
    assert (pool.status, pool.last_close_reason) == (PoolStatus.ARCHIVED, "COMPLETED")
    [answers] = tmp_path.glob("*/answers.jsonl")
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    assert len(rows) == 60 * 5
    assert len({(row["input_values"]["image_id"], row["user_id"]) for row in rows}) == len(rows)
    [report] = tmp_path.glob("*/report.html")
    html = report.read_text()
    assert "Which digit is it?" in html
    assert "300 answers" in html
    assert "data:image/png;base64," in html
    # By how sure the labels are, so many are right; the truth is known here.
    [path] = tmp_path.glob("*/labels.jsonl")
    labels = [json.loads(line) for line in path.read_text().splitlines()]
    expected = statistics.mean(row["confidence"] for row in labels)
    assert f"{expected:.1%}" in html
    truth = {row["match"]["image_id"]: row["output_values"]["digit"] for row in digits()}
    right = [truth[row["input_values"]["image_id"]] == row["output_values"]["digit"] for row in labels]
    assert abs(statistics.mean(right) - expected) < 0.05


def test_compare_side_by_side(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    toloka.crowd.change(accuracy=(1, 1), skip_rate=0, expire_rate=0)
    # The longer summary is the better one, wherever it stands.
    toloka.crowd.truth.tell(
        {"match": {f"{side}_model": "long"}, "output_values": {"better": side}} for side in ("left", "right")
    )
    ended = run_example("compare_side_by_side", connected, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    [path] = tmp_path.glob("*/labels.jsonl")
    labels = [json.loads(line) for line in path.read_text().splitlines()]
    sides = {label["output_values"]["better"] for label in labels}
    assert (len(labels), sides) == (6, {"left", "right"})
    won = Counter(label["input_values"][f"{label['output_values']['better']}_model"] for label in labels)
    assert won == {"long": 6}


def test_collect_photos(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    """Each page is decided: the first to send a file is paid, and nobody else who sent the same."""
    ended = run_example("collect_photos", connected, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    [manifest] = tmp_path.glob("*/photos/manifest-*.jsonl")
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    [pool] = client.list_pools()
    pages = {page.id: page.status.value for page in client.list_assignments(pool_id=pool.id)}
    assert len(pages) == 4 * 4
    assert set(pages.values()) <= {"ACCEPTED", "REJECTED"}
    paid = [row["sha256"] for row in rows if pages[row["assignment_id"]] == "ACCEPTED"]
    assert sorted(paid) == sorted({row["sha256"] for row in rows})


def test_a_photo_is_paid_once(tmp_path: Path) -> None:
    """The simulated people send no file twice, so it is decided here about such."""
    rows = [("page-2", "2030-01-02", "same"), ("page-1", "2030-01-01", "same"), ("page-3", "2030-01-03", "other")]
    manifest, decisions = tmp_path / "manifest.jsonl", tmp_path / "decisions.jsonl"
    names = ("assignment_id", "created", "sha256")
    manifest.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    runpy.run_path(str(ROOT / "dags_examples" / "collect_photos.py"))["decide"].function(str(manifest), str(decisions))
    decided = [json.loads(line) for line in decisions.read_text().splitlines()]
    assert {row["assignment_id"]: row["status"] for row in decided} == {
        "page-1": "ACCEPTED",
        "page-2": "REJECTED",
        "page-3": "ACCEPTED",
    }


def test_model_first(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    """People see what the model is not sure of, and nothing else."""
    toloka.crowd.change(accuracy=(0.95, 1), skip_rate=0, expire_rate=0)
    toloka.crowd.truth.tell(digits())
    ended = run_example("model_first", connected, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    [path] = tmp_path.glob("*/labels.jsonl")
    labels = {row["image_id"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert len(labels) == len(path.read_text().splitlines()) == 200
    whose = Counter(row["by"] for row in labels.values())
    [pool] = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_pools()
    assert 0 < whose["people"] < whose["model"]
    assert toloka.pool(pool.id)["answers"] == 5 * whose["people"]
    truth = {row["match"]["image_id"]: row["output_values"]["digit"] for row in digits()}
    right = [row["digit"] == truth[image_id] for image_id, row in labels.items() if row["by"] == "people"]
    assert statistics.mean(right) > 0.9


def test_label_until_sure(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    toloka.crowd.change(accuracy=(0.85, 0.95), skip_rate=0, expire_rate=0)
    ended = run_example("label_until_sure", connected, {"comments": 30, "output": f"file://{tmp_path}"})
    assert ended["state"] == "success", ended
    decided = sorted(tmp_path.glob("*/rounds-*/round_?.overlaps.jsonl"))
    assert len(decided) > 1
    # What is not needed is skipped.
    later = [f".round_{number}." for number in range(len(decided) + 1, 4)]
    assert {name for name, state in ended["tasks"].items() if state != "success"} == {
        name for name in ended["tasks"] if any(each in name for each in later)
    }
    raised = {
        row["task_id"]: row["overlap"] for path in decided for row in map(json.loads, path.read_text().splitlines())
    }
    [path] = tmp_path.glob("*/labels.jsonl")
    labels = [json.loads(line) for line in path.read_text().splitlines()]
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    [pool] = client.list_pools()
    tasks = [task for task in client.list_tasks(pool.id) if not task.raw.get("known_solutions")]
    assert {task.id: task.overlap for task in tasks} == {task.id: raised.get(task.id, 2) for task in tasks}
    assert {task.id for task in tasks} == {row["task_id"] for row in labels if not row["is_control"]}
    assert pool.status == PoolStatus.CLOSED


def test_label_with_training(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    # Three people who answer all pages; on their first ones they are wrong where it is known.
    toloka.crowd.change(size=3, accuracy=(1, 1), skip_rate=0, expire_rate=0)
    golden = ("I use it every morning and would buy it again.", "Best kettle I have had in years.")
    toloka.crowd.truth.tell({"match": {"text": text}, "output_values": {"sentiment": "negative"}} for text in golden)
    ended = run_example("label_with_training", connected, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    [pool], [training] = client.list_pools(), client.list_trainings()
    assert (pool.status, pool.last_close_reason, training.status) == ("CLOSED", "COMPLETED", "CLOSED")
    assert opened_and_closed(toloka) == ["training.opened", "pool.opened", "pool.closed", "training.closed"]
    pages = list(client.list_assignments(pool_id=pool.id))
    assert Counter((page.status.value, page.raw["public_comment"]) for page in pages) == {
        ("ACCEPTED", "Thank you!"): 5 * 3,
        ("REJECTED", "All 2 answers that we could check are wrong."): 3,
    }
    [file] = tmp_path.glob("*/answers.jsonl.gz")
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert {row["assignment_id"] for row in rows} == {page.id for page in pages if page.status == "ACCEPTED"}
    assert sum("known_solutions" not in row for row in rows) == 4 * 5 * 3


def test_label_with_training_closes_what_nobody_completes(
    connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path
) -> None:
    toloka.crowd.change(size=0)
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    with ThreadPoolExecutor() as threads:
        run = threads.submit(run_example, "label_with_training", connected, {"output": f"file://{tmp_path}"})
        wait_until(lambda: "pool.opened" in opened_and_closed(toloka), "the pool is open", timeout=120)
        toloka.clock.advance(8 * 24 * 3600)
        ended = run.result()
    assert (ended["state"], ended["tasks"]["wait_for_people"]) == ("failed", "failed")
    assert [pool.last_close_reason for pool in client.list_pools()] == ["EXPIRED"]
    assert [training.status for training in client.list_trainings()] == ["CLOSED"]


def opened_and_closed(toloka: EmulatorServer) -> list[str]:
    return [entry["event"] for entry in toloka.journal.events() if entry["event"].endswith((".opened", ".closed"))]


def test_on_pool_closed(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    pool_id = small_pool(client)
    client.create_tasks([{"pool_id": pool_id, "input_values": {"text": "?"}, "overlap": 3}])
    client.open_pool(pool_id)
    wait_until(lambda: client.get_pool(pool_id).last_close_reason == "COMPLETED", "people are done", timeout=60)
    env = {**connected, "AIRFLOW_VAR_TOLOKA_POOL": pool_id}
    ended = run_example("on_pool_closed", env, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"})
    [answers] = tmp_path.glob("*.jsonl.gz")
    assert len(gzip.decompress(answers.read_bytes()).splitlines()) == 3


def a_month_from_now(**conf: str) -> dict[str, str]:
    """Return a conf with a closing time that the simulated people, who are fast, do not need."""
    return {"closes_at": (datetime.now(UTC) + timedelta(days=30)).isoformat(), **conf}


def test_weekday_window(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    pool_id = toloka.add_pool(3, overlap=2)
    env = {**connected, "AIRFLOW_VAR_TOLOKA_POOL": pool_id}
    ended = run_example("weekday_window", env, a_month_from_now(output=f"file://{tmp_path}"))
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"})
    assert (toloka.pool(pool_id)["status"], toloka.pool(pool_id)["close_reason"]) == ("CLOSED", "COMPLETED")
    assert len(gzip.decompress((tmp_path / f"{pool_id}.jsonl.gz").read_bytes()).splitlines()) == 6


def test_nightly_refresh(connected: dict[str, str], toloka: EmulatorServer) -> None:
    pool_id = toloka.add_pool(3)
    env = {**connected, "AIRFLOW_VAR_TOLOKA_POOL": pool_id}
    ended = run_example("nightly_refresh", env, {**a_month_from_now(), "many": 2})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"})
    assert toloka.pool(pool_id)["close_reason"] == "COMPLETED"
    assert toloka.pool(pool_id)["spent"] == pytest.approx(3 * 0.03 * 1.3)


def ranks(values: list[float]) -> list[float]:
    """Return the rank of each value; equal ones share the mean of theirs."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]


def test_pay_and_qualify(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path) -> None:
    """Skills follow how good people really are; who is banned gets no further task; the best tenth is paid once."""
    toloka.crowd.change(size=30, accuracy=(0.4, 1.0))
    ended = run_example("pay_and_qualify", connected, {"output": f"file://{tmp_path}"})
    assert (ended["state"], set(ended["tasks"].values())) == ("success", {"success"}), ended
    client = TolokaClient(ClientSettings(TOKEN, base_url=toloka.url))
    pools = {pool.raw["private_name"]: pool for pool in client.list_pools()}
    exam, pool = pools["Exam: sums"], pools["Sums on paper"]
    assert [(each.status, each.last_close_reason) for each in (exam, pool)] == [("CLOSED", "COMPLETED")] * 2

    [skill] = client.list_skills()
    skills = {each.user_id: each.raw["exact_value"] for each in client.list_user_skills(skill_id=skill.id)}
    assert len(skills) > 20
    real = {person["user_id"]: person["accuracy"] for person in toloka.crowd.people()}
    assert statistics.correlation(ranks([*skills.values()]), ranks([real[person] for person in skills])) >= 0.8

    banned = {each.user_id for each in client.list_user_restrictions(scope="PROJECT", project_id=pool.project_id)}
    assert banned == {person for person, value in skills.items() if value < 60} != set()
    answers = list(client.list_assignments(pool_id=pool.id))
    workers = {answer.user_id for answer in answers}
    assert workers <= {person for person, value in skills.items() if value >= 75}
    assert not workers & banned

    [people] = [path.read_text() for path in tmp_path.glob("*/work_people.jsonl")]
    measured = sorted(json.loads(line)["accuracy"] for line in people.splitlines())
    bonuses = list(client.list_user_bonuses())
    assert len({bonus.user_id for bonus in bonuses}) == len(bonuses) == math.ceil(len(measured) / 10)
    assert {bonus.user_id for bonus in bonuses} <= workers
    assert sum(bonus.amount or 0 for bonus in bonuses) == Decimal("0.5") * len(bonuses)

    photos = {each.id for each in client.list_attachments(pool_id=pool.id)}
    [manifest] = tmp_path.glob("*/photos/manifest-*.jsonl")
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert {row["attachment_id"] for row in rows} == photos != set()
    assert all((tmp_path / row["path"].removeprefix("file://")).stat().st_size == row["size"] for row in rows)


@pytest.mark.skipif(
    airflow_package.__version__.startswith("3.1."),
    reason="in dag.test() of Airflow 3.1 a task that waits for a person fails: its trigger is not told what it asks",
)
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_approve_budget(connected: dict[str, str], toloka: EmulatorServer, tmp_path: Path, option: str) -> None:
    """The pool of all reviews is opened only if somebody approves, who was shown what the pilot was like."""
    toloka.crowd.change(accuracy=(1, 1))
    env = {**connected, "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}
    with ThreadPoolExecutor() as threads:
        ends = threads.submit(run_example, "approve_budget", env, {"output": f"file://{tmp_path}"})
        responding = [sys.executable, "tests/system/respond.py", "approve_budget", option]
        responded = subprocess.run(
            responding, env=env, cwd=ROOT, text=True, capture_output=True, timeout=900, check=False
        )
        assert responded.returncode == 0, responded.stdout[-3000:] + responded.stderr[-3000:]
        ended = ends.result()
    request = json.loads(responded.stdout.splitlines()[-1])
    assert request["subject"] == "Have all reviews labelled?"
    assert "- min_agreement: 1.0 (wanted: 0.6)" in request["body"]
    assert ended["state"] == "success", ended
    spending = ("open_pool", "wait_for_people", "close_pool", "download")
    assert {ended["tasks"][name] for name in spending} == {"success" if option == "Approve" else "skipped"}
    pools = {
        pool.raw["private_name"]: pool for pool in TolokaClient(ClientSettings(TOKEN, base_url=toloka.url)).list_pools()
    }
    assert pools["Reviews: pilot"].last_close_reason == "COMPLETED"
    assert (pools["Reviews"].last_close_reason == "COMPLETED") == (option == "Approve")
    spent = toloka.pool(pools["Reviews"].id)["spent"]
    assert (spent > 0) == (option == "Approve")
