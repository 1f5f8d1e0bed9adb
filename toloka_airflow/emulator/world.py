"""The simulated Toloka: its state, and the loop that brings it up to the clock."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.account import Account
from toloka_airflow.emulator.clock import Clock
from toloka_airflow.emulator.crowd import Crowd, CrowdSettings
from toloka_airflow.emulator.faults import Faults
from toloka_airflow.emulator.ids import Ids
from toloka_airflow.emulator.journal import Journal
from toloka_airflow.emulator.progression import Progressions

if TYPE_CHECKING:
    from toloka_airflow.emulator.entities import Assignment, Json, Operation, Pool, Project, Task

Action = Callable[..., None]


class World:
    """
    Hold everything that Toloka would know, as of the moment `now`.

    Rules live in one module per noun, as functions over the world. They plan future work with `at`; whoever
    looks at the world does so inside `up_to_date()`, which first lets everything happen that is due.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        crowd: CrowdSettings | None = None,
        balance: Decimal | float = 1000,
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock or Clock()
        self.faults = Faults()
        self.journal = Journal()
        self.seed = seed
        self._crowd_settings = crowd or CrowdSettings()
        self._balance = Decimal(str(balance))
        self._build()

    def _build(self) -> None:
        self.now = self.clock.now()
        self.ids = Ids(self.seed)
        self.requester_id = self.ids.hex()
        self.account = Account(self._balance)
        self.progressions = Progressions()
        self.projects: dict[str, Project] = {}
        self.pools: dict[str, Pool] = {}
        self.tasks: dict[str, Task] = {}
        self.assignments: dict[str, Assignment] = {}
        self.operations: dict[str, Operation] = {}
        self._plans: list[tuple[int, int, Action, tuple[Any, ...]]] = []
        self._turns = itertools.count()
        self._listeners: defaultdict[str, list[Action]] = defaultdict(list)
        self.crowd = Crowd(self, self._crowd_settings)

    def reset(self) -> None:
        """Begin anew with the same seed and settings; the clock runs on as it is."""
        with self.lock:
            self.faults.clear()
            self.journal.clear()
            self._build()

    def set_balance(self, balance: Decimal | float) -> None:
        """Set the money on the requester's account."""
        with self.up_to_date():
            self.account.balance = Decimal(str(balance))

    @property
    def owner(self) -> Json:
        """Return the requester as other objects show it."""
        return {"id": self.requester_id, "myself": True}

    @contextmanager
    def up_to_date(self) -> Iterator[World]:
        """Hold the world still, at the clock's now."""
        with self.lock:
            self._catch_up()
            yield self

    def at(self, moment: int, action: Action, *args: Any) -> None:
        """Plan `action(world, *args)`; plans for one moment are kept in the order they were made."""
        heapq.heappush(self._plans, (moment, next(self._turns), action, args))

    def _catch_up(self) -> None:
        until = max(self.clock.now(), self.now)
        while self._plans and self._plans[0][0] <= until:
            moment, _, action, args = heapq.heappop(self._plans)
            self.now = max(self.now, moment)
            action(self, *args)
        self.now = until

    def listen(self, event: str, action: Action) -> None:
        """Call `action(facts)` whenever the event happens."""
        self._listeners[event].append(action)

    def emit(self, event: str, **facts: Any) -> None:
        """Record an event and tell those who listen for it."""
        self.journal.add("event", self.now, {"event": event, **facts})
        for action in self._listeners[event]:
            action(facts)
