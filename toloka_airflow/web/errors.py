"""What goes wrong between the page and Toloka, and its words for people."""

from __future__ import annotations

import re

from toloka_airflow.api.errors import TolokaApiError, TolokaError

_CODE = re.compile(r"[A-Z0-9_]{1,64}")


class ConnectionUnusableError(Exception):
    """Report a connection that the API server cannot read; it says nothing of what the connection holds."""

    def __init__(self, conn_id: str) -> None:
        super().__init__(
            f"The connection {conn_id!r} cannot be used here: the API server finds none with this id, or a field of it "
            "has no valid value. `airflow-toloka doctor` says more"
        )


def in_words(error: Exception) -> str:
    """Return what went wrong, for people who may know nothing of the connection: neither its host nor others' texts."""
    if isinstance(error, ConnectionUnusableError):
        return str(error)
    if isinstance(error, TolokaApiError):
        code = f" {error.code}" if error.code and _CODE.fullmatch(error.code) else ""
        return f"Toloka answered {error.status}{code}"
    if isinstance(error, TolokaError) and error.is_transient:
        return "Toloka did not answer in time"
    return "What Toloka answered could not be used; the log of the API server may say more"
