"""Calls about pools, and about trainings, which are pools as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toloka_airflow.api import pool_rules
from toloka_airflow.api.client.calls import object_path
from toloka_airflow.api.client.operations import OperationCalls
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation, OperationStatus, Pool, Raw, Training


class PoolCalls(OperationCalls):
    """Calls about pools and trainings."""

    def create_pool(self, pool: Raw) -> Pool:
        """Create a pool; it is CLOSED."""
        return Pool.from_api(self._create("/pools", pool))

    def get_pool(self, pool_id: str) -> Pool:
        """Return a pool."""
        return Pool.from_api(self._get(object_path("/pools", pool_id=pool_id)))

    def get_settled_pool(self, pool_id: str) -> Pool:
        """Return a pool, as LOCKED while an operation that opens it is under way; see `pool_rules.as_opening`."""
        pool = self.get_pool(pool_id)
        if not pool_rules.is_closed(pool):
            return pool
        if self.find_unfinished_operation(types=["POOL.OPEN"], pool_id=pool.id):
            return pool_rules.as_opening(pool)
        # Again: the opening may have ended between the two requests.
        return self.get_pool(pool_id)

    def list_pools(self, **filters: Any) -> Iterator[Pool]:
        """Iterate over pools, archived ones included."""
        return self._list("/pools", Pool, filters)

    def update_pool(self, pool_id: str, pool: Raw) -> Pool:
        """Replace all parameters of a closed pool (a change of its overlap: 10 an hour)."""
        return Pool.from_api(self._put(object_path("/pools", pool_id=pool_id), pool))

    def patch_pool(self, pool_id: str, fields: Raw) -> Pool:
        """Change some parameters of a pool, also of an open one: ``priority``, as the reference has it."""
        return Pool.from_api(self._patch(object_path("/pools", pool_id=pool_id), fields))

    def open_pool(self, pool_id: str) -> Operation | None:
        """Open a pool; ``None`` if it is open."""
        return self._act(object_path("/pools", "open", pool_id=pool_id))

    def close_pool(self, pool_id: str) -> Operation | None:
        """Close a pool; ``None`` if it is closed."""
        return self._act(object_path("/pools", "close", pool_id=pool_id))

    def close_pool_for_update(self, pool_id: str) -> Operation | None:
        """Close a pool for editing; it reopens by itself after 15 minutes."""
        return self._act(object_path("/pools", "close-for-update", pool_id=pool_id))

    def archive_pool(self, pool_id: str) -> Operation | None:
        """Archive a closed pool; ``None`` if it is archived."""
        return self._act(object_path("/pools", "archive", pool_id=pool_id))

    def clone_pool(self, pool_id: str) -> Operation:
        """Copy a pool without its tasks; the new id is ``details["pool_id"]`` once the operation succeeded."""
        return Operation.from_api(self._create(object_path("/pools", "clone", pool_id=pool_id)))

    # Trainings

    def create_training(self, training: Raw) -> Training:
        """Create a training; it is CLOSED."""
        return Training.from_api(self._create("/trainings", training))

    def get_training(self, training_id: str) -> Training:
        """Return a training."""
        return Training.from_api(self._get(object_path("/trainings", training_id=training_id)))

    def list_trainings(self, **filters: Any) -> Iterator[Training]:
        """Iterate over trainings, archived ones included."""
        return self._list("/trainings", Training, filters)

    def update_training(self, training_id: str, training: Raw) -> Training:
        """Replace all parameters of a closed training."""
        return Training.from_api(self._put(object_path("/trainings", training_id=training_id), training))

    def open_training(self, training_id: str) -> Operation | None:
        """Open a training; ``None`` if it is open."""
        return self._act(object_path("/trainings", "open", training_id=training_id))

    def close_training(self, training_id: str) -> Operation | None:
        """Close a training; ``None`` if it is closed."""
        return self._act(object_path("/trainings", "close", training_id=training_id))

    def close_training_for_update(self, training_id: str) -> Operation | None:
        """Close a training for editing."""
        return self._act(object_path("/trainings", "close-for-update", training_id=training_id))

    def archive_training(self, training_id: str) -> Operation | None:
        """Archive a closed training whose main pools are all archived; ``None`` if it is archived."""
        return self._act(object_path("/trainings", "archive", training_id=training_id))

    def clone_training(self, training_id: str) -> Operation:
        """Copy a training without its tasks; the new id is ``details["training_id"]``."""
        return Operation.from_api(self._create(object_path("/trainings", "clone", training_id=training_id)))

    def pools_requiring(self, training_id: str) -> Iterator[Pool]:
        """Iterate over the main pools of a training that are not archived."""
        wanted = checked_id("training_id", training_id)
        pools = (pool for status in pool_rules.NOT_ARCHIVED for pool in self.list_pools(status=status))
        return (pool for pool in pools if pool.training_id == wanted)

    def find_open_pool_requiring(self, training_id: str) -> Pool | None:
        """Return a main pool of a training that is not closed for good, or is being opened; ``None`` if all are."""
        pools = self.pools_requiring(training_id)
        under_way = (OperationStatus.PENDING, OperationStatus.RUNNING)
        operations = (operation for status in under_way for operation in self.list_operations(status=status))
        opening = {str(each.parameters.get("pool_id")) for each in operations if each.type == "POOL.OPEN"}
        for listed in pools:
            if listed.id in opening or pool_rules.why_not_closed(listed):
                pool = self.get_settled_pool(listed.id)  # a list may be older
                if pool_rules.why_not_closed(pool) and not self._is_being_archived(pool):
                    return pool
        return None

    def _is_being_archived(self, pool: Pool) -> bool:
        """Return whether a pool is locked by what archives it, so that it was closed before."""
        types = ["POOL.ARCHIVE"]
        return pool_rules.is_locked(pool) and bool(self.find_unfinished_operation(types=types, pool_id=pool.id))
