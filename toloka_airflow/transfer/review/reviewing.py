"""Accept and reject answers as it was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaApiError, TolokaConflictError, TolokaError
from toloka_airflow.api.models import Assignment, AssignmentStatus
from toloka_airflow.transfer.client_threads import ClientThreads
from toloka_airflow.transfer.pace import Pace
from toloka_airflow.transfer.review.decisions import Decision, checked_decision

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient

MAX_SHOWN = 10
ALLOWED = {
    AssignmentStatus.ACCEPTED: (AssignmentStatus.SUBMITTED, AssignmentStatus.REJECTED),
    AssignmentStatus.REJECTED: (AssignmentStatus.SUBMITTED,),
}
"""From which statuses an answer can be given another one."""


Decide = Callable[[Assignment], Mapping[str, Any] | None]


@runtime_checkable
class DecidesFromAll(Protocol):
    """What gets all answers before it decides about the first, such as `toloka_airflow.voting.MajorityVote`."""

    def from_answers(self, answers: Iterable[Assignment]) -> Decide:
        """Return the function that decides about each of them."""


def ask(decide: Decide, assignments: Iterable[Assignment]) -> Iterator[Decision | None]:
    """
    Ask a function for its decision on each of some answers; ``None`` leaves one as it is.

    What is decided already is so: it is not asked about, but a previous attempt may have done it, so it counts.
    """
    for assignment in assignments:
        if assignment.status != AssignmentStatus.SUBMITTED:
            yield Decision(assignment.id, assignment.status, None, assignment)
            continue
        decision = decide(assignment)
        where = f"decide: assignment {assignment.id}"
        yield None if decision is None else checked_decision(where, assignment.id, decision, assignment)


class Review:
    """
    Carry decisions out, several at a time, and remember what became of them.

    :param in_flight: How many at a time.
    """

    def __init__(self, client: TolokaClient, pool_id: str, *, in_flight: int, log: Any) -> None:
        self._client, self._pool_id, self._in_flight, self._log = client, pool_id, in_flight, log
        self.counts = {"accepted": 0, "rejected": 0, "already": 0, "left": 0}
        self._failed, self._problems = 0, list[str]()

    def carry_out(self, decisions: Iterable[Decision | None]) -> None:
        """Decide, as far as Toloka lets it be so."""
        pace = Pace()
        with ClientThreads(self._client, self._in_flight) as threads:
            todo = iter(decisions)
            # So many at once that no thread waits for the slowest for long, and a stopped task has little left to do.
            while some := list(islice(todo, 10 * self._in_flight)):
                self.counts["left"] += some.count(None)
                for outcome in [threads.submit(self._one, decision) for decision in some if decision]:
                    self._count(*outcome.result())
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
            text = f"Not all decisions could be carried out ({counted(self._failed, 'was', 'were')} not):{shown}{more}"
            raise TolokaError(text, topic="decisions")

    def _count(self, decision: Decision, was_done: bool, problem: str) -> None:
        if problem:
            self._failed += 1
            self._problems = [*self._problems, problem][:MAX_SHOWN]
            return
        self.counts[decision.status.value.lower()] += 1
        self.counts["already"] += was_done

    def _one(self, client: TolokaClient, decision: Decision) -> tuple[Decision, bool, str]:
        """Carry a decision out; return whether that was done before, and what speaks against it."""
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


def _conflict(decision: Decision, current: Assignment) -> str:
    if current.status == decision.status:
        return ""
    return f"Assignment {current.id} is {current.status.value}, so it cannot be {decision.status.value} any more"
