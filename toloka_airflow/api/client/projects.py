"""Calls about projects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toloka_airflow.api.client.calls import Calls, object_path
from toloka_airflow.api.models import Operation, Project, Raw


class ProjectCalls(Calls):
    """Calls about projects."""

    def create_project(self, project: Raw) -> Project:
        """Create a project."""
        return Project.from_api(self._create("/projects", project))

    def get_project(self, project_id: str) -> Project:
        """Return a project."""
        return Project.from_api(self._get(object_path("/projects", project_id=project_id)))

    def list_projects(self, **filters: Any) -> Iterator[Project]:
        """Iterate over projects, archived ones included."""
        return self._list("/projects", Project, filters)

    def archive_project(self, project_id: str) -> Operation | None:
        """Archive a project whose pools are all archived."""
        return self._act(object_path("/projects", "archive", project_id=project_id))

    def update_project(self, project_id: str, project: Raw) -> Project:
        """Replace all parameters of a project; Toloka makes a new version of it for its pools."""
        return Project.from_api(self._put(object_path("/projects", project_id=project_id), project))
