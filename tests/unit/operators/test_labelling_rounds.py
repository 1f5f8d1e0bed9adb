"""What a round of `label_until` decides, and that it decides once."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection, GetTaskStates, TaskStatesResult

from tests.support import TOKEN, TaskInstance, connect, connection_result, from_templates, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.models import AssignmentStatus
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.people.crowd import CrowdSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.emulator.world.progression import Progression
from toloka_airflow.label_until import label_until
from toloka_airflow.operators.labelling_decisions import Decision, RoundFiles
from toloka_airflow.operators.labelling_rounds import AssessRoundOperator, EndLabellingOperator, LabelsOperator
from toloka_airflow.operators.overlap import ChangeOverlapOperator
from toloka_airflow.sensors import PoolSensor
from toloka_airflow.storage.paths import storage_path

TASKS = 24
COMPLETED = {"stopped_by": "closed", "close_reason": "COMPLETED"}
DAY = 24 * 3600
GROUP = "group"
ASSESS = [f"{GROUP}.round_{number}.assess" for number in (1, 2, 3)]
RESULTS = [f"{GROUP}.round_{number}.result" for number in (1, 2, 3)]


class Instance(TaskInstance):
    """A task instance of a group, whose XComs all tasks of the group can read."""

    def __init__(self, task_id: str, xcoms: dict[str, dict[str, Any]], map_index: int = -1) -> None:
        super().__init__(task_id=task_id, map_index=map_index, xcoms=xcoms.setdefault(task_id, {}))
        self.all = xcoms

    def xcom_pull(self, task_ids: str, key: str = "return_value", map_indexes: int = -1) -> Any:
        assert map_indexes == self.map_index
        return self.all.get(task_ids, {}).get(key)


class States:
    """Airflow's side of the line over which a task asks for the states of tasks."""

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}

    def send(self, msg: Any) -> TaskStatesResult | ConnectionResult:
        if isinstance(msg, GetConnection):
            return connection_result(msg.conn_id)
        assert isinstance(msg, GetTaskStates)
        return TaskStatesResult(task_states={"manual__1": self.states})


