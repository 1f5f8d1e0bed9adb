"""What a pool will cost: pages, answers, rewards, the fee and their sum, with every assumption named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.wording import counted
from toloka_airflow.checks.money import Fee, Range, cost_of, money_text, rewards_of
from toloka_airflow.checks.page_plan import plan_pages
from toloka_airflow.checks.task_counts import TaskCounts, count_tasks

if TYPE_CHECKING:
    from toloka_airflow.checks.duration import Duration

__all__ = ["Estimate", "estimate"]

MORE_OVERLAP, ASSESSMENT = "CHANGE_OVERLAP", "ASSIGNMENTS_ASSESSMENT"


@dataclass(frozen=True)
class Estimate:
    """
    What a pool will cost, and for what.

    Money is in the currency of the account and exact. Where the least and the most differ, the most is what to budget.

    :param tasks: How many single tasks and task suites people are to answer, without those that ride along.
    :param control_tasks: How many control tasks ride along with them in mixed suites.
    :param training_tasks: How many training tasks do.
    :param pages: How many pages (task suites) somebody would get who answers everything.
    :param assignments: How many assignments (pages that somebody submits) there will be; ``None`` where they are
        endless and unpaid.
    :param paid_assignments: How many of them are paid: all that are not rejected.
    :param people: How many people are needed at the least.
    :param price: What one assignment costs with the fee.
    :param reward: What people get for all of them.
    :param fee: What Toloka gets.
    :param total: The sum of both: what is taken from the account.
    :param assumptions: What was taken for granted, a sentence each.
    """

    tasks: int
    control_tasks: int
    training_tasks: int
    pages: int
    assignments: Range[int] | None
    paid_assignments: Range[int] | None
    people: int
    price: Range[Decimal]
    reward: Range[Decimal]
    fee: Range[Decimal]
    total: Range[Decimal]
    assumptions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """
        Return it as JSON values; a range is ``{"least", "most"}``.

        ``answers`` and ``paid_answers`` are older names of ``assignments`` and ``paid_assignments``.
        """
        values = {name: value.as_json() if isinstance(value, Range) else value for name, value in vars(self).items()}
        older = {"answers": values["assignments"], "paid_answers": values["paid_assignments"]}
        return values | older | {"assumptions": list(self.assumptions)}

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Return what a table shows: what, the least and the most."""
        for name in ("tasks", "control_tasks", "training_tasks", "pages"):
            if (count := getattr(self, name)) or name in ("tasks", "pages"):
                yield name.replace("_", " "), str(count), str(count)
        for name in ("assignments", "paid_assignments"):
            bounds = getattr(self, name)
            shown = ("endless", "endless") if bounds is None else (str(bounds.least), str(bounds.most))
            if name == "assignments" or bounds != self.assignments:
                yield name.replace("_", " "), *shown
        titles = {"price": "price of an assignment", "reward": "rewards", "fee": "fee", "total": "total"}
        for name, title in titles.items():
            bounds = getattr(self, name)
            yield title, money_text(bounds.least), money_text(bounds.most)


def estimate(
    pool: Mapping[str, Any],
    tasks: Iterable[Mapping[str, Any]] | TaskCounts,
    *,
    fee: Fee | None = None,
    rejected_share: Decimal = Decimal(0),
) -> Estimate:
    """
    Estimate what a pool will cost.

    :param pool: As the API takes or answers it.
    :param tasks: Its tasks and task suites, as the API takes or answers them, or how many there are of which kind.
    :param fee: What Toloka takes; by default what its guide says.
    :param rejected_share: Which share of the assignments is rejected, from 0 to 1, where they are reviewed; not paid.
    :raises CannotEstimateError: If that cannot be known, such as for tasks of infinite overlap, with the reason.
    :raises ValueError: If a setting of the pool that matters for money has no sense.
    """
    if not 0 <= rejected_share <= 1:
        raise ValueError(f"rejected_share is {rejected_share}; it must be a number from 0 to 1")
    counts = tasks if isinstance(tasks, TaskCounts) else count_tasks(tasks, pool)
    fee, rewards = fee or Fee(), rewards_of(pool)
    plan = plan_pages(pool, counts, is_paid=rewards.most > 0)
    paid = plan.answers
    if paid is not None and _is_reviewed(pool) and not _rejections_are_answered_again(pool):
        paid = Range(*(number - math.floor(number * rejected_share) for number in (paid.least, paid.most)))
    least = cost_of(paid.least if paid else 0, rewards.least, fee)
    most = cost_of(paid.most if paid else 0, rewards.most, fee)
    return Estimate(
        tasks=sum((*counts.real.values(), *counts.suites.values(), counts.endless)),
        control_tasks=sum(counts.golden.values()),
        training_tasks=sum(counts.training.values()),
        pages=plan.pages,
        assignments=plan.answers,
        paid_assignments=paid,
        people=plan.people,
        price=Range(*(cost_of(1, reward, fee).total for reward in (rewards.least, rewards.most))),
        reward=Range(least.reward, most.reward),
        fee=Range(least.fee, most.fee),
        total=Range(least.total, most.total),
        assumptions=(*_of_money(pool, rewards, fee), *plan.assumptions, *_of_review(pool, plan.answers, paid)),
    )


