"""Whatever is created is created once, as asked for, or not at all with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import DAG, ObjectStoragePath, literal

from tests.support import TOKEN, TaskInstance, connect, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.pools import (
    ClonePoolOperator,
    CloneTrainingOperator,
    CreatePoolOperator,
    CreateTrainingOperator,
)
from toloka_airflow.operators.projects import CreateProjectOperator

TRAINING = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}
NOON = "2040-01-01T12:00:00.000"
ENDLESS = {key: value for key, value in POOL.items() if key != "will_expire"}
OPERATORS = {
    CreateProjectOperator: "project",
    CreatePoolOperator: "pool",
    ClonePoolOperator: "pool",
    CreateTrainingOperator: "training",
    CloneTrainingOperator: "training",
}
every_operator = pytest.mark.parametrize(
    ("operator", "noun"), OPERATORS.items(), ids=lambda value: getattr(value, "__name__", "")
)


class Toloka:
    """An emulator with a project, a pool and a training, and what a test asks it."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))
        self.project_id = self.client.create_project(PROJECT).id
        self.pool_id = self.client.create_pool({**POOL, "project_id": self.project_id}).id
        self.training_id = self.client.create_training({**TRAINING, "project_id": self.project_id}).id

    def task(self, operator: Any, **arguments: Any) -> Any:
        """Return a task with arguments that will do, unless others are given."""
        defaults: dict[Any, dict[str, Any]] = {
            CreateProjectOperator: {"config": PROJECT},
            CreatePoolOperator: {"config": POOL, "project_id": self.project_id},
            ClonePoolOperator: {"pool_id": self.pool_id},
            CreateTrainingOperator: {"config": TRAINING, "project_id": self.project_id},
            CloneTrainingOperator: {"training_id": self.training_id},
        }
        return operator(task_id="make", **{**defaults[operator], **arguments})

    def made(self, noun: str) -> list[Any]:
        """Return what was created besides what there was at the beginning."""
        before = (self.project_id, self.pool_id, self.training_id)
        return [made for made in getattr(self.client, f"list_{noun}s")() if made.id not in before]

    def run(self, operator: Any, **arguments: Any) -> Any:
        """Run a task that creates something, and return it as the API shows it."""
        made_id = run_task(self.task(operator, **arguments)).result
        return getattr(self.client, f"get_{OPERATORS[operator]}")(made_id).raw


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toloka]:
    with EmulatorServer(seed=1) as server:
        connect(monkeypatch, server.url)
        yield Toloka(server)


@every_operator
def test_every_attempt_returns_what_the_first_one_created(
    toloka: Toloka, operator: Any, noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (run_task(toloka.task(operator)).result for _ in range(2))
    [made] = toloka.made(noun)
    assert first == second == made.id
    assert made.raw["metadata"] == {"airflow_task": ["/dag/manual__1/make/-1"]}
    printed = capsys.readouterr().out
    assert f"This task created {noun} {made.id}" in printed
    assert f"{noun.capitalize()} {made.id} was created by a previous attempt" in printed
    assert "differs" not in printed


def test_the_clock_of_toloka_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmulatorServer(start="2020-01-01T00:00:00") as server:
        connect(monkeypatch, server.url)
        toloka = Toloka(server)
        assert len({run_task(toloka.task(CreatePoolOperator)).result for _ in range(2)}) == 1


@every_operator
def test_other_tasks_create_their_own(toloka: Toloka, operator: Any, noun: str) -> None:
    others: list[dict[str, Any]] = [{}, {"map_index": 0}, {"map_index": 1}, {"run_id": "manual__2"}, {"dag_id": "x"}]
    ids = [run_task(toloka.task(operator), TaskInstance(task_id="make", **other)).result for other in others]
    assert [made.id for made in toloka.made(noun)] == ids
    assert len(set(ids)) == 5


@every_operator
@pytest.mark.parametrize("fault", [{"lost_answer": True}, {"half_body": True}])
def test_a_lost_answer_is_found_in_the_same_attempt(
    toloka: Toloka, operator: Any, noun: str, fault: dict[str, Any]
) -> None:
    toloka.server.faults.add("POST", f"/api/v1/{noun}s", **fault)
    result = run_task(toloka.task(operator)).result
    assert [made.id for made in toloka.made(noun)] == [result]


@every_operator
@pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 500}, {"html": 502}])
def test_the_next_attempt_finds_it_or_creates_it(
    toloka: Toloka, operator: Any, noun: str, fault: dict[str, Any]
) -> None:
    """The answer is lost, and so is the one to the question whether there was any effect."""
    toloka.server.faults.add("POST", f"/api/v1/{noun}s", **fault)
    toloka.server.faults.add("GET", f"/api/v1/{noun}s", skip=1, status=429, payload={"interval": "HOUR"})
    with pytest.raises(AirflowException) as caught:
        run_task(toloka.task(operator))
    assert not isinstance(caught.value, AirflowFailException)
    result = run_task(toloka.task(operator)).result
    assert [made.id for made in toloka.made(noun)] == [result]


