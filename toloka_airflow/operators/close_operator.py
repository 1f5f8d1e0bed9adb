"""Closing, which must be done, and must not end what another run has opened."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from toloka_airflow._internal.arguments import parse_rendered_datetime
from toloka_airflow.api.pool_actions import PoolNotClosedError
from toloka_airflow.api.pool_rules import PoolOpening, why_not_closed, why_unknown
from toloka_airflow.operators.lifecycle_base import LifecycleOperator

if TYPE_CHECKING:
    from toloka_airflow.api.models import Training


class CloseOperator(LifecycleOperator):
    """Close something, unless another run has opened it since; an attempt that fails is to be followed by another."""

    must_be_done = True
    opened_before: datetime | str | None

    @property
    def _opening(self) -> PoolOpening:
        """What is known of the opening that this task is to close."""
        # A template that found nothing is no reason to leave a pool open.
        return PoolOpening(began_before=parse_rendered_datetime("opened_before", self.opened_before))

    def _is_of_another_run(self, pool: Training) -> bool:
        """Return whether another run has opened it, so that this task leaves it open."""
        if not self._opening.was_followed_by(pool):
            return False
        self.log.info("%s was not closed: another run opened it at %s", self._name, pool.last_started)
        return True

    def _ensure_closed(self, pool: Training) -> None:
        """
        Raise if what Toloka said there is nothing to close of is open or will be; to be tried again.

        Also if it is in an unknown state, whoever opened it.
        """
        why = why_not_closed(pool)
        if why and (why_unknown(pool) or not self._opening.was_followed_by(pool)):
            raise PoolNotClosedError(f"{self._name} was closed, but it is {why}. Try again to close it")