class Rounds:
    """A pool, and the tasks of a group of three rounds that label it."""

    def __init__(self, server: EmulatorServer, folder: Path, airflow: States) -> None:
        self.server, self.folder, self.airflow = server, folder, airflow
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))
        self.xcoms: dict[str, dict[str, Any]] = {}
        self.options: dict[str, Any] = {"target": 1, "sure_at": 0.97, "max_overlap": 6}
        self.pool_id = ""

    def add_pool(self, *tasks: dict[str, Any], **settings: Any) -> None:
        project_id = self.client.create_project(PROJECT).id
        body = {**POOL, "project_id": project_id, **settings}
        body = {name: value for name, value in body.items() if value is not None}
        self.pool_id = self.client.create_pool(body).id
        if tasks:
            self.client.create_tasks([{"pool_id": self.pool_id, **task} for task in tasks])

    def add_questions(self, overlap: int = 2, control: int = 2, **settings: Any) -> None:
        known = [{"output_values": {"answer": "yes"}}]
        mixer = {"real_tasks_count": 3, "golden_tasks_count": 1, "training_tasks_count": 0}
        self.add_pool(
            *({"input_values": {"text": f"question {n}"}, "overlap": overlap} for n in range(TASKS)),
            *(
                {"input_values": {"text": f"known {n}"}, "known_solutions": known, "infinite_overlap": True}
                for n in range(control)
            ),
            mixer_config=mixer,
            **settings,
        )

    def label(self) -> None:
        """Open the pool, and let people answer all that is to come."""
        self.client.open_pool(self.pool_id)
        self.server.clock.advance(DAY)
        pool = self.server.pool(self.pool_id)
        assert (pool["status"], pool["close_reason"]) == ("CLOSED", "COMPLETED")

    def assess(
        self, number: int = 1, end: Any = COMPLETED, templated: Collection[str] = (), **options: Any
    ) -> dict[str, Any]:
        """
        Run the task that decides about a round, and return its decision.

        :param templated: The options that are known since the task runs only.
        """
        if number > 1:
            self.xcoms[RESULTS[number - 2]] = {"return_value": end}
        told = {"max_total": None, "closes_at": None, "timeout": timedelta(days=1), "min_open": timedelta(minutes=5)}
        given = self.shared(told | options)
        late = {name: given.pop(name) for name in templated}
        before = RESULTS[number - 2] if number > 1 else None
        make = partial(AssessRoundOperator, task_id=ASSESS[number - 1], round=number, result_task_id=before, **given)
        task = from_templates(make, **late)
        # Airflow removes what a previous attempt has left.
        self.xcoms.pop(task.task_id, None)
        run_task(task, Instance(task.task_id, self.xcoms))
        return self.decision(number)

    def stop(self, number: int = 1, end: Any = COMPLETED, **options: Any) -> tuple[str, str]:
        """Run the task that decides about a round that there is not, and return why."""
        with pytest.raises(AirflowSkipException, match=f"There is no round {number}: ") as skipped:
            self.assess(number, end, **options)
        return self.decision(number)["stopped_by"], str(skipped.value)

    def decision(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.xcoms[ASSESS[number - 1]]["decision"]
        return found

    def raise_overlap(self, number: int) -> dict[str, Any]:
        path = self.xcoms[ASSESS[number - 1]]["overlaps"]
        # One at a time, as who answers what depends on the order in which overlaps rise.
        task = ChangeOverlapOperator(task_id="raise", pool_id=self.pool_id, tasks=path, in_flight=1)
        result: dict[str, Any] = run_task(task).result
        return result

    def overlaps(self, number: int) -> dict[str, int]:
        """Return what a round has decided."""
        path = Path(self.xcoms[ASSESS[number - 1]]["overlaps"])
        return {row["task_id"]: row["overlap"] for row in map(json.loads, path.read_text().splitlines())}

    def labels(self, **options: Any) -> dict[str, Any]:
        task = LabelsOperator(task_id="labels", result_task_ids=RESULTS, **self.shared(options))
        result: dict[str, Any] = run_task(task, Instance("labels", self.xcoms)).result
        return result

    def shared(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "pool_id": self.pool_id,
            "fields": ["answer"],
            "folder": str(self.folder),
            "method": "dawid_skene_map",
            "fee": 0.3,
            "assess_task_ids": ASSESS,
            "group_id": GROUP,
            "toloka_conn_id": "toloka_default",
            **self.options,
            **options,
        }

    def at_toloka(self) -> dict[str, tuple[int | None, int | None]]:
        """Return the overlap of each task that is to be labelled, and what remains of it."""
        tasks = self.client.list_tasks(self.pool_id)
        return {t.id: (t.overlap, t.remaining_overlap) for t in tasks if not t.raw.get("known_solutions")}


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Rounds]:
    crowd = CrowdSettings(size=20, accuracy=(0.55, 0.9), skip_rate=0, expire_rate=0)
    with EmulatorServer(seed=1, frozen=True, quotas=False, crowd=crowd) as server:
        server.progressions.set(Progression(seconds=0))
        connect(monkeypatch, server.url)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", airflow := States(), raising=False)
        yield Rounds(server, tmp_path, airflow)


def test_a_pool_that_nobody_has_answered_is_opened_as_it_is(rounds: Rounds) -> None:
    rounds.add_questions()
    decision = rounds.assess()
    assert (decision["tasks"], decision["sure"], decision["raised"], decision["to_come"]) == (TASKS, 0, 0, 2 * TASKS)
    assert rounds.overlaps(1) == {}
    assert rounds.raise_overlap(1)["total"] == 0
    assert rounds.at_toloka() == dict.fromkeys(rounds.at_toloka(), (2, 2))


def test_doubtful_tasks_get_one_more_answer_and_nobody_else(rounds: Rounds) -> None:
    rounds.add_questions()
    rounds.label()
    decision = rounds.assess(sure_at=0.85)
    raised = rounds.overlaps(1)
    assert 0 < len(raised) == decision["raised"] == decision["to_come"] == TASKS - decision["sure"] < TASKS
    before = rounds.at_toloka()
    assert raised.items() <= dict.fromkeys(before, 3).items()
    assert rounds.raise_overlap(1) == {"pool_id": rounds.pool_id, "total": len(raised), "already": 0, "higher": 0}
    assert rounds.at_toloka() == before | dict.fromkeys(raised, (3, 1))
    rounds.label()
    assert rounds.at_toloka() == before | dict.fromkeys(raised, (3, 0))


