"""Restrictions: whom not to let work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from toloka_airflow._internal.arguments import parse_int, parse_optional_datetime, parse_share, parse_span
from toloka_airflow._internal.identity import CommentTag
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaApiError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import read_date
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, find_link
from toloka_airflow.transfer.changes.rows import check_repeatable, description, read_rows
from toloka_airflow.transfer.changes.sending import send_each

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models.people import UserRestriction

__all__ = ["LiftRestrictionsOperator", "RestrictUsersOperator"]

RestrictedBy = Literal["run", "dag", "anybody"]
SCOPES = {"ALL_PROJECTS": None, "PROJECT": "project_id", "POOL": "pool_id"}
"""Where a person can be kept from working, and the argument that says which; SYSTEM is Toloka's own."""
MAX_IN_FLIGHT = 64
MAX_COMMENT = 499
SHORT_COMMENT = 100
"""So much of a comment is left, at the least, beside that of the restriction that is made longer."""
_PREVIOUS = re.compile(r"(?<=\]) before (\d{4}-\d\d-\d\dT[\d:.]+): ?(.*)\Z", re.DOTALL)
"""Behind a tag, what was there before the restriction was made longer: until when, and its comment."""


class RestrictUsersOperator(LineageMixin, BaseOperator):
    """
    Keep people from working: for you at all, in a project, or in a pool.

    It may be repeated. A restriction that a person has already in the same scope, whoever made it, is never shortened:
    if it lasts as long, or was made by this task, it stays as it is; else it is made longer. What this task makes
    carries a tag in its private comment, by which `LiftRestrictionsOperator` finds it; behind the tag is what was there
    before, which is put back then.

    All rows are checked before the first is sent; up to 20 that cannot be used are listed at once. What Toloka refuses
    fails the task when the others are sent, or after 20 of them.

    It returns ``{"scope", "total", "already", "left"}``: how many people are restricted, how many of them were before
    this attempt, and how many were not because of ``accuracy_below``.

    :param users: Whom: a list of their ids, or of rows with ``user_id``; or the path of a file with rows (templated),
        as for `SetUserSkillsOperator`.
    :param scope: ``ALL_PROJECTS``, ``PROJECT`` or ``POOL`` (templated).
    :param project_id: The project, if that is the scope (templated).
    :param pool_id: The pool, if that is the scope (templated).
    :param accuracy_below: Restrict only who has an ``accuracy`` (0 to 1) below this; all rows must have one.
    :param expires_in: A timedelta or seconds from now until it ends; a further attempt does not change the date.
        Without this and ``will_expire``, it is for ever.
    :param will_expire: When it ends: a datetime or ISO 8601 text, with time zone (templated).
    :param comment: Why; only you read it (templated). The tag is added.
    :param in_flight: How many requests at a time; fewer for a while after a 429.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = (
        "users",
        "scope",
        "project_id",
        "pool_id",
        "will_expire",
        "comment",
        "toloka_conn_id",
    )
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        users: RowsOrPath,
        scope: str | XComArg,
        project_id: str | XComArg | None = None,
        pool_id: str | XComArg | None = None,
        accuracy_below: float | None = None,
        expires_in: timedelta | float | None = None,
        will_expire: datetime | str | XComArg | None = None,
        comment: str | XComArg | None = None,
        in_flight: int = 8,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        check_repeatable("users", users)
        if expires_in is not None and will_expire is not None:
            raise argument_error("expires_in and will_expire say both when the restriction ends; give only one of them")
        self.users: Any = users
        self.scope = as_rendered(scope)
        self.project_id = as_rendered(project_id)
        self.pool_id = as_rendered(pool_id)
        self.accuracy_below = (
            accuracy_below if accuracy_below is None else parse_share("accuracy_below", accuracy_below)
        )
        self.expires_in = None if expires_in is None else parse_span("expires_in", expires_in)
        self.will_expire = as_rendered(will_expire)
        self.comment = as_rendered(comment)
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Restrict who is not restricted yet."""
        with task_errors():
            where = checked_scope(self.scope, project_id=self.project_id, pool_id=self.pool_id)
            tag = CommentTag.of(context)
            comment = self._comment(context, tag)
            will_expire = self._will_expire()
            read = read_rows("users", self.users, "user_id", self._is_restricted)
            users = [user_id for user_id, is_restricted in read.items() if is_restricted]
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, where)
            present = _list_restrictions(client, where)
            # By Toloka's clock, which ends the restrictions.
            now = client.server_time() or datetime.now(UTC)
            expires = now + self.expires_in if self.expires_in else will_expire
            # A further attempt does not change the date that the first one has reckoned.
            current = {each.user_id: each for each in present if _lasts(each, now)}
            own = [each for each in current.values() if self.expires_in and tag.is_of_task(_own_comment(each))]
            lasting = {each.user_id for each in [*own, *(each for each in present if _lasts(each, expires))]}
            ends = {} if expires is None else {"will_expire": _date_text(expires)}

            def send(client: TolokaClient, user_id: str, previous: UserRestriction | None) -> str:
                text = comment if previous is None else _with_previous(comment, tag, previous)
                client.set_user_restriction({**where, **ends, "user_id": user_id, "private_comment": text})
                return "restricted"

            missing = [(user_id, current.get(user_id)) for user_id in users if user_id not in lasting]
            send_each(client, missing, send, what="restrictions of people", in_flight=self.in_flight, log=self.log)
        result = {
            "scope": where["scope"],
            "total": len(users),
            "already": len(users) - len(missing),
            "left": len(read) - len(users),
        }
        self.log.info(
            "Restricted: %d of %s; %d before this attempt",
            *(len(users), counted(len(read), "person", "people"), result["already"]),
        )
        self._lineage_facts = result
        return result

    def _comment(self, context: Context, tag: CommentTag) -> str:
        comment = self.comment or f"Restricted by the Airflow DAG {context['ti'].dag_id:.100}"
        tagged = f"{comment} {tag}"
        if len(tagged) > MAX_COMMENT:
            most = MAX_COMMENT - len(str(tag)) - 1
            raise ValueError(
                f"comment is {comment!r:.100}; with the tag of Airflow it is too long: "
                f"{counted(most, 'character fits', 'characters fit')}"
            )
        return tagged

    def _will_expire(self) -> datetime | None:
        will_expire = parse_optional_datetime("will_expire", self.will_expire)
        if will_expire is not None and will_expire <= datetime.now(UTC):
            raise ValueError(f"will_expire is {will_expire.isoformat()}, which is in the past")
        return will_expire

    def _is_restricted(self, row: Mapping[str, Any]) -> bool:
        if self.accuracy_below is None:
            return True
        if row.get("accuracy") is None:
            raise ValueError(f"it has no accuracy, which accuracy_below needs; {description(row)}")
        return parse_share("accuracy", row["accuracy"]) < self.accuracy_below


