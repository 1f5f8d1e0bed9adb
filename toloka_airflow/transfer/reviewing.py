"""Which answers to accept and which to reject, and what to tell the people who gave them."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.errors import TolokaApiError, TolokaConflictError, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Assignment, AssignmentStatus
from toloka_airflow.storage.lineage import report_read
from toloka_airflow.transfer.pace import Pace

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.api.client import TolokaClient

MAX_SHOWN = 10
ALLOWED = {
    AssignmentStatus.ACCEPTED: (AssignmentStatus.SUBMITTED, AssignmentStatus.REJECTED),
    AssignmentStatus.REJECTED: (AssignmentStatus.SUBMITTED,),
}
"""From which statuses an answer can be given another one."""
MAX_COMMENT = 2048
MAX_LINE = 64 * 1024
_FIELDS = {"status", "public_comment"}
_STATUSES = ("ACCEPTED", "REJECTED")


@dataclass(frozen=True)
class Decision:
    """
    What to do about one answer.

    :param known: The answer as it was listed, if it was.
    """

    assignment_id: str
    status: AssignmentStatus
    public_comment: str
    known: Assignment | None = None


def ask(decide: Callable[[Assignment], Any], assignments: Iterable[Assignment]) -> Iterator[Decision | None]:
    """
    Ask a function for its decision on each of some answers; ``None`` leaves one as it is.

    What is decided already is so: it is not asked about, but an earlier attempt may have done it, so it counts.
    """
    for assignment in assignments:
        if assignment.status != AssignmentStatus.SUBMITTED:
            yield Decision(assignment.id, assignment.status, "", assignment)
            continue
        decision = decide(assignment)
        where = f"decide: assignment {assignment.id}"
        yield None if decision is None else _checked(where, assignment.id, decision, assignment)


def read_mapping(decisions: Mapping[str, Any]) -> Iterator[Decision]:
    """Iterate over decisions by the ids of assignments."""
    for name, decision in decisions.items():
        where = f"decisions: assignment {name}"
        yield _checked(where, checked_id("decisions: an assignment's id", name), decision)


def read_list(decisions: Iterable[Any]) -> Iterator[Decision]:
    """
    Iterate over a list of decisions with the ids of assignments, as another task returns it.

    :raises ValueError: At the first that is no decision, or decides again.
    """
    return _once((f"decisions: number {number}", fields) for number, fields in enumerate(decisions, 1))


def read_file(path: ObjectStoragePath) -> Iterator[Decision]:
    """
    Iterate over the decisions in a file of JSON Lines, never all of it in memory but the ids.

    :raises ValueError: At the first line that is no decision, or decides again.
    """
    return _once((where, _parsed(where, line)) for where, line in _lines(path) if line.strip())


def _lines(path: ObjectStoragePath) -> Iterator[tuple[str, bytes]]:
    compression = "gzip" if path.path.lower().endswith(".gz") else None
    try:
        file = path.fs.open(path.path, "rb", compression=compression)
    except (FileNotFoundError, IsADirectoryError):
        raise ValueError(f"decisions is {str(path)!r}, and there is no such file") from None
    report_read(path)
    with file:
        for number in count(1):
            where = f"decisions: {path}, line {number}"
            try:
                line = file.readline(MAX_LINE + 1)
            except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
                raise ValueError(f"{where}: the compressed file breaks off or is damaged: {exc}") from None
            if not line:
                return
            yield where, line


def _parsed(where: str, line: bytes) -> Any:
    if len(line) > MAX_LINE:
        raise ValueError(f"{where}: it is longer than {MAX_LINE} bytes")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"{where}: it is not JSON: {exc}") from None


def _once(decisions: Iterable[tuple[str, Any]]) -> Iterator[Decision]:
    """Iterate over decisions that have the ids of assignments, none of them twice."""
    seen: set[str] = set()
    for where, fields in decisions:
        if not isinstance(fields, Mapping) or "assignment_id" not in fields:
            raise ValueError(f"{where}: it is no object with an assignment_id")
        assignment_id = checked_id(f"{where}: assignment_id", fields["assignment_id"])
        if assignment_id in seen:
            raise ValueError(f"{where}: {assignment_id} is decided twice")
        seen.add(assignment_id)
        yield _checked(where, assignment_id, {key: fields[key] for key in fields if key != "assignment_id"})


def _checked(where: str, assignment_id: str, decision: Any, known: Assignment | None = None) -> Decision:
    if not isinstance(decision, Mapping) or set(decision) != _FIELDS:
        raise ValueError(f"{where}: it is {decision!r:.200}; a decision has {' and '.join(sorted(_FIELDS))}")
    status, comment = decision["status"], decision["public_comment"]
    if status not in _STATUSES:
        raise ValueError(f"{where}: status is {status!r}; it must be {' or '.join(_STATUSES)}")
    if not isinstance(comment, str) or not comment.strip() or len(comment) > MAX_COMMENT:
        raise ValueError(
            f"{where}: public_comment is {comment!r:.100}; people read it, so it must be text of up to {MAX_COMMENT} "
            "characters that says why"
        )
    return Decision(assignment_id, AssignmentStatus(status), comment, known)


class Review:
    """
    Carry decisions out, several at a time, and remember what became of them.

    :param in_flight: How many at a time.
    """

    def __init__(self, client: TolokaClient, pool_id: str, *, in_flight: int, log: Any) -> None:
        self._client, self._pool_id, self._in_flight, self._log = client, pool_id, in_flight, log
        self._own = threading.local()
        self.counts = {"accepted": 0, "rejected": 0, "already": 0, "left": 0}
        self._failed, self._problems = 0, list[str]()

    def carry_out(self, decisions: Iterable[Decision | None]) -> None:
        """Decide, as far as Toloka lets it be so."""
        pace = Pace()
        with ThreadPoolExecutor(self._in_flight, "toloka-review") as threads:
            todo = iter(decisions)
            # So many at once that no thread waits for the slowest for long, and a stopped task has little left to do.
            while some := list(islice(todo, 10 * self._in_flight)):
                self.counts["left"] += some.count(None)
                for outcome in threads.map(self._one, filter(None, some)):
                    self._count(*outcome)
                if pace.is_due():
                    self._log.info("Reviewed so far: %s", self.counts)
        self._log.info("Reviewed: %s", self.counts)

    def ensure_success(self) -> None:
        """
        Make sure that every answer is decided as wanted.

        :raises TolokaError: If some are not, with the first of them.
        """
        if self._failed:
            shown = "".join(f"\n  {problem}" for problem in self._problems)
            more = f"\n  and {self._failed - MAX_SHOWN} more" if self._failed > MAX_SHOWN else ""
            raise TolokaError(f"Not all decisions could be carried out ({self._failed} were not):{shown}{more}")

    def _count(self, decision: Decision, was_done: bool, problem: str) -> None:
        if problem:
            self._failed += 1
            self._problems = [*self._problems, problem][:MAX_SHOWN]
            return
        self.counts[decision.status.value.lower()] += 1
        self.counts["already"] += was_done

    def _one(self, decision: Decision) -> tuple[Decision, bool, str]:
        """Carry a decision out; return whether that was done before, and what speaks against it."""
        client = self._own_client()
        try:
            current = decision.known or client.get_assignment(decision.assignment_id)
        except TolokaApiError as exc:
            if exc.status != 404:
                raise
            return decision, False, f"Assignment {decision.assignment_id} does not exist"
        if current.pool_id != self._pool_id:
            return decision, False, f"Assignment {current.id} belongs to pool {current.pool_id}"
        if current.status != decision.status and current.status in ALLOWED[decision.status]:
            return decision, False, self._send(client, decision)
        return decision, True, _conflict(decision, current)

    def _send(self, client: TolokaClient, decision: Decision) -> str:
        try:
            client.patch_assignment(
                decision.assignment_id, status=decision.status, public_comment=decision.public_comment
            )
        except TolokaConflictError:
            # An answer of Toloka's was lost and the decision sent again, or somebody else was faster.
            current = client.get_assignment(decision.assignment_id)
            if current.status in ALLOWED[decision.status]:
                raise
            return _conflict(decision, current)
        return ""

    def _own_client(self) -> TolokaClient:
        if not hasattr(self._own, "client"):
            self._own.client = self._client.with_own_session()
        client: TolokaClient = self._own.client
        return client


def _conflict(decision: Decision, current: Assignment) -> str:
    if current.status == decision.status:
        return ""
    return f"Assignment {current.id} is {current.status.value}, so it cannot be {decision.status.value} any more"
