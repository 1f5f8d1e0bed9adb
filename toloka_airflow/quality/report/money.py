"""What answers cost, and how the part Money shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.answer_table import STATUSES, AnswerTable
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.parts import FULL, Fact, Pair, amount, count, keys, small_amount

if TYPE_CHECKING:
    from toloka_airflow.quality.report.figures import PoolFacts


@dataclass(frozen=True)
class Money:
    """
    What answers cost, in the currency of the account, without Toloka's fee.

    :param spent: Rewards of accepted assignments.
    :param committed: Rewards of submitted ones, which are neither accepted nor rejected yet.
    :param rejected: What would have been paid for rejected ones.
    :param per_label: What is spent and committed, for each task with a label; ``None`` without one.
    :param unknown: How many assignments have no known reward.
    """

    spent: float
    committed: float
    rejected: float
    per_label: float | None
    unknown: int


def money_of(table: AnswerTable, labelled: int) -> Money | None:
    """Return what the answers cost; ``None`` if no reward is known. ``labelled`` is how many tasks have a label."""
    if not len(table) or not np.isfinite(table.rewards).any():
        return None
    # An assignment is accepted or rejected as a whole.
    statuses = np.full(len(table.assignment_ids), -1, np.int8)
    statuses[table.assignments] = table.statuses
    rewards = np.nan_to_num(table.rewards)
    sums = {status: float(rewards[statuses == code].sum()) for code, status in enumerate(STATUSES)}
    spent, committed = sums["ACCEPTED"], sums["SUBMITTED"]
    return Money(
        spent=spent,
        committed=committed,
        rejected=sums["REJECTED"],
        per_label=(spent + committed) / labelled if labelled else None,
        unknown=int(np.isnan(table.rewards).sum()),
    )


def money_view(money: Money, facts_of_pool: PoolFacts, currency: str) -> dict[str, Any]:
    """Return what the template shows of money."""
    parts = [
        ("spent", "accepted", money.spent),
        ("committed", "submitted", money.committed),
        ("rejected", "rejected", money.rejected),
    ]
    shown = [part for part in parts if part[2] > 0]
    facts = [
        Fact("Spent, on accepted answers", amount(currency, money.spent)),
        Fact("Committed, for answers not decided yet", amount(currency, money.committed)),
        Fact("Not paid, as answers were rejected", amount(currency, money.rejected)),
    ]
    if money.per_label is not None:
        facts.append(Fact("Per label", small_amount(currency, money.per_label)))
    notes = ["These are the rewards of the answers in the file, without Toloka's fee and without bonuses."]
    measured = facts_of_pool.measured
    if measured.get("spent") is not None:
        committed = measured.get("committed")
        more = "" if committed is None else f", and {amount(currency, float(committed))} committed"
        notes.append(
            f"By Toloka's own count, {amount(currency, float(measured['spent']))} are spent for the pool{more}."
        )
    if money.unknown:
        notes.append(
            f"Of {count(money.unknown, 'assignment', 'assignments')} the reward is not known; they are not in it."
        )
    return {
        "bar": Pair.of(lambda width: charts.shares_bar("Money", shown, currency, width), FULL),
        "legend": keys((name, kind) for name, kind, _ in shown),
        "facts": facts,
        "notes": notes,
    }
