"""
Kill payments of bonuses at points all over them, while some of their requests fail, and let others go on.

Run as a program of its own, because it forks. It counts the requests that are sent, as Python reports them to audit
hooks.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import warnings
from datetime import UTC, datetime
from itertools import count
from threading import Timer
from types import SimpleNamespace
from typing import Any

from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.transfer.bonuses.paying import open_payment

POINTS = 6
URL, PATH = sys.argv[1:]
BEGAN = datetime.now(UTC)

steps_left, is_sent = 0, False


def step(event: str, arguments: tuple[object, ...]) -> None:
    global steps_left
    if event == "http.client.send" and steps_left:
        steps_left -= 1
        if not steps_left and is_sent:
            # While Toloka acts on it, or before it has read it, or after its answer.
            Timer(0.003, os.kill, (os.getpid(), signal.SIGKILL)).start()
        elif not steps_left:
            os.kill(os.getpid(), signal.SIGKILL)


def pay(run_id: str) -> dict[str, Any]:
    client = TolokaClient(ClientSettings("a-token-of-somebody", base_url=URL, first_pause=0.001))
    context: Any = {
        "ti": SimpleNamespace(dag_id="dag", run_id=run_id, task_id="pay", map_index=-1),
        "dag_run": SimpleNamespace(run_after=BEGAN, logical_date=None),
    }
    payment = open_payment(
        client,
        context,
        argument="bonuses",
        given=PATH,
        decide=None,
        defaults={},
        max_total=None,
        refused_path=None,
        skip_invalid_items=False,
        daily_quota=100_000,
        log=logging.getLogger(),
    )
    for operation in payment.survey():
        client.wait_operation(operation, timeout=60, poll_interval=0.01)
    already = payment.paid_count
    payment.send()
    for operation in payment.survey():
        client.wait_operation(operation, timeout=60, poll_interval=0.01)
    return payment.result(already)


def attempt(run_id: str, killed_at: int, *, after: bool = False) -> int:
    """
    Pay in a process of its own, killed at one of its requests; return its exit code, or minus the signal.

    :param after: Whether to kill it when the request has been sent; else before.
    """
    global steps_left, is_sent
    is_sent = after
    child = os.fork()
    if not child:
        sys.addaudithook(step)
        steps_left = killed_at
        result = pay(run_id)
        os._exit(result["paid"] != result["total"])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Print how many payments there were, and after how many requests each was killed at first."""
    most = next(number for number in count(60, 20) if attempt("first", number) == 0)
    killed = []
    for point in range(1, POINTS + 1):
        at = most * point // (POINTS + 1)
        first = attempt(str(point), at, after=point % 2 == 1)
        ends = [first, attempt(str(point), max(1, most - at) // 2), attempt(str(point), 0)]
        assert set(ends) <= {0, -signal.SIGKILL}, ends
        assert ends[0] == -signal.SIGKILL, f"not killed at point {point}"
        assert ends[-1] == 0, ends
        killed.append(at)
    print(json.dumps({"payments": 1 + POINTS, "killed": killed}))


logging.disable()
warnings.simplefilter("error")
main()
