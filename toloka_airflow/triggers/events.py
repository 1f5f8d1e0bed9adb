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
    """

    kind: str
    deadline: float
    subject: Raw | None = None
    message: str = ""
    version: int = VERSION
    opened_at: str | None = None

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
