"""What is sent of a batch and what is not, and how the log of an operation is read in all its shapes."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

import pytest

from tests.support import TOKEN, ScriptedServer, operation
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaError, TolokaOperationError
from toloka_airflow.api.models import Operation
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.transfer.invalid_fields import InvalidField
from toloka_airflow.transfer.upload.batch_operations import ChangedError, PreviousUploads, Uploader
from toloka_airflow.transfer.upload.batches import Batch, BatchKey, PreviousUpload, encode_task, split_into_batches

A, B = {"text": "a"}, {"text": "b"}
REQUIRED = {"code": "VALUE_REQUIRED", "message": "Value must be present"}


@pytest.fixture
def client(server: ScriptedServer) -> TolokaClient:
    return TolokaClient(ClientSettings(TOKEN, base_url=server.url, retry_budget=0))


def batch(*values: dict[str, Any], **more: Any) -> Batch:
    tasks = [encode_task(number, {"input_values": one, **more}, "21") for number, one in enumerate(values or (A, B), 1)]
    [only] = split_into_batches(tasks, 10)
    return only


def step(values: dict[str, Any], output: Any, *, success: bool, **more: Any) -> dict[str, Any]:
    return {"type": "TASK_CREATE", "success": success, "input": {"input_values": values, **more}, "output": output}


def echo(batch: Batch, **more: Any) -> list[dict[str, Any]]:
    """The log of an operation that created a batch, with what the API may add to its tasks."""
    given = [{**json.loads(task.body), **more} for task in batch.tasks]
    return [{"success": True, "input": one, "output": {"task_id": f"t-{i}"}} for i, one in enumerate(given, 1)]


def batch_result(
    server: ScriptedServer, client: TolokaClient, steps: Any, status: str = "SUCCESS", **options: bool
) -> Any:
    server.answer("GET", "/operations/op-1/log", json=steps)
    done = Operation.from_api(operation(status, "TASK.BATCH_CREATE"))
    return Uploader(lambda *numbers: "op-1", options).batch_result(client, batch(), done)


def test_steps_in_any_order_and_without_number(server: ScriptedServer, client: TolokaClient) -> None:
    steps = [
        step(B, {"task_id": "t-2"}, success=True),
        step(A, {"task_id": "t-1"}, success=True, __item_idx="1"),
        {"type": "POOL_OPEN", "success": False, "input": {"pool_id": 21}, "output": {"code": "EMPTY_POOL"}},
    ]
    assert batch_result(server, client, steps).created == [(1, "t-1"), (2, "t-2")]


@pytest.mark.parametrize(
    ("output", "invalid"),
    [
        ({"input_values.text": REQUIRED}, InvalidField(1, "input_values.text", **REQUIRED)),
        (
            {"code": "VALIDATION_ERROR", "message": "Failed", "payload": {"input_values.text": REQUIRED}},
            InvalidField(1, "input_values.text", **REQUIRED),
        ),
        ({"code": "VALIDATION_ERROR", "message": "Failed"}, InvalidField(1, "", "VALIDATION_ERROR", "Failed")),
        (None, InvalidField(1, "", None, "")),
    ],
)
def test_both_shapes_of_a_failure(
    server: ScriptedServer, client: TolokaClient, output: Any, invalid: InvalidField
) -> None:
    steps = [step(A, output, success=False, __item_idx="1"), step(B, {"task_id": "t"}, success=True, __item_idx="2")]
    found = batch_result(server, client, steps)
    assert (found.invalid, found.invalid_count, found.created) == ([invalid], 1, [(2, "t")])


@pytest.mark.parametrize(
    "steps",
    [
        [step(A, {"task_id": "t"}, success=True, __item_idx="1")],
        [step(B, {"task_id": "t"}, success=True, __item_idx="1")],
        [step({"text": "c"}, {"task_id": "t"}, success=True)],
        [step(A, {"task_id": "t"}, success=True, __item_idx="9")],
    ],
    ids=["one is missing", "another task", "unknown", "unknown number"],
)
def test_a_log_of_other_tasks(server: ScriptedServer, client: TolokaClient, steps: Any) -> None:
    with pytest.raises(ChangedError):
        batch_result(server, client, steps)


@pytest.mark.parametrize(
    "odd",
    [
        step(A, {}, success=True, __item_idx="1"),
        step(A, None, success=True, __item_idx="1"),
        step(A, {"task_id": "t"}, success=True, __item_idx="first"),
        {"type": "TASK_CREATE", "success": True, "input": "text"},
    ],
    ids=["no id", "no output", "no number", "no input"],
)
def test_a_log_of_another_shape_is_an_error(server: ScriptedServer, client: TolokaClient, odd: Any) -> None:
    with pytest.raises(TolokaError):
        batch_result(server, client, [odd, step(B, {"task_id": "t"}, success=True, __item_idx="2")])


@pytest.mark.parametrize("status", ["FAIL", "STRANGE"])
def test_an_operation_that_failed_otherwise(server: ScriptedServer, client: TolokaClient, status: str) -> None:
    if status == "STRANGE":
        with pytest.raises(TolokaOperationError, match="does not know"):
            Uploader(lambda *numbers: "op-1", {}).batch_result(
                client, batch(), Operation.from_api(operation(status, "TASK.BATCH_CREATE"))
            )
        return
    with pytest.raises(TolokaOperationError):
        batch_result(server, client, [], status)


def test_a_failed_operation_is_no_success_though_its_log_has_every_task(
    server: ScriptedServer, client: TolokaClient
) -> None:
    with pytest.raises(TolokaOperationError):
        batch_result(server, client, echo(batch()), "FAIL")


@pytest.mark.parametrize("change", [{"overlap": 7}, {"known_solutions": []}, {"message_on_unknown_solution": "b"}])
def test_a_log_of_tasks_with_other_golden_answers(
    server: ScriptedServer, client: TolokaClient, change: dict[str, Any]
) -> None:
    now = {"overlap": 3, "known_solutions": [{"output_values": {"answer": "yes"}}], "message_on_unknown_solution": "a"}
    server.answer("GET", "/operations/op-1/log", json=echo(batch(**{**now, **change})))
    done = Operation.from_api(operation("SUCCESS", "TASK.BATCH_CREATE"))
    with pytest.raises(ChangedError, match="task 1 was another one"):
        Uploader(lambda *numbers: "op-1", {}).batch_result(client, batch(**now), done)


def test_what_the_api_adds_to_tasks_and_other_white_space_are_no_change(
    server: ScriptedServer, client: TolokaClient
) -> None:
    done = Operation.from_api(operation("SUCCESS", "TASK.BATCH_CREATE"))
    spaced = split_into_batches([encode_task(1, {"input_values": A}, "21", b'{ "input_values" : {"text": "a"} }')], 10)
    for sent, now, added in ((batch(), batch(), {"overlap": 2}), (next(spaced), batch(A), {})):
        server.answer("GET", "/operations/op-1/log", json=echo(sent, **added))
        assert Uploader(lambda *numbers: "op-1", {}).batch_result(client, now, done).created[0] == (1, "t-1")


@pytest.mark.parametrize(
    ("details", "log", "sends"),
    [
        ({"success_count": 0, "total_count": 7}, None, True),
        ({"success_count": 1}, None, False),
        ({}, [], True),
        ({}, [step(A, {"task_id": "t"}, success=True)], False),
    ],
)
def test_a_failed_operation_is_sent_again_only_if_it_created_nothing(
    server: ScriptedServer, client: TolokaClient, details: Any, log: Any, sends: bool
) -> None:
    failed = operation("FAIL", "TASK.BATCH_CREATE", id="00000000-0000-0000-0000-000000000000", details=details)
    server.answer("GET", f"/operations/{failed['id']}", json=failed)
    server.error("GET", "/operations/00000000-0000-0000-0000-000000000001", 404, "DOES_NOT_EXIST")
    if log is not None:
        server.answer("GET", f"/operations/{failed['id']}/log", json=log)
    if sends:
        server.answer("POST", "/tasks", 202, operation("RUNNING", "TASK.BATCH_CREATE"))
    uploader = Uploader(lambda *numbers: f"00000000-0000-0000-0000-{numbers[-1]:012}", {})
    task = encode_task(1, {"input_values": A}, "21")
    [again] = split_into_batches([task], 10, lambda key: uploader.find_previous(client, key))
    assert again.max_tasks == details.get("total_count")
    assert uploader.send(client, again).status == ("RUNNING" if sends else "FAIL")
    assert ("operation_id=00000000-0000-0000-0000-000000000001" in server.seen[-1].query) == sends


@pytest.mark.parametrize(("max_tasks", "requested"), [(None, ["0.1.0"]), (2, ["0.0.1", "0.1.0"])])
def test_what_was_sent_behind_a_batch_that_was_not_is_not_sent_with_it(
    server: ScriptedServer, client: TolokaClient, max_tasks: int | None, requested: list[str]
) -> None:
    for key in requested[:-1]:
        server.error("GET", f"/operations/{key.replace('.', '-')}-0", 404, "DOES_NOT_EXIST")
    server.answer("GET", f"/operations/{requested[-1].replace('.', '-')}-0", json=operation("SUCCESS", id="other"))
    now = batch()
    now.max_tasks = max_tasks
    with pytest.raises(ChangedError, match="operation other is about tasks that came behind these"):
        Uploader(lambda *numbers: "-".join(map(str, numbers)), {}).check(client, now)


def test_in_a_first_attempt_nothing_is_looked_up(server: ScriptedServer, client: TolokaClient) -> None:
    server.answer("POST", "/tasks", 202, operation("RUNNING", "TASK.BATCH_CREATE"))
    Uploader(lambda *numbers: "00000000-0000-0000-0000-000000000000", {}).send(client, batch())
    assert [seen.method for seen in server.seen] == ["POST"]


@pytest.mark.parametrize(
    "text",
    [
        '{"success": true, "type": "TASK_CREATE", "input": %s, "output": {"task_id": "t-%d", "more": [1e3]}}',
        '{\n "success" : true,\r\n "input" : %s,\n "output" : {"task_id" : "t-%d"}}',
        '{"success": true, "input": %s, "output": {"task_id": "t-%d", "said": "\\ud83d"}}',
        '{"success": true, "input": %s, "output": {"task_id": "t-%d", "said": NaN}}',
        '{"success": true, "input": %s, "output": {"task_id": "t-%d"}}, {"success": true, "input": {"pool_id": "21"}}',
    ],
    ids=["more fields", "line breaks", "half a character", "no number", "another step"],
)
@pytest.mark.parametrize("value", ["a", "\ud83d", "é\u2028\n"], ids=["plain", "half", "special"])
def test_a_log_is_read_however_it_is_written(
    server: ScriptedServer, client: TolokaClient, text: str, value: str
) -> None:
    sent = split_into_batches(
        [encode_task(n, {}, "21", json.dumps({"input_values": {"t": value}}).encode()) for n in (1, 2)], 10
    )
    [now] = sent
    assert isinstance(now, Batch)
    steps = ",".join(text % (task.body.decode(), task.number) for task in reversed(now.tasks))
    server.answer("GET", "/operations/op-1/log", body=f"[{steps}]".encode())
    done = Operation.from_api(operation("SUCCESS", "TASK.BATCH_CREATE"))
    result = Uploader(lambda *numbers: "op-1", {}).batch_result(client, now, done)
    assert (result.created, result.invalid, result.invalid_count) == ([(1, "t-1"), (2, "t-2")], [], 0)


class Finder:
    """What begins to find previous uploads, of which only those in some states are not done."""

    def __init__(self, states: dict[BatchKey, list[str]]) -> None:
        self.states, self.requested = states, list[BatchKey]()

    def __call__(self, key: BatchKey) -> Future[PreviousUpload]:
        self.requested.append(key)
        states = self.states.get(key)
        found: Future[PreviousUpload] = Future()
        found.set_result(PreviousUpload(Operation.from_api(operation(states.pop(0))) if states else None))
        return found


def test_previous_uploads_are_found_once_and_ahead() -> None:
    """Also the parts of chunks, once there was a chunk of several."""
    finder = Finder({})
    find = PreviousUploads(finder, ahead=2)
    for key in ((0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0), (0, 0, 0)):
        assert find(key) == PreviousUpload()
    expected = [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (2, 1, 0)]
    assert sorted(finder.requested) == sorted(expected)
    assert finder.requested[:3] == expected[:3]


def test_what_was_not_done_when_it_was_found_ahead_is_found_anew() -> None:
    finder = Finder({(1, 0, 0): ["PENDING", "RUNNING", "RUNNING", "SUCCESS"]})
    find = PreviousUploads(finder, ahead=1)
    find((0, 0, 0))
    assert [find((1, 0, 0)).unfinished is not None for _ in range(3)] == [True, True, False]
    assert find((1, 0, 0)).unfinished is None
