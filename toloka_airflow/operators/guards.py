"""What must hold before people are paid: checked right before a pool is opened, and never before it is closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.models import SET_BY_TOLOKA, read_date
from toloka_airflow.api.pool_rules import is_open
from toloka_airflow.checks.money import Fee, cost_of, rewards_of

if TYPE_CHECKING:
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool

WANTED, APPROVED, REJECTED = METRICS = (
    "estimated_assignments_count",
    "approved_assignments_count",
    "rejected_assignments_count",
)
ESTIMATE_TIMEOUT = 60.0
"""Seconds to wait for an estimate."""
ON_LOW_BALANCE = ("fail", "skip")


@dataclass(frozen=True)
class Money:
    """
    What must be on the account.

    :param least: In the currency of the account, whatever the pool may cost.
    :param check_budget: Whether there must be, besides, what the pool still may cost.
    :param fee: What Toloka takes for an answer, besides its reward.
    :param skip: Whether to skip the task instead of failing.
    """

    least: Decimal | None
    check_budget: bool
    fee: Fee
    skip: bool

    def ensure(self, client: TolokaClient, pool: Pool, log: Any) -> None:
        """
        Raise if there is too little.

        :raises AirflowException: So that the task is tried again; an `AirflowSkipException` to skip it.
        """
        needs = [] if self.least is None else [(self.least, f"min_balance is {client.in_currency(self.least)}")]
        if self.check_budget and (cost := self._cost(client, pool, log)):
            needs.append(cost)
        if not needs:
            return
        needed, why = sum(amount for amount, _ in needs), "; ".join(reason for _, reason in needs)
        balance = client.get_requester().balance
        if balance is None or balance < needed:
            has = "an unknown balance" if balance is None else client.in_currency(balance)
            text = (
                f"Pool {pool.id} was not opened: the account has {has} and needs {client.in_currency(needed)} ({why}). "
                "Top it up, or lower the overlap or the reward"
            )
            if self.skip:
                raise AirflowSkipException(text)
            raise AirflowException(with_link(text, "not-enough-money"))
        amount, has = client.in_currency(needed), client.in_currency(balance)
        log.info("To open pool %s, the account needs %s (%s) and has %s", pool.id, amount, why, has)

    def _cost(self, client: TolokaClient, pool: Pool, log: Any) -> tuple[Decimal, str] | None:
        """Return what the answers still wanted cost, and how that was found; ``None`` if it is nothing, or unknown."""
        reward = rewards_of(pool.raw).most
        if not reward:
            return None
        answers = _answers_to_pay(client, pool.id)
        if answers is None:
            log.warning("Nobody knows how many answers pool %s still wants, so check_budget checks nothing", pool.id)
            return None
        cost = cost_of(answers, reward, self.fee).total
        price, amount = client.in_currency(reward), client.in_currency(cost)
        return (
            cost,
            f"about {counted(answers, 'more answer')} for {price} and a fee of {self.fee.of_reward(reward)} are "
            f"{amount}",
        )


def _answers_to_pay(client: TolokaClient, pool_id: str) -> int | None:
    """Return how many answers are not paid yet, also those under way or to be reviewed; ``None`` if unknown."""
    metrics = client.measure(pool_id, METRICS, timeout=ESTIMATE_TIMEOUT)
    if (wanted := metrics[WANTED]) is None:
        return None
    # If it is not known how many are reviewed, none counts as reviewed: rather too much money is asked for.
    return max(0, int(wanted) - int(metrics[APPROVED] or 0) - int(metrics[REJECTED] or 0))


def skip_if_late(what: str, name: str, not_after: datetime | None, client: TolokaClient) -> None:
    """
    Skip the task if it is too late to open something.

    :param name: What the last time to open it is called.
    :param client: What got an answer from Toloka just now.
    :raises AirflowSkipException: If so.
    :raises AirflowFailException: If it is too late by Toloka's clock only.
    """
    if not_after is None:
        return
    if datetime.now(UTC) > not_after:
        raise AirflowSkipException(f"{what} was not opened: it is too late, {name} is {not_after.isoformat()}")
    fail_if_over(what, name, not_after, client)


def fail_if_over(what: str, name: str, limit: datetime, client: TolokaClient) -> None:
    """
    Refuse to open something if Toloka's clock has passed a time that the worker's clock has not.

    Toloka closes pools by its own clock: this one would close at once, and be opened again by each retry.

    :param client: What got an answer from Toloka just now.
    :raises AirflowFailException: If so.
    """
    there = client.server_time()
    if there is not None and there >= limit:
        raise AirflowFailException(
            with_link(
                f"{what} was not opened: {name} is {limit.isoformat()}, which is over by Toloka's clock. It shows "
                f"{there.isoformat(timespec='seconds')}, the clock of this worker "
                f"{datetime.now(UTC).isoformat(timespec='seconds')}. Set the clock that is wrong, or give a later time",
                "time-is-over",
            )
        )


def let_expire(client: TolokaClient, pool: Pool, will_expire: datetime | None, log: Any) -> None:
    """
    Make a closed pool expire at a time, should nobody close it before; one that is open cannot be changed.

    :param client: What got the pool from Toloka just now.
    :raises AirflowFailException: If it would expire at once by Toloka's clock.
    :raises ValueError: If it would by the worker's.
    """
    present = read_date(pool.raw.get("will_expire"))
    if not is_open(pool):
        if will_expire is not None and will_expire <= datetime.now(UTC):
            raise ValueError(
                f"will_expire is {will_expire.isoformat()}, which is in the past: the pool would close at once. "
                "Give a later one"
            )
        if expires := will_expire or present:
            fail_if_over(f"Pool {pool.id}", "will_expire", expires, client)
    if will_expire is None or (present is not None and abs((present - will_expire).total_seconds()) < 1):
        return
    if is_open(pool):
        if present is None or present > will_expire:
            log.warning("Pool %s is open, so it still expires at %s, not at %s", pool.id, present, will_expire)
        return
    body = {key: value for key, value in pool.raw.items() if key not in SET_BY_TOLOKA}
    utc = will_expire.astimezone(UTC).replace(tzinfo=None)
    client.update_pool(pool.id, {**body, "will_expire": utc.isoformat(timespec="milliseconds")})
    log.info("Pool %s expires at %s; it was to expire at %s", pool.id, will_expire, present)
