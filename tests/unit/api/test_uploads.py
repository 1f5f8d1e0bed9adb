"""How tasks are cut into pieces, and how the log of an operation is read in all its shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import TOKEN, ScriptedServer, operation
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaError, TolokaOperationError
from toloka_airflow.api.models import Operation
from toloka_airflow.api.uploads import MAX_BYTES, ChangedError, Invalid, Piece, Uploader, encoded, pieces

A, B = {"text": "a"}, {"text": "b"}
REQUIRED = {"code": "VALUE_REQUIRED", "message": "Value must be present"}


def cut(sizes: list[int], chunk_size: int) -> list[tuple[int, int, int]]:
    tasks = [(number, b"x" * size) for number, size in enumerate(sizes, 1)]
    return [(piece.chunk, piece.part, len(piece.bodies)) for piece in pieces(tasks, chunk_size)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([9] * 3, [(0, 0, 3)]),
        ([9] * 7, [(0, 0, 3), (1, 0, 3), (2, 0, 1)]),
        ([600_000] * 4, [(0, 0, 1), (0, 1, 1), (0, 2, 1), (1, 0, 1)]),
        ([9, 2_000_000, 9, 9], [(0, 0, 1), (0, 1, 1), (0, 2, 1), (1, 0, 1)]),
    ],
)
def test_pieces(sizes: list[int], expected: list[tuple[int, int, int]]) -> None:
    assert cut(sizes, 3) == expected


def test_a_change_shows_in_all_cursors_behind_it() -> None:
    first = [piece.cursor for piece in pieces([(1, b"a"), (2, b"b"), (3, b"c")], 1)]
    second = [piece.cursor for piece in pieces([(1, b"a"), (2, b"x"), (3, b"c")], 1)]
    assert [one == other for one, other in zip(first, second, strict=True)] == [True, False, False]


@pytest.mark.parametrize("text", [None, b'{ "input_values": {"text": "a"} }'])
def test_a_task_gets_its_pool_and_its_number(text: bytes | None) -> None:
    assert json.loads(encoded(7, {"input_values": A}, "21", text)) == {
        "pool_id": "21",
        "__item_idx": "7",
        "input_values": A,
    }


def test_what_is_in_the_text_is_replaced() -> None:
    task = {"input_values": A, "pool_id": 21, "__item_idx": "5"}
    body = encoded(7, task, "21", json.dumps(task).encode())
    assert json.loads(body) == {"input_values": A, "pool_id": "21", "__item_idx": "7"}


def test_the_size_is_that_of_the_input_values() -> None:
    hint = "x" * MAX_BYTES
    assert encoded(1, {"input_values": A, "message_on_unknown_solution": hint}, "21")
    with pytest.raises(ValueError, match=f"input_values.big alone has {MAX_BYTES + 2}"):
        encoded(1, {"input_values": {**A, "big": hint}}, "21")


@pytest.fixture
def client(server: ScriptedServer) -> TolokaClient:
    return TolokaClient(TOKEN, base_url=server.url, retry_budget=0)


def piece() -> Piece:
    [whole] = pieces([(1, encoded(1, {"input_values": A}, "21")), (2, encoded(2, {"input_values": B}, "21"))], 10)
    return whole


def step(values: dict[str, Any], output: Any, *, success: bool, **more: Any) -> dict[str, Any]:
    return {"type": "TASK_CREATE", "success": success, "input": {"input_values": values, **more}, "output": output}


def outcome(server: ScriptedServer, client: TolokaClient, steps: Any, status: str = "SUCCESS", **options: bool) -> Any:
    server.answer("GET", "/operations/op-1/log", json=steps)
    done = Operation.from_api(operation(status, "TASK.BATCH_CREATE"))
    return Uploader(lambda *numbers: "op-1", options).outcome(client, piece(), done)


def test_steps_in_any_order_and_without_number(server: ScriptedServer, client: TolokaClient) -> None:
    steps = [
        step(B, {"task_id": "t-2"}, success=True),
        step(A, {"task_id": "t-1"}, success=True, __item_idx="1"),
        {"type": "POOL_OPEN", "success": False, "input": {"pool_id": 21}, "output": {"code": "EMPTY_POOL"}},
    ]
    assert outcome(server, client, steps).created == [(1, "t-1"), (2, "t-2")]


@pytest.mark.parametrize(
    ("output", "invalid"),
    [
        ({"input_values.text": REQUIRED}, Invalid(1, "input_values.text", **REQUIRED)),
        (
            {"code": "VALIDATION_ERROR", "message": "Failed", "payload": {"input_values.text": REQUIRED}},
            Invalid(1, "input_values.text", **REQUIRED),
        ),
        ({"code": "VALIDATION_ERROR", "message": "Failed"}, Invalid(1, "", "VALIDATION_ERROR", "Failed")),
        (None, Invalid(1, "", None, "")),
    ],
)
def test_both_shapes_of_a_failure(server: ScriptedServer, client: TolokaClient, output: Any, invalid: Invalid) -> None:
    steps = [step(A, output, success=False, __item_idx="1"), step(B, {"task_id": "t"}, success=True, __item_idx="2")]
    found = outcome(server, client, steps)
    assert (found.invalid, found.not_valid, found.created) == ([invalid], 1, [(2, "t")])


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
        outcome(server, client, steps)


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
        outcome(server, client, [odd, step(B, {"task_id": "t"}, success=True, __item_idx="2")])


@pytest.mark.parametrize("status", ["FAIL", "STRANGE"])
def test_an_operation_that_failed_otherwise(server: ScriptedServer, client: TolokaClient, status: str) -> None:
    if status == "STRANGE":
        with pytest.raises(TolokaOperationError, match="does not know"):
            Uploader(lambda *numbers: "op-1", {}).outcome(
                client, piece(), Operation.from_api(operation(status, "TASK.BATCH_CREATE"))
            )
        return
    with pytest.raises(TolokaOperationError):
        outcome(server, client, [], status)


@pytest.mark.parametrize(
    ("details", "log", "sends"),
    [
        ({"success_count": 0}, None, True),
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
    uploader = Uploader(lambda chunk, part, number: f"00000000-0000-0000-0000-{number:012}", {})
    assert uploader.send(client, piece()).status == ("RUNNING" if sends else "FAIL")
    assert ("operation_id=00000000-0000-0000-0000-000000000001" in server.seen[-1].query) == sends
