"""The official client, both its blocking and its asyncio form, works with the emulator as with Toloka."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import io
import uuid
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from toloka_airflow.emulator.resources import attachments
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression

with warnings.catch_warnings():
    # It warns of pkg_resources, which it uses itself.
    warnings.simplefilter("ignore")
    tlk: Any = pytest.importorskip("toloka.client", reason="run by: make test-fidelity")
    asynchronous: Any = pytest.importorskip("toloka.async_client")

errors, metrics, search = tlk.exceptions, tlk.analytics_request, tlk.search_requests
EXPIRES = datetime.datetime(2031, 1, 1)
HOOK = "http://127.0.0.1:9/hook"
IMAGES = [f"https://example.com/{i}.jpg" for i in range(6)]


class Blocking:
    """The asyncio client, called like the blocking one, so that one test is about both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        async def create() -> Any:
            return asynchronous.AsyncTolokaClient(*args, **kwargs)

        self._runner = asyncio.Runner()
        self._client = self._runner.run(create())

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._runner.run(_finished(method, args, kwargs))

        return call if callable(method) else method

    def close(self) -> None:
        async def close() -> None:
            await self._client._session.aclose()

        self._runner.run(close())
        self._runner.close()
        self._client.sync_client._session.close()


async def _finished(method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    result = method(*args, **kwargs)
    if hasattr(result, "__aiter__"):
        return [item async for item in result]
    return await result if inspect.isawaitable(result) else result


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, emulator: EmulatorServer) -> Iterator[Any]:
    """The official client of each kind, without retries."""
    options = {"url": emulator.url, "retries": 0, "retry_quotas": None}
    if request.param == "sync":
        blocking = tlk.TolokaClient("secret", **options)
        yield blocking
        blocking._session.close()
        return
    wrapped = Blocking("secret", **options)
    yield wrapped
    wrapped.close()


@pytest.fixture
def make(client: Any) -> Maker:
    return Maker(client)


@pytest.fixture
def people(emulator: EmulatorServer) -> list[str]:
    """The ids of the people."""
    return emulator.crowd.user_ids


