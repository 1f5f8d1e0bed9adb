"""What the answers of a pool come to, for the rounds of a `toloka_airflow.label_until.label_until`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from math import isnan
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow.operators.labelling_decisions import paid_for
from toloka_airflow.storage.paths import storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool
    from toloka_airflow.checks.money import Fee

STATUSES = ("SUBMITTED", "ACCEPTED", "REJECTED")
IN_FLIGHT = 12


@dataclass(frozen=True)
class Answered:
    """
    What the answers of a pool come to.

    :param scores: How sure the label of each task is, by its id.
    :param counted: How many answers that count each task has, by its id; in the field with the fewest.
    :param tasks: How many tasks that are no control tasks have an answer that counts.
    :param rewards: Of each page that is paid for.
    :param submitted: When each of these was submitted, in seconds since 1970.
    :param last_submitted: When the last page of all was, also of those that are not paid for; ``None`` without any.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)
    tasks: int = 0
    rewards: Sequence[float] = ()
    submitted: Sequence[float] = ()
    last_submitted: float | None = None

    def paid(self, pool: Pool, fee: Fee) -> Decimal:
        """Return what all answers cost, the fee included."""
        return paid_for(self.rewards, pool, fee)

    def paid_until(self, time: float | None, pool: Pool, fee: Fee) -> Decimal:
        """Return what those cost that were submitted until a time, in seconds since 1970; ``None`` is before all."""
        pages = zip(self.rewards, self.submitted, strict=True)
        return paid_for([] if time is None else [reward for reward, at in pages if at <= time], pool, fee)


def download_answers(context: Context, client: TolokaClient, pool_id: str, path: str, log: Any) -> int:
    """
    Write all answers of a pool, as `GetAssignmentsOperator` does, and return how many there are.

    A further attempt begins anew: what a killed one has read may have been decided since.
    """
    from toloka_airflow.storage.row_files import RowFile
    from toloka_airflow.transfer.download.answer_rows import read_answers
    from toloka_airflow.transfer.download.parallel_download import ParallelDownload

    key = TaskIdentity.of(context).uuid("answers", pool_id)[:8]
    file = RowFile(storage_path("folder", path), key=key, max_age=-1, name="folder")
    ParallelDownload(
        file,
        client,
        read=partial(read_answers, with_more=False),
        pages=lambda client, read, after, until: client.read_assignments(
            pool_id, read, after=after, until=until, status=list(STATUSES)
        ),
        find_last=lambda client: client.find_last_assignment(pool_id, status=list(STATUSES)),
        in_flight=IN_FLIGHT,
        log=log,
    ).run()
    return file.finish().get("answers", 0)


def read_answered(path: str, fields: Sequence[str], method: str) -> Answered:
    """
    Return what the answers in a file come to.

    :param path: The file, with at least one answer.
    """
    # Here, as a DAG that is only parsed needs no numpy.
    from toloka_airflow.quality.aggregating import aggregate_field
    from toloka_airflow.quality.answers import read_answers as read_table
    from toloka_airflow.quality.doubts import task_scores, vote_counts

    table = read_table(path, fields=fields)
    scores = task_scores(table, ((name, aggregate_field(table, name, method)) for name in fields))
    # What counts is what is paid, or will be: all but what was rejected.
    rows = table.is_counted
    submitted = dict(zip(table.assignments[rows].tolist(), table.submitted[rows].tolist(), strict=True))
    return Answered(
        scores=scores,
        counted=vote_counts(table),
        tasks=sum(not table.is_control[task] for task in set(table.tasks[rows].tolist())),
        rewards=table.rewards[list(submitted)].tolist(),
        submitted=list(submitted.values()),
        last_submitted=max((time for time in table.submitted.tolist() if not isnan(time)), default=None),
    )


def write_labels(answers_path: str, path: str, fields: Sequence[str], method: str) -> int:
    """Write a row for each task that has a label, and return how many there are."""
    from toloka_airflow.quality.aggregating import aggregate_answers

    return int(aggregate_answers(answers_path, path, fields=fields, method=method)["solutions"])
