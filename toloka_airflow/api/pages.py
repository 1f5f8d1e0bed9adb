"""Pages of a list, and whether they are what was requested: a page in wrong order would lose or double its items."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Generic, TypeVar

from toloka_airflow._internal.wording import counted
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import shape

ItemT = TypeVar("ItemT")

_UUIDS = ("/operations", "/attachments", "/webhook-subscriptions")
"""Lists whose ids are UUIDs, or of no documented form: nothing says in which order those are."""


class Page(Generic[ItemT]):
    """
    One page of a list.

    :param items: What is listed.
    :param keys: What the list is sorted by, of each item.
    :param has_more: Whether there is another page, as the API says.
    """

    # No dataclass: making one takes as long as importing five modules, and every task imports this.
    __slots__ = ("has_more", "items", "keys")

    def __init__(self, items: list[ItemT], keys: list[str], has_more: bool) -> None:
        self.items, self.keys, self.has_more = items, keys, has_more


def read_page(path: str, answer: Any, key: str) -> Page[Any]:
    """
    Return a page of a list as the API answered it.

    :raises TolokaError: If it is no list of items that have the key, or does not say whether there is more.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
        raise TolokaError(f"GET {path} answered no list of items: it is {shape(answer)}")
    items, more = answer["items"], answer.get("has_more")
    try:
        keys = [str(item[key]) for item in items]
    except (KeyError, TypeError):
        raise TolokaError(f"GET {path} answered an item without {key}") from None
    if not isinstance(more, bool):
        what = f"a page with {counted(len(keys), 'item')}" + (f", {keys[0]} to {keys[-1]}" if keys else "")
        raise TolokaError(f"GET {path} answered {what}, whose has_more is {more!r:.100}; it must be true or false")
    return Page(items, keys, more)


def check_page(path: str, params: Mapping[str, str], page: Page[Any], key: str) -> None:
    """
    Make sure that a page begins behind the end of the one before.

    :param params: What was requested.
    :raises TolokaError: If it repeats a key, or has them in another order or outside of what was requested.
    """
    after, until, keys = params.get(f"{key}_gt"), params.get(f"{key}_lte"), page.keys
    what = f"GET {path}, the page of {params['limit']} " + (f"behind {after}" if after else "at the beginning")
    if after in keys:
        raise TolokaError(f"{what} answered {after} again, though what comes after it was requested")
    if path != "/operations" and len(set(keys)) != len(keys):  # an operation twice is as good as once
        twice = next(name for name in keys if keys.count(name) > 1)
        raise TolokaError(f"{what} has {twice} twice")
    if path not in _UUIDS:
        for before, name in pairwise(keys if after is None else [after, *keys]):
            if _is_before(name, before):
                raise TolokaError(f"{what} is not sorted by {key}: it has {name} behind {before}")
        if keys and until is not None and _is_before(until, keys[-1]):
            raise TolokaError(f"{what} has {keys[-1]}, though only what is up to {until} was requested")
    if page.has_more and not keys:
        raise TolokaError(f"{what} says there is more but does not get further than {after}")


def _is_before(one: str, other: str) -> bool:
    """Return whether an id comes before another in any order that ids may have: nothing documents whose order it is."""
    if one.isdecimal() and other.isdecimal():
        return int(one) < int(other) and one < other
    return len(one) == len(other) and one < other