def test_a_round_is_decided_once_whatever_is_answered_since(rounds: Rounds) -> None:
    rounds.add_questions()
    rounds.label()
    decision, raised = rounds.assess(), rounds.overlaps(1)
    rounds.raise_overlap(1)
    rounds.label()
    at_toloka = rounds.at_toloka()
    # The task is cleared, or a worker was lost before Airflow knew that it was done.
    assert rounds.assess() == decision
    assert rounds.overlaps(1) == raised
    assert rounds.raise_overlap(1)["already"] == len(raised)
    # Its next round has been done as well: even so, nobody is asked again.
    assert rounds.assess(2)["raised"] > 0
    rounds.raise_overlap(2)
    rounds.label()
    at_toloka = rounds.at_toloka()
    rounds.assess()
    assert rounds.raise_overlap(1)["higher"] > 0
    assert rounds.at_toloka() == at_toloka


def test_another_run_decides_by_itself_in_the_same_folder(rounds: Rounds) -> None:
    rounds.add_questions()
    first = rounds.assess()
    rounds.label()
    rounds.xcoms.clear()
    task = AssessRoundOperator(
        task_id=ASSESS[0],
        round=1,
        result_task_id=None,
        **rounds.shared(
            {"max_total": None, "closes_at": None, "timeout": timedelta(1), "min_open": timedelta(minutes=5)}
        ),
    )
    instance = Instance(ASSESS[0], rounds.xcoms)
    instance.run_id = "manual__2"
    run_task(task, instance)
    assert rounds.decision(1)["overlaps_path"] != first["overlaps_path"]
    assert rounds.decision(1)["raised"] > 0


def test_a_run_that_is_done_again_with_another_pool_decides_anew(rounds: Rounds) -> None:
    rounds.add_questions()
    rounds.label()
    first = rounds.assess()
    rounds.add_questions()
    assert rounds.assess()["raised"] == 0 < first["raised"]


def test_what_is_decided_stays_when_an_attempt_decides_late_that_was_thought_lost(rounds: Rounds) -> None:
    rounds.add_questions()
    rounds.label()
    decision, raised = rounds.assess(), rounds.overlaps(1)
    [folder] = rounds.folder.glob("rounds-*")
    files = RoundFiles(storage_path("folder", str(rounds.folder)), folder.name.removeprefix("rounds-"))
    late = replace(Decision.load(decision), raised=1, why="late")
    assert files.write_decision(late, {"1": 30}).as_json() == decision
    assert rounds.overlaps(1) == raised
    assert rounds.assess() == decision


def test_a_task_is_not_sure_by_what_one_person_said_if_another_one_was_rejected(rounds: Rounds) -> None:
    rounds.server.crowd.change(accuracy=(1, 1))
    rounds.add_questions(auto_accept_solutions=False)
    rounds.label()
    assert rounds.stop(target=0.9, sure_at=0.5)[0] == "target"
    refused: dict[str, int] = {}
    for page in rounds.client.list_assignments(pool_id=rounds.pool_id, status=AssignmentStatus.SUBMITTED):
        ids = [task.id for task in page.tasks if task.input_values["text"].startswith("question")]
        if refused.keys().isdisjoint(ids):
            refused |= dict.fromkeys(ids, 3)
            rounds.client.patch_assignment(page.id, status=AssignmentStatus.REJECTED, public_comment="No")
    decision = rounds.assess(target=0.9, sure_at=0.5)
    assert decision["sure"] == TASKS - len(refused)
    assert rounds.overlaps(1) == refused


