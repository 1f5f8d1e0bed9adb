"""What Toloka would know, and the loop that brings it up to the clock."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from toloka_airflow.emulator.courier import Courier
from toloka_airflow.emulator.world.account import Account
from toloka_airflow.emulator.world.clock import Clock
from toloka_airflow.emulator.world.faults import Faults
from toloka_airflow.emulator.world.ids import Ids, id_key
from toloka_airflow.emulator.world.journal import Journal
from toloka_airflow.emulator.world.news import Signal
from toloka_airflow.emulator.world.progression import Progressions
from toloka_airflow.emulator.world.quotas import Counters

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Operation, Pool, Project, Subscription
    from toloka_airflow.emulator.world.items import Assignment, Suite, Task
    from toloka_airflow.emulator.world.people import (
        Attachment,
        MessageThread,
        Profile,
        Scope,
        Skill,
        UserBonus,
        UserRestriction,
        UserSkill,
    )

Action = Callable[..., None]


class World:
    """
    Hold everything that Toloka would know, as of the moment `now`.

    Rules live in one module per noun, as functions over the world. They plan future work with `at`; whoever
    looks at the world does so inside `up_to_date()`, which first lets everything happen that is due. Nothing happens
    in it by itself: the people in it, and who sends what it has for others, are the simulation's.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        balance: Decimal | float = 1000,
        quotas: bool = True,
        routes: Collection[tuple[str, str]] = (),
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock or Clock()
        self.faults = Faults(seed, routes)
        self.news = Signal()
        self.journal = Journal(self.news)
        self.courier = Courier(self.news.fire)
        self.seed = seed
        self._balance = Decimal(str(balance))
        self._quotas = quotas
        self._alarm: int | None = None
        self._build()

    def _build(self) -> None:
        self.now = self.clock.now()
        self.ids = Ids(self.seed)
        self.requester_id = self.ids.hex()
        self.account = Account(self._balance)
        self.progressions = Progressions()
        self.quotas = Counters(enabled=self._quotas)
        self.projects: dict[str, Project] = {}
        self.pools: dict[str, Pool] = {}
        self.tasks: dict[str, Task] = {}
        self.suites: dict[str, Suite] = {}
        self.assignments: dict[str, Assignment] = {}
        self.operations: dict[str, Operation] = {}
        # In the order that lists have: the ids of operations do not grow with time.
        self.operations_by_id: list[Operation] = []
        self.subscriptions: dict[str, Subscription] = {}
        self.people: dict[str, Profile] = {}
        self.skills: dict[str, Skill] = {}
        self.user_skills: dict[str, UserSkill] = {}
        self.user_restrictions: dict[str, UserRestriction] = {}
        self.user_bonuses: dict[str, UserBonus] = {}
        self.attachments: dict[str, Attachment] = {}
        self.message_threads: dict[str, MessageThread] = {}
        self._find_people()
        self._plans: list[tuple[int, int, partial[None]]] = []
        self._turns = 0
        self._listeners: defaultdict[str, list[Action]] = defaultdict(list)

    def _find_people(self) -> None:
        """Find again by person and place what is kept by id."""
        self.user_skill_of = {(had.user_id, had.skill_id): had for had in self.user_skills.values()}
        self.restrictions_of: dict[str, dict[tuple[Scope, str | None], UserRestriction]] = {}
        for restriction in self.user_restrictions.values():
            self.restrictions_of.setdefault(restriction.user_id, {})[restriction.place] = restriction
        # By the id of the pool, and by the one of the assignment.
        self.attachments_of: defaultdict[str, list[Attachment]] = defaultdict(list)
        for attachment in self.attachments.values():
            self.keep_attachment(attachment)

    def keep_attachment(self, attachment: Attachment) -> None:
        """Keep a file so that it is found by its id, its pool and its assignment."""
        self.attachments[attachment.id] = attachment
        for place in (attachment.pool_id, attachment.assignment_id):
            self.attachments_of[place].append(attachment)

    def reset(self) -> None:
        """Begin anew with the same seed, data and settings; the clock, too."""
        with self.lock:
            self.clock.reset()
            self.faults.clear()
            self.journal.clear()
            self._build()

    def sort(self) -> None:
        """Put projects, pools and skills in the order of their ids, as lists show them."""
        self.projects = dict(sorted(self.projects.items(), key=lambda item: int(item[0])))
        self.pools = dict(sorted(self.pools.items(), key=lambda item: int(item[0])))
        self.skills = dict(sorted(self.skills.items(), key=lambda item: int(item[0])))

    def resume(self) -> None:
        """Go on from another state, which was put into the attributes."""
        heapq.heapify(self._plans)
        self.operations_by_id = sorted(self.operations.values(), key=lambda operation: id_key(operation.id))
        self._find_people()
        for pool in self.pools.values():
            pool.find_histories()

    def set_balance(self, balance: Decimal | float) -> None:
        """Set the money on the requester's account."""
        with self.up_to_date():
            self.account.balance = Decimal(str(balance))

    def accept_only(self, tokens: Iterable[str]) -> None:
        """Refuse all other tokens from now on; accept any if there are none."""
        with self.lock:
            self.account.accept_only(tokens)

    @property
    def owner(self) -> Json:
        """Return the requester as other objects show it."""
        return {"id": self.requester_id, "myself": True}

    @contextmanager
    def up_to_date(self) -> Iterator[Self]:
        """Hold the world still, at the clock's now."""
        with self.lock:
            self._catch_up()
            yield self
            self._set_alarm()

    def at(self, moment: int, action: Action, **arguments: Any) -> None:
        """Plan `action(world, **arguments)`; plans for one moment are kept in the order they were made."""
        self._turns += 1
        heapq.heappush(self._plans, (moment, self._turns, partial(action, **arguments)))

    def _catch_up(self) -> None:
        until = max(self.clock.now(), self.now)
        while self._plans and self._plans[0][0] <= until:
            moment, _, plan = heapq.heappop(self._plans)
            self.now = max(self.now, moment)
            plan(self)
        self.now = until

    @property
    def upcoming(self) -> int | None:
        """Return the moment for which something is planned next; None if nothing is."""
        return self._plans[0][0] if self._plans else None

    def pause(self) -> float | None:
        """Return the real seconds until something is planned; None if time does not lead there."""
        upcoming = self.upcoming
        return None if upcoming is None else self.clock.seconds_until(upcoming)

    def _set_alarm(self) -> None:
        upcoming = self.upcoming
        if upcoming != self._alarm:
            self._alarm = upcoming
            self.clock.alarm.fire()

    def listen(self, event: str, action: Action) -> None:
        """Call `action(facts)` whenever the event happens."""
        self._listeners[event].append(action)

    def emit(self, event: str, **facts: Any) -> None:
        """Record an event and tell those who listen for it."""
        self.journal.add("event", self.now, {"event": event, **facts})
        for action in self._listeners[event]:
            action(facts)
