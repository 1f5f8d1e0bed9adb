"""Lists: filters, ranges, order and limit, as the query asks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import islice
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.world.clock import parse_date
from toloka_airflow.emulator.world.errors import Problems, invalid, problem
from toloka_airflow.emulator.world.ids import DIGITS, id_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

DEFAULT_LIMIT = 50
# The greatest limit of lists that may be long.
MANY = 100_000
RANGES: dict[str, Callable[[Any, Any], bool]] = {"_gt": gt, "_gte": ge, "_lt": lt, "_lte": le}


@dataclass(frozen=True)
class Attribute:
    """A property that a list knows: how to get it from a thing, and how to read it from the query."""

    get: Callable[[Any], Any]
    read: Callable[[str], Any] = str


def date(name: str) -> Attribute:
    """Return an attribute that is a moment."""
    return Attribute(lambda thing: getattr(thing, name), parse_date)


def flag(text: str) -> bool:
    """Read true or false."""
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def moments(*names: str) -> dict[str, Attribute]:
    """Return what many lists can be ordered and cut by: the id, and moments."""
    return {"id": Attribute(lambda thing: id_key(thing.id), id_key)} | {name: date(name) for name in names}


ID_AND_CREATED = moments("created")


@dataclass(frozen=True)
class Listing:
    """What one list allows; `required`: one of these filters must be there; `created_in_order`: sorted by `key`."""

    exact: Mapping[str, Attribute] = field(default_factory=dict)
    ranges: Mapping[str, Attribute] = field(default_factory=dict)
    sorts: Mapping[str, Attribute] = field(default_factory=dict)
    many: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    maximum: int = 300
    key: str = "id"
    created_in_order: bool = True


@dataclass(frozen=True)
class Query:
    """A query that was understood."""

    tests: list[Callable[[Any], bool]]
    sort: list[tuple[Attribute, bool]]
    limit: int
    lowest: Any = None
    highest: Any = None


def parse(listing: Listing, query: Mapping[str, str]) -> Query:
    """Understand the query; refuse unknown parameters and bad values."""
    problems: Problems = {}
    tests: list[Callable[[Any], bool]] = []
    bounds: dict[str, list[Any]] = {"g": [], "l": []}
    for name, text in query.items():
        if name in ("sort", "limit"):
            continue
        try:
            tests.append(_test(listing, name, text, bounds))
        except KeyError:
            problems[name] = problem("VALUE_NOT_ALLOWED", "Unknown parameter")
        except (ValueError, OverflowError):
            problems[name] = problem("INVALID_VALUE", f"Cannot read {text!r}")
    if listing.required and not any(name in query for name in listing.required):
        problems[listing.required[0]] = problem(
            "VALUE_REQUIRED", f"One of {', '.join(listing.required)} must be present"
        )
    limit = _limit(listing, query.get("limit"), problems)
    sort = _sort(listing, query.get("sort"), problems)
    if problems:
        raise invalid(problems)
    return Query(tests, sort, limit, max(bounds["g"], default=None), min(bounds["l"], default=None))


def _test(listing: Listing, name: str, text: str, bounds: dict[str, list[Any]]) -> Callable[[Any], bool]:
    if name in listing.exact:
        attribute = listing.exact[name]
        texts = text.split(",") if name in listing.many else [text]
        wanted = {attribute.read(part.strip()) for part in texts}
        return lambda thing: attribute.get(thing) in wanted
    base, suffix = name.rsplit("_", 1) if "_" in name else (name, "")
    compare = RANGES[f"_{suffix}"]
    attribute = listing.ranges[base]
    bound = attribute.read(text)

    def test(thing: Any) -> bool:
        value = attribute.get(thing)
        return value is not None and compare(value, bound)

    if base == listing.key:
        bounds[suffix[0]].append(bound)
    return test


def _limit(listing: Listing, text: str | None, problems: Problems) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not DIGITS.fullmatch(text):
        problems["limit"] = problem("INTEGER_EXPECTED", "Value must be an integer")
    elif int(text) < 1:
        problems["limit"] = problem("VALUE_LESS_THAN_MIN", "Value must be greater or equal to 1", [1])
    elif int(text) > listing.maximum:
        message = f"Value must be less or equal to {listing.maximum}"
        problems["limit"] = problem("VALUE_GREATER_THAN_MAX", message, [listing.maximum])
    else:
        return int(text)
    return DEFAULT_LIMIT


def _sort(listing: Listing, text: str | None, problems: Problems) -> list[tuple[Attribute, bool]]:
    order: list[tuple[Attribute, bool]] = []
    for part in (text or listing.key).split(","):
        name = part.strip().removeprefix("-")
        if name in listing.sorts:
            order.append((listing.sorts[name], part.strip().startswith("-")))
        else:
            problems["sort"] = problem("INVALID_VALUE", f"Cannot sort by {name!r}")
    return order


def select(listing: Listing, query: Mapping[str, str], things: Iterable[Any]) -> tuple[list[Any], bool]:
    """Return the things that the query asks for, and whether there are more."""
    asked = parse(listing, query)
    key = listing.sorts[listing.key]
    candidates = things if isinstance(things, list) else list(things)
    if not listing.created_in_order:
        candidates = sorted(candidates, key=key.get)
    matching: Iterator[Any] = (
        thing for thing in _between(candidates, key, asked) if all(test(thing) for test in asked.tests)
    )
    if asked.sort != [(key, False)]:
        matching = iter(_sorted(list(matching), asked.sort))
    chosen = list(islice(matching, asked.limit + 1))
    return chosen[: asked.limit], len(chosen) > asked.limit


def _between(things: list[Any], key: Attribute, asked: Query) -> Iterator[Any]:
    """Return the part of a sorted list in which everything is that the query can ask for."""
    start = 0 if asked.lowest is None else bisect_left(things, asked.lowest, key=key.get)
    end = len(things) if asked.highest is None else bisect_right(things, asked.highest, key=key.get)
    return (things[i] for i in range(start, end))


def _sorted(things: list[Any], order: list[tuple[Attribute, bool]]) -> list[Any]:
    for attribute, descending in reversed(order):
        # Things without the property come last, whichever way the rest is sorted.
        present = [thing for thing in things if attribute.get(thing) is not None]
        absent = [thing for thing in things if attribute.get(thing) is None]
        things = sorted(present, key=attribute.get, reverse=descending) + absent
    return things
