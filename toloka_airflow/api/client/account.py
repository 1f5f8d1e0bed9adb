"""Calls about the account itself."""

from __future__ import annotations

from toloka_airflow.api.client.calls import Calls
from toloka_airflow.api.models import Requester


class AccountCalls(Calls):
    """Calls about the account."""

    def get_requester(self) -> Requester:
        """Return whose token this is, and the balance."""
        return Requester.from_api(self._get("/requester"))
