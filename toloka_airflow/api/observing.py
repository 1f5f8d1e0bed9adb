"""What a client reports of each request that it has sent, to whoever observes it; nothing of it names an object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

WORDS = frozenset(
    {
        "add-to-folders",
        "aggregate-by-pool",
        "aggregate-by-task",
        "aggregated-solutions",
        "analytics-2",
        "api",
        "archive",
        "assignments",
        "attachments",
        "clone",
        "close",
        "close-for-update",
        "compose",
        "download",
        "log",
        "message-threads",
        "open",
        "operations",
        "pools",
        "projects",
        "remove-from-folders",
        "reply",
        "requester",
        "set-overlap-or-min",
        "skills",
        "staging",
        "task-suites",
        "tasks",
        "test",
        "trainings",
        "user-bonuses",
        "user-metadata",
        "user-restrictions",
        "user-skills",
        "v1",
        "webhook-subscriptions",
    }
)
"""Parts of paths that are no ids; any other is taken for one, so that routes are few."""
MAX_PARTS = 6
"""Parts that a route has at most; no documented path has more than five."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    One request, and how it was answered.

    :param method: Such as ``GET``.
    :param route: The path below ``/api/v1``, or the full one of another; each id is the word ``id``, such as
        ``/pools/id/open``.
    :param status: The HTTP status; ``None`` without a complete answer.
    """

    method: str
    route: str
    status: int | None


Observer = Callable[[Exchange], None]


def route_of(path: str) -> str:
    """Return the path of a request with its ids replaced."""
    parts = path.strip("/").split("/")[:MAX_PARTS]
    return "/" + "/".join(part if part in WORDS else "id" for part in parts)
