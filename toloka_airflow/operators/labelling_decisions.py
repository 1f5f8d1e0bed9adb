"""What a round of `toloka_airflow.label_until.label_until` decides: which tasks get more answers, and for how much."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from toloka_airflow._internal.wording import counted, plural
from toloka_airflow.checks.money import Fee, cost_of, money_text, rewards_of
from toloka_airflow.checks.task_counts import TaskCounts, is_training
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.replacing import replacing

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from toloka_airflow.api.models import Pool, Raw

UNLIMITED = 1e9
"""A limit that is none, for pools without a reward, and where there is no budget."""


@dataclass(frozen=True)
class TaskToLabel:
    """
    A task that people label, as Toloka has it while its pool is closed.

    :param overlap: How many answers it is to have in all.
    :param remaining: How many of them nobody has been given yet.
    """

    overlap: int
    remaining: int

    @property
    def taken(self) -> int:
        """Return how many answers it has, or will have without anything more: also rejected ones, and under way."""
        return self.overlap - self.remaining


@dataclass
class TasksToLabel:
    """
    The tasks of a pool.

    :param real: Those that people label, by their ids.
    :param golden: How many control tasks there are of each overlap; ``None`` is an infinite one.
    """

    real: dict[str, TaskToLabel] = field(default_factory=dict)
    golden: Counter[int | None] = field(default_factory=Counter)

    @classmethod
    def read(cls, pool: Pool, tasks: Iterable[Raw]) -> Self:
        """
        Sort the tasks of a pool.

        :raises ValueError: If the overlap of single tasks cannot be raised, with the reason.
        """
        if why := _why_unfit(pool):
            raise ValueError(f"Pool {pool.id} {why}")
        found = cls()
        for task in tasks:
            if task.get("known_solutions"):
                found.golden[None if task.get("infinite_overlap") else task.get("remaining_overlap", 0)] += 1
                continue
            overlap, remaining = task.get("overlap"), task.get("remaining_overlap")
            if task.get("infinite_overlap"):
                raise ValueError(
                    f"Task {task['id']} of pool {pool.id} has an infinite overlap, so it never has all its answers. "
                    "Give it a finite one"
                )
            if not isinstance(overlap, int) or not isinstance(remaining, int):
                raise ValueError(
                    f"Task {task['id']} of pool {pool.id} has no overlap of its own: it was uploaded in a task suite, "
                    "which has one for all its tasks together. Upload single tasks, and give the pool a mixer_config"
                )
            found.real[str(task["id"])] = TaskToLabel(overlap, remaining)
        if not found.real:
            raise ValueError(
                f"Pool {pool.id} has no tasks to label, only {counted(sum(found.golden.values()), 'control task')}"
            )
        return found

    def cost(self, pool: Mapping[str, Any], overlaps: Mapping[str, int], fee: Fee) -> Decimal:
        """
        Return what the answers cost at the most that are to come if some tasks get other overlaps, the fee included.

        An estimate for a new pool takes it that people get tasks in the same order. In later rounds each person has had
        other tasks. Whoever gets a page that is not full has then had all tasks that are still wanted, so there are no
        more such pages than people who have had a task on the last of them: its overlap.

        :raises CannotEstimateError: If that cannot be known.
        """
        from toloka_airflow.checks.estimate import estimate

        left = Counter(overlaps.get(task_id, task.overlap) - task.taken for task_id, task in self.real.items())
        planned = estimate(pool, TaskCounts(real=left, golden=self.golden), fee=fee)
        highest = max(
            (
                overlaps.get(key, task.overlap)
                for key, task in self.real.items()
                if overlaps.get(key, task.overlap) > task.taken
            ),
            default=0,
        )
        per_page = int(pool["mixer_config"].get("real_tasks_count") or 1)
        answers = self.to_come(overlaps)
        pages = min(answers, (answers + highest * (per_page - 1)) // per_page)
        return max(planned.total.most, cost_of(pages, rewards_of(pool).most, fee).total)

    def to_come(self, overlaps: Mapping[str, int]) -> int:
        """Return how many answers to tasks are to come then."""
        return sum(overlaps.get(task_id, task.overlap) - task.taken for task_id, task in self.real.items())


def _why_unfit(pool: Pool) -> str | None:
    """Return why the overlap of single tasks cannot be raised, or not by us."""
    if is_training(pool.raw):
        return "is a training: nobody is paid for it, and its answers are known"
    if not isinstance(pool.raw.get("mixer_config"), Mapping):
        return (
            "has no mixer_config, so its tasks are in task suites, which have one overlap for all their tasks: single "
            "tasks of it cannot get more answers. Give it a mixer_config, and upload single tasks"
        )
    if pool.raw.get("dynamic_overlap_config"):
        return (
            "has a dynamic_overlap_config, by which Toloka raises overlaps, too. Only one can decide: take it out, or "
            "label without label_until"
        )
    return None


@dataclass(frozen=True)
class Decision:
    """
    What a round does; small, as it is an XCom. The overlaps are in a file.

    :param round: Which round, from 1.
    :param stopped_by: One of `REASONS` of `toloka_airflow.operators.labelling_stops`, or ``None`` if there is a round.
    :param why: The same as a sentence.
    :param tasks: How many tasks there are to label.
    :param sure: How many of them are sure.
    :param share: The same as a share.
    :param answers_path: The file of the answers that it was decided by.
    :param paid: What all answers of the pool cost until then, the fee included; rejected ones cost nothing.
    :param paid_before: The part of it for answers of before the first round.
    :param answered: How many of the tasks to label have an answer that counts.
    :param last_submitted: When the last answer of before the first round was submitted, in seconds since 1970; ``None``
        if there was none.
    :param raised: How many tasks get a higher overlap.
    :param to_come: How many answers to tasks are to come in this round.
    :param cost: What they cost at the most, the fee included; ``None`` if that is not known.
    :param overlaps_path: The file with the overlaps.
    :param max_spend: Rewards that the round may cost; ``None`` without a budget.
    """

    round: int
    stopped_by: str | None
    why: str | None
    tasks: int
    sure: int
    share: float
    answers_path: str
    paid: float
    paid_before: float
    answered: int = 0
    last_submitted: float | None = None
    raised: int = 0
    to_come: int = 0
    cost: float | None = None
    overlaps_path: str | None = None
    max_spend: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Return what was stored, perhaps by another version: fields that it has more are left out."""
        return cls(**{name: value for name, value in stored.items() if name in cls.__dataclass_fields__})

    @property
    def spent(self) -> float:
        """Return what the rounds before have cost, the fee included."""
        return round(self.paid - self.paid_before, 6)

    @property
    def in_words(self) -> str:
        """Return it as a line of a log."""
        known = (
            f"{self.sure} of {counted(self.tasks, 'task')} ({self.share:.1%}) "
            f"{plural(self.sure, 'is', 'are')} sure, which has cost {self.spent}"
        )
        if self.stopped_by is not None:
            return f"{self.why} (stopped_by is {self.stopped_by}); {known}"
        cost = "an unknown sum" if self.cost is None else f"{self.cost} at the most"
        return (
            f"{known}; {self.raised} {plural(self.raised, 'gets', 'get')} a higher overlap, and "
            f"{counted(self.to_come, 'answer is', 'answers are')} to come, for {cost}"
        )