def test_rejected_answers_are_neither_votes_nor_paid_and_do_not_come_back(rounds: Rounds) -> None:
    rounds.add_questions(auto_accept_solutions=False)
    rounds.label()
    pages = list(rounds.client.list_assignments(pool_id=rounds.pool_id, status=AssignmentStatus.SUBMITTED))
    for page in pages:
        rounds.client.patch_assignment(page.id, status=AssignmentStatus.REJECTED, public_comment="No")
    decision = rounds.assess()
    assert (decision["sure"], decision["paid"], decision["raised"]) == (0, 0, TASKS)
    assert set(rounds.overlaps(1).values()) == {4}


class TestStops:
    def test_at_the_target(self, rounds: Rounds) -> None:
        rounds.add_questions()
        rounds.label()
        reason, text = rounds.stop(target="0.1", sure_at="0.5")
        assert reason == "target"
        assert f"of {TASKS} tasks" in text
        result = rounds.labels(target=0.1, sure_at=0.5)
        assert (result["stopped_by"], result["rounds"], result["spent"]) == ("target", 0, 0)
        rows = [json.loads(line) for line in Path(result["path"]).read_text().splitlines()]
        # Control tasks have labels, too, which says how good labels are.
        assert result["labels"] == len(rows) > sum(not row["is_control"] for row in rows) == TASKS
        assert all(row["confidence"] <= 1 and row["output_values"].keys() == {"answer"} for row in rows)

    def test_when_all_have_the_highest_overlap(self, rounds: Rounds) -> None:
        rounds.add_questions()
        rounds.label()
        assert rounds.stop(max_overlap="2")[0] == "overlap"

    @pytest.mark.parametrize(
        ("end", "reason"),
        [
            ({"stopped_by": "until", "close_reason": None}, "time"),
            ({"stopped_by": "max_spend", "close_reason": "MANUAL"}, "budget"),
            ({"stopped_by": "person", "close_reason": "MANUAL"}, "person"),
            ({"stopped_by": "closed", "close_reason": "MANUAL"}, "closed"),
            ({"stopped_by": "closed", "close_reason": "EXPIRED"}, "closed"),
        ],
    )
    def test_when_the_round_before_did_not_end_by_itself(
        self, rounds: Rounds, end: dict[str, Any], reason: str
    ) -> None:
        rounds.add_questions()
        rounds.assess()
        rounds.label()
        assert rounds.stop(2, end)[0] == reason
        assert rounds.stop(2, end, target=0)[0] == "target"

    def test_when_there_is_not_even_money_for_a_page(self, rounds: Rounds) -> None:
        """With what one would cost: somebody is to choose another max_total."""
        rounds.add_questions(reward_per_assignment=0.05)
        reason, text = rounds.stop(max_total=0.06)
        assert reason == "budget"
        assert "0.06 is left of max_total, and a page of answers may cost 0.065, the fee included" in text

    def test_when_too_little_time_is_left(self, rounds: Rounds) -> None:
        rounds.add_questions()
        reason, text = rounds.stop(closes_at=(datetime.now(UTC) + timedelta(minutes=4)).isoformat())
        assert reason == "time"
        assert "less than 0:05:00 (min_open) is left" in text

    def test_when_all_rounds_are_done(self, rounds: Rounds) -> None:
        # So sure are never all, and so many answers has none.
        rounds.options |= {"sure_at": 0.9999, "max_overlap": 10}
        rounds.add_questions(control=10)
        for number in (1, 2, 3):
            rounds.assess(number)
            rounds.raise_overlap(number)
            rounds.label()
        rounds.xcoms[RESULTS[2]] = {"return_value": COMPLETED}
        result = rounds.labels()
        assert (result["stopped_by"], result["rounds"]) == ("rounds", 3)
        given = sum(overlap or 0 for overlap, _ in rounds.at_toloka().values())
        pages = list(rounds.client.list_assignments(pool_id=rounds.pool_id, status=AssignmentStatus.ACCEPTED))
        real = [task for page in pages for task in page.tasks if task.input_values["text"].startswith("question")]
        assert len(real) == given
        assert result["spent"] == pytest.approx(len(pages) * 0.026)

    def test_when_the_last_pool_could_not_be_opened_in_time(self, rounds: Rounds) -> None:
        rounds.add_questions()
        rounds.assess()
        rounds.label()
        rounds.assess(2)
        result = rounds.labels()
        assert (result["stopped_by"], result["rounds"]) == ("time", 1)

    @pytest.mark.parametrize("skipped", ["assess", "raise_overlap"])
    def test_when_a_person_skips_a_round(self, rounds: Rounds, skipped: str) -> None:
        rounds.add_questions()
        rounds.assess()
        rounds.label()
        rounds.xcoms[RESULTS[0]] = {"return_value": COMPLETED}
        if skipped == "raise_overlap":
            rounds.assess(2)
        rounds.airflow.states = {f"{GROUP}.round_2.{skipped}": "skipped"}
        result = rounds.labels()
        assert (result["stopped_by"], result["rounds"]) == ("person", 1)


