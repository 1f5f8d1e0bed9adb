"""Calls about messages to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import Calls, object_path

if TYPE_CHECKING:
    from toloka_airflow.api.models import Raw
    from toloka_airflow.api.models.messages import MessageThread


class MessageCalls(Calls):
    """Calls about message threads; their model is imported when it is used."""

    def list_message_threads(self, **filters: Any) -> Iterator[MessageThread]:
        """Iterate over threads, such as those in a ``folder`` (INBOX, OUTBOX, UNREAD, ...) or in several."""
        from toloka_airflow.api.models.messages import MessageThread

        return self._list("/message-threads", MessageThread, filters)

    def compose_message(self, message: Raw) -> MessageThread:
        """Write to some people (``recipients_select_type`` DIRECT), to those of a filter, or to all (once a day)."""
        from toloka_airflow.api.models.messages import MessageThread

        return MessageThread.from_api(self._create("/message-threads/compose", message))

    def reply_to_message(self, thread_id: str, text: Mapping[str, str]) -> MessageThread:
        """
        Write another message in a thread.

        :param text: By language: ``{"EN": "Thank you"}``.
        """
        from toloka_airflow.api.models.messages import MessageThread

        path = object_path("/message-threads", "reply", thread_id=thread_id)
        return MessageThread.from_api(self._create(path, {"text": dict(text)}))

    def add_message_to_folders(self, thread_id: str, folders: Sequence[str]) -> MessageThread:
        """Put a thread into folders, such as IMPORTANT."""
        return self._move(thread_id, "add-to-folders", folders)

    def remove_message_from_folders(self, thread_id: str, folders: Sequence[str]) -> MessageThread:
        """Take a thread out of folders, such as UNREAD."""
        return self._move(thread_id, "remove-from-folders", folders)

    def _move(self, thread_id: str, action: str, folders: Sequence[str]) -> MessageThread:
        from toloka_airflow.api.models.messages import MessageThread

        path = object_path("/message-threads", action, thread_id=thread_id)
        # Sent again if need be: it is in the same folders then.
        return MessageThread.from_api(self._transport.request("POST", path, body={"folders": list(folders)}))