@dataclass(frozen=True)
class Budget:
    """
    The money that is left.

    :param left: In the currency of the account, the fee included.
    :param fee: What Toloka takes besides a reward.
    """

    left: Decimal
    fee: Fee

    def pages(self, pool: Pool) -> int | None:
        """Return how many answered pages there is money for; ``None`` for any number, as nobody is paid."""
        reward = rewards_of(pool.raw).most
        return max(0, int(self.left // cost_of(1, reward, self.fee).total)) if reward else None

    def answers(self, pool: Pool) -> int | None:
        """Return how many answers to tasks there is money for, if every page is full; ``None`` for any number."""
        pages = self.pages(pool)
        return None if pages is None else pages * int(pool.raw["mixer_config"].get("real_tasks_count") or 1)

    def why_over(self, pool: Pool) -> str:
        """Return why no further answer can be paid for, with what one page costs."""
        page = money_text(cost_of(1, rewards_of(pool.raw).most, self.fee).total)
        return f"{self.shown} is left of max_total, and a page of answers may cost {page}, the fee included"

    def max_spend(self, pool: Pool) -> float:
        """Return for which rewards, without the fee, there is money."""
        pages = self.pages(pool)
        return UNLIMITED if pages is None else float(pages * rewards_of(pool.raw).most)

    def affordable(self, pool: Pool, tasks: TasksToLabel, overlaps: Mapping[str, int]) -> dict[str, int]:
        """
        Return the first of some overlaps, as many as there is money for.

        There may be none, and still not enough money for what is to come anyway; see `TasksToLabel.cost`.
        """
        task_ids, low, high = list(overlaps), 0, len(overlaps)
        while low < high:
            middle = (low + high + 1) // 2
            if (
                tasks.cost(pool.raw, {task_id: overlaps[task_id] for task_id in task_ids[:middle]}, self.fee)
                <= self.left
            ):
                low = middle
            else:
                high = middle - 1
        return {task_id: overlaps[task_id] for task_id in task_ids[:low]}

    @property
    def shown(self) -> str:
        """Return the money as text."""
        return money_text(max(self.left, Decimal(0)))


def paid_for(rewards: Sequence[float], pool: Pool, fee: Fee) -> Decimal:
    """
    Return what answers cost, the fee included.

    :param rewards: Of each answered page; what is not known (nan) is the highest reward of the pool.
    """
    highest = rewards_of(pool.raw).most
    counts = Counter(highest if reward != reward else Decimal(str(reward)) for reward in rewards)
    return sum((cost_of(number, reward, fee).total for reward, number in counts.items()), Decimal(0))


@dataclass(frozen=True)
class RoundFiles:
    """
    The files of a `label_until`, in a folder on any object storage; a round's begin with its number.

    They are those of one run, one group in it and one pool: the key says which, so that several may share a folder.
    """

    folder: ObjectStoragePath
    key: str

    def answers(self, number: int) -> str:
        """Return the path of the answers that a round was decided by."""
        return self._path(number, "answers.jsonl.gz")

    def answers_now(self, number: int) -> str:
        """Return the path of the answers that were there when a round was begun again."""
        return self._path(number, "answers_now.jsonl.gz")

    def overlaps(self, number: int) -> str:
        """Return the path of the overlaps that a round sets."""
        return self._path(number, "overlaps.jsonl")

    def read_decision(self, number: int) -> Decision | None:
        """Return the decision of a round, if there is one."""
        path = storage_path("folder", self._path(number, "decision.json"))
        return Decision.load(json.loads(path.read_text())) if path.exists() else None

    def write_decision(self, decision: Decision, overlaps: Mapping[str, int]) -> Decision:
        """
        Store a decision, and before it the overlaps, and return the one that is stored.

        That may be another one, if two attempts are alive: what is stored already may have been acted on, and stays.
        """
        if (stored := self.read_decision(decision.round)) is not None:
            return stored
        rows = "".join(json.dumps({"task_id": key, "overlap": value}) + "\n" for key, value in sorted(overlaps.items()))
        self._write(self.overlaps(decision.round), rows)
        self._write(self._path(decision.round, "decision.json"), json.dumps(decision.as_json(), indent=2) + "\n")
        return self.read_decision(decision.round) or decision

    def _write(self, name: str, text: str) -> None:
        with replacing(storage_path("folder", name), name="folder") as file:
            file.write(text.encode())

    def _path(self, number: int, name: str) -> str:
        return f"{str(self.folder).rstrip('/')}/rounds-{self.key}/round_{number}.{name}"