class LiftRestrictionsOperator(LineageMixin, BaseOperator):
    """
    Let people work again who were restricted.

    Only what a `RestrictUsersOperator` of the same run has made is lifted, unless ``restricted_by`` says otherwise. It
    may be repeated: who is not restricted any more stays so. A restriction of somebody else that it had made longer
    gets its end and comment back. Toloka's own restrictions (``SYSTEM``) cannot be lifted.

    It returns ``{"lifted", "left"}``: how many were lifted by this attempt, and how many are left that somebody else
    has made.

    :param users: Whose: as for `RestrictUsersOperator` (templated); everybody's by default.
    :param scope: Only those of this scope (templated); all by default, or that of ``project_id`` or ``pool_id``.
    :param project_id: Only those of this project (templated).
    :param pool_id: Only those of this pool (templated).
    :param restricted_by: Whether to lift what tasks of this ``run`` have made, what any run of this ``dag`` has made,
        or what ``anybody`` has made; the latter needs ``users``, ``project_id`` or ``pool_id``.
    :param in_flight: How many requests at a time; fewer for a while after a 429.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("users", "scope", "project_id", "pool_id", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        users: RowsOrPath | None = None,
        scope: str | XComArg | None = None,
        project_id: str | XComArg | None = None,
        pool_id: str | XComArg | None = None,
        restricted_by: RestrictedBy = "run",
        in_flight: int = 8,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        if restricted_by not in get_args(RestrictedBy):
            raise argument_error(f"restricted_by is {restricted_by!r}; it must be {', '.join(get_args(RestrictedBy))}")
        if restricted_by == "anybody" and users is None and project_id is None and pool_id is None:
            raise argument_error("restricted_by is 'anybody', so users, project_id or pool_id must say which to lift")
        check_repeatable("users", users)
        self.users: Any = users
        self.scope = as_rendered(scope)
        self.project_id = as_rendered(project_id)
        self.pool_id = as_rendered(pool_id)
        self.restricted_by = restricted_by
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Lift what there is."""
        with task_errors():
            filters = self._filters()
            users = None if self.users is None else read_rows("users", self.users, "user_id", lambda row: None)
            tag = CommentTag.of(context)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            find_link(context, client, filters)
            listed = [
                found
                for found in _list_restrictions(client, filters)
                if found.scope in SCOPES and (users is None or found.user_id in users)
            ]
            now = client.server_time() or datetime.now(UTC)
            found = [each for each in listed if self._is_own(tag, _comment_of(each))]
            own = [(each.id, self._remainder(tag, each, now)) for each in found]
            lifted = send_each(
                client, own, _lift, what="liftings of restrictions", in_flight=self.in_flight, log=self.log
            )
        restored = sum(remainder is not None for _, remainder in own)
        result = {"lifted": lifted["lifted"], "left": len(listed) - len(own) + restored}
        self.log.info(
            "Lifted %s; left %d that somebody else has made", counted(result["lifted"], "restriction"), result["left"]
        )
        self._lineage_facts = result
        return result

    def _is_own(self, tag: CommentTag, comment: str) -> bool:
        comment = _PREVIOUS.sub("", comment)
        if self.restricted_by == "anybody":
            return True
        return tag.is_of_run(comment) if self.restricted_by == "run" else tag.is_of_dag(comment)

    def _remainder(self, tag: CommentTag, found: UserRestriction, now: datetime) -> dict[str, Any] | None:
        """Return what is to be left of a restriction, as it was before it was made longer; ``None`` if nothing is."""
        comment, ends = _comment_of(found), None
        while self._is_own(tag, comment):
            previous = _PREVIOUS.search(comment)
            if previous is None:
                return None
            ends, comment = previous.groups()
        if (date := read_date(ends)) is None or date <= now:
            return None
        name = SCOPES[found.scope]
        where = {"scope": found.scope, **({} if name is None else {name: getattr(found, name)})}
        return {**where, "user_id": found.user_id, "private_comment": comment, "will_expire": ends}

    def _filters(self) -> dict[str, str]:
        if self.scope is not None:
            return checked_scope(self.scope, project_id=self.project_id, pool_id=self.pool_id, is_filter=True)
        given = [scope for scope, name in SCOPES.items() if name is not None and getattr(self, name) is not None]
        # Without the scope that it belongs to, it is not documented that the id is looked at.
        return checked_scope(given[0], project_id=self.project_id, pool_id=self.pool_id) if given else {}


