"""An auth manager that knows rights for each DAG, as those of FAB and Keycloak do."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

SHOWN = "shown"


class RightsPerDag(SimpleAuthManager):
    """The user ``shown`` has the rights of their role for the DAG ``shown`` and for no other."""

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        if user.username == SHOWN and (details is None or details.id != SHOWN):
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
