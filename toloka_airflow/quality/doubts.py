"""
Which tasks are worth another answer, and when there are enough: the decision between two rounds of labelling.

The rule is plain. A task is doubtful while its score is below ``sure_at``. In a round, each doubtful task gets one more
answer, and those that one answer cannot make sure get a second. If there is a budget, the least sure tasks come first,
all of them with one answer before any gets two, and no round spends it all: of five rounds, the first gets 5/15 of it,
and the others 4/15, 3/15, 2/15 and 1/15. Early rounds have many doubtful tasks, and late ones should have some money
left for the few that stay so.

What only one person said is doubtful, too, whatever its score: where all tasks have one answer, nothing shows that any
is wrong, and the methods are sure of all of them.

The same scores give the same decision, whatever the order of tasks is: of equal scores, the smaller id comes first.
``make bench-label`` measures what the rule saves; see "Label until sure" in docs/quality.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_airflow.quality.answer_table import AnswerTable
    from toloka_airflow.quality.methods.votes import Aggregation

FIRST_OVERLAP = 2
"""How many answers each task is to have before the first round: with one, nobody knows who is right how often."""
TARGET, SURE_AT, MAX_ROUNDS, MAX_OVERLAP = 0.95, 0.95, 5, 10
ODDS_PER_ANSWER = 7.0
"""How many times more probable than not another answer makes a label that it agrees with: it is that of somebody who is
right in 70 % of the cases, and takes one of three other labels in the rest."""
ENOUGH, OVERLAP, ROUNDS, BUDGET = "target", "overlap", "rounds", "budget"
"""Why there is no further round; the first that is true."""


@dataclass(frozen=True)
class NextRound:
    """
    Which answers to buy next.

    :param more: How many more answers each task gets that gets any, the least sure first; empty if there is no round.
    :param overlaps: The same tasks: how many answers each is then to have in all.
    :param sure: How many tasks are sure.
    :param doubtful: How many are not.
    :param stopped_by: Why there is no further round, or ``None`` if there is one: ``target`` if enough tasks are sure,
        ``overlap`` if all doubtful ones have as many answers as they may, ``rounds`` or ``budget`` if none is left.
    """

    more: dict[str, int]
    overlaps: dict[str, int]
    sure: int
    doubtful: int
    stopped_by: str | None

    @property
    def answers(self) -> int:
        """Return how many answers are to come."""
        return sum(self.more.values())

    @property
    def share(self) -> float:
        """Return the share of the tasks that are sure; 1 if there are no tasks."""
        return self.sure / (self.sure + self.doubtful) if self.sure + self.doubtful else 1.0


def next_overlaps(
    scores: Mapping[str, float],
    answers: Mapping[str, int],
    *,
    target: float = TARGET,
    sure_at: float = SURE_AT,
    min_overlap: int = FIRST_OVERLAP,
    max_overlap: int = MAX_OVERLAP,
    rounds_left: int = MAX_ROUNDS,
    budget: int | None = None,
    counted: Mapping[str, int] | None = None,
) -> NextRound:
    """
    Return which tasks get how many answers in the next round, or why there is none.

    No task gets fewer answers than it has, more than ``max_overlap`` in all, or more than two in a round.

    :param scores: Of each task, from 0 to 1, as `task_scores` returns them. A task without one, or with nan, has no
        answers yet, and is the least sure.
    :param answers: Of each task that is to be labelled: how many answers it has, or will have without anything more.
        Other tasks do not matter.
    :param target: Which share of the tasks is to be sure, from 0 to 1.
    :param sure_at: From which score on a task is sure.
    :param min_overlap: How many answers that count a task must have to be sure.
    :param max_overlap: How many answers a task gets at the most.
    :param rounds_left: How many rounds there may still be, with this one.
    :param budget: How many answers there may still be in all these rounds; ``None`` if money does not matter.
    :param counted: Of each task: how many of its answers the scores are made of, which are fewer where some were
        rejected or are under way; ``None`` if all are. A task that is not among them has none.
    :raises ValueError: If an argument is outside its range.
    """
    _check(target, sure_at, max_overlap, rounds_left, budget)
    known = {task: _known(scores.get(task)) for task in answers}
    heard = answers if counted is None else counted
    doubts = {task: score for task, score in known.items() if score < sure_at or heard.get(task, 0) < min_overlap}
    sure = len(answers) - len(doubts)
    raisable = sorted((score, task) for task, score in doubts.items() if answers[task] < max_overlap)
    stopped_by = None
    if not doubts or sure >= target * len(answers):
        stopped_by = ENOUGH
    elif not raisable:
        stopped_by = OVERLAP
    elif not rounds_left:
        stopped_by = ROUNDS
    elif budget is not None and budget < 1:
        stopped_by = BUDGET
    more: dict[str, int] = {}
    if stopped_by is None:
        answers_left = 2 * len(raisable) if budget is None else this_round(budget, rounds_left)
        more = {task: 1 for _, task in raisable[:answers_left]}
        twice = [task for score, task in raisable if needs_two(score, sure_at) and answers[task] + 1 < max_overlap]
        more.update((task, 2) for task in twice[: answers_left - len(more)])
    return NextRound(more, {task: answers[task] + some for task, some in more.items()}, sure, len(doubts), stopped_by)


def needs_two(score: float, sure_at: float) -> bool:
    """Return whether a task is so doubtful that one more answer does not make it sure, even if it agrees."""
    score = max(score, 0.0)
    return score * ODDS_PER_ANSWER * (1 - sure_at) < sure_at * (1 - score)


def this_round(budget: int, rounds_left: int) -> int:
    """
    Return how much of a budget the next round may spend: the last one all, and each as much more than the one after it.

    :param budget: What is left, in answers or in any whole unit of money.
    :param rounds_left: How many rounds there are, with the next; 1 or more.
    """
    # The sum of 1, 2, ... n is n (n + 1) / 2, and the next round has n of it. Rounded up, so that 1 is spent at once.
    return -(-2 * budget // (rounds_left + 1))


def task_scores(table: AnswerTable, aggregations: Iterable[tuple[str, Aggregation]]) -> dict[str, float]:
    """
    Return how sure each task is, by its id: the score of the least sure of its fields.

    Control tasks are left out, as their labels are known, and so are tasks of which a field has no answer.

    :param aggregations: Fields, with what their votes come to.
    """
    least: dict[str, float] = {}
    tasks = [(number, task) for number, task in enumerate(table.task_ids) if not table.is_control[number]]
    for index, (_, aggregation) in enumerate(aggregations):
        for number, task in tasks:
            score = float(aggregation.scores[number])
            least[task] = score if index == 0 else min(score, least[task], key=_known)
    return {task: score for task, score in least.items() if not math.isnan(score)}


def vote_counts(table: AnswerTable) -> dict[str, int]:
    """Return how many votes each task has, by its id, in the field with the fewest; tasks without any are left out."""
    counts = [Counter(table.votes(name).tasks.tolist()) for name in table.fields]
    return {table.task_ids[task]: min(each[task] for each in counts) for task in counts[0]}


def _known(score: float | None) -> float:
    """Return the score, or one below all of them if there is none."""
    return -1.0 if score is None or math.isnan(score) else score


def _check(target: float, sure_at: float, max_overlap: int, rounds_left: int, budget: int | None) -> None:
    for name, value in {"target": target, "sure_at": sure_at}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value!r}; it must be a share from 0 to 1")
    for name, value, least in (
        ("max_overlap", max_overlap, 1),
        ("rounds_left", rounds_left, 0),
        ("budget", 0 if budget is None else budget, 0),
    ):
        if value < least:
            raise ValueError(f"{name} is {value!r}; it must be a whole number of {least} or more")