def _list_restrictions(client: TolokaClient, filters: Mapping[str, str]) -> list[UserRestriction]:
    """Return the restrictions that are as wanted, whatever the API makes of the filters."""
    listed = client.list_user_restrictions(**filters)
    return [each for each in listed if all(getattr(each, name) == value for name, value in filters.items())]


def _lift(client: TolokaClient, restriction_id: str, remainder: Mapping[str, Any] | None) -> str:
    try:
        if remainder is None:
            client.delete_user_restriction(restriction_id)
        else:
            client.set_user_restriction(remainder)
    except TolokaApiError as exc:
        # It is lifted already, by another attempt or because the first answer was lost.
        if exc.status != 404 or exc.is_transient or remainder is not None:
            raise
    return "lifted"


def _comment_of(found: UserRestriction) -> str:
    return str(found.raw.get("private_comment") or "")


def _own_comment(found: UserRestriction) -> str:
    """Return the comment of a restriction without that of the one before."""
    return _PREVIOUS.sub("", _comment_of(found))


def _with_previous(comment: str, tag: CommentTag, previous: UserRestriction) -> str:
    """Return a tagged comment with what is needed to put back the restriction that it replaces."""
    old = _comment_of(previous)
    if tag.is_of_run(_own_comment(previous)):
        found = _PREVIOUS.search(old)
        behind, old = (f" before {found[1]}: ", found[2]) if found else ("", "")
    else:
        behind = f" before {_date_text(ends)}: " if (ends := read_date(previous.raw["will_expire"])) else ""
    most = MAX_COMMENT - len(f" {tag}{behind}")
    comment = comment.removesuffix(f" {tag}")
    # Of a long one the end, as there is its tag.
    old = old[-(most - min(len(comment), SHORT_COMMENT)) :]
    return f"{comment[: most - len(old)]} {tag}{behind}{old}"


def _date_text(date: datetime) -> str:
    return date.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _lasts(found: UserRestriction, expires: datetime | None) -> bool:
    """Return whether a restriction lasts until a time, for ever if it is ``None``."""
    if found.raw.get("will_expire") is None:
        return True
    ends = read_date(found.raw["will_expire"])
    # Toloka keeps milliseconds.
    return ends is not None and expires is not None and ends >= expires - timedelta(milliseconds=1)


def checked_scope(
    scope: object, *, project_id: str | None, pool_id: str | None, is_filter: bool = False
) -> dict[str, str]:
    """
    Return the scope of a restriction, as the API takes it.

    :param is_filter: Whether the id that belongs to it may be missing.
    :raises ValueError: If there is no such scope, or its id is missing or is that of another one.
    """
    if scope not in SCOPES:
        raise ValueError(f"scope is {scope!r}; it must be {', '.join(SCOPES)}")
    needed, ids = SCOPES[str(scope)], {"project_id": project_id, "pool_id": pool_id}
    for name, value in ids.items():
        if name != needed and value is not None:
            raise ValueError(f"scope is {scope!r}, so {name} must not be given; it is {value!r}")
    if needed is None or (is_filter and ids[needed] is None):
        return {"scope": str(scope)}
    if ids[needed] is None:
        raise ValueError(f"{needed} is None; scope is {scope!r}, so it must say which")
    return {"scope": str(scope), needed: checked_id(needed, ids[needed])}
