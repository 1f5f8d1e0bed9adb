"""Why a `toloka_airflow.label_until.label_until` has no further round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from toloka_airflow.api.pool_rules import was_cut_short

TARGET, PERSON, CLOSED, TIME = "target", "person", "closed", "time"
OVERLAP, ROUNDS, BUDGET = "overlap", "rounds", "budget"
REASONS = TARGET, PERSON, CLOSED, TIME, OVERLAP, ROUNDS, BUDGET
"""Why no further round begins: enough labels are sure; a person ended the wait; the pool was closed before it was
complete; the time is up; all doubtful tasks have as many answers as they may; all rounds are done; the money is."""


class Stop(NamedTuple):
    """Why there is no further round: ``stopped_by`` of a `Decision`, and a sentence."""

    reason: str
    why: str


ENDS = {
    "until": Stop(TIME, "the time of the round before was up"),
    "max_spend": Stop(BUDGET, "the money was spent in the round before"),
    "person": Stop(PERSON, "a person ended the wait of the round before"),
}
"""What the end of a window means, by its ``stopped_by``."""
FOUND = {
    TARGET: Stop(TARGET, "enough of the labels are sure"),
    OVERLAP: Stop(OVERLAP, "all tasks that are not sure have as many answers as max_overlap lets them have"),
    ROUNDS: Stop(ROUNDS, "as many rounds as max_rounds lets are done"),
    BUDGET: Stop(BUDGET, "what is left of max_total does not pay for another answer"),
}
"""What was found out by the answers."""


def why_over(end: Mapping[str, Any] | None) -> Stop | None:
    """Return why there is no further round after one that ended so, by the result of its window."""
    if end is None:
        return None
    if stop := ENDS.get(end["stopped_by"]):
        return stop
    reason = end["close_reason"]
    return Stop(CLOSED, f"the pool was closed before all was done ({reason})") if was_cut_short(reason) else None
