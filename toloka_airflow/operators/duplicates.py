"""
What a task has created twice, although it is to create one thing only, and has left unused.

Two attempts of a task run at once if the supervisor of the first is killed alone. The orphan sends nothing any more
(`toloka_airflow._internal.supervision`), but a call may have been on its way. If Toloka carries it out after the next
attempt has searched for what there is, there are two. The one that was created first is what both attempts return; the
younger one stays as it was created, unless the younger is a copy that a person or a task made: copies carry the same
tag, but there is an operation that made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow.api.models import Project, Training
from toloka_airflow.api.pool_rules import is_archived, was_never_open

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

Created = Project | Training
MAX_DELAY = timedelta(minutes=2)
"""How much later than the next attempt's own call one that was on its way is carried out, at the most."""


def find_duplicates(context: Context, own: Created, list_since: Callable[[], Iterable[Created]]) -> Iterator[Created]:
    """
    Iterate over what else carries the tag of the task that created an object, and is not archived.

    There is nothing, and nothing is listed, if no task of this run created it.
    """
    creator = TaskIdentity.of_creator(context, own.raw)
    if creator is not None:
        others = (other for other in list_since() if other.id != own.id and creator.marks(other.raw))
        yield from (other for other in others if not is_archived(other))


def is_stray(own: Created, other: Created) -> bool:
    """Return whether an object was created shortly after another one, and was never open."""
    if own.created is None or other.created is None or not own.created <= other.created <= own.created + MAX_DELAY:
        return False
    return not isinstance(other, Training) or was_never_open(other)
