"""The tasks of a `toloka_airflow.label_until.label_until` that are its own: what a round decides, and the last task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
)

from toloka_airflow._internal.airflow_internals import task_states
from toloka_airflow._internal.arguments import parse_int, parse_money, parse_optional_datetime, parse_share, parse_span
from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.pool_rules import was_cut_short, why_not_closed
from toloka_airflow.checks.money import Fee, money_text
from toloka_airflow.checks.task_counts import CannotEstimateError
from toloka_airflow.checks.wording import did_you_mean, nearest
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, store_link
from toloka_airflow.operators.answer_aggregation import METHODS
from toloka_airflow.operators.known_arguments import check_fields, check_known
from toloka_airflow.operators.labelling_decisions import (
    BUDGET,
    CLOSED,
    OVERLAP,
    PERSON,
    ROUNDS,
    TARGET,
    TIME,
    Budget,
    Decision,
    RoundFiles,
    TasksToLabel,
    paid_for,
)
from toloka_airflow.operators.window_end import pull
from toloka_airflow.storage.paths import storage_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.api.models import Pool
    from toloka_airflow.quality.doubts import NextRound

DECISION = "decision"
"""The XCom of a round that says what it decided, also when it was skipped."""
STATUSES = ("SUBMITTED", "ACCEPTED", "REJECTED")
CALIBRATED = "dawid_skene_map"
"""The method whose number is a probability."""
IN_FLIGHT = 12
MAX_OVERLAP = 30_000


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


@dataclass(frozen=True)
class Answered:
    """
    What the answers of a pool come to.

    :param scores: How sure the label of each task is, by its id.
    :param counted: How many answers that count each task has, by its id; in the field with the fewest.
    :param tasks: How many tasks that are no control tasks have an answer that counts.
    :param rewards: Of each page that is paid for.
    :param submitted: When each of these was submitted, in seconds since 1970.
    :param last_submitted: When the last page of all was, also of those that are not paid for; ``None`` without any.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)
    tasks: int = 0
    rewards: Sequence[float] = ()
    submitted: Sequence[float] = ()
    last_submitted: float | None = None

    def paid(self, pool: Pool, fee: Fee) -> Decimal:
        """Return what all answers cost, the fee included."""
        return paid_for(self.rewards, pool, fee)

    def paid_until(self, time: float | None, pool: Pool, fee: Fee) -> Decimal:
        """Return what those cost that were submitted until a time, in seconds since 1970; ``None`` is before all."""
        pages = zip(self.rewards, self.submitted, strict=True)
        return paid_for([] if time is None else [reward for reward, at in pages if at <= time], pool, fee)


