"""Create something at Toloka once, however often the task that does it is tried."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.task_outputs import BaseOperator
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import Project, Training
from toloka_airflow.api.pool_rules import is_archived
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, store_link
from toloka_airflow.operators.checked_configs import ConfigCheckMixin, is_wanted

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient

    Made = Project | Training
    Calls = tuple[Callable[..., Iterator[Made]], Callable[[Mapping[str, Any]], Made]]


class CreateOperator(ConfigCheckMixin, LineageMixin, BaseOperator):
    """
    Create an object and return its id; every further attempt of the task returns the same id.

    The API has no key that makes creating safe to repeat. So the object gets an entry in its ``metadata`` that names
    the DAG, run, task and map index, and each attempt searches for it first. That holds for a task that was cleared
    too: to have it create another one, archive the first. Each of the two searches, before and after, takes one
    request for every 300 projects, or for every 300 pools of the project.

    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    :param check_config: Whether to check the configuration: when the DAG is parsed, as far as it is known then, so that
        a mistake is an import error of the DAG; and when the task runs, before anything is created. By default, the
        option ``check_config`` in the section ``[toloka]`` of the Airflow configuration, ``True``.
    """

    operator_extra_links = (TolokaLink(),)

    def __init__(
        self, *, toloka_conn_id: str = TolokaHook.default_conn_name, check_config: bool | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.toloka_conn_id = toloka_conn_id
        self.check_config = is_wanted(check_config)

    def execute(self, context: Context) -> str:
        """Find what a previous attempt created, or create it."""
        identity = TaskIdentity.of(context)
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            document = self._read()
            body = self._body(client, dict(document.value))
            made = self._find(client, identity, body)
            if made is None:
                # Not before: what was created is found, whatever mistake its file has got since.
                self._check(document)
                made = self._create(client, identity, self._completed(client, body))
            else:
                self.log.info("%s %s was created by a previous attempt of this task", self.noun.capitalize(), made.id)
                self._warn_of_differences(made, body)
        store_link(context, client, made)
        if isinstance(made, Training):
            self._report_pool_written(made.id)
        self._lineage_facts = {f"{self.noun}_id": made.id}
        return made.id

    def _find(self, client: TolokaClient, identity: TaskIdentity, body: Mapping[str, Any]) -> Made | None:
        """Return what a previous attempt created: the oldest, as a copy that a person made has the same metadata."""
        list_all, _ = self._calls(client)
        filters = {} if self.noun == "project" else {"project_id": body["project_id"]}
        for made in list_all(**filters):
            if identity.marks(made.raw) and not is_archived(made):
                return made
        return None

    def _create(self, client: TolokaClient, identity: TaskIdentity, body: Mapping[str, Any]) -> Made:
        _, create = self._calls(client)
        metadata = {**part("config", body, "metadata"), **identity.tag}
        try:
            made = create({**body, "metadata": metadata})
            self.log.info("This task created %s %s", self.noun, made.id)
        except TolokaError as exc:
            if not exc.may_have_been_received:
                raise
            self.log.warning(
                "This task searches for its %s, which may have been created all the same: %s", self.noun, exc
            )
            found = self._find(client, identity, body)
            if found is None:
                raise
            self.log.info("This task created %s %s", self.noun, found.id)
            return found
        # Another attempt may be alive, and have searched when there was none yet; all of them must return the same one.
        first = self._find(client, identity, body) or made
        if first.id != made.id:
            self.log.warning(
                "Two attempts of this task ran at once and created %s %s and %s; it returns the first. Archive %s, "
                "unless an operator of this run archives the first: it archives both",
                *(self.noun, first.id, made.id, made.id),
            )
        return first

    def _warn_of_differences(self, made: Made, body: Mapping[str, Any]) -> None:
        requested = {key: value for key, value in body.items() if key not in ("metadata", "will_expire")}
        if differing := differing_keys(made.raw, requested):
            self.log.warning(
                "%s %s is left as it is, but differs from what this task requests in: %s. Archive it and clear the "
                "task to have another one created",
                *(self.noun.capitalize(), made.id, ", ".join(differing)),
            )

    @abstractmethod
    def _calls(self, client: TolokaClient) -> Calls:
        """Return the call that lists such objects and the call that creates one."""

    @abstractmethod
    def _body(self, client: TolokaClient, config: dict[str, Any]) -> dict[str, Any]:
        """Return what to create by a configuration, or by changes, as far as it is the same in every attempt."""

    def _completed(self, client: TolokaClient, body: dict[str, Any]) -> dict[str, Any]:
        """Return what to create, with what depends on the time: on Toloka's, which the client has just learnt."""
        return body


def part(what: str, config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a copy of an object inside a configuration; it is empty if there is none."""
    value = config.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{what}: {key} is {value!r}; it must be an object")
    return dict(value or {})


def with_value(what: str, config: Mapping[str, Any], key: str, argument: str, value: str | int) -> dict[str, Any]:
    """
    Return a configuration with the value of an argument in it.

    :raises ValueError: If it has another one already.
    """
    present = config.get(key)
    if present is not None and str(present) != str(value):
        raise ValueError(f"{argument} is {value!r}, but {key} in {what} is {present!r}; give only one of them")
    return {**config, key: value}


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with changes: objects are merged key by key, ``None`` removes, the rest replaces."""
    result = dict(config)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(value, Mapping) and isinstance(old, Mapping) else value
    return {key: value for key, value in result.items() if value is not None}


def differing_keys(found: Mapping[str, Any], requested: Mapping[str, Any]) -> list[str]:
    """Return in which keys an answer of the API does not have what was requested; it may have more."""
    return [key for key, value in requested.items() if not _holds(found.get(key), value)]


def _holds(found: Any, requested: Any) -> bool:
    """Return whether an answer of the API has what was requested; it may have defaults besides."""
    if isinstance(requested, Mapping):
        return isinstance(found, Mapping) and all(_holds(found.get(key), value) for key, value in requested.items())
    if isinstance(requested, list) and isinstance(found, list):
        return len(requested) == len(found) and all(map(_holds, found, requested))
    return found == requested or str(found) == str(requested)
