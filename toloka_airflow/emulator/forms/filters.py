"""
Filters of pools as clients send them: who is to get tasks.

A filter is `{"and": [...]}` or `{"or": [...]}` of conditions and of other such groups. The keys of conditions, their
operators and their values are those of the API's pages on filters and of the official client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.quality_control import COMPARISONS, number
from toloka_airflow.emulator.forms.schema import KINDS, REQUIRED, UNKNOWN
from toloka_airflow.emulator.world.errors import Problems, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

GROUPS = ("and", "or")
PARTS = ("category", "key", "operator", "value")
# As the API's page says of the whole filter.
MAX_LENGTH = 10_000
MAX_DEPTH = 20
IDENTITY = ("EQ", "NE")
INCLUSION = ("IN", "NOT_IN")
COUNTRY = re.compile("[A-Z]{2}")
LANGUAGE = re.compile("[A-Z]{2}(-[A-Z]+)?")


@dataclass(frozen=True)
class Key:
    """What a condition can be about: its operators, and what its value looks like."""

    operators: tuple[str, ...]
    kind: str = "string"
    choices: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None


NUMBERS = Key(COMPARISONS, "number")
VERSIONS = tuple(
    f"{thing}_version{part}" for thing in ("os", "user_agent") for part in ("", "_major", "_minor", "_bugfix")
)
REGION = Key(INCLUSION, "integer")
PROFILE: dict[str, Key] = {
    "gender": Key(IDENTITY, choices=("MALE", "FEMALE")),
    "country": Key(IDENTITY, pattern=COUNTRY),
    "citizenship": Key(IDENTITY, pattern=COUNTRY),
    "education": Key(IDENTITY, choices=("BASIC", "MIDDLE", "HIGH")),
    "adult_allowed": Key(IDENTITY, "boolean"),
    "date_of_birth": Key(COMPARISONS, "integer"),
    "city": REGION,
    "languages": Key(INCLUSION, pattern=LANGUAGE),
    "verified": Key(IDENTITY, "boolean"),
}
COMPUTED: dict[str, Key] = {
    "client_type": Key(IDENTITY, choices=("BROWSER", "TOLOKA_APP")),
    "region_by_phone": REGION,
    "region_by_ip": REGION,
    "device_category": Key(IDENTITY, choices=("PERSONAL_COMPUTER", "SMARTPHONE", "TABLET", "WEARABLE_COMPUTER")),
    "os_family": Key(IDENTITY, choices=("WINDOWS", "OS_X", "MAC_OS", "LINUX", "BSD", "ANDROID", "IOS", "BLACKBERRY")),
    "user_agent_type": Key(IDENTITY, choices=("BROWSER", "MOBILE_BROWSER", "OTHER")),
    "user_agent_family": Key(
        IDENTITY,
        choices=(
            *("IE", "CHROMIUM", "CHROME", "FIREFOX", "SAFARI", "YANDEX_BROWSER"),
            *("IE_MOBILE", "CHROME_MOBILE", "MOBILE_FIREFOX", "MOBILE_SAFARI"),
        ),
    ),
    **dict.fromkeys(VERSIONS, NUMBERS),
}
# Skills of Toloka's own: tests of languages, as the official client knows them.
LANGUAGE_TESTS = (
    *("30724", "26377", "26366", "32346", "26711", "44954", "54378"),
    *("39821", "26513", "26714", "26296", "29789", "48836", "44742"),
)
CATEGORIES: dict[str, dict[str, Key]] = {"profile": PROFILE, "computed": COMPUTED, "skill": {}}


def check_filter(told: Json, at: str) -> Problems:
    """Return what is wrong with a filter, by field path."""
    if len(json.dumps(told, ensure_ascii=False, separators=(",", ":"))) > MAX_LENGTH:
        message = f"A filter must not be longer than {MAX_LENGTH} characters"
        return {at: problem("STRING_LENGTH_GREATER_THAN_MAX", message, [MAX_LENGTH])}
    return _check_group(told, at) if told else {}


def _check(told: Any, at: str, depth: int) -> Problems:
    if not isinstance(told, dict):
        return {at: _wrong_kind("object")}
    if depth > MAX_DEPTH:
        return {at: problem("INVALID_VALUE", f"Groups of a filter must not be nested deeper than {MAX_DEPTH} times")}
    if any(name in told for name in GROUPS):
        return _check_group(told, at, depth)
    return _check_condition(told, at)


def _check_group(told: Json, at: str, depth: int = 0) -> Problems:
    problems = {f"{at}.{name}": UNKNOWN for name in told if name not in GROUPS}
    if all(told.get(name) is not None for name in GROUPS):
        return {f"{at}.or": problem("VALUE_NOT_ALLOWED", "Either and, or or: nest one in the other")}
    for name in GROUPS:
        members = told.get(name)
        if members is not None and not isinstance(members, list):
            problems[f"{at}.{name}"] = _wrong_kind("array")
            continue
        for i, member in enumerate(members or []):
            problems |= _check(member, f"{at}.{name}.{i}", depth + 1)
    return problems


def _check_condition(told: Json, at: str) -> Problems:
    problems = {f"{at}.{name}": UNKNOWN for name in told if name not in PARTS}
    # That somebody has no such skill is said by null.
    problems |= {f"{at}.{name}": REQUIRED for name in PARTS[:3] if told.get(name) is None}
    if "value" not in told:
        problems[f"{at}.value"] = REQUIRED
    if problems:
        return problems
    category = told["category"]
    if not isinstance(category, str) or category not in CATEGORIES:
        return {f"{at}.category": _one_of(CATEGORIES)}
    if category == "skill":
        return _check_skill(told, at)
    keys = CATEGORIES[category]
    if not isinstance(told["key"], str) or told["key"] not in keys:
        return {f"{at}.key": _one_of(keys)}
    key = keys[told["key"]]
    if told["operator"] not in key.operators:
        return {f"{at}.operator": _one_of(key.operators)}
    wrong = _check_value(told["value"], key)
    return {f"{at}.value": wrong} if wrong else {}


def _check_skill(told: Json, at: str) -> Problems:
    if not KINDS["id"][0](told["key"]):
        return {f"{at}.key": _wrong_kind("id")}
    if told["operator"] not in COMPARISONS:
        return {f"{at}.operator": _one_of(COMPARISONS)}
    if told["value"] is None:
        return {} if told["operator"] in IDENTITY else {f"{at}.value": REQUIRED}
    return {} if number(told["value"]) is not None else {f"{at}.value": _wrong_kind("number")}


def _check_value(value: Any, key: Key) -> Json | None:
    if value is None:
        # What could not be found out of somebody is null, too.
        return None if key is REGION else REQUIRED
    if key.kind in ("number", "integer"):
        told = number(value)
        fits = told is not None and (key.kind == "number" or told.is_integer())
        return None if fits else _wrong_kind(key.kind)
    if not KINDS[key.kind][0](value):
        return _wrong_kind(key.kind)
    if key.choices and value not in key.choices:
        return _one_of(key.choices)
    if key.pattern and not key.pattern.fullmatch(value):
        return problem("INVALID_VALUE", "Value must be a code of capital letters, such as EN or US")
    return None


def conditions(told: Json, at: str = "filter") -> Iterator[tuple[str, Json]]:
    """Return the conditions of a filter, each with its field path."""
    for name in GROUPS:
        for i, member in enumerate(told.get(name) or []):
            place = f"{at}.{name}.{i}"
            if "category" in member:
                yield place, member
            else:
                yield from conditions(member, place)


def skills(body: Json) -> Iterator[tuple[str, str]]:
    """Return the skills that the filter of a pool names, each with its field path; Toloka's own are not among them."""
    for at, condition in conditions(body.get("filter", {})):
        if condition["category"] == "skill" and str(condition["key"]) not in LANGUAGE_TESTS:
            yield f"{at}.key", str(condition["key"])


def _one_of(choices: Any) -> Json:
    return problem("UNKNOWN_ENUM_VALUE", f"Value must be one of {', '.join(choices)}")


def _wrong_kind(kind: str) -> Json:
    _, code, message = KINDS[kind]
    return problem(code, message)
