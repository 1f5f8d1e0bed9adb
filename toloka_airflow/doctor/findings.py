"""What a probe found, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.troubleshooting import PAGE

if TYPE_CHECKING:
    from toloka_airflow._internal.troubleshooting import Topic

_TOPICS: dict[str, Topic] = {
    "balance": "not-enough-money",
    "clock": "time-is-over",
    "connection": "connection-fields",
    "open-pools": "pool-not-closed",
    "open-trainings": "pool-not-closed",
    "overdue-waits": "no-triggerer",
    "pool-expiry": "pool-not-closed",
    "quota": "quota-spent",
    "triggerer": "no-triggerer",
    "triggerer-capacity": "no-triggerer",
    "triggerer-queues": "no-triggerer",
    "unassigned-waits": "no-triggerer",
}
"""Where the documentation says more, by the name of the check; for the others, `docs/doctor.md` says all."""
_USERINFO = re.compile(r"://[^\s/]*@")


class Status(StrEnum):
    """
    How something is.

    ``FAIL`` is for what is certain, and loses money, answers or runs. ``WARN`` is for what costs more than it has to,
    or is only likely. ``UNKNOWN`` is for what could not be tried.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """
    One line of a diagnosis.

    :param check: What was checked, by a short name in lower case with hyphens.
    :param message: What is so, in a sentence.
    :param remedy: What to do; empty if there is nothing to do.
    :param conn_id: The connection that it is about, if it is about one.
    :param topic: What it is about, if not what such a check is about by default.
    """

    status: Status
    check: str
    message: str
    remedy: str = ""
    conn_id: str | None = None
    topic: Topic | None = None

    @property
    def help(self) -> str | None:
        """The address of the documentation of what is wrong, if anything is."""
        topic = self.topic or _TOPICS.get(self.check)
        return f"{PAGE}#{topic}" if topic and self.status in (Status.WARN, Status.FAIL) else None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "status": self.status.value,
            "check": self.check,
            "conn_id": self.conn_id,
            "message": self.message,
            "remedy": self.remedy or None,
            "help": self.help,
        }

    def without(self, secrets: Collection[str]) -> Finding:
        """Return it with secrets crossed out, wherever they came from."""
        return replace(self, message=cross_out(self.message, secrets), remedy=cross_out(self.remedy, secrets))


def ok(check: str, message: str, *, conn_id: str | None = None) -> Finding:
    """Return that all is well."""
    return Finding(Status.OK, check, message, conn_id=conn_id)


def warn(check: str, message: str, remedy: str, *, conn_id: str | None = None) -> Finding:
    """Return what may be wrong, or could be better."""
    return Finding(Status.WARN, check, message, remedy, conn_id)


def fail(check: str, message: str, remedy: str, *, conn_id: str | None = None, topic: Topic | None = None) -> Finding:
    """Return what is wrong."""
    return Finding(Status.FAIL, check, message, remedy, conn_id, topic)


def unknown(check: str, message: str, remedy: str = "", *, conn_id: str | None = None) -> Finding:
    """Return what could not be tried."""
    return Finding(Status.UNKNOWN, check, message, remedy, conn_id)


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """
    Return 1 if anything failed, else 2 if anything could not be tried, else 0.

    :param strict: Whether a warning counts as a failure.
    """
    found = {finding.status for finding in findings}
    if Status.FAIL in found or (strict and Status.WARN in found):
        return 1
    return 2 if Status.UNKNOWN in found else 0


def cross_out(text: str, secrets: Collection[str]) -> str:
    """Return a text without secrets, longer ones first, as one may be a part of another, and without who is in URLs."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _USERINFO.sub("://***@", text)
