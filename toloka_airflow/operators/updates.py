"""Change pools that exist."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow.api.errors import TolokaTimeoutError
from toloka_airflow.api.models import SET_BY_TOLOKA, read_date
from toloka_airflow.api.pool_rules import is_closed_for_update, is_open
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.operators.checked_configs import ConfigCheckMixin, is_wanted
from toloka_airflow.operators.creation import merged
from toloka_airflow.operators.lifecycle_base import FirstStep, PoolOperator
from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.paths import storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation

__all__ = ["UpdatePoolOperator"]


class UpdatePoolOperator(ConfigCheckMixin, PoolOperator):
    """
    Change the parameters of a pool. One that is open is closed for update meanwhile, and then opened again.

    Repeating it is harmless. The next attempt carries on with what a killed one left; if there is none, Toloka opens
    the pool after 15 minutes. A pool that is closed stays closed. One that was closed for update by other means is
    opened after the change. What is as it should be is not touched.

    It returns the id of the operation that opened the pool again, or ``None``.

    :param pool_id: The pool (templated).
    :param changes: What shall be different: a dict (templated, deeply), or the path of a JSON or YAML file with it.
        Objects are merged key by key, ``None`` removes a parameter, everything else, lists too, is replaced. Toloka
        takes ten changes of the overlap in an hour.
    :param check_config: Whether to check the changes, as for `CreateOperator`.

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "changes", "toloka_conn_id")
    operation_type = "POOL.OPEN"
    noun = "pool"
    config_name = "changes"

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        changes: Mapping[str, Any] | str | ObjectStoragePath | XComArg,
        check_config: bool | None = None,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            pool_id=pool_id,
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.changes = as_rendered(changes)
        self.check_config = is_wanted(check_config)
        self._check_when_parsed()

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Resume after the triggerer waited for the pool to be open again."""
        operation_id = super().execute_complete(context, event)
        if not isinstance(self.changes, Mapping):
            report_read(storage_path("changes", self.changes))
        self._report_pool_written(self._id())
        return operation_id

    def _call(self, client: TolokaClient, object_id: str) -> Operation | FirstStep | None:
        changes = self._read_checked()
        if fixed := sorted(set(changes) & set(SET_BY_TOLOKA)):
            raise ValueError(f"changes has {', '.join(fixed)}, which cannot be changed")
        pool = client.get_settled_pool(object_id)
        body = {key: value for key, value in pool.raw.items() if key not in SET_BY_TOLOKA}
        wanted = merged(body, changes)
        different = sorted(key for key in {**body, **wanted} if not _same(body.get(key), wanted.get(key)))
        if different and is_open(pool):
            if time.time() >= self._deadline:
                raise TolokaTimeoutError(f"{self._name} is open, and there is no time left to close it for its update")
            operation = client.close_pool_for_update(pool.id)
            if operation is not None:
                return FirstStep(operation)
            pool = client.get_pool(pool.id)
        if different:
            client.update_pool(pool.id, wanted)
            self._report_pool_written(pool.id)
            self.log.info("%s has changed in %s", self._name, ", ".join(different))
        return client.open_pool(pool.id) if is_closed_for_update(pool) else None


def _same(found: object, wanted: object) -> bool:
    date = read_date(found)
    return found == wanted or (date is not None and date == read_date(wanted))