class _LabellingOperator(LineageMixin, BaseOperator):
    """
    What rounds and the last task have in common: how they find out how sure the labels are.

    :param pool_id: The pool (templated).
    :param fields: The output fields to label (templated).
    :param folder: Where to write everything (templated).
    :param target: Which share of the tasks is to be sure (templated).
    :param sure_at: From which confidence, or score, on a label is sure (templated).
    :param max_overlap: The highest overlap (templated).
    :param method: How to aggregate (templated).
    :param fee: What Toloka adds to a reward, as a share of it.
    :param assess_task_ids: The tasks that decide about the rounds, in their order: of all of them.
    :param group_id: The group, which the files are of.
    """

    template_fields: Sequence[str] = (
        "pool_id",
        "fields",
        "folder",
        "target",
        "sure_at",
        "max_overlap",
        "method",
        "toloka_conn_id",
    )
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        fields: Sequence[str] | XComArg,
        folder: str | ObjectStoragePath | XComArg,
        target: float | str | XComArg,
        sure_at: float | str | XComArg,
        max_overlap: int | str | XComArg,
        method: str | XComArg,
        fee: float,
        assess_task_ids: Sequence[str],
        group_id: str,
        toloka_conn_id: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        parse_money("fee", fee)
        self.pool_id = as_rendered(pool_id)
        self.fields = as_rendered(fields)
        self.folder = as_rendered(folder)
        self.target = as_rendered(target)
        self.sure_at = as_rendered(sure_at)
        self.max_overlap = as_rendered(max_overlap)
        self.method = as_rendered(method)
        self.fee = fee
        self.assess_task_ids = assess_task_ids
        self.group_id = group_id
        self.toloka_conn_id = toloka_conn_id
        check_known(
            self,
            fields=check_fields,
            target=parse_share,
            sure_at=parse_share,
            max_overlap=_parse_overlap,
            method=_check_method,
        )

    def _files(self, context: Context) -> RoundFiles:
        # Of the pool, too: a run that is done again with another one decides about that anew.
        key = TaskIdentity.of_group(context, self.group_id).uuid("rounds", self.pool_id)[:8]
        return RoundFiles(storage_path("folder", self.folder), key)

    @property
    def _fee(self) -> Fee:
        return Fee(parse_money("fee", self.fee) or Decimal(0))

    def _check(self) -> None:
        """
        Check what no other check will, or only once answers are paid for.

        :raises ValueError: If a value cannot be used.
        :raises ImportError: If numpy is missing.
        """
        from toloka_airflow.quality import answers  # noqa: F401 - before anything is downloaded

        check_fields("fields", self.fields)
        _check_method("method", self.method)

    def _next(self, answered: Answered, tasks: TasksToLabel, rounds_left: int, budget: int | None) -> NextRound:
        """Return which tasks should get more answers, or why none should."""
        from toloka_airflow.quality.doubts import next_overlaps

        return next_overlaps(
            answered.scores,
            {task_id: task.taken for task_id, task in tasks.real.items()},
            target=parse_share("target", self.target),
            sure_at=parse_share("sure_at", self.sure_at),
            max_overlap=_parse_overlap("max_overlap", self.max_overlap),
            rounds_left=rounds_left,
            budget=budget,
            counted=answered.counted,
        )

    def _read(self, context: Context, client: TolokaClient, pool: Pool, path: str) -> tuple[TasksToLabel, Answered]:
        """
        Return the tasks of the pool, and what their answers come to.

        :param path: Where to write the answers.
        """
        tasks = TasksToLabel.read(pool, (task for page in client.task_pages(pool.id) for task in page))
        if not self._download(context, client, pool.id, path):
            self._ensure_fields(client, pool)
            return tasks, Answered()
        return tasks, read_answered(path, self.fields, self.method)

    def _ensure_fields(self, client: TolokaClient, pool: Pool) -> None:
        """
        Make sure that the project has the fields, while nobody has answered yet; afterwards the answers show it.

        :raises ValueError: If the project has no such output field.
        """
        spec = client.get_project(pool.project_id).raw["task_spec"]["output_spec"]
        if unknown := [name for name in self.fields if name not in spec]:
            raise ValueError(
                f"fields has {unknown[0]!r:.100}, which is no output field of project {pool.project_id}; there are "
                f"{', '.join(spec)}{did_you_mean(nearest(unknown[0], spec))}"
            )

    def _download(self, context: Context, client: TolokaClient, pool_id: str, path: str) -> int:
        """
        Write all answers of the pool, as `GetAssignmentsOperator` does, and return how many there are.

        A further attempt begins anew: what a killed one has read may have been decided since.
        """
        from toloka_airflow.storage.row_files import RowFile
        from toloka_airflow.transfer.download.answer_rows import read_answers
        from toloka_airflow.transfer.download.parallel_download import ParallelDownload

        key = TaskIdentity.of(context).uuid("answers", pool_id)[:8]
        file = RowFile(storage_path("folder", path), key=key, max_age=-1, name="folder")
        ParallelDownload(
            file,
            client,
            read=partial(read_answers, with_more=False),
            pages=lambda client, read, after, until: client.read_assignments(
                pool_id, read, after=after, until=until, status=list(STATUSES)
            ),
            find_last=lambda client: client.find_last_assignment(pool_id, status=list(STATUSES)),
            in_flight=IN_FLIGHT,
            log=self.log,
        ).run()
        return file.finish().get("answers", 0)


