"""Skills: what people can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.arguments import parse_int, parse_share
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import read_decimal
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.operators.creation import differing_keys, with_value
from toloka_airflow.storage.config_files import read_config
from toloka_airflow.transfer.changes.rows import check_repeatable, description, read_rows
from toloka_airflow.transfer.changes.sending import send_each

if TYPE_CHECKING:
    from os import PathLike

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models.people import Skill

    Config = Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath

__all__ = ["CreateSkillOperator", "SetUserSkillsOperator"]

MAX_IN_FLIGHT = 64


class CreateSkillOperator(LineageMixin, BaseOperator):
    """
    Create a skill of this requester, or find the one that has its name, and return its id.

    A name is a skill: every DAG and run that names it gets the same one, so nothing is created twice, whatever is
    killed. One that is found is left as it is; if its settings differ from ``config``, the log says in what. Skills of
    Toloka and of trainings are not found, nor those that are deprecated while there is another one.

    :param name: The name that only you read, if ``config`` does not have it (templated).
    :param config: What else the API takes as a skill, such as ``public_name`` and ``hidden``: a dict (templated,
        deeply), or the path of a JSON or YAML file with it.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("name", "config", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        name: str | XComArg | None = None,
        config: Config | XComArg | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = as_rendered(name)
        self.config = as_rendered(config)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> str:
        """Find the skill, or create it."""
        with task_errors():
            client = TolokaHook(self.toloka_conn_id).get_conn()
            skill_id = self._find_or_create(client)
            find_link(context, client, {"skill_id": skill_id})
            return skill_id

    def _find_or_create(self, client: TolokaClient) -> str:
        skill = self._skill()
        found = _find_skill(client, skill["name"])
        if found is None:
            return self._create(client, skill)
        self.log.info("Skill %s is called %s already", found.id, skill["name"])
        if differing := differing_keys(found.raw, skill):
            self.log.warning(
                "Skill %s is left as it is, but differs from what this task requests in: %s. Change it at Toloka, "
                "or name another one",
                *(found.id, ", ".join(differing)),
            )
        return found.id

    def _skill(self) -> dict[str, Any]:
        skill = {} if self.config is None else read_config("config", self.config)
        if self.name is not None:
            skill = with_value("config", skill, "name", "name", self.name)
        name = skill.get("name")
        if not isinstance(name, str) or name.strip() in ("", "None"):
            raise ValueError(f"name is {name!r}; give the name of the skill as an argument or in config")
        return skill

    def _create(self, client: TolokaClient, skill: Mapping[str, Any]) -> str:
        made: Skill | None = None
        try:
            made = client.create_skill(skill)
        except TolokaError as exc:
            if not exc.may_have_been_received:
                raise
            self.log.warning("This task searches for its skill, which may have been created all the same: %s", exc)
            found = _find_skill(client, skill["name"])
            if found is None:
                raise
        else:
            # Another attempt or run may have searched when there was none yet; all must return the same one.
            found = _find_skill(client, skill["name"]) or made
            if found.id != made.id:
                self.log.warning(
                    "Two tasks at once created the skill %s, as %s and %s; this one returns the first, and nothing "
                    "uses the second",
                    *(skill["name"], found.id, made.id),
                )
        self.log.info("This task created skill %s", found.id)
        return found.id


def _find_skill(client: TolokaClient, name: str) -> Skill | None:
    """Return the requester's skill of a name, the oldest if there are several."""
    listed = (skill for skill in client.list_skills(name=name) if skill.raw.get("name") == name)
    own = [skill for skill in listed if not (skill.raw.get("global") or skill.raw.get("training"))]
    in_use = [skill for skill in own if not skill.raw.get("deprecated")]
    return next(iter(in_use or own), None)


class SetUserSkillsOperator(LineageMixin, BaseOperator):
    """
    Give people values of a skill.

    It may be repeated: a value that a person has already is not sent again, unless the skill lapses by itself
    (``skill_ttl_hours``), when each run is to renew it. People who are not named keep theirs. Toloka takes 100,000
    values a day.

    All rows are checked before the first is sent; up to 20 that cannot be used are listed at once. What Toloka refuses
    fails the task when the others are sent, or after 20 of them.

    It returns ``{"skill_id", "total", "already"}``: how many people have the value, and how many of them had it before
    this attempt.

    :param skill_id: The skill (templated).
    :param values: Rows with ``user_id`` and either ``value``, from 0 to 100, or ``accuracy``, from 0 to 1, of which 1
        is a value of 100: a list, such as that of `toloka_airflow.quality.people.accuracy_by_person`; or the path of a
        file with them (templated): JSON Lines (``.jsonl``), a JSON array (``.json``) or a table with these columns
        (``.csv``, ``.tsv``), each also with ``.gz`` behind it, or Parquet (``.parquet``, needs pyarrow). Or a mapping
        from ids of people to values. Other fields do not matter, except ``reason``.
    :param reason: Why, for those without a reason of their own (templated).
    :param in_flight: How many requests at a time; fewer for a while after a 429.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("skill_id", "values", "reason", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        skill_id: str | XComArg,
        values: RowsOrPath,
        reason: str | XComArg | None = None,
        in_flight: int = 8,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        check_repeatable("values", values)
        self.skill_id = as_rendered(skill_id)
        self.values: Any = values
        self.reason = as_rendered(reason)
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Set what is not set yet."""
        with task_errors():
            skill_id = checked_id("skill_id", self.skill_id)
            wanted = read_rows("values", self.values, "user_id", self._value, value_name="value")
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, {"skill_id": skill_id})
            present = self._present(client, skill_id)
            missing = [(user, row) for user, row in wanted.items() if not _is_close(present.get(user), row["value"])]

            def send(client: TolokaClient, user_id: str, row: Mapping[str, Any]) -> str:
                client.set_user_skill({"skill_id": skill_id, "user_id": user_id, **row})
                return "set"

            send_each(client, missing, send, what="skills of people", in_flight=self.in_flight, log=self.log)
            if not wanted:
                self.log.warning("There are no people in values, so no skill was set")
            if any(0 < row["value"] < 1 for row in wanted.values()) and all(
                row["value"] <= 1 for row in wanted.values()
            ):
                self.log.warning(
                    "No value is more than 1, and a value is from 0 to 100: if these are shares, call them accuracy"
                )
        result = {"skill_id": skill_id, "total": len(wanted), "already": len(wanted) - len(missing)}
        self.log.info(
            "Skill %s has its value for %s; %d had it before",
            *(skill_id, counted(len(wanted), "person", "people"), result["already"]),
        )
        self._lineage_facts = result
        return result

    def _present(self, client: TolokaClient, skill_id: str) -> dict[str, Any]:
        """Return the values that need not be set again."""
        if client.get_skill(skill_id).raw.get("skill_ttl_hours"):
            return {}
        listed = client.list_user_skills(skill_id=skill_id)
        return {each.user_id: each.raw.get("exact_value", each.raw.get("value")) for each in listed}

    def _value(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the API takes of a row."""
        value, accuracy = row.get("value"), row.get("accuracy")
        if value is None and accuracy is None:
            raise ValueError(f"it has neither a value (0 to 100) nor an accuracy (0 to 1); {description(row)}")
        if value is not None and accuracy is not None:
            raise ValueError("it has a value and an accuracy, which say both how good somebody is; give only one")
        if accuracy is not None:
            value = round(100 * parse_share("accuracy", accuracy), 2)
        number = None if isinstance(value, bool) else read_decimal(value)
        if number is None or not 0 <= number <= 100:
            raise ValueError(f"value is {value!r:.100}; it must be a number from 0 to 100, such as 87.5")
        reason = row.get("reason") or self.reason
        return {"value": float(number), **({"reason": str(reason)} if reason else {})}


def _is_close(present: Any, wanted: float) -> bool:
    number = read_decimal(present)
    return number is not None and abs(float(number) - wanted) < 0.0001
