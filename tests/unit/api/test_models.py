"""What the models make of the API's answers, the strange ones of its own pages included."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from toloka_airflow.api import models
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import (
    ApiEnum,
    Assignment,
    AssignmentStatus,
    CloseReason,
    Operation,
    OperationStatus,
    Pool,
    PoolStatus,
    Project,
    ProjectStatus,
    Task,
    Training,
    read_date,
    read_decimal,
)
from toloka_airflow.api.models.account import Requester
from toloka_airflow.api.models.aggregation import AggregatedSolution

REQUESTER = {
    "id": "566ec2b0ff0deeaae5f9d500629de162",
    "balance": 121.3,
    "public_name": {"EN": "Jack Smith", "RU": "Джек"},
    "company": {"id": "eaf25678e128e14dea651d8c32471f21"},
}
PROJECT = {
    "id": "83859",
    "public_name": "Elephant color",
    "task_spec": {"input_spec": {"image": {"type": "URL"}}, "output_spec": {"result": {"type": "string"}}},
    "owner": {"id": "6c6e20dc86cca2ae787afcb2629de162", "myself": True},
    "status": "ACTIVE",
    "created": "2022-01-22T07:50:14.210",
}
POOL = {
    "id": "32267581",
    "project_id": "81776",
    "private_name": "Transcript of audio recordings",
    "will_expire": "2023-03-09T00:00:00",
    "reward_per_assignment": 0.07,
    "quality_control": {"training_requirement": {"training_pool_id": "7", "training_passing_skill_value": 75}},
    "status": "CLOSED",
    "last_close_reason": "NOT_ENOUGH_BALANCE",
    "created": "2022-03-10T07:41:53.626",
    "last_started": "2022-03-11T08:00",
    "last_stopped": "2022-03-12T08:00:00Z",
    "type": "REGULAR",
}
TRAINING = {
    "id": "123456",
    "project_id": "10",
    "private_name": "Training 1",
    "status": "OPEN",
    "created": "2021-02-26T10:13:32.921",
}
TASK = {
    "id": "00022cfa46--637cf3fb6e13181a0164e7e6",
    "pool_id": "36502086",
    "input_values": {"image": "https://example.com/1.png"},
    "overlap": 3,
    "remaining_overlap": 2,
    "infinite_overlap": False,
}
SEED_OPERATION = {
    "id": "fadfe3jk-fdafue2-fda32890-fdafdi23",
    "type": "POOL.OPEN",
    "status": "PENDING",
    "submitted": "2015-22-12T14:18:35",
    "started": "2016-04-07T16:06:15.902",
    "finished": "2016-04-07T16:06:15.902",
    "progress": 100,
    "parameters": {"pool_id": "21"},
}
OPERATION = {
    "id": "07700135-c34a-4df0-ae55-d44081dea432",
    "type": "TASK_SUITE.BATCH_CREATE",
    "status": "FAIL",
    "submitted": "2022-11-22T16:11:38.874",
    "parameters": {"open_pool": False},
    "details": {"total_count": 2, "failed_count": 2},
}
ASSIGNMENT = {
    "id": "0001220d7e--60be5c32f5d8d72e9d6fb0b3",
    "task_suite_id": "0001220d7e--60be5bb5f5d8d72e9d6fb0a1",
    "pool_id": "19008894",
    "user_id": "77f0f2e4c4d1ae1ba8a4c2dd5f1f2b2f",
    "status": "ACCEPTED",
    "reward": 0.05,
    "tasks": [{"id": "0001220d7e--1", "input_values": {"image": "a"}}, {"id": "0001220d7e--2"}],
    "solutions": [{"output_values": {"result": "cat"}}, {"output_values": {"result": "dog"}}],
    "created": "2022-01-01T10:00:00",
}
SOLUTION = {
    "pool_id": "21",
    "task_id": "00022cfa46--637cf3fb6e13181a0164e7e6",
    "confidence": 0.42,
    "output_values": {"result": "cat"},
}
ANSWERS = [
    (Requester, REQUESTER),
    (Project, PROJECT),
    (Pool, POOL),
    (Training, TRAINING),
    (Task, TASK),
    (Operation, SEED_OPERATION),
    (Operation, OPERATION),
    (Assignment, ASSIGNMENT),
    (AggregatedSolution, SOLUTION),
]
REQUIRED = [
    (Requester, REQUESTER, ["id"]),
    (Project, PROJECT, ["id", "status"]),
    (Pool, POOL, ["id", "project_id", "status"]),
    (Training, TRAINING, ["id", "project_id", "status"]),
    (Task, TASK, ["id", "pool_id"]),
    (Operation, OPERATION, ["id", "type", "status"]),
    (Assignment, ASSIGNMENT, ["id", "pool_id", "status"]),
    (AggregatedSolution, SOLUTION, ["task_id", "pool_id"]),
]
ENUMS = [enum for enum in vars(models).values() if isinstance(enum, type) and issubclass(enum, ApiEnum)][1:]


class TestAnswers:
    @pytest.mark.parametrize(("model", "answer"), ANSWERS)
    def test_raw_is_kept_and_the_rest_is_frozen(self, model: Any, answer: dict[str, Any]) -> None:
        made = model.from_api(copy.deepcopy(answer))
        assert type(made) is model
        assert made.raw == answer
        with pytest.raises(dataclasses.FrozenInstanceError):
            made.raw = {}
        assert "raw" not in repr(made)

    @pytest.mark.parametrize(("model", "answer", "keys"), REQUIRED)
    def test_only_what_is_required_is_required(self, model: Any, answer: dict[str, Any], keys: list[str]) -> None:
        made = model.from_api({key: answer[key] for key in keys})
        for key in keys:
            assert str(getattr(made, key)) == answer[key]

    @pytest.mark.parametrize(
        ("model", "answer", "key"), [(model, answer, key) for model, answer, keys in REQUIRED for key in keys]
    )
    @pytest.mark.parametrize("how", ["absent", "null"])
    def test_what_is_required(self, model: Any, answer: dict[str, Any], key: str, how: str) -> None:
        broken: dict[str, Any] = {name: value for name, value in answer.items() if name != key}
        if how == "null":
            broken[key] = None
        with pytest.raises(TolokaError, match=rf"has no '{key}': it is an object with the keys "):
            model.from_api(broken)

    @pytest.mark.parametrize("answer", [None, [], [POOL], "text", 5, True, {}])
    @pytest.mark.parametrize("model", [row[0] for row in REQUIRED])
    def test_no_object_at_all(self, model: Any, answer: Any) -> None:
        with pytest.raises(TolokaError, match="The API's answer has no "):
            model.from_api(answer)

    @pytest.mark.parametrize("wrong", [["x"], "text", 5, True, {"a": [1]}, {"a": None}])
    @pytest.mark.parametrize(("model", "answer"), ANSWERS)
    def test_any_field_of_another_type_is_a_toloka_error_at_the_worst(
        self, model: Any, answer: dict[str, Any], wrong: Any
    ) -> None:
        for key in answer:
            try:
                made = model.from_api({**answer, key: wrong})
                if model is Pool:
                    assert made.training_id in ("7", None)
            except TolokaError:
                pass

    def test_requester(self) -> None:
        made = Requester.from_api(REQUESTER)
        assert (made.name, made.balance) == ("Jack Smith", Decimal("121.3"))

    @pytest.mark.parametrize(
        ("public_name", "name"), [({"RU": "Джек"}, "Джек"), ({}, ""), (None, ""), ("Jack", "Jack"), ({"EN": ""}, "")]
    )
    def test_name_of_a_requester(self, public_name: Any, name: str) -> None:
        assert Requester.from_api({"id": "r", "public_name": public_name}).name == name

    def test_project(self) -> None:
        made = Project.from_api(PROJECT)
        assert (made.status, made.public_name) == (ProjectStatus.ACTIVE, "Elephant color")
        assert made.created == datetime(2022, 1, 22, 7, 50, 14, 210000, tzinfo=UTC)

    def test_pool(self) -> None:
        made = Pool.from_api(POOL)
        assert (made.status, made.last_close_reason) == (PoolStatus.CLOSED, CloseReason.NOT_ENOUGH_BALANCE)
        assert made.last_started == datetime(2022, 3, 11, 8, tzinfo=UTC)
        assert made.last_stopped == datetime(2022, 3, 12, 8, tzinfo=UTC)
        assert made.training_id == "7"

    @pytest.mark.parametrize(
        "control", [None, {}, {"configs": []}, {"training_requirement": None}, {"training_requirement": {}}]
    )
    def test_a_pool_without_training(self, control: Any) -> None:
        assert Pool.from_api({**POOL, "quality_control": control}).training_id is None

    @pytest.mark.parametrize("control", [[7], "7", {"training_requirement": ["7"]}, {"training_requirement": "7"}])
    def test_a_training_requirement_that_cannot_be_read(self, control: Any) -> None:
        """None would mean that the pool needs no training."""
        with pytest.raises(TolokaError, match=r"is a (list|str|int), not an object"):
            _ = Pool.from_api({**POOL, "quality_control": control}).training_id

    def test_training(self) -> None:
        made = Training.from_api(TRAINING)
        assert (made.status, made.last_close_reason, made.last_started) == (PoolStatus.OPEN, None, None)

    def test_ids_are_text(self) -> None:
        made = Pool.from_api({**POOL, "id": 32267581, "project_id": 81776})
        assert (made.id, made.project_id) == ("32267581", "81776")

    def test_task(self) -> None:
        made = Task.from_api(TASK)
        assert (made.overlap, made.remaining_overlap) == (3, 2)
        assert made.input_values == {"image": "https://example.com/1.png"}

    def test_assignment(self) -> None:
        made = Assignment.from_api(ASSIGNMENT)
        assert (made.status, made.reward) == (AssignmentStatus.ACCEPTED, Decimal("0.05"))
        assert [task.pool_id for task in made.tasks] == ["19008894", "19008894"]
        assert made.solutions == [{"result": "cat"}, {"result": "dog"}]

    @pytest.mark.parametrize("key", ["tasks", "solutions"])
    @pytest.mark.parametrize("wrong", ["text", {"0": {}}, [None], ["text"], [[]], 5])
    def test_an_assignment_whose_answers_cannot_be_read(self, key: str, wrong: Any) -> None:
        with pytest.raises(TolokaError, match=f"'{key}' in the API's answer is not a list of objects"):
            Assignment.from_api({**ASSIGNMENT, key: wrong})

    @pytest.mark.parametrize("key", ["tasks", "solutions"])
    def test_an_assignment_that_was_not_submitted(self, key: str) -> None:
        assert getattr(Assignment.from_api({**ASSIGNMENT, key: None}), key) == []

    def test_aggregated_solution(self) -> None:
        made = AggregatedSolution.from_api(SOLUTION)
        assert (made.confidence, made.output_values) == (0.42, {"result": "cat"})


class TestOperation:
    def test_the_seed_page(self) -> None:
        """Its date has a 22nd month, and it is PENDING though finished."""
        made = Operation.from_api(SEED_OPERATION)
        assert made.submitted is None
        assert made.raw["submitted"] == "2015-22-12T14:18:35"
        assert made.finished == datetime(2016, 4, 7, 16, 6, 15, 902000, tzinfo=UTC)
        assert made.progress == 100
        assert not made.is_done
        assert made.details == {}

    @pytest.mark.parametrize(
        ("status", "done"),
        [("PENDING", False), ("RUNNING", False), ("SUCCESS", True), ("FAIL", True), ("CANCELLED", True), ("", True)],
    )
    def test_is_done(self, status: str, done: bool) -> None:
        made = Operation.from_api({**OPERATION, "status": status})
        assert made.is_done == done
        assert made.status == status
        assert made.status.is_known == (status not in ("CANCELLED", ""))

    @pytest.mark.parametrize("status", [5, True, ["SUCCESS"], {"SUCCESS": 1}, "success", " SUCCESS"])
    def test_nothing_else_is_success(self, status: Any) -> None:
        made = Operation.from_api({**OPERATION, "status": status})
        assert made.status != OperationStatus.SUCCESS
        assert not made.status.is_known
        assert made.status.value == str(status)

    @pytest.mark.parametrize(
        ("kind", "has_log"),
        [
            ("TASK.BATCH_CREATE", True),
            ("TASK_SUITE.BATCH_CREATE", True),
            ("USER_BONUS.BATCH_CREATE", True),
            ("POOL.OPEN", False),
            ("SOLUTION.AGGREGATE", False),
        ],
    )
    def test_has_log(self, kind: str, has_log: bool) -> None:
        assert Operation.from_api({**OPERATION, "type": kind}).has_log == has_log

    @pytest.mark.parametrize("key", ["parameters", "details"])
    @pytest.mark.parametrize("wrong", [["pool_id"], "21", 21])
    def test_parameters_that_cannot_be_read(self, key: str, wrong: Any) -> None:
        with pytest.raises(TolokaError, match=f"'{key}' in the API's answer is a "):
            Operation.from_api({**OPERATION, key: wrong})


class TestEnums:
    def test_all_are_tested(self) -> None:
        assert len(ENUMS) == 5

    @pytest.mark.parametrize("enum", ENUMS)
    def test_known(self, enum: type[ApiEnum]) -> None:
        for member in enum:
            assert enum(member.value) is member
            assert member.is_known
            assert member == member.value
            assert f"{member}" == str(member) == member.value

    @pytest.mark.parametrize("enum", ENUMS)
    @pytest.mark.parametrize("value", ["NEW_VALUE", "open", "", "None"])
    def test_unknown(self, enum: type[ApiEnum], value: str) -> None:
        before = list(enum)
        member = enum(value)
        assert isinstance(member, enum)
        assert not member.is_known
        assert member == value
        assert member == enum(value)
        assert hash(member) == hash(enum(value))
        assert member not in before
        assert (member.value, str(member), f"{member}") == (value, value, value)
        assert list(enum) == before
        assert not enum(value).is_known  # also the second time
        assert json.loads(json.dumps({"status": member})) == {"status": value}
        for twin in (copy.deepcopy(member), pickle.loads(pickle.dumps(member))):
            assert twin == member
            assert not twin.is_known

    def test_an_unknown_close_reason(self) -> None:
        reason = Pool.from_api({**POOL, "last_close_reason": "MOON_PHASE"}).last_close_reason
        assert reason == "MOON_PHASE"
        assert reason is not None
        assert not reason.is_known


class TestValues:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("2022-03-10T07:41:53", 53.0),
            ("2022-03-10T07:41:53.6", 53.6),
            ("2022-03-10T07:41:53.51", 53.51),
            ("2022-03-10T07:41:53.921", 53.921),
            ("2022-03-10T07:41:53.9217", 53.9217),
            ("2022-03-10T07:41:53.99999", 53.99999),
            ("2022-03-10T07:41:53.923461", 53.923461),
            ("2022-03-10T07:41:53.923461Z", 53.923461),
            ("2022-03-10T07:41:53Z", 53.0),
            ("2022-03-10T07:41", 0.0),
            ("2022-03-10T10:41:53+03:00", 53.0),
        ],
    )
    def test_dates(self, text: str, seconds: float) -> None:
        date = read_date(text)
        assert date is not None
        assert date.tzinfo is UTC
        assert (date.year, date.month, date.day, date.hour, date.minute) == (2022, 3, 10, 7, 41)
        assert date.second + date.microsecond / 1e6 == pytest.approx(seconds, abs=1e-9)

    def test_a_day(self) -> None:
        assert read_date("2022-12-01") == datetime(2022, 12, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            "soon",
            "2015-22-12T14:18:35",
            1646898113,
            {},
            [],
            True,
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
        ],
    )
    def test_no_dates(self, text: Any) -> None:
        assert read_date(text) is None

    @pytest.mark.parametrize(
        ("number", "amount"), [(0.1, "0.1"), (121.3, "121.3"), (5, "5"), ("0.005", "0.005"), (0, "0"), (1e-7, "1E-7")]
    )
    def test_amounts(self, number: Any, amount: str) -> None:
        assert read_decimal(number) == Decimal(amount)

    @pytest.mark.parametrize("number", [None, "", "much", {}, [], True])
    def test_no_amounts(self, number: Any) -> None:
        assert read_decimal(number) is None
