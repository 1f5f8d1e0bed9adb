"""Calls about assignments, which are people's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import (
    PAGE_SIZE,
    Calls,
    ItemT,
    check_filters,
    object_path,
    query_of,
    without_none,
)
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Assignment, AssignmentStatus, Raw

if TYPE_CHECKING:
    from toloka_airflow.api.pages import Page


class AssignmentCalls(Calls):
    """Calls about assignments."""

    def list_assignments(
        self,
        *,
        pool_id: str | None = None,
        status: AssignmentStatus | Iterable[AssignmentStatus] | None = None,
        **filters: Any,
    ) -> Iterator[Assignment]:
        """Iterate over answers; one of ``pool_id``, ``task_id`` and ``task_suite_id`` is needed."""
        given = {"pool_id": pool_id, "status": status, **filters}
        if not any(given.get(key) for key in ("pool_id", "task_id", "task_suite_id")):
            raise ValueError("pool_id, task_id or task_suite_id is needed to list assignments")
        return self._list("/assignments", Assignment, given)

    def assignment_pages(
        self, pool_id: str, *, page_size: int = PAGE_SIZE, after: str | None = None, **filters: Any
    ) -> Iterator[list[Raw]]:
        """
        Iterate over a pool's answers page by page, as the API answers them: for whoever reads very many.

        :param page_size: Answers to request at once; 300 are documented, and taken if the API refuses more.
        :param after: Begin behind the assignment with this id.
        """
        given = {"pool_id": checked_id("pool_id", pool_id), "id_gt": after, **filters}
        return (page.items for page in self._list_pages("/assignments", given, limit=page_size))

    def read_assignments(
        self,
        pool_id: str,
        read: Callable[[bytes], Page[ItemT]],
        *,
        page_size: int = PAGE_SIZE,
        after: str | None = None,
        until: str | None = None,
        **filters: Any,
    ) -> Iterator[Page[ItemT]]:
        """
        Iterate over a pool's answers page by page, as a function reads them from the JSON of a page.

        :param read: It raises `ValueError` for what is no JSON.
        :param page_size: Answers to request at once; 300 are documented, and taken if the API refuses more.
        :param after: Begin behind the assignment with this id.
        :param until: End with the assignment with this id, if there is one, or before it.
        """
        given = {"pool_id": checked_id("pool_id", pool_id), "id_gt": after, "id_lte": until, **filters}
        return self._list_pages("/assignments", given, limit=page_size, read=read)

    def find_last_assignment(self, pool_id: str, **filters: Any) -> str | None:
        """Return the greatest id of a pool's answers, in one request; ``None`` if there are none."""
        given = {"pool_id": checked_id("pool_id", pool_id), **query_of(filters)}
        check_filters("/assignments", given)
        page = self._page("/assignments", {**given, "sort": "-id", "limit": "1"}, "id")
        return page.keys[0] if page.keys else None

    def has_answers(self, pool_id: str, *, since: datetime | None = None, before: datetime | None = None) -> bool:
        """
        Return whether anybody has submitted an answer, in one request.

        :param since: Count only what was submitted at this time or later.
        :param before: Count only what was submitted before this time.
        """
        answered = [AssignmentStatus.SUBMITTED, AssignmentStatus.ACCEPTED, AssignmentStatus.REJECTED]
        filters: dict[str, Any] = {"status": answered, "submitted_gte": since, "submitted_lt": before}
        return any(self.assignment_pages(pool_id, page_size=1, **filters))

    def get_assignment(self, assignment_id: str) -> Assignment:
        """Return an answer."""
        return Assignment.from_api(self._get(object_path("/assignments", assignment_id=assignment_id)))

    def patch_assignment(
        self, assignment_id: str, *, status: AssignmentStatus, public_comment: str | None = None
    ) -> Assignment:
        """
        Accept or reject an answer; Tolokers read the comment.

        It may be sent again after a lost answer: what is decided is not decided a second time (409).
        """
        body = {"status": AssignmentStatus(status).value, "public_comment": public_comment}
        path = object_path("/assignments", assignment_id=assignment_id)
        return Assignment.from_api(self._patch(path, without_none(body)))
