"""
A task whose quota is spent comes back when that does; on Airflow 3.3, whose tasks can have a retry policy.

On older ones the module is imported like any other.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG

from tests.support import ScriptedServer, pool, run_task
from toloka_airflow.api.errors import TolokaQuotaError, TolokaRetryableError
from toloka_airflow.operators.lifecycle import ClosePoolOperator, OpenPoolOperator
from toloka_airflow.retries import QuotaRetryPolicy

IS_3_3 = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 3)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
QUOTA: dict[str, Any] = {"status": 429, "code": "TOO_MANY_REQUESTS"}

if IS_3_3:
    from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryPolicy, RetryRule

pytestmark = [
    pytest.mark.usefixtures("connection"),
    pytest.mark.skipif(not IS_3_3, reason="Airflow has retry policies since 3.3"),
]


def failure(server: ScriptedServer, answer: dict[str, Any], operator: Any = OpenPoolOperator) -> AirflowException:
    """Return what a task raises that gets an answer."""
    server.error("POST", "/pools/21/close" if operator is ClosePoolOperator else "/pools/21/open", times=20, **answer)
    server.default("GET", "/pools/21", pool())
    with pytest.raises(AirflowException) as caught:
        run_task(operator(task_id="task", pool_id="21"))
    return caught.value


def decided(exception: BaseException, **context: Any) -> RetryDecision:
    return QuotaRetryPolicy().evaluate(exception, try_number=1, max_tries=3, context=context)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({**QUOTA, "payload": {"interval": "MIN"}}, MINUTE),
        ({**QUOTA, "payload": {"interval": "HOUR"}}, HOUR),
        ({**QUOTA, "payload": {"interval": "DAY"}}, DAY),
        ({**QUOTA, "payload": {"interval": "HOUR"}, "headers": {"Retry-After": "1200"}}, 1200.0),
        ({**QUOTA, "payload": {"interval": "HOUR"}, "headers": {"Retry-After": "0"}}, HOUR),
        ({"status": 503, "code": "REMOTE_SERVICE_UNAVAILABLE", "headers": {"Retry-After": "600"}}, 600.0),
    ],
)
@pytest.mark.usefixtures("virtual")
def test_a_task_comes_back_when_its_quota_does(server: ScriptedServer, answer: dict[str, Any], seconds: float) -> None:
    decision = decided(failure(server, answer))
    assert decision.action is RetryAction.RETRY
    assert decision.retry_delay is not None
    assert seconds <= decision.retry_delay.total_seconds() <= seconds + min(0.1 * seconds, 60)
    assert decision.reason


def test_tasks_that_share_a_quota_do_not_come_back_at_once(server: ScriptedServer) -> None:
    error = failure(server, {**QUOTA, "payload": {"interval": "DAY"}})
    assert len({decided(error).retry_delay for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "answer",
    [
        {**QUOTA},
        {**QUOTA, "payload": {"interval": "LIGHT_YEAR"}},
        {"status": 503, "code": "REMOTE_SERVICE_UNAVAILABLE"},
        {"status": 409, "code": "EMPTY_POOL", "headers": {"Retry-After": "600"}},
    ],
)
@pytest.mark.usefixtures("virtual")
def test_all_else_is_left_to_the_task(server: ScriptedServer, answer: dict[str, Any]) -> None:
    assert decided(failure(server, answer)) == RetryDecision.default()
    assert decided(ZeroDivisionError()) == RetryDecision.default()


def test_closing_does_not_wait_for_hours(server: ScriptedServer) -> None:
    """Also if another request of the task failed, or a sensor closes the pool."""
    error = failure(server, {**QUOTA, "payload": {"interval": "DAY"}}, ClosePoolOperator)
    assert decided(error) == RetryDecision.default()
    other = TolokaQuotaError("GET /pools/21", status=429, payload={"interval": "DAY"})
    assert decided(other, task=ClosePoolOperator(task_id="close", pool_id="21")) == RetryDecision.default()
    assert decided(other, task=OpenPoolOperator(task_id="open", pool_id="21")) != RetryDecision.default()


def test_a_rule_of_airflow_matches_what_a_task_raises(server: ScriptedServer) -> None:
    policy = ExceptionRetryPolicy(
        rules=[
            RetryRule("toloka_airflow.api.errors.TolokaQuotaError", retry_delay=timedelta(hours=2)),
            RetryRule(TolokaRetryableError, action=RetryAction.FAIL),
        ]
    )
    error = failure(server, {**QUOTA, "payload": {"interval": "DAY"}})
    assert policy.evaluate(error, 1, 3).retry_delay == timedelta(hours=2)
    assert policy.evaluate(AirflowException("another"), 1, 3).action is RetryAction.DEFAULT


def test_it_is_a_policy_as_airflow_knows_them() -> None:
    with DAG("dag", schedule=None, default_args={"retry_policy": QuotaRetryPolicy()}):
        task = OpenPoolOperator(task_id="open", pool_id="21")
    assert isinstance(task.retry_policy, RetryPolicy)
    restored = QuotaRetryPolicy.deserialize(json.loads(json.dumps(task.retry_policy.serialize())))
    assert isinstance(restored, QuotaRetryPolicy)
