"""Why a run failed: each task that failed, each of its attempts, and the disturbance that accounts for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.chaos.records import Attempt, Disturbance, Run

LOST = ("task process", "worker", "supervisor")
LOST_PROCESS = r"heartbeat timeout|WorkerLostError|reported that the task|SIGKILL|-9\b"
SERVICES = ("scheduler", "API server", "Redis", "PostgreSQL", "PostgreSQL unreachable")


@dataclass(frozen=True)
class Cause:
    """
    What a failed attempt says of itself, and which disturbances do that.

    :param pattern: Found in a line of Airflow's logs or of its audit log.
    :param kinds: Disturbances one of which must have happened.
    :param reach: How many seconds it may have ended before the attempt began.
    :param kills: Whether it must have killed the very process of the attempt, if that is known.
    """

    why: str
    pattern: str
    kinds: tuple[str, ...]
    reach: float
    kills: bool = False


# The first that fits: what names its reason comes before what could have many.
CAUSES = (
    Cause("Toloka's clock was ahead", r"is over by Toloka's clock", ("clock step",), 0),
    Cause("no worker took it, and Airflow gave it up", r"requeued more than", (*LOST, *SERVICES), 900),
    Cause("the disk was full", r"No space left on device", ("full disk",), 60),
    Cause("Toloka refused the old token", r"answered 401\b", ("rotated token",), 60),
    Cause("its process was killed", LOST_PROCESS, LOST, 120, kills=True),
    Cause("Airflow did not hear of its process", LOST_PROCESS, SERVICES, 60),
    Cause(
        "Airflow's API or database was away",
        r"httpx|ServerResponse|API_SERVER|execution API|OperationalError|Invalid auth token|Connection refused",
        SERVICES,
        120,
    ),
    Cause(
        "calls to Toloka went wrong",
        r"TolokaConnectionError|TolokaRetryableError|answered (50[0-9]|429)\b",
        ("faulty calls",),
        60,
    ),
)


CONSEQUENCE = r"has no result: the task \S+ is upstream_failed"
"""What a task says that failed because another one had."""


@dataclass(frozen=True)
class Explanation:
    """Why a run failed; it is complete if a disturbance accounts for each failed attempt of each failed task."""

    run: Run
    reasons: list[str]
    is_complete: bool


def explain(run: Run, disturbances: Sequence[Disturbance]) -> Explanation:
    """Explain a failed run."""
    last = {attempt.task: attempt for attempt in sorted(run.attempts, key=lambda each: each.number)}
    failed = {task for task, attempt in last.items() if attempt.state == "failed"}
    told = [_reason(each, disturbances) for each in run.attempts if each.task in failed and each.state == "failed"]
    causes = [reason for reason in told if reason is not None]
    texts = [text for text, _ in causes] or ["no task of it has failed by itself"]
    return Explanation(run, texts, bool(causes) and all(known for _, known in causes))


def _reason(attempt: Attempt, disturbances: Sequence[Disturbance]) -> tuple[str, bool] | None:
    if any(re.search(CONSEQUENCE, line) for line in attempt.errors):
        return None
    who = f"{attempt.task}, attempt {attempt.number}"
    for cause in CAUSES:
        line = next((line for line in attempt.errors if re.search(cause.pattern, line)), None)
        blamed = [each for each in disturbances if line is not None and _may_have(each, cause, attempt)]
        if blamed:
            latest = max(blamed, key=lambda each: each.began)
            return f"{who}: {cause.why} ({latest.told}): {line}", True
    return f"{who}, which no disturbance accounts for: {'; '.join(attempt.errors) or 'nothing says why'}", False


def _may_have(disturbance: Disturbance, cause: Cause, attempt: Attempt) -> bool:
    if disturbance.kind not in cause.kinds or not disturbance.hit or attempt.ended is None:
        return False
    if cause.kills and disturbance.processes and attempt.process is not None:
        return attempt.process in disturbance.processes
    began = attempt.ended if attempt.began is None else attempt.began
    return disturbance.began <= attempt.ended and disturbance.ended >= began - cause.reach
