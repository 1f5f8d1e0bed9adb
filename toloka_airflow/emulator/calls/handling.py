"""What a handler of a call gets and gives, and what many of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from toloka_airflow.emulator.calls.listing import Listing, select
from toloka_airflow.emulator.world.errors import Refusal

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World


class Call(NamedTuple):
    """A request, as far as a handler has to know it."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None

    @property
    def id(self) -> str:
        """Return the id in the path."""
        return self.path["id"]


class File(NamedTuple):
    """A body that is no JSON."""

    name: str
    media_type: str
    content: bytes


class Answer(NamedTuple):
    """A status and a body, as JSON or a `File`; None means an empty body."""

    status: int
    body: Any = None


@dataclass(frozen=True)
class Later:
    """An answer that is ready once `is_ready` says so, which is asked at each news, or after `seconds` of real time."""

    is_ready: Callable[[], bool]
    seconds: float
    answer: Callable[[], Answer]


Handler = Callable[["World", Call], "Answer | Later"]
# By method and path.
Routes = dict[tuple[str, str], Handler]


def page(listing: Listing, call: Call, things: Iterable[Any], view: Callable[[Any], Json]) -> Answer:
    """Answer a list."""
    chosen, has_more = select(listing, call.query, things)
    return Answer(200, {"items": [view(thing) for thing in chosen], "has_more": has_more})


def found(things: Mapping[str, Any], thing_id: str) -> Any:
    """Return the thing of that id; refuse if there is none."""
    if thing_id not in things:
        raise Refusal("DOES_NOT_EXIST")
    return things[thing_id]
