"""The side of a triggerer that hands out triggers, without a database: it says what Airflow's supervisor says."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

import msgspec
from airflow.executors import workloads
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.jobs.triggerer_job_runner import messages
from airflow.models.trigger import Trigger  # noqa: TID251
from airflow.sdk.execution_time.comms import _ResponseFrame

if TYPE_CHECKING:
    from pydantic import BaseModel

    from benchmarks.waiting.cases import Case

DAG_VERSION = UUID(int=1)
STOP_PATIENCE = 120.0


class Supervisor:
    """A triggerer process, as its supervisor knows it."""

    def __init__(self, case: Case, python: list[str], environment: dict[str, str], folder: Path) -> None:
        self._case = case
        self._to_create: list[workloads.RunTrigger] = []
        self._ended: set[int] = set()
        self._socket, theirs = socket.socketpair()
        command = [*python, "-m", "benchmarks.waiting.runner", str(folder / "result.json"), str(folder / "log.jsonl")]
        self._process = subprocess.Popen(command, stdin=theirs, env=environment)
        theirs.close()
        self._socket.settimeout(1)
        self._send(0, messages.StartTriggerer())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._socket.close()

    def start(self, plan: dict[str, Any]) -> None:
        """Hand a trigger for each operation to the triggerer, all at once, as after its restart."""
        self._to_create = [
            self._workload(number, operation["id"], due)
            for number, (operation, due) in enumerate(zip(plan["operations"], plan["ends"], strict=True), plan["first"])
        ]

    def _workload(self, number: int, operation_id: str, due: float) -> workloads.RunTrigger:
        task = TaskInstanceDTO(
            id=uuid4(),
            dag_version_id=DAG_VERSION,
            dag_id="labelling",
            task_id="wait",
            run_id="scheduled__2026-01-01T00:00:00+00:00",
            map_index=number,
            try_number=1,
            pool_slots=1,
            priority_weight=1,
        )
        arguments = Trigger.encrypt_kwargs(self._case.arguments(number, operation_id, due))
        return workloads.RunTrigger(id=number, classpath=self._case.classpath, encrypted_kwargs=arguments, ti=task)

    def wait(self, numbers: Iterable[int], until: float) -> bool:
        """Serve until all of these triggers ended, or until a Unix time; return whether they ended."""
        wanted = set(numbers)
        while wanted - self._ended and time.time() < until:
            self._serve()
        return wanted <= self._ended

    def rest(self, seconds: float) -> None:
        """Serve for a while."""
        until = time.time() + seconds
        while time.time() < until:
            self._serve()

    def stop(self) -> None:
        """End the triggerer, so that it writes its result."""
        self._process.terminate()
        until = time.time() + STOP_PATIENCE
        while self._process.poll() is None:
            if time.time() > until:
                raise SystemExit(f"The triggerer of {self._case.name} did not end within {STOP_PATIENCE:.0f} s")
            try:
                self._serve()
            except OSError:
                time.sleep(0.1)

    def _serve(self) -> None:
        """Answer one request, or none within a second."""
        try:
            size = int.from_bytes(self._receive(4), "big")
        except TimeoutError:
            return
        number, body, *_ = msgspec.msgpack.decode(self._receive(size))
        if body["type"] != "TriggerStateChanges":
            self._send(number, None)
            return
        self._ended |= {event[0] for event in body.get("events") or ()}
        self._ended |= {failure[0] for failure in body.get("failures") or ()}
        self._send(number, messages.TriggerStateSync(to_create=self._to_create, to_cancel=set()))
        self._to_create = []

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._socket.recv(size - len(parts))
            except TimeoutError:
                if not parts and size == 4:
                    raise
                continue
            if not part:
                raise ConnectionResetError(f"The triggerer of {self._case.name} is gone")
            parts += part
        return bytes(parts)

    def _send(self, number: int, answer: BaseModel | None) -> None:
        frame = _ResponseFrame(id=number, body=answer.model_dump() if answer else None).as_bytes()
        self._socket.settimeout(None)
        self._socket.sendall(frame)
        self._socket.settimeout(1)
