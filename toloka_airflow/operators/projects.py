"""Create and archive projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaConflictError
from toloka_airflow.api.pool_rules import is_archived
from toloka_airflow.operators.creation import CreateOperator
from toloka_airflow.operators.lifecycle import ArchiveOperator
from toloka_airflow.storage.config_files import read_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Project, Training
    from toloka_airflow.operators.creation import Calls
    from toloka_airflow.operators.duplicates import Created


class CreateProjectOperator(CreateOperator):
    """
    Create a project, once however often the task is tried, and return its id.

    :param config: What the API takes as a project: a dict (templated, deeply), or the path (templated) of a JSON or
        YAML file with it, whose content is not templated. Toloka's own placeholders resemble those of Airflow: with
        ``{{image}}`` in a task interface, use a file or wrap the text in ``airflow.sdk.literal``.

    Further arguments are those of `CreateOperator`.
    """

    template_fields: Sequence[str] = ("config", "toloka_conn_id")
    noun = "project"

    def __init__(self, *, config: Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config

    def _body(self, client: TolokaClient) -> dict[str, Any]:
        return read_config("config", self.config)

    def _calls(self, client: TolokaClient) -> Calls:
        return client.list_projects, client.create_project


class ArchiveProjectOperator(ArchiveOperator):
    """
    Archive a project whose pools and trainings are all archived.

    If two attempts of the task that created it ran at once, what the other one has left empty is archived, too.

    :param project_id: The project (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("project_id", "toloka_conn_id")
    operator_extra_links = ()
    id_name = "project_id"
    operation_type = "PROJECT.ARCHIVE"

    def __init__(self, *, project_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id

    def _call(self, client: TolokaClient, object_id: str) -> Operation | None:
        # Unlike for pools, the API does not say what it answers for an archived project.
        if _is_archived(client, object_id):
            return None
        # And it may begin another operation beside that of a previous attempt.
        if (operation := self._unfinished(client)) is not None:
            return operation
        try:
            return client.archive_project(object_id)
        except TolokaConflictError:
            # The client may have sent it twice, if the first answer was lost.
            if _is_archived(client, object_id):
                return None
            raise

    def _blockers(self, client: TolokaClient) -> Iterable[Training]:
        return (pool for pool in _pools(client, self._id()) if not is_archived(pool))

    def _fetch(self, client: TolokaClient) -> Project:
        return client.get_project(self._id())

    def _list(self, client: TolokaClient, own: Created) -> Iterable[Project]:
        return client.list_projects(created_gte=own.created)

    def _has_content(self, client: TolokaClient, other: Created) -> bool:
        return any(_pools(client, other.id))

    def _archive(self, client: TolokaClient, object_id: str) -> Operation | None:
        return client.archive_project(object_id)


def _pools(client: TolokaClient, project_id: str) -> Iterator[Training]:
    """Iterate over the pools and trainings of a project."""
    return chain(client.list_pools(project_id=project_id), client.list_trainings(project_id=project_id))


def _is_archived(client: TolokaClient, project_id: str) -> bool:
    return is_archived(client.get_project(project_id))
