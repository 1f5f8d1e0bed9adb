"""Make one label per task out of the answers of several people, without Toloka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from toloka_airflow._internal.known_arguments import check_ending, check_fields, check_known, check_statuses
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow._internal.wording import counted
from toloka_airflow.hooks import task_errors
from toloka_airflow.storage.lineage import file_uri
from toloka_airflow.storage.paths import check_rows_name, storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath

__all__ = ["AggregateAnswersOperator"]

METHODS = ("majority_vote", "weighted_vote", "dawid_skene", "dawid_skene_map")


class AggregateAnswersOperator(BaseOperator):
    """
    Aggregate a file of answers, and write the result to a file of JSON Lines, a row for each task.

    The rows are those of `AggregateSolutionsOperator`, with the inputs of the tasks, sorted by ``task_id``:
    ``pool_id``, ``task_id``, ``output_values``, ``input_values``, ``is_control``, and ``known_solutions`` if it is a
    control task. ``confidence``, from 0 to 1, is there with the method ``dawid_skene_map``, and is calibrated; other
    methods give a ``score``, and so does this one where no task has answers of two people and no control task has any,
    as nothing then shows how many are right. Of several fields it is the lowest, and ``confidences`` or ``scores`` has
    each.

    No request is sent: there is no quota, and the answers may be of several pools. It may be repeated, and gives the
    same rows for the same answers, in whatever order they are. The answers are read as a stream into columns; a million
    of them take some 400 MB. It needs numpy: ``pip install 'airflow-toloka[quality]'``.

    It returns ``{"path", "method", "solutions", "votes", "without_votes"}``, the last three being counts of rows, of
    the votes that they are made of, and of tasks that have none; and with ``dawid_skene_map``, ``mean_confidence``, the
    share of the rows to be expected to be right; ``None`` if they have no confidence. Assets among its outlets get the
    same as the extra of their event, and an `AssetAlias` an event of the file.

    :param answers: The file that `GetAssignmentsOperator` wrote (templated), in any of its formats; or a list of such
        rows.
    :param path: The file to write (templated); gzip if its name ends with ``.gz``. One that is there is replaced.
    :param fields: The output fields to aggregate, each by itself (templated).
    :param method: ``majority_vote``, ``weighted_vote`` (by accuracy on control tasks), ``dawid_skene`` or
        ``dawid_skene_map``; docs/quality.md says when to take which.
    :param statuses: The statuses of assignments whose answers count.
    :param only_real_tasks: Whether to leave out control tasks, whose labels are known.
    """

    template_fields: Sequence[str] = ("answers", "path", "fields")

    def __init__(
        self,
        *,
        answers: RowsOrPath,
        path: str | ObjectStoragePath | XComArg,
        fields: Sequence[str] | XComArg,
        method: str = "dawid_skene_map",
        statuses: Sequence[str] = ("SUBMITTED", "ACCEPTED"),
        only_real_tasks: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        if method not in METHODS:
            raise argument_error(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
        self.answers: Any = answers
        self.path = cast("str | ObjectStoragePath", path)
        self.fields = as_rendered(fields)
        self.method = method
        self.statuses = statuses
        self.only_real_tasks = only_real_tasks
        check_known(self, fields=check_fields, statuses=check_statuses)
        check_ending(self, path=check_rows_name)

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the answers, and write the labels."""
        with task_errors():
            # Here, as a DAG that is only parsed needs no numpy.
            from toloka_airflow.quality.aggregating import aggregate_answers

            result = aggregate_answers(
                self.answers,
                self.path,
                fields=self.fields,
                method=self.method,
                statuses=self.statuses,
                only_real_tasks=self.only_real_tasks,
            )
        self.log.info("%s has %s", result["path"], _in_words(result))
        if not result["solutions"]:
            self.log.warning("%s has no row: no answer in %s counts", result["path"], ", ".join(self.fields))
        elif result["without_votes"]:
            self.log.info(
                "%s no label, as no answer counts", counted(result["without_votes"], "task has", "tasks have")
            )
        if result["solutions"] and result.get("mean_confidence", 1) is None:
            self.log.warning(
                "Nothing shows how many labels are right, so they have a score and no confidence: in %s, no task has "
                "answers of two people, and no control task has any",
                " or ".join(self.fields),
            )
        self._report(context, result)
        return result

    def _report(self, context: Context, result: dict[str, Any]) -> None:
        """Give the asset events of this task its result; an alias gets an event of the file."""
        for outlet in self.outlets:
            event = context["outlet_events"][outlet]
            if isinstance(outlet, AssetAlias):
                event.add(Asset(uri=file_uri(storage_path("path", self.path))), extra=result)
            else:
                event.extra.update(result)


def _in_words(result: dict[str, Any]) -> str:
    sure = result.get("mean_confidence")
    expected = "" if sure is None else f"; {sure:.1%} of them are to be expected to be right"
    return (
        f"{counted(result['solutions'], 'label')} of "
        f"{counted(result['votes'], 'vote')}, by {result['method']}{expected}"
    )
