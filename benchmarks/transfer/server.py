"""
A Toloka that costs next to nothing: prepared answers of assignments, and operations that are done at once.

It runs as a process of its own, says on which port, and ends when its standard input does. The id of a pool is the
number of answers that it has, so one server serves downloads of every size. Whoever reads its counters says how long it
waits before each answer from then on.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TASKS_PER_SUITE = 10
DATE = "2030-01-01T12:00:00.123"
# Where one task of a request ends and the next begins. The benchmark's tasks hold no list of objects.
BETWEEN_TASKS = re.compile(rb"(?<=\}),\s*(?=\{)")
PROJECT = {
    "id": "10",
    "public_name": "Animals",
    "public_description": "Which animal is it?",
    "assignments_issuing_type": "AUTOMATED",
    "status": "ACTIVE",
    "task_spec": {
        "input_spec": {"image": {"type": "url", "required": True}, "question": {"type": "string", "required": False}},
        "output_spec": {"result": {"type": "string", "required": True}},
    },
}


def source_line(number: int) -> bytes:
    """Return a line of the file that is uploaded."""
    values = {"image": f"https://example.com/images/{number:08}.jpg", "question": "Which animal is in the picture?"}
    return json.dumps({"input_values": values}).encode() + b"\n"


@dataclass
class Script:
    """What is answered, and what was asked so far."""

    assignments: list[bytes]
    operations: dict[str, bytes] = field(default_factory=dict)
    tasks: int = 0
    requests: int = 0
    received: int = 0
    sent: int = 0
    latency: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Return the status and the body for a request."""
        match method, path.removeprefix("/api/v1/").split("/"):
            case "GET", ["assignments"]:
                return 200, self._page(query)
            case "POST", ["tasks"]:
                return self._create(query["operation_id"], body)
            case "GET", ["operations", operation_id, "log"]:
                return 200, self.operations[operation_id]
            case "GET", ["operations", operation_id]:
                return self._operation(operation_id)
            case "GET", ["operations"]:
                return 200, b'{"items": [], "has_more": false}'
            case "GET", ["pools", pool_id]:
                return 200, _dump(_pool(pool_id))
            case "GET", ["projects", "10"]:
                return 200, _dump(PROJECT)
            case "GET", ["", "counters"]:
                self.latency = float(query["latency"]) / 1000
                return 200, _dump(self.counters())
        return 404, _dump({"code": "NOT_SCRIPTED", "message": f"{method} {path} is not scripted"})

    def counters(self) -> dict[str, float]:
        """Return what the server did since it began."""
        counted = {name: getattr(self, name) for name in ("tasks", "requests", "received", "sent")}
        return {"cpu": time.process_time(), **counted}

    def _page(self, query: dict[str, str]) -> bytes:
        count, limit = int(query["pool_id"]) // TASKS_PER_SUITE, int(query.get("limit", 50))
        start = _number(query["id_gt"]) + 1 if "id_gt" in query else 0
        stop = min(_number(query["id_lte"]) + 1, count) if "id_lte" in query else count
        has_more = stop - start > limit
        chosen = range(start, min(start + limit, stop)) if query["sort"] == "id" else range(stop - 1, start - 1, -1)
        items = [self._assignment(number) for number in chosen[:limit]]
        return b'{"items":[' + b",".join(items) + b'],"has_more":' + (b"true}" if has_more else b"false}")

    def _assignment(self, number: int) -> bytes:
        """Return an answer; those that are not prepared differ from one that is by nothing but the id."""
        prepared = self.assignments[number % len(self.assignments)]
        if number < len(self.assignments):
            return prepared
        return b'{"id":"00022cfa46--%024x"%b' % (number, prepared[len(b'{"id":"00022cfa46--"') + 24 :])

    def _create(self, operation_id: str, body: bytes) -> tuple[int, bytes]:
        items = BETWEEN_TASKS.split(body.strip()[1:-1])
        with self.lock:
            if operation_id in self.operations:
                return 409, _dump({"code": "OPERATION_ALREADY_EXISTS", "message": "Operation already exists"})
            first, self.tasks = self.tasks, self.tasks + len(items)
            self.operations[operation_id] = b""
        steps = (
            b'{"type": "TASK_CREATE", "success": true, "input": %b, "output": {"task_id": "00014495f0--%024x"}}'
            % (item, number)
            for number, item in enumerate(items, first)
        )
        self.operations[operation_id] = b"[" + b", ".join(steps) + b"]"
        return 202, self._operation(operation_id, len(items))[1]

    def _operation(self, operation_id: str, count: int | None = None) -> tuple[int, bytes]:
        if operation_id not in self.operations:
            return 404, _dump({"code": "DOES_NOT_EXIST", "message": "Operation not found"})
        if count is None:
            count = self.operations[operation_id].count(b'"TASK_CREATE"')
        counters = {"total_count": count, "valid_count": count, "success_count": count}
        return 200, _dump(
            {
                "id": operation_id,
                "type": "TASK.BATCH_CREATE",
                "status": "SUCCESS",
                "submitted": DATE,
                "started": DATE,
                "finished": DATE,
                "progress": 100,
                "parameters": {"open_pool": False, "allow_defaults": True, "skip_invalid_items": False},
                "details": {**counters, "not_valid_count": 0, "failed_count": 0},
            }
        )


