"""What the tasks of a `toloka_airflow.label_until.label_until` have in common: how sure the labels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from toloka_airflow._internal.arguments import parse_fee, parse_int, parse_share
from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.known_arguments import check_fields, check_known
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow.checks.money import Fee
from toloka_airflow.checks.wording import did_you_mean, nearest
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink
from toloka_airflow.operators.answer_aggregation import METHODS
from toloka_airflow.operators.labelling_answers import Answered, download_answers, read_answered
from toloka_airflow.operators.labelling_decisions import RoundFiles, TasksToLabel
from toloka_airflow.storage.paths import storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool
    from toloka_airflow.quality.doubts import NextRound

MAX_OVERLAP = 30_000


class LabellingOperator(LineageMixin, BaseOperator):
    """
    What rounds and the last task have in common: how they find out how sure the labels are.

    :param pool_id: The pool (templated).
    :param fields: The output fields to label (templated).
    :param folder: Where to write everything (templated).
    :param target: Which share of the tasks is to be sure (templated).
    :param sure_at: From which confidence, or score, on a label is sure (templated).
    :param max_overlap: The highest overlap (templated).
    :param method: How to aggregate (templated).
    :param fee: What Toloka adds to a reward, as a share of it.
    :param assess_task_ids: The tasks that decide about the rounds, in their order: of all of them.
    :param group_id: The group, which the files are of.
    """

    template_fields: Sequence[str] = (
        "pool_id",
        "fields",
        "folder",
        "target",
        "sure_at",
        "max_overlap",
        "method",
        "toloka_conn_id",
    )
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        fields: Sequence[str] | XComArg,
        folder: str | ObjectStoragePath | XComArg,
        target: float | str | XComArg,
        sure_at: float | str | XComArg,
        max_overlap: int | str | XComArg,
        method: str | XComArg,
        fee: float,
        assess_task_ids: Sequence[str],
        group_id: str,
        toloka_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        parse_fee("fee", fee)
        self.pool_id = as_rendered(pool_id)
        self.fields = as_rendered(fields)
        self.folder = as_rendered(folder)
        self.target = as_rendered(target)
        self.sure_at = as_rendered(sure_at)
        self.max_overlap = as_rendered(max_overlap)
        self.method = as_rendered(method)
        self.fee = fee
        self.assess_task_ids = assess_task_ids
        self.group_id = group_id
        self.toloka_conn_id = toloka_conn_id
        check_known(
            self,
            fields=check_fields,
            target=parse_share,
            sure_at=parse_share,
            max_overlap=_parse_overlap,
            method=_check_method,
        )

    def _files(self, context: Context) -> RoundFiles:
        # Of the pool, too: a run that is done again with another one decides about that anew.
        key = TaskIdentity.of_group(context, self.group_id).uuid("rounds", self.pool_id)[:8]
        return RoundFiles(storage_path("folder", self.folder), key)

    @property
    def _fee(self) -> Fee:
        return Fee(parse_fee("fee", self.fee))

    def _check(self) -> None:
        """
        Check what no other check will, or only once answers are paid for.

        :raises ValueError: If a value cannot be used.
        :raises ImportError: If numpy is missing.
        """
        from toloka_airflow.quality import answers  # noqa: F401 - before anything is downloaded

        check_fields("fields", self.fields)
        _check_method("method", self.method)

    def _next(self, answered: Answered, tasks: TasksToLabel, rounds_left: int, budget: int | None) -> NextRound:
        """Return which tasks should get more answers, or why none should."""
        from toloka_airflow.quality.doubts import next_overlaps

        return next_overlaps(
            answered.scores,
            {task_id: task.taken for task_id, task in tasks.real.items()},
            target=parse_share("target", self.target),
            sure_at=parse_share("sure_at", self.sure_at),
            max_overlap=_parse_overlap("max_overlap", self.max_overlap),
            rounds_left=rounds_left,
            budget=budget,
            counted=answered.counted,
        )

    def _read(self, context: Context, client: TolokaClient, pool: Pool, path: str) -> tuple[TasksToLabel, Answered]:
        """
        Return the tasks of the pool, and what their answers come to.

        :param path: Where to write the answers.
        """
        tasks = read_tasks(client, pool)
        if not download_answers(context, client, pool.id, path, self.log):
            self._ensure_fields(client, pool)
            return tasks, Answered()
        return tasks, read_answered(path, self.fields, self.method)

    def _ensure_fields(self, client: TolokaClient, pool: Pool) -> None:
        """
        Make sure that the project has the fields, while nobody has answered yet; afterwards the answers show it.

        :raises ValueError: If the project has no such output field.
        """
        spec = client.get_project(pool.project_id).raw["task_spec"]["output_spec"]
        if unknown := [name for name in self.fields if name not in spec]:
            raise ValueError(
                f"fields has {unknown[0]!r:.100}, which is no output field of project {pool.project_id}; there are "
                f"{', '.join(spec)}{did_you_mean(nearest(unknown[0], spec))}"
            )


def read_tasks(client: TolokaClient, pool: Pool) -> TasksToLabel:
    """
    Return the tasks of a pool.

    :raises ValueError: If the overlap of single tasks cannot be raised, with the reason.
    """
    return TasksToLabel.read(pool, (task for page in client.task_pages(pool.id) for task in page))


def _parse_overlap(name: str, value: object) -> int:
    return parse_int(name, int(str(value)) if str(value).isdecimal() else value, maximum=MAX_OVERLAP)


def _check_method(name: str, value: object) -> None:
    if value not in METHODS:
        raise ValueError(f"{name} is {value!r:.100}; it must be one of {', '.join(METHODS)}")
