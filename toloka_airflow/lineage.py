"""
What tasks report to Airflow's lineage about pools; `toloka_airflow.storage.lineage` has the files.

A pool is a dataset of its own, by the URI of its asset. OpenLineage, if its provider is installed, also gets a facet of
each run of a task, ``toloka``: which pool it was about, counts, and what was paid.
"""

from __future__ import annotations

from typing import Any

from toloka_airflow.assets import SCHEME
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.storage.lineage import report_input, report_output

IDS = ("project_id", "pool_id", "training_id", "operation_id")
COUNTS = (
    *("total", "created", "invalid"),  # of tasks
    *("assignments", "answers", "solutions"),
    *("files", "bytes", "unnamed", "missing"),  # of attachments
    *("accepted", "rejected", "already", "left"),  # of assignments that are reviewed
    *("paid", "refused"),  # of bonuses
)
MONEY = ("spent", "committed", "spent_before")


class LineageMixin:
    """A task that reports what it did; for operators and sensors with a ``toloka_conn_id``."""

    toloka_conn_id: str
    _lineage_facts: dict[str, Any] = {}

    def _report_pool_read(self, pool_id: str) -> None:
        """Report a pool or training as an input of this task."""
        report_input(self._pool_uri(pool_id), TolokaHook(self.toloka_conn_id))

    def _report_pool_written(self, pool_id: str) -> None:
        """Report a pool or training as an output of this task."""
        report_output(self._pool_uri(pool_id), TolokaHook(self.toloka_conn_id))

    def _pool_uri(self, pool_id: str) -> str:
        # Not checked here: a connection whose id fits into no URI is no reason for a task to fail.
        return f"{SCHEME}://{self.toloka_conn_id}/pools/{pool_id}"

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """
        Return the facet; inputs and outputs are those that were reported.

        Airflow's OpenLineage provider calls it, also for a task that failed.
        """
        from airflow.providers.openlineage.extractors import OperatorLineage
        from attrs import define
        from openlineage.client.facet_v2 import RunFacet

        @define
        class TolokaRunFacet(RunFacet):  # type: ignore[misc, unused-ignore]
            """What a task of this package did."""

            connection_id: str
            ids: dict[str, str]
            counts: dict[str, int]
            money: dict[str, float]

        return OperatorLineage(run_facets={"toloka": TolokaRunFacet(**self._facet())})

    def _facet(self) -> dict[str, Any]:
        facts = {**{name: getattr(self, name, None) for name in IDS}, **self._lineage_facts}
        # Without the name that older versions have for the assignments.
        facts |= {name: fact for name, fact in (facts.pop("progress", None) or {}).items() if name != "answers"}
        return {
            "connection_id": self.toloka_conn_id,
            "ids": {name: str(facts[name]) for name in IDS if facts.get(name) is not None},
            "counts": {name: int(facts[name]) for name in COUNTS if facts.get(name) is not None},
            "money": {name: float(facts[name]) for name in MONEY if facts.get(name) is not None},
        }
