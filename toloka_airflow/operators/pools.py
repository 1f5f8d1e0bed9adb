"""Create and copy pools and trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.arguments import parse_datetime, parse_seconds
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import SET_BY_TOLOKA
from toloka_airflow.hooks import TolokaHook
from toloka_airflow.links import TolokaLink
from toloka_airflow.operators.creation import CreateOperator, merged, part, with_value
from toloka_airflow.operators.expiry import without_limit

if TYPE_CHECKING:
    from os import PathLike

    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Training
    from toloka_airflow.checks import Document
    from toloka_airflow.operators.creation import Calls

    Config = Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath

__all__ = ["ClonePoolOperator", "CloneTrainingOperator", "CreatePoolOperator", "CreateTrainingOperator"]

HOW_TO_EXPIRE = "give will_expire (a date) or expires_in (a timedelta or seconds)"


class _PoolCreator(CreateOperator):
    operator_extra_links = (TolokaLink(),)
    noun = "pool"

    def _calls(self, client: TolokaClient) -> Calls:
        return client.list_pools, client.create_pool


class _TrainingCreator(CreateOperator):
    operator_extra_links = (TolokaLink(),)
    noun = "training"

    def _calls(self, client: TolokaClient) -> Calls:
        return client.list_trainings, client.create_training


class _Cloner(CreateOperator):
    config_name = "changes"
    changes: Config | None

    def _read(self) -> Document:
        if self.changes is not None:
            return super()._read()
        from toloka_airflow.checks import Document

        return Document(self.noun, {})


class CreatePoolOperator(_PoolCreator):
    """
    Create a pool, once however often the task is tried, and return its id. The pool is closed and has no tasks.

    The date on which the pool expires is given in one place: in ``config`` (as text it is UTC, as the API has it),
    ``expires_in`` or ``will_expire``. A date in ``config`` that has passed, as in the stored file of an earlier pool,
    gives way to the arguments.

    :param config: What the API takes as a pool: a dict (templated, deeply), or the path (templated) of a JSON or YAML
        file with it, whose content is not templated. What comes from a template is text, unless the DAG has
        ``render_template_as_native_obj``.
    :param project_id: The project, if ``config`` does not name it (templated).
    :param training_id: A training that people must have passed (templated).
    :param training_passing_skill_value: How well, from 0 to 100, if ``config`` does not say so (templated).
    :param expires_in: A timedelta or seconds from now until the pool expires (templated). Now is when the pool is
        created, by Toloka's clock; a further attempt does not change the date.
    :param will_expire: When the pool expires: a datetime or ISO 8601 text, with time zone (templated).

    Further arguments are those of `CreateOperator`.
    """

    template_fields: Sequence[str] = (
        "config",
        "project_id",
        "training_id",
        "training_passing_skill_value",
        "expires_in",
        "will_expire",
        "toloka_conn_id",
    )

    def __init__(
        self,
        *,
        config: Config | XComArg,
        project_id: str | XComArg | None = None,
        training_id: str | XComArg | None = None,
        training_passing_skill_value: int | str | XComArg | None = None,
        expires_in: timedelta | float | str | XComArg | None = None,
        will_expire: datetime | str | XComArg | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        check_config: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, check_config=check_config, **kwargs)
        self.config = as_rendered(config)
        self.project_id = as_rendered(project_id)
        self.training_id = as_rendered(training_id)
        self.training_passing_skill_value = as_rendered(training_passing_skill_value)
        self.expires_in = as_rendered(expires_in)
        self.will_expire = as_rendered(will_expire)
        self._check_when_parsed()

    def _given(self) -> set[str]:
        arguments = {
            "project_id": self.project_id,
            "training_pool_id": self.training_id,
            "training_passing_skill_value": self.training_passing_skill_value,
            "will_expire": self.will_expire if self.expires_in is None else self.expires_in,
        }
        return {key for key, value in arguments.items() if value is not None}

    def _body(self, client: TolokaClient, config: dict[str, Any]) -> dict[str, Any]:
        pool = _with_project(config, self.project_id)
        return _with_requirement(pool, self.training_id, self.training_passing_skill_value)

    def _completed(self, client: TolokaClient, body: dict[str, Any]) -> dict[str, Any]:
        return _expiring(client, "config", body, expires_in=self.expires_in, will_expire=self.will_expire)


class CreateTrainingOperator(_TrainingCreator):
    """
    Create a training, once however often the task is tried, and return its id. It is closed and has no tasks.

    :param config: What the API takes as a training: a dict or a path, as for `CreatePoolOperator`.
    :param project_id: The project, if ``config`` does not name it (templated).

    Further arguments are those of `CreateOperator`.
    """

    template_fields: Sequence[str] = ("config", "project_id", "toloka_conn_id")

    def __init__(
        self,
        *,
        config: Config | XComArg,
        project_id: str | XComArg | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        check_config: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, check_config=check_config, **kwargs)
        self.config = as_rendered(config)
        self.project_id = as_rendered(project_id)
        self._check_when_parsed()

    def _given(self) -> set[str]:
        return set() if self.project_id is None else {"project_id"}

    def _body(self, client: TolokaClient, config: dict[str, Any]) -> dict[str, Any]:
        return _with_project(config, self.project_id)


class ClonePoolOperator(_Cloner, _PoolCreator):
    """
    Create a pool like another one, once however often the task is tried, and return its id. Tasks are not copied.

    It reads the pool and creates one with the same parameters, instead of using the clone call of the API: a copy made
    by that call cannot be distinguished from others, so an attempt whose answer was lost would be followed by a second
    copy. Otherwise both do the same; quality control rules keep their ``uuid``, so that both pools count people's
    actions together.

    :param pool_id: The pool to copy; it may be archived (templated).
    :param changes: What shall be different: a dict or a path, as ``config`` of `CreatePoolOperator`. Objects are merged
        key by key, ``None`` removes a parameter, everything else, lists too, is replaced.
    :param expires_in: As for `CreatePoolOperator`. Without it, ``will_expire``, and such a change, the copy expires
        when the original does by itself, whatever `OpenPoolOperator` has limited it to; that must be in the future.
    :param will_expire: As for `CreatePoolOperator` (templated).

    Further arguments are those of `CreateOperator`.
    """

    template_fields: Sequence[str] = ("pool_id", "changes", "expires_in", "will_expire", "toloka_conn_id")

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        changes: Config | XComArg | None = None,
        expires_in: timedelta | float | str | XComArg | None = None,
        will_expire: datetime | str | XComArg | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        check_config: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, check_config=check_config, **kwargs)
        self.pool_id = as_rendered(pool_id)
        self.changes = as_rendered(changes)
        self.expires_in = as_rendered(expires_in)
        self.will_expire = as_rendered(will_expire)
        self._check_when_parsed()

    def _body(self, client: TolokaClient, config: dict[str, Any]) -> dict[str, Any]:
        original = client.get_pool(checked_id("pool_id", self.pool_id))
        if original.raw.get("type") == "TRAINING":
            raise ValueError(f"pool_id is {self.pool_id!r}, which is a training: use CloneTrainingOperator")
        if config.get("will_expire") is None and (self.expires_in, self.will_expire) != (None, None):
            config["will_expire"] = None
        return _copy(without_limit(original), config)

    def _completed(self, client: TolokaClient, body: dict[str, Any]) -> dict[str, Any]:
        what = f"pool {self.pool_id}"
        return _expiring(client, what, body, expires_in=self.expires_in, will_expire=self.will_expire)


class CloneTrainingOperator(_Cloner, _TrainingCreator):
    """
    Create a training like another one, once however often the task is tried, and return its id, without its tasks.

    As `ClonePoolOperator`, it does not use the clone call of the API.

    :param training_id: The training to copy; it may be archived (templated).
    :param changes: What shall be different, as for `ClonePoolOperator`.

    Further arguments are those of `CreateOperator`.
    """

    template_fields: Sequence[str] = ("training_id", "changes", "toloka_conn_id")

    def __init__(
        self,
        *,
        training_id: str | XComArg,
        changes: Config | XComArg | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        check_config: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(toloka_conn_id=toloka_conn_id, check_config=check_config, **kwargs)
        self.training_id = as_rendered(training_id)
        self.changes = as_rendered(changes)
        self._check_when_parsed()

    def _body(self, client: TolokaClient, config: dict[str, Any]) -> dict[str, Any]:
        return _copy(client.get_training(checked_id("training_id", self.training_id)), config)


def _copy(original: Training, changes: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {key: value for key, value in original.raw.items() if key not in SET_BY_TOLOKA}
    body = merged(parameters, changes)
    return {**body, "project_id": checked_id("project_id in changes", body.get("project_id"))}


def _with_project(config: Mapping[str, Any], project_id: str | None) -> dict[str, Any]:
    if project_id is None:
        if config.get("project_id") is None:
            raise ValueError("project_id is missing: give it as an argument or in config")
        project_id, name = config["project_id"], "project_id in config"
    else:
        name = "project_id"
    return with_value("config", config, "project_id", "project_id", checked_id(name, project_id))


def _with_requirement(pool: dict[str, Any], training_id: str | None, passing: int | str | None) -> dict[str, Any]:
    """Return the pool with a training that people must have passed."""
    if training_id is None and passing is None:
        return pool
    control = {"configs": [], **part("config", pool, "quality_control")}
    what = "quality_control.training_requirement of config"
    needs = part("config: quality_control", control, "training_requirement")
    if training_id is not None:
        training_id = checked_id("training_id", training_id)
        needs = with_value(what, needs, "training_pool_id", "training_id", training_id)
    elif needs.get("training_pool_id") is None:
        raise ValueError(f"training_passing_skill_value is {passing!r}, but training_id is missing")
    name = "training_passing_skill_value"
    if passing is not None:
        needs = with_value(what, needs, name, name, _percentage(name, passing))
    elif needs.get(name) is None:
        raise ValueError(f"{name} is missing: how many percent of the training {training_id} must people get right?")
    return {**pool, "quality_control": {**control, "training_requirement": needs}}


def _percentage(name: str, value: object) -> int:
    text = str(value)
    if not text.isdecimal() or int(text) > 100:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from 0 to 100")
    return int(text)


def _expiring(
    client: TolokaClient,
    what: str,
    pool: Mapping[str, Any],
    *,
    expires_in: timedelta | float | str | None,
    will_expire: datetime | str | None,
) -> dict[str, Any]:
    """Return the pool with the date on which it expires, as the API writes dates; now is what Toloka's clock shows."""
    now, stored = client.server_time() or datetime.now(UTC), f"will_expire of {what}"
    given = {stored: pool.get("will_expire"), "expires_in": expires_in, "will_expire": will_expire}
    present = {name: value for name, value in given.items() if value is not None}
    if not present:
        raise ValueError(f"will_expire is missing: {HOW_TO_EXPIRE}")
    if stored in present and len(present) > 1 and _date(stored, present[stored]) <= now:
        del present[stored]
    if len(present) > 1:
        raise ValueError(f"{' and '.join(present)} say both when the pool expires; give only one of them")
    [(name, value)] = present.items()
    try:
        date = now + _span(name, value) if name == "expires_in" else _date(name, value)
    except OverflowError:
        raise ValueError(f"{name} is {value!r}, which is too far away") from None
    if date <= now:
        raise ValueError(f"{name} is {value!s}, which is in the past by Toloka's clock; {HOW_TO_EXPIRE}")
    return {**pool, "will_expire": date.replace(tzinfo=None).isoformat(timespec="milliseconds")}


def _span(name: str, value: Any) -> timedelta:
    return timedelta(seconds=parse_seconds(name, value))


def _date(name: str, value: object) -> datetime:
    # In a pool's parameters, text without a zone is UTC, as in the API.
    return parse_datetime(name, value, zone=None if name == "will_expire" else UTC).astimezone(UTC)