def test_two_attempts_that_are_alive_at_once_return_the_same(
    toloka: Toloka, capsys: pytest.CaptureFixture[str]
) -> None:
    toloka.server.faults.add("GET", "/api/v1/pools", delay=1.0, times=2)  # both see that there is none
    with ThreadPoolExecutor() as threads:
        results = list(threads.map(lambda _: run_task(toloka.task(CreatePoolOperator)).result, range(2)))
    first, second = toloka.made("pool")
    assert results == [first.id, first.id]
    assert (
        f"created pool {first.id} and {second.id}; it returns the first. Archive {second.id}, unless an operator"
        in "".join(capsys.readouterr().out.splitlines())
    )


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}, {"html": 502}])
def test_what_had_no_effect_is_left_to_the_next_attempt(toloka: Toloka, fault: dict[str, Any]) -> None:
    toloka.server.faults.add("POST", "/api/v1/pools", **fault)
    with pytest.raises(AirflowException, match="POST /pools"):
        run_task(toloka.task(CreatePoolOperator))
    assert toloka.made("pool") == []


def test_a_refusal_before_any_effect_is_sat_out(toloka: Toloka) -> None:
    toloka.server.faults.add("POST", "/api/v1/pools", status=429, retry_after=0)
    run_task(toloka.task(CreatePoolOperator))
    assert len(toloka.made("pool")) == 1


def test_a_spent_quota_is_left_to_the_next_attempt(toloka: Toloka) -> None:
    toloka.server.faults.add("POST", "/api/v1/pools", status=429, payload={"interval": "DAY"})
    with pytest.raises(AirflowException, match="quota") as caught:
        run_task(toloka.task(CreatePoolOperator))
    assert not isinstance(caught.value, AirflowFailException)
    assert len(toloka.server.journal.requests("GET", path="/api/v1/pools")) == 1


