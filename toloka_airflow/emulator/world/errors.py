"""What the API says no with: one exception, and one table of codes."""

from __future__ import annotations

from typing import Any

CODES: dict[str, tuple[int, str]] = {
    "VALIDATION_ERROR": (400, "Validation failed"),
    "AUTHENTICATION_ERROR": (401, "Authentication failed: send the header 'Authorization: OAuth <token>'"),
    "ACCESS_DENIED": (403, "The emulator does not take requests from there"),
    "DOES_NOT_EXIST": (404, "There are no results for such parameters"),
    "NOT_FOUND": (404, "There is no such route"),
    "METHOD_NOT_ALLOWED": (405, "The route does not support this method"),
    "ASSIGNMENTS_COUNT_CONFLICT": (409, "More people have it already than the overlap asked for"),
    "CONFLICT_STATE": (409, "Conflict state"),
    "EMPTY_POOL": (409, "Pool contains no tasks. Operation is not allowed"),
    "ENTITY_CONFLICT": (409, "Conflicts with another item of the request"),
    "INAPPROPRIATE_STATUS": (
        409,
        "This or related resource is in inappropriate status, operation is not allowed",
    ),
    "INVALID_OPERATION_TYPE": (409, "The type of this operation does not support the request"),
    "MIXER_CONFIG_REQUIRED": (409, "Single tasks need a pool with mixer_config"),
    "NOT_ENOUGH_BALANCE": (409, "Not enough money on the account"),
    "OPERATION_ALREADY_EXISTS": (409, "Operation with this id already exists"),
    "POOL_IS_TRAINING": (409, "This pool is a training, use /trainings"),
    "POOL_LOCKED_BY_ANOTHER_OPERATION": (409, "Pool is locked by another operation"),
    "SYSTEM_SCOPE_MODIFICATION": (409, "Restrictions of scope SYSTEM cannot be changed"),
    "THERE_IS_REJECTED_ASSIGNMENT": (
        409,
        "An answer was rejected less than nine days ago, the pool cannot be archived yet",
    ),
    "TRAINING_ARCHIVE_CONFLICT": (409, "Main pools linked to the training are not archived"),
    "UNARCHIVED_POOLS_CONFLICT": (409, "The project has pools that are not archived"),
    "ENTITY_TOO_LARGE": (413, "Too many items in one request"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "The body must be sent as application/json"),
    "TOO_MANY_REQUESTS": (429, "Too many requests"),
    "INTERNAL_ERROR": (500, "Internal Error"),
    "REMOTE_SERVICE_UNAVAILABLE": (503, "Service is temporary unavailable"),
}

DEFAULT_CODES: dict[int, str] = {
    400: "VALIDATION_ERROR",
    401: "AUTHENTICATION_ERROR",
    403: "ACCESS_DENIED",
    404: "DOES_NOT_EXIST",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT_STATE",
    413: "ENTITY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "TOO_MANY_REQUESTS",
    503: "REMOTE_SERVICE_UNAVAILABLE",
}

Problems = dict[str, dict[str, Any]]


class Refusal(Exception):  # noqa: N818  an answer, not a failure of the emulator
    """An answer that is an error; carries the API's own code."""

    def __init__(self, code: str, message: str | None = None, payload: dict[str, Any] | None = None) -> None:
        status, text = CODES[code]
        super().__init__(message or text)
        self.status, self.code, self.message, self.payload = status, code, message or text, payload

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the documented error body."""
        return error_body(request_id, self.code, self.message, self.payload)


class SilentRefusal(Refusal):
    """A refusal without a body: the API documents one, for PATCH of an archived pool."""


class BareRefusal(Refusal):
    """A refusal whose body is the payload alone: the API documents one, for equal bonuses in one request."""

    def body(self, request_id: str) -> dict[str, Any]:
        """Return what is wrong, by field."""
        return self.payload or {}


def error_body(request_id: str, code: str, message: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an error body; no payload means no such key."""
    body: dict[str, Any] = {"request_id": request_id, "code": code, "message": message}
    if payload is not None:
        body["payload"] = payload
    return body


def problem(code: str, message: str, params: list[Any] | None = None) -> dict[str, Any]:
    """Return one entry of a validation payload."""
    entry: dict[str, Any] = {"code": code, "message": message}
    if params is not None:
        entry["params"] = params
    return entry


def invalid(problems: Problems) -> Refusal:
    """Return the refusal that names each wrong field."""
    return Refusal("VALIDATION_ERROR", payload=problems)


def wrong_status(*appropriate: str) -> Refusal:
    """Return the refusal that names the statuses from which the call is possible."""
    return Refusal("INAPPROPRIATE_STATUS", payload={"appropriate_statuses": list(appropriate)})