class AssessRoundOperator(_LabellingOperator):
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

    template_fields: Sequence[str] = (*_LabellingOperator.template_fields, "max_total", "closes_at")

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
        self._lineage_facts = {"pool_id": self.pool_id, "spent": decision.spent}
        ti.xcom_push(key=DECISION, value=decision.as_json())
        if decision.stopped_by is not None:
            raise AirflowSkipException(f"There is no round {self.round}: {decision.in_words}")
        self.log.info("Round %d begins: %s", self.round, decision.in_words)
        ti.xcom_push(key="overlaps", value=decision.overlaps_path)
        ti.xcom_push(key="closes_at", value=closes_at.isoformat())
        ti.xcom_push(key="max_spend", value=decision.max_spend)

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

    def _last_submitted(self, files: RoundFiles, answered: Answered) -> float | None:
        """Return when the last of the answers that were there before the first round was submitted."""
        if self.round == 1:
            return answered.last_submitted
        # Not its XCom, which is gone while the task is done again.
        first = files.read_decision(1)
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
            why = f"{budget.shown} is left of max_total, and {tasks.to_come(wanted)} more answers may cost {needed}"
            return {}, Stop(BUDGET, why), {}
        if len(raised) < len(wanted):
            self.log.warning("There is money for the %d least sure of %d tasks only", len(raised), len(wanted))
        return raised, None, {"raised": len(raised), "to_come": to_come, "cost": float(cost)}


class LabelsOperator(_LabellingOperator):
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
        rounds = sum(each.stopped_by is None for each in decisions)
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
        self.log.info("The labels of pool %s are written, after %d rounds: %s", pool.id, rounds, last.in_words)
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


def _parse_overlap(name: str, value: object) -> int:
    return parse_int(name, int(str(value)) if str(value).isdecimal() else value, maximum=MAX_OVERLAP)


def _check_method(name: str, value: object) -> None:
    if value not in METHODS:
        raise ValueError(f"{name} is {value!r:.100}; it must be one of {', '.join(METHODS)}")


def why_over(end: Mapping[str, Any] | None) -> Stop | None:
    """Return why there is no further round after one that ended so, by the result of its window."""
    if end is None:
        return None
    if stop := ENDS.get(end["stopped_by"]):
        return stop
    reason = end["close_reason"]
    return Stop(CLOSED, f"the pool was closed before all was done ({reason})") if was_cut_short(reason) else None


def read_answered(path: str, fields: Sequence[str], method: str) -> Answered:
    """
    Return what the answers in a file come to.

    :param path: The file, with at least one answer.
    """
    # Here, as a DAG that is only parsed needs no numpy.
    from toloka_airflow.quality.aggregating import aggregate_field
    from toloka_airflow.quality.answers import read_answers as read_table
    from toloka_airflow.quality.doubts import task_scores, vote_counts

    table = read_table(path, fields=fields)
    scores = task_scores(table, ((name, aggregate_field(table, name, method)) for name in fields))
    # What counts is what is paid, or will be: all but what was rejected.
    rows = table.is_counted
    submitted = dict(zip(table.assignments[rows].tolist(), table.submitted[rows].tolist(), strict=True))
    return Answered(
        scores=scores,
        counted=vote_counts(table),
        tasks=sum(not table.is_control[task] for task in set(table.tasks[rows].tolist())),
        rewards=table.rewards[list(submitted)].tolist(),
        submitted=list(submitted.values()),
        last_submitted=max((time for time in table.submitted.tolist() if not isnan(time)), default=None),
    )


def write_labels(answers_path: str, path: str, fields: Sequence[str], method: str) -> int:
    """Write a row for each task that has a label, and return how many there are."""
    from toloka_airflow.quality.aggregating import aggregate_answers

    return int(aggregate_answers(answers_path, path, fields=fields, method=method)["solutions"])
