"""
Archiving, also of what a task has created twice, although it is to create one thing only, and has left unused.

Two attempts of a task run at once if the supervisor of the first is killed alone. The orphan sends nothing any more
(`toloka_airflow._internal.supervision`), but a call may have been on its way. If Toloka carries it out after the next
attempt has searched for what there is, there are two. The one that was created first is what both attempts return; the
younger one stays as it was created, unless the younger is a copy that a person or a task made: copies carry the same
tag, but there is an operation that made them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow.api.models import Operation, Project, Training
from toloka_airflow.api.pool_rules import is_archived, was_never_open
from toloka_airflow.operators.lifecycle_base import FirstStep, LifecycleOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient

Created = Project | Training
MAX_DELAY = timedelta(minutes=2)
"""How much later than the next attempt's own call one that was on its way is carried out, at the most."""


class ArchiveOperator(LifecycleOperator):
    """
    Archive something, and before it what its task has created besides, which nobody uses.

    A task creates one thing, but two attempts of it may have run at once, as this module says. What is not
    certain to be left over, such as a copy that a person made, is only named in a warning.
    """

    def _submit(self, context: Context, client: TolokaClient) -> Operation | FirstStep | None:
        return self._archive_stray(context, client) or super()._submit(context, client)

    def _archive_stray(self, context: Context, client: TolokaClient) -> FirstStep | None:
        """Return the operation that archives the first of what is left over, be it that of a previous attempt."""
        own = self._fetch(client)
        noun = self.id_name.removesuffix("_id")
        for other in find_duplicates(context, own, partial(self._list, client, own)):
            operation = client.find_unfinished_operation(**{self.id_name: other.id})
            if operation is None and is_stray(own, other) and not self._may_be_needed(client, own, other):
                operation = self._archive(client, other.id)
            elif operation is None or operation.type != self.operation_type:
                self.log.warning(
                    "%s was created by the task that created %s %s, or is a copy. It is not archived, as it is not "
                    "certain that nobody needs it: archive it by hand if so",
                    *(f"{noun.capitalize()} {other.id}", noun, own.id),
                )
                continue
            if operation is not None:
                self.log.warning(
                    "Two attempts of the task that created %s %s ran at once: operation %s archives %s %s, too, which "
                    "nobody uses",
                    *(noun, own.id, operation.id, noun, other.id),
                )
                return FirstStep(operation)
        return None

    @abstractmethod
    def _fetch(self, client: TolokaClient) -> Created:
        """Return what is to be archived."""

    @abstractmethod
    def _list(self, client: TolokaClient, own: Created) -> Iterable[Created]:
        """Return what was created like it since."""

    @abstractmethod
    def _has_content(self, client: TolokaClient, other: Created) -> bool:
        """Return whether there is anything in it."""

    def _may_be_needed(self, client: TolokaClient, own: Created, other: Created) -> bool:
        return self._has_content(client, other) or self._is_copy(client, own, other)

    def _is_copy(self, client: TolokaClient, own: Created, other: Created) -> bool:
        """Return whether Toloka's own call may have copied it, together with the tag; it copies no projects."""
        if isinstance(own, Project):
            return False
        copying = client.list_operations(
            type=self.operation_type.replace("ARCHIVE", "CLONE"), submitted_gte=own.created
        )
        return any(operation.details.get(self.id_name) in (None, other.id) for operation in copying)

    @abstractmethod
    def _archive(self, client: TolokaClient, object_id: str) -> Operation | None:
        """Send the call that archives one of them."""


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
