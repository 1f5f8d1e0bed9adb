"""The trails of all waits go to Airflow one after another, over its own line to a supervisor."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import XComResult

from tests.support import let_time_pass
from toloka_airflow._internal.trails import MEASURED, TRAIL
from toloka_airflow.triggers.trail import MIN_PAUSE, TrailWriter

FACTS = {"percent": 10.0, "answers": 1.0, "spent": 0.0, "committed": 0.0}


class Supervisor:
    """Answers what a triggerer asks when it is told to; what it was asked is there in between."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.taken: list[dict[str, Any]] = []
        self._first = b""

    async def take(self) -> tuple[int, dict[str, Any]]:
        length = int.from_bytes(await self._reader.readexactly(4), "big")
        number, body, *_ = msgspec.msgpack.decode(await self._reader.readexactly(length))
        self.taken.append(body)
        return number, body

    async def is_asked_more(self) -> bool:
        """Return whether somebody asks before this was answered, having had many turns of the event loop to do so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                self._first = self._first or await self._reader.readexactly(4)
        return bool(self._first)

    def answer(self, number: int, body: dict[str, Any]) -> None:
        result = XComResult(key=body["key"], value=None).model_dump() if body["type"] == "GetXCom" else None
        frame = msgspec.msgpack.encode([number, result, None])
        self._writer.write(len(frame).to_bytes(4, "big") + frame)


@asynccontextmanager
async def connected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    comms = TriggerCommsDecoder(socket=here, async_writer=writer, async_reader=reader)
    if hasattr(comms, "start_reader"):  # since Airflow 3.2
        await comms.start_reader()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    try:
        reader, other = await asyncio.open_connection(sock=there)
        yield Supervisor(reader, other)
        other.close()
        await other.wait_closed()
    finally:
        writer.close()


def test_one_after_another_and_the_newest_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> list[dict[str, Any]]:
        log = structlog.get_logger()
        writers = [TrailWriter(log) for _ in range(3)]
        async with connected(monkeypatch) as supervisor, asyncio.timeout(600):
            for percent in (10.0, 20.0):
                for number, writer in enumerate(writers):
                    ti = SimpleNamespace(dag_id="d", run_id="r", task_id=f"t{number}", map_index=-1)
                    writer.keep(ti, {**FACTS, "percent": percent})
                let_time_pass(monkeypatch, MIN_PAUSE)
            for _ in range(3 * len(writers)):
                number, body = await supervisor.take()
                assert not await supervisor.is_asked_more(), "nothing is asked before this is answered"
                supervisor.answer(number, body)
            return supervisor.taken

    taken = asyncio.run(main())
    assert [(each["type"], each["task_id"], each["key"]) for each in taken] == [
        (kind, f"t{number}", key)
        for number in range(3)
        for kind, key in (("GetXCom", TRAIL), ("SetXCom", MEASURED), ("SetXCom", TRAIL))
    ]
    assert [each["value"]["percent"] for each in taken if each["key"] == MEASURED] == [20.0] * 3
