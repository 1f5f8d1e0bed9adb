"""Calls of the API that have no operator of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from toloka_airflow._internal.airflow_internals import task_state_store
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.free_calls import checked_method, checked_params, checked_path, is_repeatable
from toloka_airflow.hooks import TolokaHook, task_error, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.lineage import report_written
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.replacing import OBJECT_STORES, check_replaceable, replacing

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

__all__ = ["TolokaCallOperator"]

MAX_XCOM_BYTES = 48 * 1024
"""Of an answer that is returned, as JSON: what every database that Airflow knows can hold as one XCom."""
SENT_KEY = "toloka_call"
"""What an attempt keeps in the state store of its task instance before it sends a call that must not be sent twice."""


class TolokaCallOperator(LineageMixin, BaseOperator):
    """
    Send one call of the requester API and return its answer, for what no other operator does.

    GET, PUT, PATCH and DELETE are sent again after a lost answer, by the client and by a retry of the task; so are the
    POSTs that open, close or archive. Any other POST may create, pay or send something: it is sent again only if the
    server cannot have received it. If it may have, the task fails without a retry: find out at Toloka whether it was
    done, and clear the task to send it again. Airflow before 3.3 keeps nothing between attempts: there, such a POST is
    sent by the first attempt only.

    It returns the JSON of the answer, ``None`` for an empty one, if that is at most 48 KiB; more is for a file. A list
    is one page: pass ``limit`` in ``query``, and check ``has_more``.

    :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE`` (templated).
    :param path: Path below ``/api/v1``, such as ``/pools/21``, or a full one that begins with ``/api/`` (templated).
        Each part is quoted.
    :param json: What to send (templated).
    :param query: Parameters of the query (templated); dates are written in UTC, lists with commas.
    :param answer_path: File to write the answer to, on any object storage (templated); its path is returned then.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("method", "path", "json", "query", "answer_path", "toloka_conn_id")
    template_fields_renderers = {"json": "json", "query": "json"}

    def __init__(
        self,
        *,
        method: str | XComArg,
        path: str | XComArg,
        json: Any = None,
        query: Mapping[str, Any] | XComArg | None = None,
        answer_path: str | PathLike[str] | ObjectStoragePath | XComArg | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.method = as_rendered(method)
        self.path = as_rendered(path)
        self.json = json
        self.query = as_rendered(query)
        self.answer_path = as_rendered(answer_path)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> Any:
        """Send the call, and return or write what was answered."""
        with task_errors():
            target = None if self.answer_path is None else storage_path("answer_path", self.answer_path)
            if target is not None:
                check_replaceable(target, name="answer_path")
                if target.protocol not in OBJECT_STORES and target.is_dir():
                    raise ValueError(f"answer_path is {str(target)!r}, which is a folder; name a file in it")
            method, path = checked_method(self.method), checked_path(self.path)
            query = checked_params(self.query, name="query")
            client = TolokaHook(self.toloka_conn_id).get_conn()
            if is_repeatable(method, path):
                answer = client.call(method, self.path, json=self.json, params=query)
            else:
                with self._sent_once(context, f"{method} {path}"):
                    answer = client.call(method, self.path, json=self.json, params=query)
            self.log.info("Toloka has answered %s %s", method, path)
            return self._returned(answer) if target is None else self._written(answer, target)

    @contextmanager
    def _sent_once(self, context: Context, request: str) -> Iterator[None]:
        """Refuse to send what a previous attempt may have sent, and let none try again what this one may have sent."""
        ti, store = context["ti"], task_state_store(context)
        if store is None:
            # Exactly the first after a clear; another number would be due to `retries` that were edited meanwhile.
            may_have_been_sent = ti.try_number not in (1, ti.max_tries - (self.retries or 0) + 1)
        else:
            noted: Any = store.get(SENT_KEY)
            # Airflow raises it when a task is cleared, and leaves it as it is for a retry.
            may_have_been_sent = noted is not None and noted["max_tries"] == ti.max_tries
        if may_have_been_sent:
            raise AirflowFailException(
                with_link(
                    f"{request} was not sent, as a previous attempt of this task may have sent it. Find out at Toloka "
                    "whether it was done; to send it again, clear the task",
                    "call-not-repeated",
                )
            )
        note = {"try_number": ti.try_number, "max_tries": ti.max_tries}
        if store is not None:
            store.set(SENT_KEY, note)
        try:
            yield
        except (TolokaError, ValueError) as exc:
            if isinstance(exc, TolokaError) and exc.may_have_been_received:
                text = f"{exc}. It is not sent again, as Toloka may have received it: find out whether it was done"
                raise task_error(exc, AirflowFailException, text) from exc
            if store is not None and store.get(SENT_KEY) == note:
                store.set(SENT_KEY, {**note, "max_tries": None})
            raise

    def _returned(self, answer: Any) -> Any:
        size = len(compact_json(answer).encode())
        if size > MAX_XCOM_BYTES:
            raise AirflowFailException(
                with_link(
                    f"The call was done, but its answer has {size} bytes of JSON, more than the {MAX_XCOM_BYTES} that "
                    "this task returns: have it written to a file by `answer_path`",
                    "arguments",
                )
            )
        return answer

    def _written(self, answer: Any, target: ObjectStoragePath) -> str:
        with replacing(target, name="answer_path") as file:
            file.write(compact_json(answer).encode())
        report_written(target)
        return str(target)