class TestMoney:
    def test_the_least_sure_come_first_and_no_more_than_there_is_money_for(self, rounds: Rounds) -> None:
        rounds.add_questions()
        rounds.label()
        free = len(rounds.overlaps(1)) if rounds.assess() else 0
        rounds.folder /= "other"
        decision = rounds.assess(max_total="0.15")
        assert 0 < decision["raised"] < free
        assert decision["cost"] <= 0.15
        # The rewards of five pages, 0.026 each with the fee, are what the wait may spend.
        assert decision["max_spend"] == pytest.approx(0.1)
        rounds.raise_overlap(1)
        rounds.label()
        again = rounds.assess(2, max_total="0.15")
        assert 0 < again["paid"] - again["paid_before"] <= 0.15
        assert again["paid_before"] == decision["paid"]

    def test_too_little_for_what_is_to_come_anyway(self, rounds: Rounds) -> None:
        rounds.add_questions()
        reason, text = rounds.stop(max_total=0.3)
        assert reason == "budget"
        assert "0.30 is left of max_total, and 48 more answers may cost 0.4" in text

    def test_a_budget_that_another_task_did_not_give(self, rounds: Rounds) -> None:
        """The wait gets its limit from a template, in which nothing would be the text None."""
        rounds.add_questions()
        assert rounds.assess(templated=["max_total"])["max_spend"] is None
        limit = f"{{{{ {rounds.xcoms[ASSESS[0]]['max_spend']!r} }}}}"
        sensor = PoolSensor(task_id="wait", pool_id=rounds.pool_id, max_spend=limit, expected_reasons=["COMPLETED"])
        rounds.label()
        sensor.render_template_fields({})
        assert run_task(sensor).result["stopped_by"] == "closed"

    def test_a_round_that_is_begun_again_may_spend_what_is_left(self, rounds: Rounds) -> None:
        """Not once more what there was when it was decided: its pool was open, and people were paid."""
        rounds.add_questions()
        decision = rounds.assess(max_total=2)
        rounds.raise_overlap(1)
        rounds.label()
        paid = len(list(rounds.client.list_assignments(pool_id=rounds.pool_id))) * 0.026
        again = rounds.assess(max_total=2)
        assert {**again, "max_spend": 0} == {**decision, "max_spend": 0}
        assert again["max_spend"] == pytest.approx((2 - paid) // 0.026 * 0.02)
        assert rounds.xcoms[ASSESS[0]]["max_spend"] == again["max_spend"] < decision["max_spend"]
        assert rounds.assess(2, max_total=2)["max_spend"] == again["max_spend"]

    def test_a_round_that_is_begun_again_without_money_is_none(self, rounds: Rounds) -> None:
        """As where people were paid for answers whose tasks others get once more."""
        rounds.add_questions()
        decision = rounds.assess(max_total=2)
        rounds.raise_overlap(1)
        rounds.label()
        paid = len(list(rounds.client.list_assignments(pool_id=rounds.pool_id))) * 0.026
        # What is complete is begun again as it was, which buys nothing.
        again = rounds.assess(max_total=paid)
        assert (again["stopped_by"], again["max_spend"]) == (None, 0)
        for task_id in rounds.at_toloka():
            rounds.client.update_task(task_id, {"overlap": 3, "infinite_overlap": False})
        assert rounds.stop(max_total=paid)[0] == "budget"
        assert rounds.assess(max_total=2 * paid)["overlaps_path"] == decision["overlaps_path"]
        rounds.client.open_pool(rounds.pool_id)
        assert rounds.assess(max_total=paid)["max_spend"] == 0

    def test_nothing_is_left(self, rounds: Rounds) -> None:
        rounds.add_questions()
        rounds.label()
        assert rounds.stop(max_total=0)[0] == "budget"

    def test_nobody_is_paid(self, rounds: Rounds) -> None:
        rounds.add_questions(reward_per_assignment=0)
        assert rounds.assess(max_total=0)["to_come"] == 2 * TASKS
        rounds.label()
        assert rounds.stop(2, target=0, max_total=0)[0] == "target"
        result = rounds.labels(target=0)
        assert (result["spent"], result["labels"] >= TASKS) == (0, True)

    def test_what_is_rejected_later_of_before_leaves_no_more_money(self, rounds: Rounds) -> None:
        rounds.add_questions(auto_accept_solutions=False)
        rounds.label()
        pages = list(rounds.client.list_assignments(pool_id=rounds.pool_id, status=AssignmentStatus.SUBMITTED))
        rounds.assess(max_total=5)
        rounds.raise_overlap(1)
        rounds.label()
        for page in pages:
            rounds.client.patch_assignment(page.id, status=AssignmentStatus.REJECTED, public_comment="No")
        bought = list(rounds.client.list_assignments(pool_id=rounds.pool_id, status=AssignmentStatus.SUBMITTED))
        decision = rounds.assess(2, max_total=5)
        assert decision["paid_before"] == 0
        assert decision["paid"] == pytest.approx(len(bought) * 0.026)


class TestRefusals:
    @pytest.mark.parametrize(
        ("settings", "task", "words"),
        [
            ({"mixer_config": None}, None, "has no mixer_config, so its tasks are in task suites"),
            ({}, {"infinite_overlap": True}, "has an infinite overlap"),
            (
                {
                    "auto_close_after_complete_delay_seconds": 60,
                    "dynamic_overlap_config": {
                        "type": "BASIC",
                        "max_overlap": 5,
                        "min_confidence": 0.9,
                        "answer_weight_skill_id": "1",
                        "fields": [{"name": "answer"}],
                    },
                },
                None,
                "has a dynamic_overlap_config",
            ),
            (
                {},
                {"infinite_overlap": True, "known_solutions": [{"output_values": {"answer": "yes"}}]},
                "has no tasks to label, only 1 control task",
            ),
        ],
    )
    def test_pools_that_are_not_for_it(
        self, rounds: Rounds, settings: dict[str, Any], task: dict[str, Any] | None, words: str
    ) -> None:
        if "dynamic_overlap_config" in settings:
            skill = rounds.client.create_skill({"name": "skill"})
            settings["dynamic_overlap_config"]["answer_weight_skill_id"] = skill.id
        tasks = [] if task is None else [{"input_values": {"text": "?"}, **task}]
        rounds.add_pool(*tasks, **settings)
        with pytest.raises(AirflowFailException, match=words):
            rounds.assess()
        assert not list(rounds.folder.iterdir())

    def test_tasks_in_suites(self, rounds: Rounds) -> None:
        rounds.add_pool()
        tasks = [{"input_values": {"text": "?"}}]
        rounds.client.create_task_suites([{"pool_id": rounds.pool_id, "tasks": tasks, "overlap": 2}])
        with pytest.raises(AirflowFailException, match="was uploaded in a task suite"):
            rounds.assess()

    def test_an_open_pool_is_waited_for(self, rounds: Rounds) -> None:
        rounds.server.crowd.change(size=0)
        rounds.add_questions()
        rounds.client.open_pool(rounds.pool_id)
        with pytest.raises(AirflowException, match=r"Round 1 cannot begin: pool .* is OPEN") as refused:
            rounds.assess()
        assert not isinstance(refused.value, AirflowFailException)
        rounds.xcoms[ASSESS[0]] = {"decision": {**DECISION, "stopped_by": None}}
        with pytest.raises(AirflowException, match="There are no labels yet"):
            rounds.labels()

    UNUSABLE = pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"fields": "answer"}, "fields is 'answer'"),
            ({"fields": []}, r"fields is \[\]"),
            ({"target": "all"}, "target is 'all'"),
            ({"target": 95}, "target is 95; it must be a number from 0 to 1"),
            ({"sure_at": 95}, "sure_at is 95; it must be a number from 0 to 1"),
            ({"method": "mean"}, "method is 'mean'; it must be one of majority_vote"),
            ({"max_overlap": "many"}, "max_overlap is 'many'"),
            ({"max_total": "much"}, "max_total is 'much'"),
            ({"closes_at": "tomorrow"}, "closes_at is 'tomorrow'"),
        ],
    )

    @UNUSABLE
    def test_arguments_are_checked_when_the_dag_is_parsed(self, options: dict[str, Any], words: str) -> None:
        with DAG("dag"), pytest.raises(ValueError, match=words):
            label_until(pool_id="21", folder="/tmp/x", **{"fields": ["answer"], **options})

    @UNUSABLE
    def test_arguments_of_templates(self, rounds: Rounds, options: dict[str, Any], words: str) -> None:
        rounds.add_questions()
        with pytest.raises(AirflowFailException, match=words):
            rounds.assess(templated=options.keys(), **options)

    def test_a_number_that_is_no_probability_is_named(self, rounds: Rounds, capsys: pytest.CaptureFixture[str]) -> None:
        rounds.add_questions()
        rounds.assess()
        assert "no probability" not in capsys.readouterr().out
        rounds.folder = rounds.folder / "other"
        rounds.assess(method="majority_vote", sure_at=0.9)
        assert "sure_at is 0.9, which is held against a score of majority_vote: that is no probability" in (
            capsys.readouterr().out
        )

    def test_a_folder_that_a_template_did_not_give(self, rounds: Rounds) -> None:
        rounds.add_questions()
        with pytest.raises(AirflowFailException, match="folder is ''"):
            rounds.assess(folder="")

    def test_a_field_that_the_project_does_not_have_costs_nothing(self, rounds: Rounds) -> None:
        """Or the answers of the first round would be paid for, and then found to have no such field."""
        rounds.add_questions()
        with pytest.raises(AirflowFailException, match=r"fields has 'anwser', .*; there are .*did you mean 'answer'"):
            rounds.assess(fields=["anwser"])
        assert not list(rounds.folder.rglob("*decision*"))

    def test_without_numpy_nothing_is_downloaded_and_nothing_tried_again(
        self, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rounds.add_questions()
        for name in [name for name in sys.modules if name.startswith("toloka_airflow.quality")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "numpy", None)
        sent = len(rounds.server.journal.requests())
        with pytest.raises(AirflowFailException, match=r"airflow-toloka\[quality\]"):
            rounds.assess()
        assert len(rounds.server.journal.requests()) == sent

    def test_a_group_that_was_skipped_has_no_labels(self, rounds: Rounds) -> None:
        with pytest.raises(AirflowSkipException, match="the group was skipped"):
            rounds.labels()

    def test_nobody_has_answered(self, rounds: Rounds) -> None:
        rounds.add_questions()
        reason, _ = rounds.stop(closes_at=datetime.now(UTC).isoformat())
        assert reason == "time"
        with pytest.raises(AirflowFailException, match="has no answers that count"):
            rounds.labels()

    def test_what_was_paid_before_is_not_known(self, rounds: Rounds) -> None:
        rounds.add_questions()
        with pytest.raises(AirflowFailException, match="What was paid before the first round is not known"):
            rounds.assess(2)


DECISION = {
    "round": 1,
    "why": None,
    "tasks": 1,
    "sure": 0,
    "share": 0.0,
    "answers_path": "",
    "paid": 0.0,
    "paid_before": 0.0,
    "of_a_newer_version": True,
}


def test_the_end_names_what_has_failed_and_not_what_only_stands_behind_it(rounds: Rounds) -> None:
    rounds.airflow.states = {"labels": "upstream_failed", "1.open": "upstream_failed", "1.check": "failed"}
    task = EndLabellingOperator(task_id="end", labels_task_id="labels", other_task_ids=["1.open", "1.check"])
    with pytest.raises(AirflowFailException, match=r"There are no labels, as 1\.check is failed"):
        run_task(task, Instance("end", rounds.xcoms))
