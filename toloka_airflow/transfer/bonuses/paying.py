"""
Pay bonuses: each once, whatever ends the task that pays them.

- Bonuses are sent in chunks. The operation of a chunk has an id that follows from who pays what, so Toloka carries it
  out once, however often it is sent. What it did not pay is sent under the id of the next generation.
- How long Toloka knows an operation by its id is not documented. So each bonus also has a tag, by which it is found in
  the list of bonuses that the account has paid.
- `Payment.survey` finds out what has become of every bonus. It must have ended before anything is sent, and it ends
  only when no operation of this task is under way: what is not paid then, only this attempt can pay.
- What was paid must be what the source says now. If not, nothing is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain, count, takewhile
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.api.errors import TolokaApiError, TolokaConflictError, TolokaError, TolokaOperationError
from toloka_airflow.api.models import OperationStatus, read_date, read_decimal
from toloka_airflow.transfer.bonuses.bonus_rows import AnswerRows, Bonus, BonusRows, Decide, read_bonuses
from toloka_airflow.transfer.bonuses.refused_bonuses import RefusedBonuses
from toloka_airflow.transfer.bonuses.tags import BonusTags
from toloka_airflow.transfer.invalid_fields import InvalidField, read_invalid_fields
from toloka_airflow.transfer.pace import Pace
from toloka_airflow.transfer.row_sources import RowSource, SourceError, row_source

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Operation

CHUNK_SIZE = 100
"""Bonuses in a request; so many are documented for one that is synchronous. It is no argument: a bonus would get into
two operations if it changed between two attempts."""
DAY = timedelta(days=1)
VALIDATION = "USER_BONUS_VALIDATE"
"""The step in an operation's log that says what is wrong with a bonus."""
GONE = (404, 409)
"""HTTP statuses of the log of an operation if it is no longer kept."""
SHOWN = 5
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?")


class NotPaidError(TolokaError):
    """Report bonuses that cannot be paid now; nothing is wrong with them."""

    is_transient = True
    topic = "bonuses"


def open_payment(
    client: TolokaClient,
    context: Context,
    *,
    argument: str,
    given: Any,
    decide: Decide | None,
    defaults: Mapping[str, Any],
    max_total: Decimal | None,
    refused_path: str | None,
    skip_invalid_items: bool,
    daily_quota: int,
    log: Any,
) -> Payment:
    """
    Read all bonuses and check them; nothing is sent.

    :param argument: What gives them, or the answers that they are made of.
    :param decide: What makes them of answers.
    :param defaults: Fields of bonuses that have none of their own.
    :param max_total: The most that all of them together may be.
    :raises SourceError: If some cannot be paid, or together are too much.
    """
    identity = TaskIdentity.of(context)
    source = row_source(argument, given)
    try:
        refused = RefusedBonuses(argument, source.name if source.is_file else None, refused_path, identity.key)
    except ValueError as exc:
        raise SourceError(str(exc)) from exc
    rows = BonusRows(defaults) if decide is None else AnswerRows(decide, defaults)
    bonuses = read_bonuses(source, rows, daily_quota)
    total = sum((bonus.amount for bonus in bonuses), Decimal(0))
    if max_total is not None and total > max_total:
        amount, limit = client.in_currency(money_text(total)), client.in_currency(money_text(max_total))
        raise SourceError(
            f"{source.name}: nothing was sent, as {counted(len(bonuses), 'bonus is', 'bonuses are')} {amount} "
            "together, and max_total is "
            f"{limit}. Check the amounts, or raise max_total"
        )
    wanted = counted(len(bonuses), "bonus is", "bonuses are")
    log.info("%s to be paid, %s together", wanted, client.in_currency(money_text(total)))
    return Payment(
        client=client,
        source=source,
        bonuses=bonuses,
        operation_id=partial(identity.uuid, "bonuses"),
        tags=BonusTags(identity),
        refused=refused,
        began=_due(context),
        skip_invalid_items=skip_invalid_items,
        daily_quota=daily_quota,
        log=log,
    )


def _due(context: Context) -> datetime | None:
    """
    Return a time before which no task of the run has begun; ``None`` if that is unknown.

    Unlike its start, when a run is due stays when it is cleared. One that was deleted and created anew under its id has
    the tasks that it had, and is due later. What says more then is the date in its id, which all have that Airflow has
    named, and its logical date.
    """
    if (run := context.get("dag_run")) is None:
        return None
    named = [read_date(text) for text in _DATE.findall(context["ti"].run_id)]
    return min(time for time in (run.run_after, run.logical_date, *named) if time is not None)