class Maker:
    """Makes the things that most tests begin with."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def project(self) -> Any:
        project = tlk.Project(
            public_name="Animals",
            public_description="Which animal is it?",
            public_instructions="Look at it.",
            task_spec=tlk.project.task_spec.TaskSpec(
                input_spec={"image": tlk.project.UrlSpec()},
                output_spec={"result": tlk.project.StringSpec(allowed_values=["cat", "dog"])},
                view_spec=tlk.project.ClassicViewSpec(markup="{{field type='radio'}}", script="", styles=""),
            ),
        )
        return self.client.create_project(project)

    def pool(self, project_id: str | None = None, *, tasks: int = 0, **changes: Any) -> Any:
        fields = {
            "project_id": project_id or self.project().id,
            "private_name": "Pool",
            "may_contain_adult_content": False,
            "will_expire": EXPIRES,
            "reward_per_assignment": 0.02,
            "assignment_max_duration_seconds": 600,
            "auto_accept_solutions": True,
            "defaults": tlk.Pool.Defaults(default_overlap_for_new_tasks=3, default_overlap_for_new_task_suites=2),
        }
        pool = tlk.Pool(**(fields | changes))
        pool.set_mixer_config(real_tasks_count=2, golden_tasks_count=0, training_tasks_count=0)
        pool = self.client.create_pool(pool)
        if tasks:
            self.client.create_tasks(self.tasks(pool.id, tasks), allow_defaults=True)
        return pool

    def training(self, project_id: str, *, tasks: int = 2) -> Any:
        training = self.client.create_training(
            tlk.Training(
                project_id=project_id,
                private_name="School",
                may_contain_adult_content=False,
                inherited_instructions=True,
                assignment_max_duration_seconds=600,
                training_tasks_in_task_suite_count=2,
                task_suites_required_to_pass=1,
                retry_training_after_days=7,
            )
        )
        lessons = [
            tlk.Task(
                pool_id=training.id,
                input_values={"image": image},
                known_solutions=[tlk.task.BaseTask.KnownSolution(output_values={"result": "cat"})],
                message_on_unknown_solution="It is a cat.",
                infinite_overlap=True,
            )
            for image in IMAGES[:tasks]
        ]
        self.client.create_tasks(lessons)
        return training

    def tasks(self, pool_id: str, count: int, **values: Any) -> list[Any]:
        return [tlk.Task(pool_id=pool_id, input_values={"image": image}, **values) for image in IMAGES[:count]]


def test_requester(client: Any) -> None:
    requester = client.get_requester()
    assert requester.id
    assert requester.balance == 1000


def test_a_project(client: Any, make: Any) -> None:
    project = make.project()
    assert project.status == tlk.Project.ProjectStatus.ACTIVE
    assert client.get_project(project.id) == project
    project.public_name = "Beasts"
    assert client.update_project(project.id, project).public_name == "Beasts"
    assert [found.id for found in client.get_projects(status="ACTIVE")] == [project.id]
    archived = client.archive_project(project.id)
    assert archived.status == tlk.Project.ProjectStatus.ARCHIVED


def test_a_pool_is_opened_and_closed(client: Any, make: Any) -> None:
    pool = make.pool(tasks=2)
    assert pool.is_closed()
    assert client.open_pool(pool.id).is_open()
    assert client.open_pool_async(pool.id) is None
    assert client.close_pool(pool.id).is_closed()
    assert client.close_pool_async(pool.id) is None
    assert client.open_pool(pool.id).is_open()
    closed = client.close_pool_for_update(pool.id)
    assert closed.is_closed()
    assert closed.last_close_reason == tlk.Pool.CloseReason.FOR_UPDATE
    assert client.archive_pool(pool.id).is_archived()
    assert client.archive_pool_async(pool.id) is None


def test_a_pool_is_changed_and_cloned(client: Any, make: Any) -> None:
    pool = make.pool(tasks=2)
    pool.private_name = "Other"
    assert client.update_pool(pool.id, pool).private_name == "Other"
    assert client.patch_pool(pool.id, tlk.pool.PoolPatchRequest(priority=7)).priority == 7
    copy = client.clone_pool(pool.id)
    assert (copy.private_name, copy.priority) == ("Other", 7)
    assert [found.id for found in client.get_pools(project_id=pool.project_id)] == [pool.id, copy.id]
    assert client.find_pools(status="CLOSED", sort=["-id"], limit=1).items[0].id == copy.id


def test_a_training_and_its_pool(client: Any, make: Any) -> None:
    project = make.project()
    training = make.training(project.id)
    pool = make.pool(project.id, tasks=2)
    pool.set_training_requirement(training_pool_id=training.id, training_passing_skill_value=80)
    client.update_pool(pool.id, pool)
    assert client.get_training(training.id).is_closed()
    assert client.open_training(training.id).is_open()
    assert client.open_training_async(training.id) is None
    assert client.close_training(training.id).is_closed()
    assert client.close_training_async(training.id) is None
    with pytest.raises(errors.IncorrectActionsApiError, match="TRAINING_ARCHIVE_CONFLICT"):
        client.archive_training(training.id)
    client.archive_pool(pool.id)
    assert client.archive_training(training.id).is_archived()
    assert client.archive_training_async(training.id) is None
    assert [found.id for found in client.get_trainings(project_id=project.id)] == [training.id]


def test_a_training_is_changed_and_cloned(client: Any, make: Any) -> None:
    training = make.training(make.project().id)
    training.private_name = "Academy"
    assert client.update_training(training.id, training).private_name == "Academy"
    assert client.clone_training(training.id).private_name == "Academy"


@pytest.mark.parametrize("async_mode", [True, False])
def test_tasks_are_uploaded(client: Any, make: Any, async_mode: bool) -> None:
    pool = make.pool()
    single = client.create_task(make.tasks(pool.id, 1)[0], allow_defaults=True, async_mode=async_mode)
    assert (single.overlap, single.remaining_overlap) == (3, 3)
    assert client.get_task(single.id) == single
    created = client.create_tasks(make.tasks(pool.id, 3, overlap=5), async_mode=async_mode)
    assert list(created.items) == ["0", "1", "2"]
    assert {task.overlap for task in created.items.values()} == {5}
    found = client.find_tasks(search.TaskSearchRequest(pool_id=pool.id, overlap=5), sort=["id"], limit=2)
    assert (len(found.items), found.has_more) == (2, True)
    assert len(list(client.get_tasks(pool_id=pool.id, batch_size=2))) == 4


@pytest.mark.parametrize("async_mode", [True, False])
def test_invalid_tasks_are_told_apart(client: Any, make: Any, async_mode: bool) -> None:
    pool = make.pool()
    tasks = make.tasks(pool.id, 3, overlap=1)
    tasks[1].input_values = {"picture": "x"}
    with pytest.raises(errors.ValidationApiError) as caught:
        client.create_tasks(tasks[1:2], async_mode=async_mode)
    assert caught.value.invalid_fields == ["0"]
    created = client.create_tasks(tasks, skip_invalid_items=True, async_mode=async_mode)
    assert sorted(created.items) == ["0", "2"]
    wrong = created.validation_errors["1"]
    assert {name: field.code for name, field in wrong.items()} == {
        "input_values.picture": "VALUE_NOT_ALLOWED",
        "input_values.image": "VALUE_REQUIRED",
    }


def test_an_upload_is_waited_for_and_its_log_read(client: Any, make: Any, emulator: EmulatorServer) -> None:
    emulator.progressions.set(Progression(looks=2), type="TASK.BATCH_CREATE")
    pool = make.pool()
    operation = client.create_tasks_async(make.tasks(pool.id, 2), allow_defaults=True, open_pool=True)
    assert not operation.is_completed()
    done = client.wait_operation(operation)
    assert done.is_completed()
    assert done.details["success_count"] == 2
    log = client.get_operation_log(operation.id)
    assert [step.type for step in log] == ["TASK_CREATE", "TASK_CREATE", "POOL_OPEN"]
    assert client.get_pool(pool.id).is_open()
    assert operation.id in [found.id for found in client.get_operations(type="TASK.BATCH_CREATE")]


def test_an_upload_with_a_known_operation_id_is_not_done_twice(client: Any, make: Any) -> None:
    pool = make.pool()
    parameters = tlk.task.CreateTasksParameters(operation_id=uuid.uuid4(), allow_defaults=True)
    first = client.create_tasks(make.tasks(pool.id, 2), parameters)
    again = client.create_tasks(make.tasks(pool.id, 2), parameters)
    assert [task.id for task in again.items.values()] == [task.id for task in first.items.values()]
    assert len(list(client.get_tasks(pool_id=pool.id))) == 2


def test_a_lost_answer_does_not_upload_twice(emulator: EmulatorServer, client: Any, make: Any) -> None:
    pool = make.pool()
    parameters = tlk.task.CreateTasksParameters(operation_id=uuid.uuid4(), allow_defaults=True)
    emulator.faults.add("POST", "/api/v1/tasks", lost_answer=True)
    with pytest.raises(Exception, match="disconnected"):
        client.create_tasks(make.tasks(pool.id, 2), parameters)
    assert len(client.create_tasks(make.tasks(pool.id, 2), parameters).items) == 2
    assert len(list(client.get_tasks(pool_id=pool.id))) == 2


def test_a_task_is_changed(client: Any, make: Any) -> None:
    pool = make.pool()
    task = client.create_task(make.tasks(pool.id, 1)[0], allow_defaults=True)
    assert client.patch_task(task.id, tlk.task.TaskPatch(overlap=5)).overlap == 5
    assert client.patch_task(task.id, tlk.task.TaskPatch(infinite_overlap=True)).infinite_overlap is True
    assert client.patch_task_overlap_or_min(task.id, tlk.task.TaskOverlapPatch(overlap=2)).overlap == 2


@pytest.mark.parametrize("async_mode", [True, False])
def test_task_suites(client: Any, make: Any, async_mode: bool) -> None:
    pool = make.pool()
    suites = [
        tlk.TaskSuite(pool_id=pool.id, overlap=2, tasks=[tlk.task.BaseTask(input_values={"image": image})])
        for image in IMAGES[:2]
    ]
    created = client.create_task_suites(suites, async_mode=async_mode)
    assert sorted(created.items) == ["0", "1"]
    suite = client.create_task_suite(suites[0], async_mode=async_mode)
    assert client.get_task_suite(suite.id).tasks[0].input_values == {"image": IMAGES[0]}
    assert len(list(client.get_task_suites(pool_id=pool.id))) == 3
    patched = client.patch_task_suite(suite.id, tlk.task_suite.TaskSuitePatch(overlap=5))
    assert patched.overlap == 5
    fewer = client.patch_task_suite_overlap_or_min(suite.id, tlk.task_suite.TaskSuiteOverlapPatch(overlap=1))
    assert fewer.overlap == 1


def test_the_crowd_completes_a_pool(client: Any, make: Any, let_the_crowd_work: Any) -> None:
    pool = make.pool(tasks=6)
    client.open_pool(pool.id)
    let_the_crowd_work()
    closed = client.get_pool(pool.id)
    assert closed.is_closed()
    assert closed.last_close_reason == tlk.Pool.CloseReason.COMPLETED
    assignments = list(client.get_assignments(pool_id=pool.id, batch_size=5))
    assert len(assignments) >= 9
    assert {assignment.status for assignment in assignments} == {tlk.Assignment.ACCEPTED}
    answers = [solution.output_values["result"] for item in assignments for solution in item.solutions]
    assert len(answers) == 18
    assert set(answers) <= {"cat", "dog"}
    assert client.get_assignment(assignments[0].id) == assignments[0]
    found = client.find_assignments(pool_id=pool.id, status=["ACCEPTED", "REJECTED"], sort=["-submitted"], limit=1)
    assert found.has_more
    assert client.get_requester().balance < 1000


def test_answers_are_reviewed(client: Any, make: Any, let_the_crowd_work: Any) -> None:
    pool = make.pool(tasks=6, auto_accept_solutions=False, auto_accept_period_day=2)
    client.open_pool(pool.id)
    let_the_crowd_work()
    first, second, *_ = client.get_assignments(pool_id=pool.id, status="SUBMITTED")
    assert client.accept_assignment(first.id, "Well done").status == tlk.Assignment.ACCEPTED
    assert client.get_assignment(first.id).public_comment == "Well done"
    assert client.reject_assignment(second.id, "No cat").status == tlk.Assignment.REJECTED
    with pytest.raises(errors.IncorrectActionsApiError):
        client.reject_assignment(first.id, "Changed my mind")
    assert client.patch_assignment(second.id, status="ACCEPTED", public_comment="Sorry").status.value == "ACCEPTED"
    let_the_crowd_work()
    let_the_crowd_work()
    assert list(client.get_assignments(pool_id=pool.id, status="SUBMITTED")) == []


def test_aggregation(client: Any, make: Any, let_the_crowd_work: Any) -> None:
    pool = make.pool(tasks=6)
    client.open_pool(pool.id)
    let_the_crowd_work()
    operation = client.aggregate_solutions_by_pool(
        type="DAWID_SKENE",
        pool_id=pool.id,
        fields=[tlk.aggregation.PoolAggregatedSolutionRequest.Field(name="result")],
    )
    done = client.wait_operation(operation)
    assert done.is_completed()
    assert done.parameters.pool_id == pool.id
    solutions = list(client.get_aggregated_solutions(done.id, batch_size=4))
    assert len(solutions) == 6
    assert {solution.output_values["result"] for solution in solutions} <= {"cat", "dog"}
    assert all(0 <= solution.confidence <= 1 for solution in solutions)
    single = client.aggregate_solutions_by_task(
        tlk.aggregation.WeightedDynamicOverlapTaskAggregatedSolutionRequest(
            pool_id=pool.id,
            task_id=solutions[0].task_id,
            answer_weight_skill_id="42",
            fields=[{"name": "result"}],
        )
    )
    assert single.task_id == solutions[0].task_id


def test_analytics(client: Any, make: Any, let_the_crowd_work: Any) -> None:
    pool = make.pool(tasks=6)
    client.open_pool(pool.id)
    let_the_crowd_work()
    asked = [
        metrics.CompletionPercentagePoolAnalytics(subject_id=pool.id),
        metrics.RealTasksCountPoolAnalytics(subject_id=pool.id),
        metrics.SubmittedAssignmentsCountPoolAnalytics(subject_id=pool.id),
        metrics.ApprovedAssignmentsCountPoolAnalytics(subject_id=pool.id),
        metrics.RejectedAssignmentsCountPoolAnalytics(subject_id=pool.id),
        metrics.SkippedAssignmentsCountPoolAnalytics(subject_id=pool.id),
        metrics.AvgSubmitAssignmentMillisPoolAnalytics(subject_id=pool.id),
        metrics.SpentBudgetPoolAnalytics(subject_id=pool.id),
        metrics.UniqueWorkersCountPoolAnalytics(subject_id=pool.id),
        metrics.EstimatedAssignmentsCountPoolAnalytics(subject_id=pool.id),
    ]
    operation = client.wait_operation(client.get_analytics(asked))
    results = {item["request"]["name"]: item["result"] for item in operation.details["value"]}
    assert results["completion_percentage"]["value"] == 100
    assert results["real_tasks_count"] == 6
    assert results["submitted_assignments_count"] >= 9
    assert results["rejected_assignments_count"] == 0
    assert len(results) == 10


def test_webhook_subscriptions(client: Any, make: Any) -> None:
    pool = make.pool()
    wanted = [
        tlk.WebhookSubscription(webhook_url=HOOK, event_type=event, pool_id=pool.id, secret_key="12345")
        for event in ("POOL_CLOSED", "ASSIGNMENT_APPROVED")
    ]
    created = client.upsert_webhook_subscriptions(wanted)
    assert sorted(created.items) == ["0", "1"]
    first = created.items["0"]
    assert first.event_type == tlk.WebhookSubscription.EventType.POOL_CLOSED
    assert client.upsert_webhook_subscriptions(wanted[:1]).items["0"].id == first.id
    assert client.get_webhook_subscription(first.id).pool_id == pool.id
    found = client.find_webhook_subscriptions(pool_id=pool.id, event_type="POOL_CLOSED")
    assert [item.id for item in found.items] == [first.id]
    assert len(list(client.get_webhook_subscriptions(pool_id=pool.id))) == 2
    client.delete_webhook_subscription(first.id)
    with pytest.raises(errors.DoesNotExistApiError):
        client.get_webhook_subscription(first.id)


def test_skills(client: Any, people: list[str]) -> None:
    skill = client.create_skill(name="Cats", public_name={"EN": "Cats"}, hidden=False, skill_ttl_hours=24)
    assert (client.get_skill(skill.id).name, skill.hidden) == ("Cats", False)
    skill.private_comment = "Control tasks"
    assert client.update_skill(skill.id, skill).private_comment == "Control tasks"
    other = client.create_skill(name="Dogs")
    assert [found.id for found in client.get_skills(batch_size=1)] == [skill.id, other.id]
    assert [found.id for found in client.find_skills(name="Dogs").items] == [other.id]
    had = client.set_user_skill(skill_id=skill.id, user_id=people[0], value=Decimal("59.7"))
    assert (had.value, had.exact_value) == (60, Decimal("59.7"))
    assert client.get_user_skill(had.id) == had
    client.set_user_skill(skill_id=skill.id, user_id=people[1], value=Decimal("10"))
    assert [found.user_id for found in client.get_user_skills(skill_id=skill.id)] == people[:2]
    client.delete_user_skill(had.id)
    assert client.find_user_skills(user_id=people[0]).items == []
    with pytest.raises(errors.ValidationApiError) as invalid:
        client.set_user_skill(skill_id="1", user_id=people[0], value=Decimal("10"))
    assert invalid.value.invalid_fields == ["skill_id"]


def test_restrictions(client: Any, make: Any, people: list[str]) -> None:
    pool = make.pool()
    held = [
        client.set_user_restriction(
            tlk.user_restriction.ProjectUserRestriction(
                user_id=people[0], project_id=pool.project_id, private_comment="Many mistakes", will_expire=EXPIRES
            )
        ),
        client.set_user_restriction(tlk.user_restriction.PoolUserRestriction(user_id=people[0], pool_id=pool.id)),
        client.set_user_restriction(tlk.user_restriction.AllProjectsUserRestriction(user_id=people[1])),
    ]
    assert [type(client.get_user_restriction(item.id)) for item in held] == [type(item) for item in held]
    assert held[0].will_expire.replace(tzinfo=None) == EXPIRES
    assert [found.id for found in client.get_user_restrictions(user_id=people[0])] == [held[0].id, held[1].id]
    assert [found.id for found in client.find_user_restrictions(scope="ALL_PROJECTS").items] == [held[2].id]
    client.delete_user_restriction(held[0].id)
    with pytest.raises(errors.DoesNotExistApiError):
        client.get_user_restriction(held[0].id)
    with pytest.raises(errors.IncorrectActionsApiError, match="SYSTEM_SCOPE_MODIFICATION"):
        client.set_user_restriction(tlk.user_restriction.SystemUserRestriction(user_id=people[0]))


def bonus(user_id: str, amount: str, **fields: Any) -> Any:
    told = {"public_title": {"EN": "Perfect job!"}, "public_message": {"EN": "You are the best!"}}
    return tlk.UserBonus(user_id=user_id, amount=Decimal(amount), **(told | fields))


@pytest.mark.parametrize("async_mode", [True, False])
def test_bonuses(client: Any, people: list[str], async_mode: bool) -> None:
    parameters = tlk.user_bonus.UserBonusCreateRequestParameters(async_mode=async_mode)
    single = client.create_user_bonus(bonus(people[0], "0.50", private_comment="best"), parameters)
    assert client.get_user_bonus(single.id) == single
    many = tlk.user_bonus.UserBonusesCreateRequestParameters(async_mode=async_mode, skip_invalid_items=True)
    told = client.create_user_bonuses([bonus(people[0], "0.1"), bonus(people[1], "0"), bonus(people[2], "0.2")], many)
    assert [told.items[position].amount for position in ("0", "2")] == [Decimal("0.1"), Decimal("0.2")]
    assert list(told.validation_errors["1"]) == ["amount"]
    assert [found.id for found in client.get_user_bonuses(user_id=people[0])] == [single.id, told.items["0"].id]
    assert client.find_user_bonuses(private_comment="best").items == [single]
    assert client.get_requester().balance == Decimal("999.2")


def test_bonuses_with_a_known_operation_id_are_not_paid_twice(client: Any, people: list[str]) -> None:
    parameters = tlk.user_bonus.UserBonusesCreateRequestParameters(operation_id=uuid.uuid4())
    for _ in range(2):
        assert len(client.create_user_bonuses([bonus(people[0], "1"), bonus(people[1], "1")], parameters).items) == 2
    assert client.get_requester().balance == 998


def test_bonuses_in_an_operation_and_equal_ones(client: Any, people: list[str]) -> None:
    operation = client.wait_operation(client.create_user_bonuses_async([bonus(people[0], "1")]))
    assert operation.details.success_count == 1
    (step,) = client.get_operation_log(operation.id)
    (paid,) = client.get_user_bonuses()
    assert (step.type, step.output["user_bonus_id"]) == ("USER_BONUS_PERSIST", paid.id)
    sync = tlk.user_bonus.UserBonusesCreateRequestParameters(async_mode=False)
    # The documented body has no code, which the client cannot read.
    with pytest.raises(KeyError, match="code"):
        client.create_user_bonuses([bonus(people[0], "1"), bonus(people[0], "1")], sync)
    assert client.get_requester().balance == 999


def test_attachments(client: Any, make: Any, let_the_crowd_work: Any, emulator: EmulatorServer) -> None:
    pool = make.pool(tasks=2)
    client.open_pool(pool.id)
    let_the_crowd_work()
    with emulator.world.up_to_date() as world:
        for assignment in world.pools[pool.id].assignments:
            attachments.add(world, assignment, "cat.png", "image/png", b"\x89PNG\r\n")
    found = list(client.get_attachments(pool_id=pool.id, batch_size=1))
    assert len(found) == len(list(client.get_assignments(pool_id=pool.id)))
    first = client.get_attachment(found[0].id)
    assert (first.name, first.media_type, first.details.pool_id) == ("cat.png", "image/png", pool.id)
    own = client.find_attachments(assignment_id=first.details.assignment_id).items
    assert [item.id for item in own] == [first.id]
    out = io.BytesIO()
    client.download_attachment(first.id, out)
    assert out.getvalue() == b"\x89PNG\r\n"


def test_messages(client: Any, people: list[str]) -> None:
    thread = client.compose_message_thread(
        recipients_select_type="DIRECT",
        topic={"EN": "Bonus"},
        text={"EN": "Well done"},
        answerable=True,
        recipients_ids=people[:2],
    )
    assert thread.compose_details.recipients_ids == people[:2]
    replied = client.reply_message_thread(thread.id, tlk.message_thread.MessageThreadReply(text={"EN": "Again"}))
    assert [message.text["EN"] for message in replied.messages] == ["Again", "Well done"]
    moved = client.add_message_thread_to_folders(thread.id, ["IMPORTANT"])
    assert [folder.value for folder in moved.folders] == ["OUTBOX", "IMPORTANT"]
    assert [found.id for found in client.get_message_threads(folder=["IMPORTANT"])] == [thread.id]
    assert client.find_message_threads(folder_ne=["IMPORTANT"]).items == []
    moved = client.remove_message_thread_from_folders(thread.id, ["IMPORTANT"])
    assert [folder.value for folder in moved.folders] == ["OUTBOX"]


def test_what_is_known_of_people(client: Any, people: list[str]) -> None:
    person = client.get_user(people[0])
    assert (person.id, len(person.country)) == (people[0], 2)
    assert person.languages
    assert person.attributes.device_category


def test_a_failed_operation_is_told(client: Any, make: Any, emulator: EmulatorServer) -> None:
    pool = make.pool(tasks=2)
    emulator.progressions.set(Progression(seconds=0, fail={"code": "OPERATION_EXECUTION_ERROR"}), type="POOL.OPEN")
    with pytest.raises(errors.FailedOperation) as caught:
        client.open_pool(pool.id)
    assert caught.value.operation.type == tlk.operations.OperationType.POOL_OPEN


def test_errors_have_the_classes_of_their_codes(client: Any, make: Any, emulator: EmulatorServer) -> None:
    pool = make.pool()
    with pytest.raises(errors.IncorrectActionsApiError) as refused:
        client.open_pool(pool.id)
    assert (refused.value.code, refused.value.status_code) == ("EMPTY_POOL", 409)
    with pytest.raises(errors.DoesNotExistApiError) as absent:
        client.get_pool("1")
    assert (absent.value.code, absent.value.status_code) == ("DOES_NOT_EXIST", 404)
    pool.reward_per_assignment = -1
    with pytest.raises(errors.ValidationApiError) as invalid:
        client.update_pool(pool.id, pool)
    assert invalid.value.invalid_fields == ["reward_per_assignment"]
    with pytest.raises(errors.IncorrectActionsApiError, match="UNARCHIVED_POOLS_CONFLICT"):
        client.archive_project(pool.project_id)
    faults = {
        "ACCESS_DENIED": (403, errors.AccessDeniedApiError),
        "CONFLICT_STATE": (409, errors.ConflictStateApiError),
        "TOO_MANY_REQUESTS": (429, errors.TooManyRequestsApiError),
        "INTERNAL_ERROR": (500, errors.InternalApiError),
        "REMOTE_SERVICE_UNAVAILABLE": (503, errors.RemoteServiceUnavailableApiError),
    }
    for code, (status, kind) in faults.items():
        emulator.faults.add("GET", "/api/v1/requester", status=status, code=code)
        with pytest.raises(kind) as caught:
            client.get_requester()
        assert (type(caught.value), caught.value.status_code) == (kind, status)


def test_a_token_is_wanted(emulator: EmulatorServer) -> None:
    client = tlk.TolokaClient("secret", url=emulator.url, retries=0, retry_quotas=None)
    del client._session.headers["Authorization"]
    with pytest.raises(errors.AuthenticationApiError):
        client.get_requester()
    client._session.close()


def test_a_refusal_that_passes_is_tried_again(emulator: EmulatorServer) -> None:
    client = tlk.TolokaClient("secret", url=emulator.url, retries=1, retry_quotas=None)
    emulator.faults.add("GET", "/api/v1/requester", status=503)
    assert client.get_requester().id
    assert len(emulator.journal.requests("GET", "/api/v1/requester")) == 2
    client._session.close()
