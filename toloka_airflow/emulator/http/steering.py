"""What users steer the emulator with, over HTTP: strict about its own input."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from toloka_airflow.emulator.calls.handling import Answer, Call, Later
from toloka_airflow.emulator.forms import settings
from toloka_airflow.emulator.forms.schema import UNKNOWN, checked
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.simulation import seed, snapshot
from toloka_airflow.emulator.world.errors import Refusal, invalid, problem
from toloka_airflow.emulator.world.ids import DIGITS
from toloka_airflow.emulator.world.paths import pattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toloka_airflow.emulator.simulation.simulation import Simulation
    from toloka_airflow.emulator.world.journal import Entry, Journal

Result = TypeVar("Result")
SteeringHandler = Callable[["Simulation", Call], "Answer | Later"]

FILTERS = ("kind", "event", "method", "path")
SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
MAX_WAIT = 60
SETTLE_TIMEOUT = 5


def _attempt(action: Callable[..., Result], *args: Any, **values: Any) -> Result:
    try:
        return action(*args, **values)
    except ValueError as exc:
        raise Refusal("VALIDATION_ERROR", str(exc)) from exc


def _get_clock(world: Simulation, call: Call) -> Answer:
    return Answer(200, world.clock.view())


def _patch_clock(world: Simulation, call: Call) -> Answer:
    change = checked(call.body, settings.CLOCK)
    seconds = change.pop("advance", 0)
    _attempt(world.clock.change, **change)
    world.clock.advance(seconds)
    with world.up_to_date():
        return _get_clock(world, call)


def _put_truth(world: Simulation, call: Call) -> Answer:
    rules = settings.rules(call.body)
    world.crowd.truth.tell(rules)
    return Answer(200, {"rules": len(rules)})


def _get_crowd(world: Simulation, call: Call) -> Answer:
    return Answer(200, asdict(world.crowd.settings))


def _get_people(world: Simulation, call: Call) -> Answer:
    with world.up_to_date():
        return Answer(200, {"items": world.crowd.people()})


def _patch_crowd(world: Simulation, call: Call) -> Answer:
    _attempt(world.crowd.change, **settings.crowd(call.body))
    return _get_crowd(world, call)


def _patch_requester(world: Simulation, call: Call) -> Answer:
    world.set_balance(checked(call.body, settings.REQUESTER)["balance"])
    return Answer(200, {"balance": float(world.account.balance), "reserved": float(world.account.reserved)})


def _put_tokens(world: Simulation, call: Call) -> Answer:
    tokens = settings.tokens(call.body)
    world.accept_only(tokens)
    return Answer(200, {"accepted": len(tokens) or "any"})


def _put_operations(world: Simulation, call: Call) -> Answer:
    progression, scope = _attempt(settings.progression, call.body)
    world.progressions.set(progression, **scope)
    return Answer(204)


def _post_fault(world: Simulation, call: Call) -> Answer:
    _attempt(world.faults.add, **checked(call.body, settings.FAULT))
    return Answer(201, {"faults": len(world.faults)})


def _delete_faults(world: Simulation, call: Call) -> Answer:
    world.faults.clear()
    return Answer(204)


class _News:
    """Look for entries of the journal that are asked for, each entry once."""

    def __init__(self, journal: Journal, after: int, filters: Mapping[str, str]) -> None:
        self._journal = journal
        self._filters = filters
        self._last = after
        self._items: list[Entry] = []

    def found(self) -> bool:
        """Look at what is new, and say whether anything was found."""
        last = self._journal.last
        news = self._journal.after(self._last, **self._filters)
        self._items += [entry for entry in news if entry["seq"] <= last]
        self._last = last
        return bool(self._items)

    def answer(self) -> Answer:
        """Return what was found up to now, and where to go on."""
        self.found()
        return Answer(200, {"items": self._items, "last": self._last})


def _get_journal(world: Simulation, call: Call) -> Later:
    after, wait = call.query.get("after", "0"), call.query.get("wait", "0")
    problems = {name: UNKNOWN for name in call.query if name not in (*FILTERS, "after", "wait")}
    if not DIGITS.fullmatch(after):
        problems["after"] = problem("INTEGER_EXPECTED", "Value must be an integer")
    if not SECONDS.fullmatch(wait) or float(wait) > MAX_WAIT:
        problems["wait"] = problem("VALUE_OUT_OF_BOUNDS", f"Value must be a number from 0 to {MAX_WAIT}")
    if problems:
        raise invalid(problems)
    filters = {name: text for name, text in call.query.items() if name in FILTERS}
    _attempt(pattern, filters.get("path", "/"))
    news = _News(world.journal, int(after), filters)
    return Later(news.found, float(wait), news.answer)


def _settle(world: Simulation, call: Call) -> Later:
    timeout = checked(call.body or {}, settings.SETTLE).get("timeout", SETTLE_TIMEOUT)
    courier = world.courier
    return Later(lambda: courier.is_idle, timeout, lambda: Answer(200, {"settled": courier.is_idle}))


def _seed(world: Simulation, call: Call) -> Answer:
    return Answer(201, seed.load(world, call.body))


def _get_snapshot(world: Simulation, call: Call) -> Answer:
    return Answer(200, snapshot.take(world))


def _put_snapshot(world: Simulation, call: Call) -> Answer:
    _attempt(snapshot.restore, world, call.body)
    return Answer(204)


def _get_pool(world: Simulation, call: Call) -> Answer:
    return Answer(200, pools.summary(pools.find(world, call.id)))


def _reset(world: Simulation, call: Call) -> Answer:
    world.reset()
    return Answer(204)


STEERING: dict[tuple[str, str], SteeringHandler] = {
    ("GET", "/clock"): _get_clock,
    ("PATCH", "/clock"): _patch_clock,
    ("PUT", "/truth"): _put_truth,
    ("GET", "/crowd"): _get_crowd,
    ("PATCH", "/crowd"): _patch_crowd,
    ("GET", "/people"): _get_people,
    ("PATCH", "/requester"): _patch_requester,
    ("PUT", "/tokens"): _put_tokens,
    ("PUT", "/operations"): _put_operations,
    ("POST", "/faults"): _post_fault,
    ("DELETE", "/faults"): _delete_faults,
    ("GET", "/journal"): _get_journal,
    ("GET", "/pools/{id}"): _get_pool,
    ("POST", "/settle"): _settle,
    ("POST", "/seed"): _seed,
    ("GET", "/snapshot"): _get_snapshot,
    ("PUT", "/snapshot"): _put_snapshot,
    ("POST", "/reset"): _reset,
}
