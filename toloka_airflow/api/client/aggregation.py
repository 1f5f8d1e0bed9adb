"""Calls about aggregated solutions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import PAGE_SIZE, Calls, object_path, without_none
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, Raw

if TYPE_CHECKING:
    from toloka_airflow.api.models.aggregation import AggregatedSolution


class AggregationCalls(Calls):
    """Calls about aggregated solutions; their model is imported when it is used."""

    def aggregate_by_pool(
        self,
        pool_id: str,
        *,
        type: str,
        fields: Sequence[str],
        answer_weight_skill_id: str | None = None,
    ) -> Operation:
        """
        Start the aggregation of a pool's accepted answers (5 a minute, 30 an hour, 200 a day).

        :param type: ``DAWID_SKENE`` (one field) or ``WEIGHTED_DYNAMIC_OVERLAP`` (needs the skill).
        :param fields: Names of output fields.
        """
        form = _form(pool_id, type, fields, answer_weight_skill_id)
        return Operation.from_api(self._create("/aggregated-solutions/aggregate-by-pool", form))

    def aggregate_by_task(
        self,
        task_id: str,
        *,
        pool_id: str,
        type: str,
        fields: Sequence[str],
        answer_weight_skill_id: str | None = None,
    ) -> AggregatedSolution:
        """Return what the accepted answers to one task add up to; see `aggregate_by_pool`."""
        from toloka_airflow.api.models.aggregation import AggregatedSolution

        body = {"task_id": checked_id("task_id", task_id), **_form(pool_id, type, fields, answer_weight_skill_id)}
        # Sent again if need be: aggregating twice changes nothing.
        path = "/aggregated-solutions/aggregate-by-task"
        return AggregatedSolution.from_api(self._transport.request("POST", path, body=body))

    def list_aggregated_solutions(self, operation_id: str, **filters: Any) -> Iterator[AggregatedSolution]:
        """Iterate over the results of an aggregation that succeeded."""
        from toloka_airflow.api.models.aggregation import AggregatedSolution

        path = object_path("/aggregated-solutions", operation_id=operation_id)
        return self._list(path, AggregatedSolution, filters, key="task_id")

    def aggregated_solution_pages(
        self, operation_id: str, *, page_size: int = PAGE_SIZE, after: str | None = None
    ) -> Iterator[list[Raw]]:
        """
        Iterate over the results of an aggregation page by page, as the API answers them (5 pages a minute).

        :param page_size: Results to request at once; 300 are documented, and taken if the API refuses more.
        :param after: Begin behind the task with this id.
        """
        path = object_path("/aggregated-solutions", operation_id=operation_id)
        pages = self._list_pages(path, {"task_id_gt": after}, key="task_id", limit=page_size)
        return (page.items for page in pages)


def _form(pool_id: str, type: str, fields: Sequence[str], answer_weight_skill_id: str | None) -> dict[str, Any]:
    """Return what to aggregate and how."""
    skill_id = answer_weight_skill_id
    if skill_id is not None:
        skill_id = checked_id("answer_weight_skill_id", skill_id)
    form = {
        "pool_id": checked_id("pool_id", pool_id),
        "type": type,
        "answer_weight_skill_id": skill_id,
        "fields": [{"name": name} for name in fields],
    }
    return without_none(form)
