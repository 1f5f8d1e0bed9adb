"""Calls about the account itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.api.client.calls import Calls

if TYPE_CHECKING:
    from toloka_airflow.api.models.account import Requester


class AccountCalls(Calls):
    """Calls about the account; its model is imported when it is used."""

    def get_requester(self) -> Requester:
        """Return whose token this is, and the balance."""
        from toloka_airflow.api.models.account import Requester

        return Requester.from_api(self._get("/requester"))
