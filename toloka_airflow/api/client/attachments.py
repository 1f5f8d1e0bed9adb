"""Calls about attachments, the files that people upload with their answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import Calls, object_path

if TYPE_CHECKING:
    from toloka_airflow.api.models import Raw
    from toloka_airflow.api.models.attachments import Attachment
    from toloka_airflow.api.transport import FileContent


class AttachmentCalls(Calls):
    """Calls about attachments; their model is imported when it is used."""

    def list_attachments(
        self, *, pool_id: str | None = None, assignment_id: str | None = None, **filters: Any
    ) -> Iterator[Attachment]:
        """Iterate over the attachments of a pool or of an answer."""
        from toloka_airflow.api.models.attachments import Attachment

        pages = self.attachment_pages(pool_id=pool_id, assignment_id=assignment_id, **filters)
        return (Attachment.from_api(raw) for page in pages for raw in page)

    def attachment_pages(
        self,
        *,
        pool_id: str | None = None,
        assignment_id: str | None = None,
        after: str | None = None,
        **filters: Any,
    ) -> Iterator[list[Raw]]:
        """
        Iterate over the attachments of a pool or of an answer page by page, as the API answers them.

        :param after: Begin behind the attachment with this id.
        """
        if not (pool_id or assignment_id):
            raise ValueError("pool_id or assignment_id is needed to list attachments")
        given = {"pool_id": pool_id, "assignment_id": assignment_id, "id_gt": after, **filters}
        return (page.items for page in self._list_pages("/attachments", given))

    def get_attachment(self, attachment_id: str) -> Attachment:
        """Return what is known of an attachment: its name, kind, and whose answer it belongs to."""
        from toloka_airflow.api.models.attachments import Attachment

        return Attachment.from_api(self._get(object_path("/attachments", attachment_id=attachment_id)))

    def download_attachment(self, attachment_id: str) -> AbstractContextManager[FileContent]:
        """
        Return a context that gives an attachment's bytes, chunk by chunk, and their ``media_type``.

        It is requested again until the first bytes are there; what fails later is raised while iterating, so that the
        file ends with an error and not too early.

        :raises TolokaConnectionError: If no answer came, or the bytes stopped coming.
        """
        return self._transport.stream(object_path("/attachments", "download", attachment_id=attachment_id))
