"""Tasks and suites in the order in which they are handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.items import Suite, Task

Thing = TypeVar("Thing", "Task", "Suite")


@dataclass(frozen=True)
class Pick(Generic[Thing]):
    """What was found for a person, who passes it when it is taken."""

    things: Sequence[Thing] = ()
    _positions: dict[str, int] = field(default_factory=dict)
    _user_id: str = ""
    _position: int = 0

    def take(self) -> Sequence[Thing]:
        """Take what was found."""
        if self.things:
            self._positions[self._user_id] = self._position
        return self.things


@dataclass(eq=False)
class Shelf(Generic[Thing]):
    """
    Give each person what this person has not had and what is still to be given.

    A person moves along the shelf once, so that a whole pool costs one pass per person and not one pass
    per answer. What comes back is added again at the end, where everybody will pass.
    """

    _things: list[Thing] = field(default_factory=list)
    _exhausted: int = 0
    _positions: dict[str, int] = field(default_factory=dict)

    def add(self, thing: Thing) -> None:
        """Put something at the end."""
        self._things.append(thing)

    def find(self, place: float, user_id: str, count: int) -> Pick[Thing]:
        """Find up to `count` things for a person, if they still belong in this place."""
        self._skip_exhausted()
        position = max(self._positions.get(user_id, 0), self._exhausted)
        found: list[Thing] = []
        while len(found) < count and position < len(self._things):
            thing = self._things[position]
            position += 1
            if thing.shelf == place and thing not in found and thing.is_for(user_id):
                if not found:
                    self._positions[user_id] = position - 1
                found.append(thing)
        if count and not found:
            self._positions[user_id] = position
        return Pick(found, self._positions, user_id, position)

    def _skip_exhausted(self) -> None:
        while self._exhausted < len(self._things) and self._things[self._exhausted].remaining == 0:
            self._exhausted += 1


@dataclass(eq=False)
class Supply(Generic[Thing]):
    """Hold shelves; each thing says which one it belongs on, and may change its mind."""

    _shelves: dict[float, Shelf[Thing]] = field(default_factory=dict)

    def add(self, thing: Thing) -> None:
        """Put something where it belongs."""
        self._shelves.setdefault(thing.shelf, Shelf()).add(thing)

    def find(self, place: float, user_id: str, count: int) -> Pick[Thing]:
        """Find up to `count` things on one shelf."""
        shelf = self._shelves.get(place)
        return shelf.find(place, user_id, count) if shelf else Pick()

    def take_first(self, user_id: str) -> Thing | None:
        """Take one thing from the shelf of the greatest place that has one for this person."""
        for place in sorted(self._shelves, reverse=True):
            for thing in self._shelves[place].find(place, user_id, 1).take():
                return thing
        return None