def _number(assignment_id: str) -> int:
    return int(assignment_id.partition("--")[2], 16)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    script: Script

    def do_GET(self) -> None:
        script = self.script
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        if address.path.startswith("/api/"):
            time.sleep(script.latency)
        try:
            status, content = script.answer(self.command, address.path, dict(parse_qsl(address.query)), body)
        except (KeyError, ValueError) as exc:
            status, content = 400, _dump({"code": "NOT_SCRIPTED", "message": f"{self.path}: {exc!r}"})
        with script.lock:
            script.requests += address.path.startswith("/api/")
            script.received += len(body)
            script.sent += len(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _pool(pool_id: str) -> dict[str, Any]:
    return {
        "id": pool_id,
        "project_id": "10",
        "private_name": "Animals",
        "status": "CLOSED",
        "last_close_reason": "COMPLETED",
        "may_contain_adult_content": False,
        "will_expire": DATE,
        "reward_per_assignment": 0.05,
        "defaults": {"default_overlap_for_new_task_suites": 3, "default_overlap_for_new_tasks": 3},
    }


def _assignment(number: int) -> bytes:
    first = number * TASKS_PER_SUITE
    return _dump(
        {
            "id": f"00022cfa46--{number:024x}",
            "task_suite_id": f"00022cfa46--{number // 3:024x}",
            "pool_id": "36502086",
            "user_id": f"{number % 997:032x}",
            "status": "ACCEPTED",
            "reward": 0.05,
            "tasks": [_task(task) for task in range(first, first + TASKS_PER_SUITE)],
            "solutions": [{"output_values": {"result": "cat"}}] * TASKS_PER_SUITE,
            "mixed": True,
            "automerged": False,
            "created": DATE,
            "submitted": DATE,
            "accepted": DATE,
            "owner": {"id": "6c6e20dc86cca2ae787afcb2629de162", "myself": True},
        }
    )


def _task(number: int) -> dict[str, Any]:
    return {
        "id": f"00014495f0--{number:024x}",
        **json.loads(source_line(number)),
        "pool_id": "36502086",
        "overlap": 3,
        "infinite_overlap": False,
        "reserved_for": [],
        "unavailable_for": [],
        "created": DATE,
        "remaining_overlap": 0,
    }


def main() -> None:
    """Prepare the answers of the largest pool, and serve until nobody is there any more."""
    Handler.script = Script([_assignment(number) for number in range(int(sys.argv[1]) // TASKS_PER_SUITE)])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