def _of_money(pool: Mapping[str, Any], rewards: Range[Decimal], fee: Fee) -> Iterator[str]:
    if not rewards.most:
        return
    if fee.share:
        least = f", and at least {money_text(fee.least)} for an assignment" if fee.least else ""
        yield f"Toloka's fee is {fee} of the reward{least}; it depends on the account."
    else:
        yield "Toloka takes no fee."
    if not rewards.is_known:
        yield (
            f"Dynamic pricing: what people are paid depends on their skill, from {money_text(rewards.least)} to "
            f"{money_text(rewards.most)}; the least is if all get the lowest reward, the most if all get the highest."
        )
    if rules := sorted({collector for collector, _ in _overlap_rules(pool)} - {ASSESSMENT}):
        yield f"Rules of quality control for {', '.join(rules)} demand more answers, which are not in it."
    yield "Bonuses are not in it, nor is the training that people must pass, which is not paid."


def _of_review(pool: Mapping[str, Any], answers: Range[int] | None, paid: Range[int] | None) -> Iterator[str]:
    if answers is None or paid is None:
        return
    if not _is_reviewed(pool):
        yield "All assignments are accepted at once, as auto_accept_solutions is not false, so none is rejected."
    elif _rejections_are_answered_again(pool):
        yield "What is rejected is not paid, and answered again by somebody else, as a rule of the pool says."
    elif paid == answers:
        yield "All assignments are reviewed and accepted. What is rejected is not paid."
    else:
        rejected = counted(answers.most - paid.most, "assignment is", "assignments are")
        yield f"{rejected} reviewed and rejected: not paid, and not answered again."


def _overlap_rules(pool: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Return each rule of quality control that demands more answers: the type of its collector, and its conditions."""
    control = pool.get("quality_control")
    for config in _mappings(control.get("configs") if isinstance(control, Mapping) else None):
        collector = config.get("collector_config")
        for rule in _mappings(config.get("rules")):
            action = rule.get("action")
            if isinstance(action, Mapping) and action.get("type") == MORE_OVERLAP:
                name = collector.get("type") if isinstance(collector, Mapping) else None
                yield str(name), [each.get("value") for each in _mappings(rule.get("conditions"))]


def _mappings(values: object) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _is_reviewed(pool: Mapping[str, Any]) -> bool:
    return pool.get("auto_accept_solutions") is False


def _rejections_are_answered_again(pool: Mapping[str, Any]) -> bool:
    return any(collector == ASSESSMENT and "REJECT" in values for collector, values in _overlap_rules(pool))


def table(result: Estimate, duration: Duration | None = None) -> Iterator[str]:
    """Return the lines of a small table, and below it what was taken for granted."""
    rows = [("", "least", "most"), *result.rows()]
    if duration is not None:
        for title, bounds in (("hours of work", duration.work_hours), ("hours open", duration.hours)):
            rows.append((title, f"{bounds.least:.2f}", f"{bounds.most:.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for title, least, most in rows:
        yield f"{title:{widths[0]}}  {least:>{widths[1]}}  {most:>{widths[2]}}"
    yield ""
    yield from (f"- {sentence}" for sentence in (*result.assumptions, *(duration.assumptions if duration else ())))