def test_an_answer_that_comes_too_late_is_not_waited_for(toloka: Toloka, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = {"conn_type": "toloka", "host": toloka.server.url, "password": TOKEN, "extra": {"timeout": 0.5}}
    monkeypatch.setenv("AIRFLOW_CONN_TOLOKA_DEFAULT", json.dumps(impatient))
    toloka.server.faults.add("POST", "/api/v1/pools", delay=5.0)
    result = run_task(toloka.task(CreatePoolOperator)).result
    assert [made.id for made in toloka.made("pool")] == [result]


@pytest.mark.parametrize("operator", [CreatePoolOperator, CreateTrainingOperator, CreateProjectOperator])
def test_what_is_archived_is_not_taken_up(toloka: Toloka, operator: Any) -> None:
    noun = OPERATORS[operator]
    first = run_task(toloka.task(operator)).result
    operation = getattr(toloka.client, f"archive_{noun}")(first)
    toloka.client.ensure_success(toloka.client.wait_operation(operation, timeout=10, poll_interval=0.05))
    second = run_task(toloka.task(operator)).result
    assert second != first
    assert run_task(toloka.task(operator)).result == second


def test_a_copy_made_by_hand_is_not_taken_for_the_original(toloka: Toloka) -> None:
    first = run_task(toloka.task(CreatePoolOperator)).result
    toloka.client.ensure_success(toloka.client.wait_operation(toloka.client.clone_pool(first), timeout=10))
    assert len(toloka.made("pool")) == 2
    assert run_task(toloka.task(CreatePoolOperator)).result == first


def test_a_configuration_that_was_changed_meanwhile_is_told(toloka: Toloka, capsys: pytest.CaptureFixture[str]) -> None:
    task = toloka.task(CreatePoolOperator)
    first = run_task(task).result
    task.config = {**POOL, "reward_per_assignment": 0.5, "defaults": {**POOL["defaults"]}}
    assert run_task(task).result == first
    assert "differs from what this task requests in: reward_per_assignment. Archive it" in capsys.readouterr().out


def test_metadata_of_the_author_is_kept(toloka: Toloka) -> None:
    made = toloka.run(CreatePoolOperator, config={**POOL, "metadata": {"batch": ["7"]}})
    assert made["metadata"] == {"batch": ["7"], "airflow_task": ["/dag/manual__1/make/-1"]}


def test_two_deployments_with_one_account_can_be_told_apart(toloka: Toloka, monkeypatch: pytest.MonkeyPatch) -> None:
    run_task(toloka.task(CreatePoolOperator))
    monkeypatch.setenv("AIRFLOW__TOLOKA__NAMESPACE", "staging")
    made = toloka.run(CreatePoolOperator)
    assert made["metadata"]["airflow_task"] == ["staging/dag/manual__1/make/-1"]
    assert len(toloka.made("pool")) == 2


@pytest.mark.parametrize("operator", [CreatePoolOperator, ClonePoolOperator, CreateTrainingOperator])
def test_the_link_leads_to_the_page(toloka: Toloka, operator: Any) -> None:
    for _ in range(2):
        outcome = run_task(toloka.task(operator))
        page = f"{toloka.server.url}/requester/project/{toloka.project_id}/{OPERATORS[operator]}/{outcome.result}"
        assert outcome.xcoms == {"toloka_link": page}


def test_what_is_invalid_is_told_field_by_field(toloka: Toloka) -> None:
    wrong = {**POOL, "reward_per_assignment": 0.001, "priority": "high", "private_name": None}
    with pytest.raises(AirflowFailException) as caught:
        run_task(toloka.task(CreatePoolOperator, config=wrong, check_config=False))
    lines = str(caught.value).splitlines()[1:]
    assert any(line.startswith("  private_name: VALUE_REQUIRED: ") for line in lines)
    assert any(line.startswith("  priority: INTEGER_EXPECTED: ") and "(you sent 'high')" in line for line in lines)
    assert toloka.made("pool") == []


class TestConfig:
    def test_files(self, toloka: Toloka, tmp_path: Path) -> None:
        (tmp_path / "project.json").write_text(json.dumps(PROJECT))
        (tmp_path / "pool.yaml").write_text(json.dumps(POOL))
        project = toloka.run(CreateProjectOperator, config=f"{tmp_path}/project.json")
        path = ObjectStoragePath(f"file://{tmp_path}/pool.yaml")
        pool = toloka.run(CreatePoolOperator, config=path, project_id=project["id"])
        assert project["task_spec"] == PROJECT["task_spec"]
        assert pool["mixer_config"] == POOL["mixer_config"]

    def rendered(self, operator: Any, **arguments: Any) -> Any:
        with DAG("rendering", schedule=None):
            task = operator(task_id="make", **arguments)
        task.render_template_fields({"ds": "2030-01-01", "run_id": "7"})
        return task

    def test_templates_are_rendered_at_any_depth_and_numbers_stay(self) -> None:
        config = {**POOL, "private_name": "{{ ds }}", "metadata": {"runs": ["{{ run_id }}"]}, "priority": 7}
        task = self.rendered(CreatePoolOperator, config=config, project_id="{{ run_id }}", expires_in=timedelta(days=1))
        assert task.config == {**config, "private_name": "2030-01-01", "metadata": {"runs": ["7"]}}
        assert (task.project_id, task.expires_in) == ("7", timedelta(days=1))

    @pytest.mark.parametrize("path", ["/configs/{{ ds }}.json", ObjectStoragePath("file:///configs/{{ ds }}.json")])
    def test_a_path_is_rendered_but_not_its_file(self, path: Any) -> None:
        assert str(self.rendered(CreateProjectOperator, config=path).config).endswith("/configs/2030-01-01.json")

    def test_placeholders_of_toloka(self) -> None:
        config = {**PROJECT, "public_name": "{{ ds }}", "public_instructions": literal("{{image}} {{#if x}}")}
        task = self.rendered(CreateProjectOperator, config={**config, "task_spec": literal(PROJECT["task_spec"])})
        assert task.config == {**PROJECT, "public_name": "2030-01-01", "public_instructions": "{{image}} {{#if x}}"}

    @pytest.mark.parametrize("operator", [CreatePoolOperator, CreateTrainingOperator])
    def test_the_project_is_named_once(self, toloka: Toloka, operator: Any) -> None:
        anywhere = POOL if operator is CreatePoolOperator else TRAINING
        config = {**anywhere, "project_id": int(toloka.project_id)}
        assert toloka.run(operator, config=config)["project_id"] == toloka.project_id
        with pytest.raises(ValueError, match="project_id is '99', but project_id in config is"):
            toloka.run(operator, config=config, project_id="99")
        with pytest.raises(ValueError, match="project_id is missing"):
            toloka.run(operator, config=anywhere, project_id=None)
        with pytest.raises(ValueError, match="project_id is 'None': a template or an upstream task gave no id"):
            toloka.run(operator, config=anywhere, project_id="None")

    @pytest.mark.parametrize("config", [None, "", "pool.toml", [], {**POOL, "metadata": ["x"]}])
    def test_what_is_no_configuration(self, toloka: Toloka, config: Any) -> None:
        with pytest.raises(ValueError, match=r"^config"):
            toloka.run(CreatePoolOperator, config=config)


class TestExpiry:
    @pytest.mark.parametrize(
        "date",
        [
            datetime(2040, 1, 1, 12, tzinfo=UTC),
            "2040-01-01 13:00:00+01:00",
            "2040-01-01T12:00:00.000Z",
            "2040-01-01T12:00Z",
        ],
    )
    def test_a_date(self, toloka: Toloka, date: Any) -> None:
        assert toloka.run(CreatePoolOperator, config=ENDLESS, will_expire=date)["will_expire"] == NOON

    @pytest.mark.parametrize("date", ["2040-01-01T12:00:00", "2040-01-01T12:00", datetime(2040, 1, 1, 12, tzinfo=UTC)])
    def test_a_date_among_the_parameters(self, toloka: Toloka, date: Any) -> None:
        made = toloka.run(CreatePoolOperator, config={**POOL, "will_expire": date})
        assert made["will_expire"] == NOON

    @pytest.mark.parametrize("span", [timedelta(days=1), 86400, 86400.5, "86400"])
    @pytest.mark.usefixtures("virtual")
    def test_a_span_counts_from_the_creation(self, toloka: Toloka, span: Any) -> None:
        """By Toloka's clock: the worker's is months behind, as behind a local Toloka that has been fast for a while."""
        made = toloka.run(CreatePoolOperator, config=ENDLESS, expires_in=span)
        expires, created = (datetime.fromisoformat(made[key]) for key in ("will_expire", "created"))
        assert (expires - created).total_seconds() == pytest.approx(86400, abs=2)
        assert toloka.run(CreatePoolOperator, config=ENDLESS, expires_in=span) == made

    def test_so_does_that_of_a_copy(self, toloka: Toloka) -> None:
        toloka.server.clock.advance(12 * 86400)
        made = toloka.run(ClonePoolOperator, expires_in=timedelta(days=7))
        expires, created = (datetime.fromisoformat(made[key]) for key in ("will_expire", "created"))
        assert (expires - created).total_seconds() == pytest.approx(7 * 86400, abs=2)

    @pytest.mark.parametrize("date", ["2001-01-01T00:00:00.000", datetime(2001, 1, 1, tzinfo=UTC)])
    @pytest.mark.parametrize(
        "argument", [{"will_expire": "2040-01-01T12:00:00Z"}, {"expires_in": timedelta(days=10_000)}]
    )
    def test_an_argument_wins_over_a_date_that_has_passed(
        self, toloka: Toloka, date: Any, argument: dict[str, Any]
    ) -> None:
        made = toloka.run(CreatePoolOperator, config={**POOL, "will_expire": date}, **argument)
        assert made["will_expire"] > "2039"

    def test_an_argument_wins_over_the_date_of_a_stored_pool(self, toloka: Toloka, tmp_path: Path) -> None:
        path = tmp_path / "pool.json"
        path.write_text(json.dumps(POOL))
        with pytest.raises(ValueError, match="will_expire of config and will_expire say both"):
            toloka.run(CreatePoolOperator, config=str(path), will_expire="2040-01-01T12:00:00Z")
        path.write_text(json.dumps({**POOL, "will_expire": "2001-01-01T00:00:00.000"}))
        made = toloka.run(CreatePoolOperator, config=str(path), will_expire="2040-01-01T12:00:00Z")
        assert made["will_expire"] == NOON

    def test_an_attempt_that_is_late_still_finds_the_pool(self, toloka: Toloka) -> None:
        made = toloka.run(CreatePoolOperator)
        assert toloka.run(CreatePoolOperator, config=ENDLESS, will_expire="2001-01-01T00:00:00Z") == made

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({}, "will_expire is missing"),
            ({"will_expire": "2001-01-01T00:00:00Z"}, "will_expire is 2001-01-01T00:00:00Z, which is in the past"),
            ({"will_expire": "2040-01-01T00:00:00"}, "must be a time with a zone"),
            ({"will_expire": datetime(2040, 1, 1)}, "must be a time with a zone"),
            ({"will_expire": "tomorrow"}, "will_expire is 'tomorrow'; it must be a time with a zone"),
            ({"will_expire": ""}, "will_expire is ''; it must be a time with a zone"),
            ({"will_expire": "9999-12-31T23:59:59-12:00"}, "too far away"),
            ({"expires_in": 0}, "expires_in is 0"),
            ({"expires_in": timedelta(days=-1)}, "expires_in is -86400"),
            ({"expires_in": "soon"}, "expires_in is 'soon'"),
            ({"expires_in": 1e300}, "too far away"),
            ({"expires_in": 5, "will_expire": "2040-01-01T00:00:00Z"}, "expires_in and will_expire say both"),
            ({"config": POOL, "expires_in": 5}, "will_expire of config and expires_in say both"),
            ({"config": {**POOL, "will_expire": "2001-01-01"}}, "will_expire of config is 2001-01-01, which is in"),
            ({"config": {**POOL, "will_expire": "soon"}, "expires_in": 5}, 'will_expire is "soon"; it must be a date'),
            ({"config": {**POOL, "will_expire": datetime(2040, 1, 1)}}, "must be a time with a zone"),
        ],
    )
    def test_what_is_no_date(self, toloka: Toloka, arguments: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            toloka.run(CreatePoolOperator, **{"config": ENDLESS, **arguments})
        assert toloka.made("pool") == []


class TestTraining:
    def requirement(self, toloka: Toloka, config: dict[str, Any] | None = None, **arguments: Any) -> Any:
        control = {} if config is None else {"quality_control": {"training_requirement": config}}
        made = toloka.run(CreatePoolOperator, config={**POOL, **control}, **arguments)
        return made["quality_control"]

    @pytest.mark.parametrize("skill", [90, "90"])
    def test_arguments(self, toloka: Toloka, skill: Any) -> None:
        made = self.requirement(toloka, training_id=toloka.training_id, training_passing_skill_value=skill)
        wanted = {"training_pool_id": toloka.training_id, "training_passing_skill_value": 90}
        assert made == {"configs": [], "training_requirement": wanted}

    def test_each_value_may_be_among_the_parameters(self, toloka: Toloka) -> None:
        wanted = {"training_pool_id": toloka.training_id, "training_passing_skill_value": 0}
        made = self.requirement(toloka, {"training_passing_skill_value": 0}, training_id=toloka.training_id)
        assert made["training_requirement"] == wanted

    @pytest.mark.parametrize(
        ("config", "arguments", "reason"),
        [
            (None, {"training_id": "7"}, "training_passing_skill_value is missing"),
            (None, {"training_passing_skill_value": 90}, "training_id is missing"),
            (None, {"training_id": "7", "training_passing_skill_value": 101}, "skill_value is 101; it must be a whole"),
            (None, {"training_id": "7", "training_passing_skill_value": "most"}, "skill_value is 'most'"),
            (None, {"training_id": "7/8", "training_passing_skill_value": 90}, "training_id is '7/8'"),
            (
                {"training_pool_id": "8", "training_passing_skill_value": 90},
                {"training_id": "7"},
                "training_id is '7', but training_pool_id in .* is '8'",
            ),
        ],
    )
    def test_what_is_no_requirement(self, toloka: Toloka, config: Any, arguments: Any, reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            self.requirement(toloka, config, **arguments)


class TestClone:
    def test_all_parameters_are_copied(self, toloka: Toloka) -> None:
        for operator, original in (
            (ClonePoolOperator, toloka.client.get_pool(toloka.pool_id)),
            (CloneTrainingOperator, toloka.client.get_training(toloka.training_id)),
        ):
            made, given = dict(toloka.run(operator)), dict(original.raw)
            for own in ("id", "created", "metadata"):
                made.pop(own), given.pop(own, None)
            assert made == given

    def test_changes(self, toloka: Toloka) -> None:
        changes = {"private_name": "Copy", "mixer_config": {"real_tasks_count": 9}, "priority": None}
        made = toloka.run(ClonePoolOperator, changes=changes)
        assert made["private_name"] == "Copy"
        assert made["mixer_config"] == {**POOL["mixer_config"], "real_tasks_count": 9}
        assert toloka.run(CloneTrainingOperator, changes={"private_name": "Copy"})["private_name"] == "Copy"

    def test_into_another_project(self, toloka: Toloka) -> None:
        other = toloka.client.create_project(PROJECT).id
        for operator in (ClonePoolOperator, CloneTrainingOperator):
            made = toloka.run(operator, changes={"project_id": other})
            assert made["project_id"] == other
            assert toloka.run(operator, changes={"project_id": other}) == made

    def test_the_tag_of_another_task_is_replaced(self, toloka: Toloka) -> None:
        original = run_task(toloka.task(CreatePoolOperator), TaskInstance(task_id="original")).result
        made = toloka.run(ClonePoolOperator, pool_id=original)
        assert made["metadata"] == {"airflow_task": ["/dag/manual__1/make/-1"]}
        assert run_task(toloka.task(CreatePoolOperator), TaskInstance(task_id="original")).result == original

    @pytest.mark.parametrize(
        "arguments",
        [
            {"expires_in": timedelta(days=10_000)},
            {"will_expire": "2040-01-01T00:00:00Z"},
            {"changes": {"will_expire": "2040-01-01T00:00:00"}},
        ],
    )
    def test_another_date(self, toloka: Toloka, arguments: dict[str, Any]) -> None:
        assert toloka.run(ClonePoolOperator, **arguments)["will_expire"] > "2039"

    def test_an_expired_pool_needs_another_date(self, toloka: Toloka) -> None:
        project = {"project_id": toloka.project_id}
        old = toloka.client.create_pool({**POOL, **project, "will_expire": "2001-01-01T00:00:00"}).id
        with pytest.raises(
            ValueError, match=rf"will_expire of pool {old} is 2001-01-01T00:00:00.000, .* give will_expire"
        ):
            toloka.run(ClonePoolOperator, pool_id=old)
        assert toloka.run(ClonePoolOperator, pool_id=old, expires_in=60)["status"] == "CLOSED"

    def test_an_argument_wins_over_a_change_that_has_passed(self, toloka: Toloka) -> None:
        passed = {"will_expire": "2001-01-01T00:00:00"}
        made = toloka.run(ClonePoolOperator, changes=passed, will_expire="2040-01-01T12:00:00Z")
        assert made["will_expire"] == NOON

    def test_two_dates(self, toloka: Toloka) -> None:
        with pytest.raises(ValueError, match="say both"):
            toloka.run(ClonePoolOperator, changes={"will_expire": "2040-01-01T00:00:00"}, expires_in=60)

    def test_what_cannot_be_copied(self, toloka: Toloka) -> None:
        with pytest.raises(ValueError, match="which is a training: use CloneTrainingOperator"):
            toloka.run(ClonePoolOperator, pool_id=toloka.training_id)
        with pytest.raises(AirflowFailException, match="DOES_NOT_EXIST"):
            toloka.run(ClonePoolOperator, pool_id="404404")
        with pytest.raises(ValueError, match="pool_id is '1/2'"):
            toloka.run(ClonePoolOperator, pool_id="1/2")
