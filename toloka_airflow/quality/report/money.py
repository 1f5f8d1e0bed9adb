"""How the part Money shows what answers cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.parts import FULL, Fact, Pair, amount, count, keys, small_amount

if TYPE_CHECKING:
    from toloka_airflow.quality.report.figures import Money, PoolFacts


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
