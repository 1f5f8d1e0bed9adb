"""The tasks of a `toloka_airflow.label_until.label_until` that are its own: what a round decides, and the last task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)

from toloka_airflow._internal.airflow_internals import task_states
from toloka_airflow._internal.arguments import parse_money, parse_optional_datetime, parse_span
from toloka_airflow._internal.known_arguments import check_known
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow._internal.wording import counted
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.pool_rules import why_not_closed
from toloka_airflow.checks.money import money_text
from toloka_airflow.checks.task_counts import CannotEstimateError
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.links import store_link
from toloka_airflow.operators.labelling_answers import Answered, download_answers, read_answered, write_labels
from toloka_airflow.operators.labelling_base import LabellingOperator, read_tasks
from toloka_airflow.operators.labelling_decisions import UNLIMITED, Budget, Decision, RoundFiles, TasksToLabel
from toloka_airflow.operators.labelling_stops import BUDGET, FOUND, PERSON, TARGET, TIME, Stop, why_over
from toloka_airflow.operators.window_end import pull

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool
    from toloka_airflow.quality.doubts import NextRound

DECISION = "decision"
"""The XCom of a round that says what it decided, also when it was skipped."""
CALIBRATED = "dawid_skene_map"
"""The method whose number is a probability."""


class AssessRoundOperator(LabellingOperator):
    """
    Decide whether there is another round of a `label_until`, and which tasks get more answers in it.

    All answers are downloaded and aggregated. If there is a reason to stop, the task is skipped, and so are all rounds
    from this one on. Otherwise the decision is stored, before anything is changed at Toloka: a further attempt, and
    one after the task was cleared, repeats it and does not decide anew by answers that have come since. What a killed
    attempt had not stored yet nobody has acted on. A decision to stop is not stored.

    Its XCom ``decision`` is a `Decision` as JSON; ``overlaps``, ``closes_at`` and ``max_spend`` are for what is behind.

    :param round: Which round, from 1.
    :param max_total: Money that all rounds may cost, the fee included (templated), or nothing.
    :param closes_at: When all must be done, a time with a zone (templated), or nothing.
    :param timeout: How long a round lasts at the most.
    :param min_open: How much time must be left for a round to begin.
    :param result_task_id: The task that has the result of the round before; ``None`` for the first.
    """

    template_fields: Sequence[str] = (*LabellingOperator.template_fields, "max_total", "closes_at")

    def __init__(
        self,
        *,
        round: int,
        max_total: float | str | XComArg | None,
        closes_at: datetime | str | XComArg | None,
        timeout: timedelta,
        min_open: timedelta,
        result_task_id: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.round = round
        self.max_total = as_rendered(max_total)
        self.closes_at = as_rendered(closes_at)
        self.timeout = parse_span("timeout", timeout)
        if self.timeout <= min_open:
            raise argument_error(f"timeout is {timeout!s}, and min_open {min_open!s}: no round could begin")
        self.min_open = min_open
        self.result_task_id = result_task_id
        check_known(self, max_total=parse_money, closes_at=parse_optional_datetime)

    def execute(self, context: Context) -> None:
        """Repeat the decision of a previous attempt, or decide."""
        ti = context["ti"]
        with task_errors():
            self._check()
            limit = parse_optional_datetime("closes_at", self.closes_at, allow_empty=True)
            latest = datetime.now(UTC) + self.timeout
            closes_at = latest if limit is None else min(limit, latest)
            files = self._files(context)
            decision = files.read_decision(self.round)
            if decision is None:
                decision = self._decide(context, files, closes_at)
            else:
                self.log.info("Round %d was decided before, and is not decided anew", self.round)
                decision = self._within_budget(context, files, decision, closes_at)
        self._lineage_facts = {"pool_id": self.pool_id, "spent": decision.spent}
        ti.xcom_push(key=DECISION, value=decision.as_json())
        if decision.stopped_by is not None:
            raise AirflowSkipException(f"There is no round {self.round}: {decision.in_words}")
        self.log.info("Round %d begins: %s", self.round, decision.in_words)
        ti.xcom_push(key="overlaps", value=decision.overlaps_path)
        ti.xcom_push(key="closes_at", value=closes_at.isoformat())
        # The wait has a limit, too, where max_total is the output of a task that gave none.
        ti.xcom_push(key="max_spend", value=UNLIMITED if decision.max_spend is None else decision.max_spend)

    def _decide(self, context: Context, files: RoundFiles, closes_at: datetime) -> Decision:
        """Return what to do, and store it if that is to buy answers."""
        if self.round == 1 and self.method != CALIBRATED:
            self.log.warning(
                "sure_at is %s, which is held against a score of %s: that is no probability that a label is right",
                self.sure_at,
                self.method,
            )
        max_total = parse_money("max_total", self.max_total)
        client = TolokaHook(self.toloka_conn_id).get_conn()
        pool = client.get_settled_pool(checked_id("pool_id", self.pool_id))
        store_link(context, client, pool)
        self._report_pool_read(pool.id)
        if why := why_not_closed(pool):
            raise AirflowException(
                with_link(
                    f"Round {self.round} cannot begin: pool {pool.id} is {why}, so not all its answers are there. "
                    "Close it, or wait until it is closed",
                    "pool-not-closed",
                )
            )
        answers_path = files.answers(self.round)
        tasks, answered = self._read(context, client, pool, answers_path)
        last_submitted = self._last_submitted(files, answered)
        # What is rejected since, be it of before, costs nothing: so both are reckoned anew.
        paid = answered.paid(pool, self._fee)
        paid_before = answered.paid_until(last_submitted, pool, self._fee)
        budget = None if max_total is None else Budget(max_total - (paid - paid_before), self._fee)
        rounds_left = len(self.assess_task_ids) - self.round + 1
        found = self._next(answered, tasks, rounds_left, None if budget is None else budget.answers(pool))
        stop = self._why_not(context, found, closes_at)
        if budget is not None and stop is FOUND[BUDGET]:
            stop = Stop(BUDGET, budget.why_over(pool))
        bought: dict[str, Any] = {}
        overlaps: dict[str, int] = {}
        if stop is None:
            overlaps, stop, bought = self._buy(pool, tasks, found, budget)
        decision = Decision(
            round=self.round,
            stopped_by=stop and stop.reason,
            why=stop and stop.why,
            tasks=len(tasks.real),
            sure=found.sure,
            share=round(found.share, 6),
            answers_path=answers_path,
            paid=float(paid),
            paid_before=float(paid_before),
            answered=answered.tasks,
            last_submitted=last_submitted,
            overlaps_path=None if stop else files.overlaps(self.round),
            max_spend=None if stop or budget is None else budget.max_spend(pool),
            **bought,
        )
        return decision if stop else files.write_decision(decision, overlaps)

    def _within_budget(self, context: Context, files: RoundFiles, decision: Decision, closes_at: datetime) -> Decision:
        """
        Return a decision of before with the money that is left now, as the pool may have been open since.

        It is a decision to stop if answers are still to come, and nothing is left for them. Not while the pool is open:
        then a window that may spend nothing closes it at once.
        """
        max_total = parse_money("max_total", self.max_total)
        if max_total is None or decision.max_spend is None:
            return decision
        client = TolokaHook(self.toloka_conn_id).get_conn()
        pool = client.get_settled_pool(checked_id("pool_id", self.pool_id))
        path = files.answers_now(self.round)
        answered = Answered()
        if download_answers(context, client, pool.id, path, self.log):
            answered = read_answered(path, self.fields, self.method)
        spent = answered.paid(pool, self._fee) - answered.paid_until(decision.last_submitted, pool, self._fee)
        budget = Budget(max_total - spent, self._fee)
        if budget.pages(pool) == 0 and why_not_closed(pool) is None and read_tasks(client, pool).to_come({}):
            return self._decide(context, files, closes_at)
        return replace(decision, max_spend=min(decision.max_spend, budget.max_spend(pool)))

    def _last_submitted(self, files: RoundFiles, answered: Answered) -> float | None:
        """Return when the last of the answers that were there before the first round was submitted."""
        # Not its XCom, which is gone while the task is done again.
        first = files.read_decision(1)
        if first is None and self.round == 1:
            return answered.last_submitted
        if first is None:
            raise AirflowFailException(
                with_link(
                    f"What was paid before the first round is not known: {self.folder} has no decision of "
                    f"{self.assess_task_ids[0]}",
                    "answers-and-labels",
                )
            )
        return first.last_submitted

    def _why_not(self, context: Context, found: NextRound, closes_at: datetime) -> Stop | None:
        """Return why there is no further round, whatever it costs."""
        if found.stopped_by == TARGET:
            return FOUND[TARGET]
        end = None if self.result_task_id is None else pull(context["ti"], self.result_task_id)
        if stop := why_over(end):
            return stop
        if datetime.now(UTC) > closes_at - self.min_open:
            limit = closes_at.isoformat(timespec="seconds")
            return Stop(TIME, f"less than {self.min_open} (min_open) is left until {limit}")
        return FOUND[found.stopped_by] if found.stopped_by else None

    def _buy(
        self, pool: Pool, tasks: TasksToLabel, found: NextRound, budget: Budget | None
    ) -> tuple[dict[str, int], Stop | None, dict[str, Any]]:
        """Return which overlaps rise, why none can, and what is bought."""
        # What a task is still to get anyway comes first; so a pool that nobody has answered is opened as it is.
        wanted = {key: overlap for key, overlap in found.overlaps.items() if overlap > tasks.real[key].overlap}
        raised = wanted if budget is None else budget.affordable(pool, tasks, wanted)
        to_come = tasks.to_come(raised)
        try:
            cost = tasks.cost(pool.raw, raised, self._fee)
        except CannotEstimateError as exc:
            if budget is not None:
                raise
            self.log.warning("What round %d costs is not known: %s", self.round, exc)
            return raised, None, {"raised": len(raised), "to_come": to_come}
        if budget is not None and (cost > budget.left or not to_come):
            needed = money_text(tasks.cost(pool.raw, wanted, self._fee))
            why = (
                f"{budget.shown} is left of max_total, and "
                f"{counted(tasks.to_come(wanted), 'more answer')} may cost {needed}"
            )
            return {}, Stop(BUDGET, why), {}
        if len(raised) < len(wanted):
            self.log.warning(
                "There is money for the %d least sure of %s only", len(raised), counted(len(wanted), "task")
            )
        return raised, None, {"raised": len(raised), "to_come": to_come, "cost": float(cost)}


class LabelsOperator(LabellingOperator):
    """
    Write the labels, and return how it came to them; the last task of a `label_until`.

    It is skipped if the whole group was, and does not begin if a round failed.

    :param result_task_ids: The tasks that have the results of the rounds, in their order.
    """

    def __init__(self, *, result_task_ids: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.result_task_ids = result_task_ids

    def execute(self, context: Context) -> dict[str, Any]:
        """Aggregate once more, and write a row for each task."""
        ti = context["ti"]
        decisions = [Decision.load(each) for task_id in self.assess_task_ids if (each := pull(ti, task_id, DECISION))]
        if not decisions:
            raise AirflowSkipException("There are no labels: the group was skipped, by what is before it")
        with task_errors():
            self._check()
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = client.get_settled_pool(checked_id("pool_id", self.pool_id))
            store_link(context, client, pool)
            if why := why_not_closed(pool):
                raise AirflowException(
                    with_link(
                        f"There are no labels yet: pool {pool.id} is {why}, so answers may still come",
                        "pool-not-closed",
                    )
                )
            last = decisions[-1]
            if last.stopped_by is None:
                last = self._end(context, client, pool, last)
            if not last.answered:
                raise AirflowFailException(
                    with_link(
                        f"There are no labels: pool {pool.id} has no answers that count ({last.in_words})",
                        "answers-and-labels",
                    )
                )
            labels = write_labels(last.answers_path, self._labels_path, self.fields, self.method)
        # One that was decided and whose pool was not opened, as it was too late or a person skipped it, is none.
        decided = [each.round for each in decisions if each.stopped_by is None]
        rounds = sum(pull(ti, self.result_task_ids[number - 1]) is not None for number in decided)
        result = {
            "pool_id": pool.id,
            "path": self._labels_path,
            "answers_path": last.answers_path,
            "stopped_by": last.stopped_by,
            "rounds": rounds,
            "tasks": last.tasks,
            "sure": last.sure,
            "share": last.share,
            "labels": labels,
            "spent": last.spent,
        }
        self.log.info(
            "The labels of pool %s are written, after %s: %s", pool.id, counted(rounds, "round"), last.in_words
        )
        self._report_pool_read(pool.id)
        self._lineage_facts = result
        return result

    @property
    def _labels_path(self) -> str:
        return f"{str(self.folder).rstrip('/')}/labels.jsonl"

    def _end(self, context: Context, client: TolokaClient, pool: Pool, before: Decision) -> Decision:
        """Return how sure the labels are behind a round after which nobody decides about another one."""
        answers_path = self._files(context).answers(before.round + 1)
        tasks, answered = self._read(context, client, pool, answers_path)
        found = self._next(answered, tasks, rounds_left=0, budget=None)
        end = pull(context["ti"], self.result_task_ids[before.round - 1])
        if found.stopped_by == TARGET:
            stop = FOUND[TARGET]
        elif end is None:
            stop = self._why_not_opened(context, before.round)
        elif before.round < len(self.assess_task_ids):
            stop = why_over(end) or Stop(PERSON, f"a person has skipped round {before.round + 1}")
        else:
            stop = why_over(end) or FOUND[str(found.stopped_by)]
        return Decision(
            round=before.round + 1,
            stopped_by=stop.reason,
            why=stop.why,
            tasks=len(tasks.real),
            sure=found.sure,
            share=round(found.share, 6),
            answers_path=answers_path,
            paid=float(answered.paid(pool, self._fee)),
            paid_before=float(answered.paid_until(before.last_submitted, pool, self._fee)),
            answered=answered.tasks,
            last_submitted=before.last_submitted,
        )

    def _why_not_opened(self, context: Context, number: int) -> Stop:
        """Return why the pool was not opened for a round that had been decided."""
        # The task before the window decides nothing, so it is skipped by nobody but a person.
        raising = self.result_task_ids[number - 1].removesuffix("result") + "raise_overlap"
        if task_states(context["ti"], [raising]).get(raising) == "skipped":
            return Stop(PERSON, f"a person has skipped round {number}")
        return Stop(TIME, f"it was too late to open the pool for round {number}")


class EndLabellingOperator(BaseOperator):
    """
    Fail if anything of a `label_until` has failed: a teardown by which the run fails, too.

    Without it, a run that a person marks as failed while a decision is made would end as a success: Airflow skips all
    tasks that have not begun but the teardowns, and then goes by the last tasks, which are skipped.

    :param labels_task_id: The task that writes the labels.
    :param other_task_ids: All others but the teardowns.
    """

    def __init__(self, *, labels_task_id: str, other_task_ids: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels_task_id = labels_task_id
        self.other_task_ids = other_task_ids

    def execute(self, context: Context) -> None:
        """Compare the states of the tasks."""
        states = task_states(context["ti"], [self.labels_task_id, *self.other_task_ids])
        # A task that has failed and was done by hand, or cleared, does not matter once there are labels.
        failed = [task_id for task_id, state in states.items() if state in ("failed", "upstream_failed")]
        if failed and states.get(self.labels_task_id) != "success":
            # What is behind a failed task is upstream_failed: a reader wants the log of the first.
            cause = next((task_id for task_id in failed if states[task_id] == "failed"), failed[0])
            text = f"There are no labels, as {cause} is {states[cause]}"
            raise AirflowFailException(with_link(text, "answers-and-labels"))