@dataclass(kw_only=True)
class Payment:
    """
    Pay the bonuses of a source; made by `open_payment`.

    :param bonuses: All of them, also those that are paid already.
    :param operation_id: Makes a UUID from numbers; equal numbers give equal UUIDs in every attempt.
    :param began: A time before which this task has paid nothing; ``None`` if that is unknown.
    :param skip_invalid_items: Whether to pay the valid bonuses of a chunk with invalid ones.
    :param daily_quota: How many bonuses the account may pay in a day.
    """

    client: TolokaClient
    source: RowSource
    bonuses: Sequence[Bonus]
    operation_id: Callable[..., str]
    tags: BonusTags
    refused: RefusedBonuses
    began: datetime | None
    skip_invalid_items: bool
    daily_quota: int
    log: Any
    _operations: list[list[Operation]] = field(init=False, default_factory=list)
    _logs: dict[str, list[dict[str, Any]]] = field(init=False, default_factory=dict)
    _done: dict[str, Operation] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        starts = range(0, len(self.bonuses), CHUNK_SIZE)
        self._chunks = [self.bonuses[start : start + CHUNK_SIZE] for start in starts]
        self._by_number = {bonus.number: bonus for bonus in self.bonuses}
        self._paid: dict[int, str] = {}
        self._invalid: dict[int, list[InvalidField]] = {}
        self._logged: dict[str, set[int]] = {}
        self._recently_paid: list[datetime] = []

    @property
    def paid_count(self) -> int:
        """How many bonuses are paid, by what the last survey found."""
        return len(self._paid)

    # What has become of the bonuses

    def survey(self) -> Iterator[Operation]:
        """
        Find out what was paid, and yield each operation that must be done before that is known.

        :raises TolokaError: If what was paid is not what the source says now; nothing may be sent then.
        """
        self._operations = self._find_operations()
        while unfinished := [each for chunk in self._operations for each in chunk if not each.is_done]:
            # The last one first: when it is done, most of the others are.
            yield unfinished[-1]
            self._operations = self._find_operations()
        self._paid.clear()
        self._invalid.clear()
        self._logged.clear()
        for operations in self._operations:
            invalid: dict[int, list[InvalidField]] = {}
            for operation in operations:
                invalid = self._read_log(operation)
            # What is not paid was sent again with the last one.
            self._invalid |= invalid
        self._read_list()
        for number in self._paid:
            self._invalid.pop(number, None)
        self._ensure_all_found()

    def _find_operations(self) -> list[list[Operation]]:
        """Return the operations of each chunk, and of those behind the last, as there may have been more bonuses."""
        found = [list(self._generations(chunk)) for chunk in range(len(self._chunks))]
        behind = (list(self._generations(chunk)) for chunk in count(len(self._chunks)))
        return [*found, *takewhile(bool, behind)]

    def _generations(self, chunk: int) -> Iterator[Operation]:
        for generation in count():
            operation_id = self.operation_id(chunk, generation)
            operation = self._done.get(operation_id) or self.client.find_operation(operation_id)
            if operation is None:
                return
            if operation.is_done:
                self._done[operation_id] = operation
            yield operation

    def _read_log(self, operation: Operation) -> dict[int, list[InvalidField]]:
        """Take from the log of an operation what it paid, and return what is wrong with what it refused."""
        invalid: dict[int, list[InvalidField]] = {}
        logged = self._logged[operation.id] = set()
        for step in self._steps(operation):
            given = step.get("input")
            if not isinstance(given, Mapping) or (number := self.tags.number(given)) is None:
                continue
            output = step.get("output")
            if step.get("success"):
                paid_id = output.get("user_bonus_id") if isinstance(output, Mapping) else None
                self._found_paid(number, given, str(paid_id or ""))
                logged.add(number)
            elif step.get("type") == VALIDATION and number in self._by_number:
                invalid[number] = list(read_invalid_fields(number, output))
        return invalid

    def _steps(self, operation: Operation) -> list[dict[str, Any]]:
        """Return the log of an operation; it is empty if it is no longer kept, which it is for a month."""
        if operation.id not in self._logs:
            try:
                self._logs[operation.id] = self.client.get_operation_log(operation.id)
            except TolokaApiError as exc:
                if exc.status not in GONE or exc.is_transient:
                    raise
                self.log.info("The log of operation %s is no longer kept: %s", operation.id, exc)
                self._logs[operation.id] = []
        return self._logs[operation.id]

    def _read_list(self) -> None:
        """Find what was paid by the tags of what the account has paid since the task began."""
        now = self.client.server_time() or datetime.now(UTC)
        # A day of which a clock may be wrong, and which the quota is for.
        since = None if self.began is None else min(self.began, now, datetime.now(UTC)) - DAY
        self._recently_paid = []
        for page in self.client.user_bonus_pages(created_gte=since):
            for raw in page:
                created = read_date(raw.get("created"))
                if created is not None and created > now - DAY:
                    self._recently_paid.append(created)
                number = self.tags.number(raw)
                if number is not None:
                    self._found_paid(number, raw, str(raw.get("id")))

    def _found_paid(self, number: int, raw: Mapping[str, Any], bonus_id: str) -> None:
        bonus = self._by_number.get(number)
        if bonus is None:
            raise self._changed(number, "which is no bonus now")
        assignment_id, said = bonus.others.get("assignment_id"), raw.get("assignment_id")
        if str(raw.get("user_id")) != bonus.user_id:
            raise self._changed(number, f"to {raw.get('user_id')}, and it is for {bonus.user_id} now")
        if read_decimal(raw.get("amount")) != bonus.amount:
            raise self._changed(number, f"with {raw.get('amount')}, and its amount is {bonus.amount} now")
        if assignment_id is not None and said is not None and str(said) != assignment_id:
            raise self._changed(number, f"for assignment {said}, and it is for {assignment_id} now")
        other = self._paid.setdefault(number, bonus_id)
        if other != bonus_id and other and bonus_id:
            self.log.error("%s was paid twice: bonuses %s and %s", self.source.where(number), other, bonus_id)

    def _changed(self, number: int, what: str) -> TolokaError:
        return TolokaError(
            f"{self.source.where(number)} was paid by a previous attempt of this task {what}. Nothing is paid twice, "
            "so nothing more was sent: restore the rows that are paid, each in its place, and give what is new to a "
            "task of its own. A function that makes bonuses must make the same in every attempt",
            topic="changed-since-the-first-attempt",
        )

    def _ensure_all_found(self) -> None:
        """Make sure that what operations say they paid was found, or it could be paid again."""
        said = found = 0
        for operation in chain.from_iterable(self._operations):
            logged = len(self._logged[operation.id])
            reported = operation.details.get("success_count")
            said += max(logged, int(reported or 0))
            found += logged
        # Whichever chunks they were in: these shift if a bonus that was refused is left out.
        found += len(self._paid.keys() - set().union(*self._logged.values()))
        if said > found:
            raise NotPaidError(
                f"{self.source.name}: the operations of this task have paid {counted(said, 'bonus', 'bonuses')} by "
                "their counts, and "
                f"{counted(found, 'is', 'are')} in their logs and in the list of bonuses. Nothing more is sent "
                "before all are found"
            )
        for chunk, operations in zip(self._chunks, self._operations, strict=False):
            unknown = [bonus for bonus in chunk if bonus.number not in self._paid and bonus.number not in self._invalid]
            uncounted = [
                each.id
                for each in operations
                if each.status is OperationStatus.SUCCESS and "success_count" not in each.details
            ]
            if unknown and uncounted:
                raise NotPaidError(
                    f"{self.source.where(unknown[0].number)}: whether it was paid is not known, as the operation "
                    f"{uncounted[0]} has succeeded without a count of what it paid, and neither its log nor the list "
                    "of bonuses has this one. Nothing more is sent before that is known"
                )

    # Sending

    def send(self) -> int:
        """
        Send what is not paid, and return how many bonuses that are.

        :raises NotPaidError: Before anything is sent, if the quota or the money of the account is not enough.
        """
        todo = [[bonus for bonus in chunk if bonus.number not in self._paid] for chunk in self._chunks]
        wanted = [bonus for chunk in todo for bonus in chunk]
        if not wanted:
            return 0
        self._ensure_quota(len(wanted))
        self._ensure_balance(sum((bonus.amount for bonus in wanted), Decimal(0)))
        sent, pace = 0, Pace()
        for chunk, bonuses in enumerate(todo):
            if bonuses:
                self._send_chunk(chunk, bonuses)
                sent += len(bonuses)
                if pace.is_due():
                    self.log.info("Sent %d of %s", sent, counted(len(wanted), "bonus", "bonuses"))
        self.log.info("Sent %s; paid before: %d", counted(sent, "bonus", "bonuses"), self.paid_count)
        return sent

    def _send_chunk(self, chunk: int, bonuses: Sequence[Bonus]) -> None:
        operation_id = self.operation_id(chunk, len(self._operations[chunk]))
        body = [self.tags.tagged(bonus.number, bonus.body) for bonus in bonuses]
        try:
            self.client.create_user_bonuses_async(
                body, operation_id=operation_id, skip_invalid_items=self.skip_invalid_items
            )
        except TolokaConflictError:
            # It may be there already, if an answer was lost.
            if self.client.find_operation(operation_id) is None:
                raise

    def _ensure_quota(self, wanted: int) -> None:
        excess = len(self._recently_paid) + wanted - self.daily_quota
        if excess > 0:
            # So many of the oldest ones must be a day old.
            returns = sorted(self._recently_paid)[excess - 1] + DAY
            raise NotPaidError(
                f"{self.source.name}: nothing was sent, as {counted(wanted, 'bonus is', 'bonuses are')} to be paid, "
                "the account has paid "
                f"{len(self._recently_paid)} in the last 24 hours, and Toloka lets it pay {self.daily_quota} in a day "
                f"(daily_quota). Try again after {returns:%Y-%m-%d %H:%M} UTC"
            )

    def _ensure_balance(self, wanted: Decimal) -> None:
        balance = self.client.get_requester().balance
        if balance is None:
            self.log.warning("The balance of the account is not known, so it is not checked before bonuses are paid")
        elif balance < wanted:
            amount, has = (self.client.in_currency(money_text(money)) for money in (wanted, balance))
            raise NotPaidError(
                f"{self.source.name}: nothing was sent, as {amount} are to be paid, and the account has {has}. "
                "Top it up, and the next attempt pays",
                topic="not-enough-money",
            )

    # What is said

    def result(self, already: int) -> dict[str, Any]:
        """
        Write down what was refused, and return the counts.

        :param already: How many bonuses were paid before this attempt.
        :raises TolokaError: If some are not paid, but for those that are to be skipped.
        """
        total, paid, invalid = len(self.bonuses), len(self._paid), len(self._invalid)
        refused_path = self.refused.write(self._by_number, self._invalid)
        self.log.info(
            "Paid %d of %s, %d before this attempt; refused: %d",
            *(paid, counted(total, "bonus", "bonuses"), already, invalid),
        )
        if total - paid - invalid:
            self._ensure_operations_succeeded()
        if invalid and not (self.skip_invalid_items and paid):
            raise self._refused(refused_path)
        if paid + invalid != total:
            raise NotPaidError(
                f"{self.source.name}: {paid} of {counted(total, 'bonus', 'bonuses')} {plural(paid, 'is', 'are')} "
                f"paid and {invalid} refused; what became of the "
                "others is not known yet. The next attempt finds out, and pays what is not paid"
            )
        return {
            "total": total,
            "paid": paid,
            "already": already,
            "refused": invalid,
            "amount": money_text(
                sum((bonus.amount for bonus in self.bonuses if bonus.number in self._paid), Decimal(0))
            ),
            "refused_path": refused_path,
        }

    def _ensure_operations_succeeded(self) -> None:
        """Raise if the last operation of a chunk failed, but not because of what is wrong with its bonuses."""
        for operations in self._operations:
            if not operations or operations[-1].status is OperationStatus.SUCCESS:
                continue
            steps = self._steps(operations[-1])
            if not any(step.get("type") == VALIDATION for step in steps):
                raise TolokaOperationError(operations[-1], steps)

    def _refused(self, refused_path: str | None) -> TolokaError:
        total, paid, invalid = len(self.bonuses), len(self._paid), len(self._invalid)
        fields = [each for number in sorted(self._invalid) for each in self._invalid[number]]
        shown = "; ".join(
            f"{self.source.unit} {each.number}: {each.field} {each.code or ''} {each.message}".strip()
            for each in fields[:SHOWN]
        )
        where = f" All of them are in {refused_path}." if refused_path else ""
        left = total - paid - invalid
        others = f" {left} that are right were in one request with them, and are not paid." if left else ""
        return TolokaError(
            f"{self.source.name}: Toloka refused {invalid} of {counted(total, 'bonus', 'bonuses')}, and "
            f"{counted(paid, 'is', 'are')} paid.{others} {shown}."
            f"{where} Repair them in their place and clear this task, or set skip_invalid_items=True to pay all others",
            topic="bonuses",
        )


def money_text(amount: Decimal) -> str:
    """Return an amount without exponent and without zeros at its end."""
    return format(amount.normalize(), "f")
