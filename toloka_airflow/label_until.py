"""A task group that gives doubtful tasks more answers, round by round, until the labels are sure enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskGroup

from toloka_airflow._internal.arguments import parse_int
from toloka_airflow.operators.labelling_rounds import AssessRoundOperator, EndLabellingOperator, LabelsOperator
from toloka_airflow.operators.overlap import ChangeOverlapOperator
from toloka_airflow.windows import EXPECTED, RETRIES, conn_id_of, make_persistent, own_task, pool_window, refuse_unknown

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk import ObjectStoragePath, XComArg

__all__ = ["LabelUntil", "label_until"]

MAX_ROUNDS = 20
"""Each has seven tasks, or nine with a training."""


class LabelUntil(TaskGroup):
    """The task group that `label_until` returns."""

    result: Any
    """How and when it ended, and where the labels are."""


def label_until(
    *,
    pool_id: str | XComArg,
    fields: Sequence[str] | XComArg,
    folder: str | ObjectStoragePath | XComArg,
    target: float | str | XComArg = 0.95,
    sure_at: float | str | XComArg = 0.95,
    max_rounds: int = 6,
    max_overlap: int | str | XComArg = 10,
    max_total: float | str | XComArg | None = None,
    closes_at: datetime | str | XComArg | None = None,
    timeout: timedelta = timedelta(days=1),
    training_id: str | XComArg | None = None,
    method: str | XComArg = "dawid_skene_map",
    group_id: str = "label_until",
    min_open: timedelta = timedelta(minutes=5),
    grace: timedelta = timedelta(minutes=15),
    min_balance: float | str | XComArg | None = None,
    fee: float = 0.3,
    in_flight: int = 8,
    poll_interval: float | timedelta = 60.0,
    toloka_conn_id: str | None = None,
    **kwargs: Any,
) -> LabelUntil:
    """
    Label a pool until the labels are sure enough, with more answers for the doubtful tasks only: a task group.

    A round finds out how sure the labels are, raises the overlap of the doubtful tasks, opens the pool, waits until
    all answers are there, and closes it::

        upload >> label_until(pool_id="123", fields=["digit"], folder="s3://bucket/{{ run_id }}", max_total=50)

    Answers that the pool has already count. If nobody has answered yet, the first round opens the pool as it is: so
    upload the tasks with the overlap that each is to have at the least, such as 2. With 1, it is raised to 2 first, for
    as many as there is money for. Control tasks are never raised.

    There is no further round when (``stopped_by`` of the result):

    - ``target``: the share ``target`` of the tasks is sure, the aggregation's number of each of their fields being
      ``sure_at`` or more
    - ``person``: the wait was marked as a success, or ``assess`` or ``raise_overlap`` as skipped
    - ``closed``: the pool was closed before it was complete, by hand or by its expiry date
    - ``time``: ``closes_at`` or the ``timeout`` of a round is over; answers that came until then count
    - ``overlap``: all doubtful tasks have ``max_overlap`` answers
    - ``rounds``: ``max_rounds`` were done
    - ``budget``: what is left of ``max_total`` is not enough for one more answer. If it is enough for some, the least
      sure tasks get them

    The rest of the rounds is skipped then. ``group.result`` is ``{"pool_id", "path", "answers_path", "stopped_by",
    "rounds", "tasks", "sure", "share", "labels", "spent"}``: ``path`` is the file of labels, ``labels.jsonl`` in the
    folder, with the rows of `AggregateAnswersOperator`; ``answers_path`` the answers that they were made of; ``rounds``
    how many were done; and ``spent`` what these cost, the fee included. A round that fails, such as for want of money
    on the account, fails the group, and leaves the pool closed. To do it again, clear the ``assess`` of that round with
    what is behind it: its time begins anew with that task only.

    Each round is done once, whatever is killed. What it decides is stored in the folder before anything is changed, and
    a further attempt repeats it, also one after the task was cleared. An overlap is how many answers a task is to have
    in all, so setting it twice buys nothing. To label on after the group has ended, start another run: it counts what
    is there.

    The tasks must be single ones in a pool with a ``mixer_config``: of a task suite, single tasks cannot get more
    answers. A pool with dynamic overlap is refused, as Toloka raises overlaps there, too.

    :param pool_id: The pool (templated).
    :param fields: The output fields to label (templated).
    :param folder: Where to write labels, answers and decisions, on any object storage (templated). Several runs may
        share one, but for the labels, which each replaces.
    :param target: Which share of the tasks is to be sure (templated).
    :param sure_at: From which number on a label is sure (templated); see ``method``.
    :param max_rounds: How many rounds at the most.
    :param max_overlap: How many answers a task gets at the most (templated).
    :param max_total: Money that all rounds may cost, the fee included (templated). Before a round, what it may cost is
        compared with what is left; while the pool is open, `PoolSensor` watches it, too.
    :param closes_at: When to end it all, a time with a zone (templated); or nothing.
    :param timeout: How long a round may last, from when it is decided; more than ``min_open``.
    :param training_id: A training to open and close with the pool (templated).
    :param method: How to aggregate (templated), see `AggregateAnswersOperator`. Only the number of
        ``dawid_skene_map`` is a probability.
    :param group_id: The name of the group, and the beginning of the names of its tasks.
    :param min_open: How much time must be left for a round to begin.
    :param grace: How long after the end of a round the pool expires, should Airflow not close it.
    :param min_balance: Money that must be on the account before the pool is opened (templated).
    :param fee: What Toloka adds to a reward, as a share of it; see `OpenPoolOperator`.
    :param in_flight: How many overlaps to change at a time.
    :param poll_interval: Seconds between two polls of the pool.
    :param toloka_conn_id: The Airflow connection to Toloka (templated); by default that of the ``default_args``, which
        the tasks around the group have, or ``toloka_default``.

    Further arguments are those of `airflow.sdk.TaskGroup`. Of its ``default_args``, and those of the DAG, what the
    rounds rely on does not reach them; see `toloka_airflow.windows.INHERITED`.
    """
    parse_int("max_rounds", max_rounds, maximum=MAX_ROUNDS)
    refuse_unknown(label_until, kwargs)
    group = LabelUntil(group_id=group_id, **kwargs)
    conn_id = conn_id_of(group, toloka_conn_id)
    rounds: list[str] = [group.child_id(f"round_{number}") for number in range(1, max_rounds + 1)]  # type: ignore[no-untyped-call]
    assess_ids, result_ids = [f"{each}.assess" for each in rounds], [f"{each}.result" for each in rounds]
    options: dict[str, Any] = {
        "pool_id": pool_id,
        "fields": fields,
        "folder": folder,
        "target": target,
        "sure_at": sure_at,
        "max_overlap": max_overlap,
        "method": method,
        "fee": fee,
        "group_id": group.group_id,
        "assess_task_ids": tuple(assess_ids),
        "toloka_conn_id": conn_id,
    }
    ends: list[BaseOperator] = []
    for number in range(1, max_rounds + 1):
        # The tasks of the window are made first, as those before them are told of it.
        assess_id = assess_ids[number - 1]
        decided = {
            key: f"{{{{ ti.xcom_pull(task_ids='{assess_id}', key='{key}', map_indexes=ti.map_index) }}}}"
            for key in ("overlaps", "closes_at", "max_spend")
        }
        window = pool_window(
            group_id=f"round_{number}",
            parent_group=group,
            pool_id=pool_id,
            closes_at=decided["closes_at"],
            training_id=training_id,
            min_open=min_open,
            grace=grace,
            expected_reasons=EXPECTED,
            min_balance=min_balance,
            fee=fee,
            max_spend=None if max_total is None else decided["max_spend"],
            poll_interval=poll_interval,
            toloka_conn_id=conn_id,
        )
        [check], [result] = window.get_roots(), window.get_leaves()
        assess = own_task(
            AssessRoundOperator,
            *RETRIES,
            task_id="assess",
            task_group=window,
            round=number,
            max_total=max_total,
            closes_at=closes_at,
            timeout=timeout,
            min_open=min_open,
            result_task_id=result_ids[number - 2] if number > 1 else None,
            **options,
        )
        raise_overlap = own_task(
            ChangeOverlapOperator,
            *RETRIES,
            task_id="raise_overlap",
            task_group=window,
            pool_id=pool_id,
            tasks=decided["overlaps"],
            in_flight=in_flight,
            toloka_conn_id=conn_id,
        )
        make_persistent(assess, raise_overlap)
        assess >> raise_overlap >> check
        if ends:
            ends[-1] >> assess
        ends.append(result)
    # It runs after any stop, which skips the rounds that are left, and not after a failure.
    labels = own_task(
        LabelsOperator,
        *RETRIES,
        task_id="labels",
        task_group=group,
        trigger_rule="none_failed",
        result_task_ids=tuple(result_ids),
        multiple_outputs=True,
        **options,
    )
    end = own_task(
        EndLabellingOperator,
        *RETRIES,
        task_id="end",
        task_group=group,
        labels_task_id=labels.task_id,
        other_task_ids=tuple(task.task_id for task in group if not task.is_teardown and task is not labels),
    )
    make_persistent(labels, end)
    ends[-1] >> labels >> end.as_teardown(on_failure_fail_dagrun=True)
    group.result = labels.output
    return group
