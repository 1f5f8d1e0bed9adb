"""The processes of Airflow: whether they live, and whether triggerers can run all waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.doctor import metadata_database as database
from toloka_airflow.doctor.findings import Finding, fail, ok, unknown, warn
from toloka_airflow.records.waits import Wait, stored_waits

if TYPE_CHECKING:
    from toloka_airflow.doctor.metadata_database import Component

SMALL_CAPACITY = 10
"""How many triggers a triggerer must be able to run at least, lest a few waits keep all others from being watched."""
NEARLY_FULL = 0.8
OVERDUE = 20.0
"""Seconds after its deadline at which a wait must have ended: within one poll. After 60 the scheduler fails it."""
_SHOWN = 5


def probe_metadata_database() -> Iterator[Finding]:
    """Read something from the database."""
    if file := database.missing_file():
        yield unknown(
            "metadata-database",
            f"There is no {file}",
            "Run this with the AIRFLOW_HOME and the configuration of the deployment; a new one needs "
            "`airflow db migrate`",
        )
        return
    database.ping()
    yield ok("metadata-database", "Airflow's database answers")


def probe_scheduler() -> Iterator[Finding]:
    """Find a scheduler that lives."""
    yield _alive(
        "scheduler",
        database.SCHEDULER,
        "Start `airflow scheduler`: without one no task runs, and nothing that waits is closed when it should be",
    )


def probe_dag_processor() -> Iterator[Finding]:
    """Find a DAG processor that lives."""
    yield _alive(
        "dag-processor",
        database.DAG_PROCESSOR,
        "Start `airflow dag-processor`: without one changes of DAG files are not noticed",
    )


def probe_triggerer() -> Iterator[Finding]:
    """Find a triggerer that lives."""
    yield _alive(
        "triggerer",
        database.TRIGGERER,
        "Start `airflow triggerer`: without one nobody watches deferred tasks, and pools stay open after their time",
    )


def _alive(check: str, kind: str, remedy: str) -> Finding:
    name = check.replace("-", " ")
    found = database.components(kind)
    alive = [each for each in found if each.is_alive]
    if alive:
        hosts = ", ".join(f"{each.hostname}, heartbeat {_age(each)} ago" for each in alive[:_SHOWN])
        return ok(check, f"{len(alive)} alive: {hosts}")
    if not found:
        return fail(check, f"No {name} was ever started", remedy)
    return fail(
        check, f"No {name} is alive; the last heartbeat is {_age(found[0])} old, of {found[0].hostname}", remedy
    )


def _age(component: Component) -> str:
    seconds = (datetime.now(UTC) - component.heartbeat).total_seconds()
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def probe_capacity() -> Iterator[Finding]:
    """Compare what triggerers can run with what there is to run."""
    capacity = conf.getint("triggerer", "capacity")
    alive = [each for each in database.components(database.TRIGGERER) if each.is_alive]
    counts = database.count_triggers()
    total, possible = sum(counts.values()), capacity * len(alive)
    used = sum(counts.get(each.id, 0) for each in alive)
    in_use = (
        f"{used} of {possible} {plural(used, 'is', 'are')} in use by {counted(len(alive), 'that is', 'that are')} alive"
        if alive
        else "none is alive to use it"
    )
    text = f"[triggerer] capacity is {capacity}; {in_use}"
    remedy = (
        "Raise [triggerer] capacity (1000 by default) in the configuration of the triggerers, or their option "
        "--capacity, and start them again; or start more of them"
    )
    if capacity == 1:
        yield fail("triggerer-capacity", f"{text}. A single wait keeps all others from being watched", remedy)
    elif alive and total > possible:
        yield fail(
            "triggerer-capacity", f"{text}, but there {plural(total, 'is', 'are')} {counted(total, 'trigger')}", remedy
        )
    elif capacity < SMALL_CAPACITY or total > NEARLY_FULL * possible > 0:
        yield warn("triggerer-capacity", text, remedy)
    else:
        yield ok("triggerer-capacity", text)


def probe_unassigned() -> Iterator[Finding]:
    """Find waits that no living triggerer has taken."""
    seconds = conf.getfloat("triggerer", "triggerer_health_check_threshold")
    alive = [each for each in database.components(database.TRIGGERER) if each.is_alive]
    waits = stored_waits()
    unassigned = _unassigned(waits, alive, seconds)
    if not unassigned:
        yield ok(
            "unassigned-waits",
            f"Of {counted(len(waits), 'wait')} of Toloka each has a triggerer, or was only just made",
        )
        return
    if alive:
        queues = sorted({wait.queue for wait in unassigned if wait.queue})
        of_queues = f"start one for the queues {', '.join(queues)} (--queues)" if queues else ""
        remedy = (
            "The triggerers are full, or none is for their queue: raise [triggerer] capacity or the option --capacity "
            f"of the triggerers, or start more of them{'; ' + of_queues if of_queues else ''}"
        )
    else:
        remedy = "Start `airflow triggerer`"
    yield fail(
        "unassigned-waits",
        f"No triggerer runs {len(unassigned)} of {counted(len(waits), 'wait')} of Toloka: {_names(unassigned)}",
        remedy,
    )


def probe_queues() -> Iterator[Finding]:
    """Say which queues waits are in, and whether somebody runs those."""
    if not conf.has_option("triggerer", "queues_enabled"):
        yield ok("triggerer-queues", "This Airflow has none; they came with 3.2")
        return
    alive = [each for each in database.components(database.TRIGGERER) if each.is_alive]
    waits = stored_waits()
    if not conf.getboolean("triggerer", "queues_enabled"):
        if stored := sorted({wait.queue for wait in waits if wait.queue}):
            yield fail(
                "triggerer-queues",
                f"[triggerer] queues_enabled is off, but waits are in {', '.join(stored)}, which nobody runs now",
                "Turn it on again until they have ended, and start triggerers with --queues for these",
            )
        else:
            yield ok("triggerer-queues", "They are off, so each triggerer runs every wait")
        return
    seconds = conf.getfloat("triggerer", "triggerer_health_check_threshold")
    missed = Counter(wait.queue or "no queue" for wait in _unassigned(waits, alive, seconds))
    served = sorted({wait.queue or "no queue" for wait in waits} - set(missed))
    if missed:
        yield fail(
            "triggerer-queues",
            f"Nobody runs the waits of: {', '.join(f'{queue} ({count})' for queue, count in missed.items())}",
            "Start a triggerer with --queues for each of them, and one without --queues for those without a queue",
        )
    else:
        yield ok("triggerer-queues", f"They are on; waits are in: {', '.join(served) or 'none'}")


def _unassigned(waits: Sequence[Wait], alive: Sequence[Component], seconds: float) -> list[Wait]:
    """Return the waits that no living triggerer has, though it had the time to take them."""
    ids, now = {each.id for each in alive}, datetime.now(UTC)
    return [each for each in waits if each.triggerer_id not in ids and (now - each.created).total_seconds() > seconds]


def probe_overdue() -> Iterator[Finding]:
    """Find deferred tasks whose deadline is over."""
    now = datetime.now(UTC).timestamp()
    waits = stored_waits()
    overdue = [wait for wait in waits if wait.task is not None and _deadline(wait) + OVERDUE < now]
    if any(wait.arguments is None for wait in waits):
        yield unknown(
            "overdue-waits",
            "The arguments of some triggers cannot be read, so nothing is known of these waits",
            "Run this with the [core] fernet_key of the deployment",
        )
    if overdue:
        yield fail(
            "overdue-waits",
            f"The deadline of {counted(len(overdue), 'deferred task')} is over, so no triggerer runs them: "
            f"{_names(overdue)}",
            "Start `airflow triggerer`, or give it more capacity; then they end by themselves. If one does not, mark "
            "it as failed, which runs the teardown of its run; if it has none, close its pool by hand",
        )
    else:
        yield ok("overdue-waits", f"Of {counted(len(waits), 'wait')} of Toloka none is past its deadline")


def probe_paused() -> Iterator[Finding]:
    """Find waits whose DAG is paused, so that nothing happens when they end."""
    paused = [wait for wait in stored_waits() if wait.is_paused and wait.task]
    if paused:
        yield warn(
            "paused-dags",
            f"{counted(len(paused), 'deferred task is', 'deferred tasks are')} of paused DAGs, so what closes pools "
            f"does not run: {_names(paused)}",
            "Unpause the DAG (`airflow dags unpause`) until its run has ended; close the pools by hand only if nobody "
            "needs their answers any more",
        )
    else:
        yield ok("paused-dags", "No deferred task of Toloka is of a paused DAG")


def _deadline(wait: Wait) -> float:
    """Return the Unix time at which a wait gives up; infinity if it has none, or it cannot be read."""
    value = (wait.arguments or {}).get("deadline")
    return float(value) if isinstance(value, int | float) else float("inf")


def _names(waits: Sequence[Wait]) -> str:
    shown = ", ".join(wait.name for wait in waits[:_SHOWN])
    return shown if len(waits) <= _SHOWN else f"{shown} and {len(waits) - _SHOWN} more"
