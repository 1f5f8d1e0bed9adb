"""Made-up answers of the page's API: any number of pools, in every state that the page has a form for."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

STATUSES = ("CLOSED", "CLOSED", "CLOSED", "ARCHIVED", "LOCKED", "NOT_OPEN", None, "SOMETHING_NEW")
ALERTS = (
    {"kind": "nobody_waits", "text": "Open, and no task waits for it"},
    {"kind": "training_left_open", "text": "Open, but no pool that requires it is"},
)


def written(time: datetime) -> str:
    """Return a time as the API writes it."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def made_pool(number: int, now: datetime) -> dict[str, Any]:
    """Return one of the pools; every third is open, and of those every third has a red mark."""
    chance = random.Random(number)
    is_open = number % 3 == 0
    opened = now - timedelta(hours=chance.uniform(1, 90))
    run = {"dag_id": f"label_{number % 40}", "run_id": f"scheduled__{opened:%Y-%m-%dT%H}:00:00+00:00"}
    is_measured = number % 5 != 4
    return {
        "dag_id": f"label_{number % 40}",
        "conn_id": "toloka_default",
        "pool_id": str(1000 + number),
        "kind": "training" if number % 9 == 3 else "pool",
        "name": f"Traffic signs {number}",
        "status": "OPEN" if is_open else STATUSES[number % len(STATUSES)],
        "close_reason": None if is_open else "COMPLETED",
        "opened_by": {**run, "task_id": "window.open", "map_index": -1, "by_hand": False} if is_open else None,
        "opened_at": written(opened),
        "closes_at": written(now + timedelta(minutes=chance.randint(-30, 3000))) if number % 2 else None,
        "closed_by_dag_id": "label_nights" if number % 2 else None,
        "expires_at": written(now + timedelta(days=9)),
        "is_waited_for": True,
        "percent": round(chance.uniform(0, 100), 1) if is_measured else None,
        "answers_per_hour": chance.randint(0, 1500) if is_open and is_measured else None,
        "ends_at": written(now + timedelta(hours=30)) if is_open and is_measured else None,
        "answers": chance.randint(0, 40_000) if is_measured else None,
        "spent": round(chance.uniform(0, 900), 4) if is_measured else None,
        "committed": round(chance.uniform(0, 9), 4) if is_measured else None,
        "cost_per_hour": round(chance.uniform(0, 30), 4) if is_open and is_measured else None,
        "currency": "USD",
        "last_answer_at": written(now - timedelta(minutes=chance.randint(0, 300))) if is_measured else None,
        "measured_at": written(now) if is_measured else None,
        "alerts": [ALERTS[number % 2]] if number % 9 == 0 else [],
        "may_close": is_open,
        "toloka_url": f"https://platform.toloka.ai/requester/project/1/pool/{1000 + number}",
    }


def made_overview(pools: list[dict[str, Any]], now: datetime, state: str = "fresh") -> dict[str, Any]:
    """Return the answer to ``GET api/overview``."""
    fetched = None if state == "loading" else written(now - timedelta(minutes=7 if state == "down" else 0))
    connection = {"conn_id": "toloka_default", "state": state, "fetched_at": fetched, "balance": 1234.5}
    message = "Toloka answered 503" if state == "down" else None
    sums = {key: sum(pool[key] or 0 for pool in pools) for key in ("spent", "committed", "cost_per_hour")}
    return {
        "now": written(now),
        "version": "1",
        "connections": [{**connection, "message": message, "currency": "USD"}],
        "pools": pools,
        "totals": {
            "open": sum(pool["status"] == "OPEN" for pool in pools),
            "alerts": sum(bool(pool["alerts"]) for pool in pools),
            **sums,
            "currency": "USD",
        },
        "is_cut": False,
    }


def made_details(pool: dict[str, Any], now: datetime, count: int = 300) -> dict[str, Any]:
    """Return the answer to ``GET api/pools/...``, with so many measurements."""
    history = [
        {
            "at": written(now - timedelta(minutes=6 * (count - number))),
            "percent": round(70 * number / count, 1),
            "answers": 10 * number,
            "spent": round(0.31 * number, 4),
            "committed": 1.25,
        }
        for number in range(count)
    ]
    task = {key: pool[key] for key in ("dag_id",)} | {"run_id": "manual__1", "map_index": -1}
    times = {"started_at": written(now - timedelta(hours=30)), "ended_at": written(now)}
    return {
        "pool": pool,
        "history": history,
        "runs": [{**task, "task_id": "open", "state": "success", "what": "OpenPoolOperator", **times}],
        "operations": [
            {
                "operation_id": "6c0e7d0c-0000-4000-8000-000000000001",
                "type": "POOL.OPEN",
                "status": "SUCCESS",
                "submitted_at": times["started_at"],
                "finished_at": times["started_at"],
                "log": ["Pool is checked", "Pool is open"],
            }
        ],
        "message": None,
    }


def made_calendar(monday: datetime, now: datetime) -> dict[str, Any]:
    """Return the answer to ``GET api/calendar``: three DAGs, one over midnight, in every state."""
    states = ("done", "missed", "late", "paused")
    windows = []
    for number in range(7):
        for dag_id, hour, hours in (("label_days", 9, 8), ("label_nights", 21, 6), ("label_hours", 10, 1)):
            opens = monday + timedelta(days=number, hours=hour)
            closes = opens + timedelta(hours=hours)
            state = "planned" if opens > now else "open" if closes > now else states[number % len(states)]
            times = {"opens_at": written(opens), "closes_at": written(closes)}
            windows.append({"dag_id": dag_id, **times, "state": state, "run_id": None, "detail": "It had no run"})
    return {"start": f"{monday:%Y-%m-%d}", "days": 7, "windows": windows, "problems": []}
