"""Create, change and archive projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.identity import TAG
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow.api.errors import TolokaConflictError, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import SET_BY_TOLOKA
from toloka_airflow.api.pool_rules import is_archived
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.archive_operator import ArchiveOperator
from toloka_airflow.operators.checked_configs import ConfigCheckMixin, is_wanted
from toloka_airflow.operators.creation import CreateOperator, differing_keys, part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation, Project, Training
    from toloka_airflow.operators.archive_operator import Created
    from toloka_airflow.operators.creation import Calls

__all__ = ["ArchiveProjectOperator", "CreateProjectOperator", "UpdateProjectOperator"]


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

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath | XComArg,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        check_config: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, check_config=check_config, **kwargs)
        self.config = as_rendered(config)
        self._check_when_parsed()

    def _body(self, client: TolokaClient, config: dict[str, Any]) -> dict[str, Any]:
        return config

    def _calls(self, client: TolokaClient) -> Calls:
        return client.list_projects, client.create_project


class UpdateProjectOperator(ConfigCheckMixin, LineageMixin, BaseOperator):
    """
    Replace all parameters of a project, and return its id.

    It may be repeated: a project that is as wanted is not touched. The log warns of each parameter that changes, and of
    those that ``config`` does not have, as Toloka gives these their default. The tag by which `CreateProjectOperator`
    finds the project stays in its ``metadata``. Pools that are open have the new interface and instructions, too.

    :param project_id: The project (templated).
    :param config: All of the project, as for `CreateProjectOperator`; what the API answers of a project will do.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param check_config: Whether to check the configuration, as for `CreateOperator`.
    """

    template_fields: Sequence[str] = ("project_id", "config", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)
    noun = "project"
    config_ignored = SET_BY_TOLOKA

    def __init__(
        self,
        *,
        project_id: str | XComArg,
        config: Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath | XComArg,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        check_config: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = as_rendered(project_id)
        self.config = as_rendered(config)
        self.toloka_conn_id = toloka_conn_id
        self.check_config = is_wanted(check_config)
        self._check_when_parsed()

    def execute(self, context: Context) -> str:
        """Change what is not as wanted."""
        with task_errors():
            project_id = checked_id("project_id", self.project_id)
            config = self._read_checked()
            if "id" in config and str(config["id"]) != project_id:
                raise ValueError(f"project_id is {project_id!r}, but config is that of project {config['id']!r}")
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, {"project_id": project_id})
            project = client.get_project(project_id)
            if is_archived(project):
                raise TolokaError(
                    f"Project {project_id} is ARCHIVED, so it cannot be changed any more. Create another project",
                    topic="archived",
                )
            wanted = {key: value for key, value in config.items() if key not in SET_BY_TOLOKA}
            tag = {TAG: tags} if (tags := part("project", project.raw, "metadata").get(TAG)) else {}
            wanted["metadata"] = {**part("config", config, "metadata"), **tag}
            self._change(client, project, {key: value for key, value in wanted.items() if value not in (None, {})})
        self._lineage_facts = {"project_id": project_id}
        return project_id

    def _change(self, client: TolokaClient, project: Project, wanted: Mapping[str, Any]) -> None:
        present = {key: value for key, value in project.raw.items() if key not in SET_BY_TOLOKA}
        changed = differing_keys(present, wanted)
        # A value that says nothing is likely the default.
        dropped = [key for key, value in present.items() if key not in wanted and value not in _SAY_NOTHING]
        if not changed and not dropped:
            self.log.info("Project %s is as wanted already", project.id)
            return
        if changed:
            self.log.warning("Project %s changes in %s", project.id, ", ".join(changed))
        if dropped:
            self.log.warning(
                "Project %s: config does not have %s, so Toloka gives it the default", project.id, ", ".join(dropped)
            )
        client.update_project(project.id, wanted)
        self.log.info("Project %s has changed", project.id)


_SAY_NOTHING: tuple[Any, ...] = (None, False, "", {}, [], {"configs": []})


class ArchiveProjectOperator(ArchiveOperator):
    """
    Archive a project whose pools and trainings are all archived.

    If two attempts of the task that created it ran at once, what the other one has left empty is archived, too.

    :param project_id: The project (templated).

    Further arguments are those of `LifecycleOperator`.
    """

    template_fields: Sequence[str] = ("project_id", "toloka_conn_id")
    id_name = "project_id"
    operation_type = "PROJECT.ARCHIVE"

    def __init__(
        self,
        *,
        project_id: str | XComArg,
        wait_for_completion: bool = True,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            wait_for_completion=wait_for_completion,
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **kwargs,
        )
        self.project_id = as_rendered(project_id)

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

    _subject = _fetch

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
