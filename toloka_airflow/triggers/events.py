"""How a wait ended: what a trigger sends to its task, through Airflow's database."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaError

if TYPE_CHECKING:
    from toloka_airflow.api.models import Raw

VERSION = 1
KINDS = FINISHED, TIME_IS_UP, SPENT, TIMED_OUT, REFUSED = "finished", "time_is_up", "spent", "timed_out", "refused"
KINDS_WITH_SUBJECT = FINISHED, TIME_IS_UP, SPENT


@dataclass(frozen=True)
class WaitEvent:
    """
    How a wait ended.

    Triggerer and worker may run different versions of this package: fields that this version does not know are ignored,
    and those that an older one did not send have defaults. A kind that it does not know is an error.

    :param kind: ``finished`` (the subject says how), ``time_is_up`` or ``spent`` (it is not finished, but need not be),
        ``timed_out``, or ``refused``: Toloka gave an answer that will not change, such as 401 or 404.
    :param deadline: Unix time at which the wait would have been given up; what comes next shares it.
    :param subject: The operation or pool as the API answered it, for the first three kinds.
    :param message: Why there is no subject, for the other two.
    :param version: Of this vocabulary; 0 is that of events without a version.
    :param opened_at: When the opening of the pool began that the wait was about, if that is known.
    :param subject_id: The id of the operation or pool; older versions give it with the subject only.
    """

    kind: str
    deadline: float
    subject: Raw | None = None
    message: str = ""
    version: int = VERSION
    opened_at: str | None = None
    subject_id: str = ""

    def payload(self) -> dict[str, Any]:
        """Return the event as JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, payload: dict[str, Any] | None) -> WaitEvent:
        """
        Return the event that a deferred task resumed with.

        :raises TolokaError: If no trigger of this package sends such an event.
        """
        if not isinstance(payload, dict) or payload.get("kind") not in KINDS:
            raise TolokaError(f"The task was resumed with an event that no Toloka trigger sends: {payload!r}")
        names = {field.name for field in fields(cls)}
        known = {name: value for name, value in payload.items() if name in names}
        try:
            event = cls(**{"version": 0, **known})
        except TypeError:
            raise TolokaError(f"The task was resumed with an event that lacks a deadline: {payload!r}") from None
        if event.kind in KINDS_WITH_SUBJECT and not isinstance(event.subject, dict):
            raise TolokaError(f"The task was resumed with an event that names no operation or pool: {payload!r}")
        return event


@dataclass(frozen=True)
class Awaited:
    """
    Which wait a task is deferred for: Airflow may resume it with the event of another one.

    Airflow hands an event to whatever task has the id of the trigger by then. SQLite gives the id of a trigger that is
    gone to the next one, so a late event reaches a task that waits for something else.

    :param subject_id: The id of the operation or pool.
    :param deadline: Unix time at which to give up.
    """

    subject_id: str
    deadline: float

    def kwargs(self) -> dict[str, Any]:
        """Return what to defer with, besides the trigger and the method."""
        return {"awaited": asdict(self)}


def without_awaited(next_kwargs: dict[str, Any] | None) -> tuple[dict[str, Any], Awaited | None]:
    """
    Return what the method of a resumed task gets, and what is still waited for if the event is of another wait.

    ``dag.test()`` and older versions of this package pass no `Awaited` on; then every event is taken for the right one.
    """
    kwargs = dict(next_kwargs or {})
    stored, event = kwargs.pop("awaited", None), kwargs.get("event")
    if stored is None or not isinstance(event, dict):
        return kwargs, None
    awaited = Awaited(stored["subject_id"], stored["deadline"])
    subject_id = event.get("subject_id") or (event.get("subject") or {}).get("id")
    return kwargs, None if subject_id in (None, awaited.subject_id) else awaited
