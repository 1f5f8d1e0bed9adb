"""
The app that the plugin mounts under ``/toloka``; `create_app` is where to begin to read.

All endpoints are plain functions, which FastAPI runs in threads: the database and Toloka block them, never the event
loop of Airflow's API server.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response

from toloka_airflow.api.models import read_date
from toloka_airflow.records.pools import PoolKey, PoolRecord
from toloka_airflow.web.access import MAY_CLOSE, MAY_READ_DAG, Reader, ReaderDep
from toloka_airflow.web.calendar import MAX_DAYS, calendar
from toloka_airflow.web.closes import Audit, NotClosedError, RefusedError, close_now
from toloka_airflow.web.guard import NOT_ALLOWED, Guard, require_own_page
from toloka_airflow.web.overview import Filters
from toloka_airflow.web.pages import PAGE, files
from toloka_airflow.web.pools import Pools

MAX_REASON = 200
MAX_BODY = 4096
"""Bytes of the body of a close."""
MIN_COMPRESSED = 1024
"""Bytes from which on an answer is compressed, as Airflow has it."""
NO_POOL = "No task of this DAG that Airflow still knows has named such a pool"
CLOSE_BODY = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": MAX_REASON},
        "opened_at": {"type": "string", "nullable": True, "description": "What the page showed when it was confirmed"},
    },
}

router = APIRouter(responses=NOT_ALLOWED)


def create_app() -> FastAPI:
    """Return the app; it serves neither its documentation nor its OpenAPI."""
    app = FastAPI(title="Toloka", docs_url=None, redoc_url=None, openapi_url=None)
    files()  # an installation without them is one that fails here
    app.state.pools = Pools()
    app.include_router(router)
    app.add_middleware(Guard)
    return app


def _pools(request: Request) -> Pools:
    pools: Pools = request.app.state.pools
    return pools


PoolsDep = Annotated[Pools, Depends(_pools)]


@router.get("/view", response_class=Response)
def view(reader: ReaderDep) -> Response:
    """Return the page."""
    return _file(PAGE)


@router.get("/static/{name}", response_class=Response, responses={404: {"description": "No such file"}})
def static(name: str, reader: ReaderDep) -> Response:
    """Return a file of the page."""
    return _file(name)


@router.get("/api/overview")
def overview(
    request: Request,
    reader: ReaderDep,
    pools: PoolsDep,
    dag_id: str | None = None,
    run_id: str | None = None,
    task_id: str | None = None,
    map_index: int | None = None,
    known: str | None = None,
) -> Response:
    """
    Return all pools of the DAGs that the user may read, or those that some tasks have named.

    An answer with the ``version`` that the page knows already leaves them out, and says only how old they are: an ETag
    would not do, as their age changes with each list.
    """
    answer = _json(pools.overview(reader, Filters(dag_id, run_id, task_id, map_index), known))
    return _compressed(answer) if "gzip" in request.headers.get("Accept-Encoding", "") else answer


@router.get(
    "/api/pools/{dag_id}/{conn_id}/{pool_id}",
    dependencies=[MAY_READ_DAG],
    responses={404: {"description": "The records of the DAG do not name it"}},
)
def pool(dag_id: str, conn_id: str, pool_id: str, reader: ReaderDep, pools: PoolsDep) -> Response:
    """Return a pool with its history, its tasks and its operations."""
    return _json(pools.details(reader, _record(pools, reader, PoolKey(dag_id, conn_id, pool_id))))


@router.get("/api/calendar")
def windows(
    reader: ReaderDep, start: date | None = None, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 7
) -> Response:
    """Return the working windows of a week, or of other days."""
    today = datetime.now(UTC).date()
    start = start or today - timedelta(days=today.weekday())
    if not date(2000, 1, 1) <= start <= date(2100, 1, 1):
        raise HTTPException(422, f"start is {start}; it must be between 2000 and 2100")
    return _json(calendar(reader.dag_ids, start, days))


async def _close_body(request: Request) -> Mapping[str, Any]:
    """Read the body after the rights have been found, which FastAPI itself does the other way round."""
    try:
        body = msgspec.json.decode(await _limited(request))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise HTTPException(422, "The body is no JSON") from None
    reason = body.get("reason", "") if isinstance(body, dict) else None
    opened_at = body.get("opened_at") if isinstance(body, dict) else None
    is_time = opened_at is None or read_date(opened_at) is not None
    if not isinstance(reason, str) or len(reason) > MAX_REASON or "\0" in reason or not is_time:
        raise HTTPException(422, f"The body must be an object with a reason of up to {MAX_REASON} letters")
    return {"reason": reason, "opened_at": opened_at}


async def _limited(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"The body is longer than {MAX_BODY} bytes")
    return body


@router.post(
    "/api/pools/{dag_id}/{conn_id}/{pool_id}/close",
    dependencies=[MAY_CLOSE, MAY_READ_DAG, Depends(require_own_page)],
    responses={
        404: {"description": "The records of the DAG do not name it"},
        409: {"description": "Its state does not allow it, or somebody needs it"},
        413: {"description": "The body is too long"},
        415: {"description": "The body is no JSON"},
        422: {"description": "The body is another one"},
        502: {"description": "Toloka refused it, or did not answer"},
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": CLOSE_BODY}}}},
)
def close(
    dag_id: str,
    conn_id: str,
    pool_id: str,
    reader: ReaderDep,
    pools: PoolsDep,
    body: Annotated[Mapping[str, Any], Depends(_close_body)],
) -> Response:
    """Close a pool or training now."""
    record = _record(pools, reader, PoolKey(dag_id, conn_id, pool_id))
    audit = Audit(reader.user, record.key, body["reason"])
    audit.begun()
    result = "not known: the log of the API server says what went wrong"
    operation_id = None
    try:
        answer = close_now(
            record.key,
            is_training=record.is_training,
            opened=pools.shown_opening(record.key, body["opened_at"]),
            may_name=partial(pools.may_name, reader, conn_id),
        )
        result, operation_id = answer["result"], answer["operation_id"]
    except NotClosedError as exc:
        result = str(exc)
        raise HTTPException(409, result) from exc
    except RefusedError as exc:
        result = str(exc)
        raise HTTPException(502, result) from exc
    finally:
        audit.ended(result, operation_id)
    return _json(answer)


def _record(pools: Pools, reader: Reader, key: PoolKey) -> PoolRecord:
    record = pools.record(key) if key.dag_id in reader.dag_ids else None
    if record is None:
        raise HTTPException(404, NO_POOL)
    return record


def _file(name: str) -> Response:
    if name not in files():
        raise HTTPException(404, "Not Found")
    content, media_type = files()[name]
    return Response(content, media_type=media_type)


def _json(answer: Any) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _compressed(answer: Response) -> Response:
    """
    Return an answer compressed if it is large.

    Airflow would do so by itself, but for answers that have an encoding: more thoroughly, which takes longer, and in
    3.1 on its event loop, so that everybody waits.
    """
    if len(answer.body) < MIN_COMPRESSED:
        return answer
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(gzip.compress(answer.body, 1), media_type=answer.media_type, headers=headers)
