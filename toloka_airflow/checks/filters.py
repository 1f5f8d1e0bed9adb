"""
The filter of a pool: who may have its tasks.

A filter is ``{"and": [...]}`` or ``{"or": [...]}`` of conditions and further groups. From the pages of the API's
documentation (toloka.ai/docs/api: filters, filter-profile, filter-computed, filter-skill), which have the keys, their
operators and values, and the reference of the official Python client (toloka.client.filter), which has the versions and
values that the pages give as examples only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks.rules import IDENTITY, OPERATORS
from toloka_airflow.checks.specs import Spec, check_value
from toloka_airflow.checks.structure import languages
from toloka_airflow.checks.values import is_array, is_id, is_object, is_unknown_yet, items, number_of
from toloka_airflow.checks.wording import did_you_mean, nearest, one_of, shown

if TYPE_CHECKING:
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Path, Problem

WARNINGS = {"empty-filter": "a group of a filter without conditions, which everybody meets, or nobody"}

INCLUSION = ("IN", "NOT_IN")
MAX_LENGTH = 10_000
"""The characters that a filter may have."""

MAX_DEPTH = 20
"""The groups within groups that are followed."""

_COUNTRY_CODES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ "
    "CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO "
    "FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE "
    "JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO "
    "MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW "
    "PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM "
    "TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW"
)
COUNTRIES = tuple(_COUNTRY_CODES.split())
"""The codes of ISO 3166-1 alpha-2, and that of Kosovo."""


@dataclass(frozen=True)
class Key:
    """
    What a condition can be about.

    :param value: What it is compared with.
    :param operators: How.
    :param or_null: Whether null stands for what could not be found out.
    :param or_list: Whether a list of values is possible, too.
    """

    value: Spec
    operators: tuple[str, ...] = IDENTITY
    or_null: bool = False
    or_list: bool = False


_REGION = Key(Spec("integer", minimum=0), INCLUSION, or_null=True)
_COUNTRY = Key(Spec("text", choices=COUNTRIES))
_VERSION = Key(Spec("number", minimum=0), OPERATORS, or_null=True)
_PART = Key(Spec("integer", minimum=0), OPERATORS, or_null=True)


def _some(*names: str) -> Key:
    """Return a key of which the documentation names some values; UNKNOWN is what could not be found out."""
    return Key(Spec("text", choices=(*names, "UNKNOWN"), is_open=True))


KEYS: dict[str, dict[str, Key]] = {
    "profile": {
        "gender": Key(Spec("text", choices=("MALE", "FEMALE"))),
        "country": _COUNTRY,
        "citizenship": _COUNTRY,
        "education": Key(Spec("text", choices=("BASIC", "MIDDLE", "HIGH"))),
        "adult_allowed": Key(Spec("boolean")),
        "date_of_birth": Key(Spec("integer", unit="seconds since 1970"), OPERATORS),
        "city": Key(Spec("integer", minimum=0), INCLUSION),
        "languages": Key(Spec("text", choices=tuple(languages())), INCLUSION, or_list=True),
    },
    "computed": {
        "region_by_phone": _REGION,
        "region_by_ip": _REGION,
        "client_type": Key(Spec("text", choices=("BROWSER", "TOLOKA_APP", "UNKNOWN"))),
        "device_category": _some("PERSONAL_COMPUTER", "SMARTPHONE", "TABLET", "WEARABLE_COMPUTER"),
        "os_family": _some(
            *("WINDOWS", "ANDROID", "IOS", "OS_X", "OS X", "MAC_OS", "LINUX", "BSD", "BLACKBERRY"),
        ),
        "user_agent_type": _some("BROWSER", "MOBILE_BROWSER", "OTHER"),
        "user_agent_family": _some(
            *("IE", "IE_MOBILE", "YANDEX_BROWSER", "FIREFOX", "MOBILE_FIREFOX"),
            *("CHROME", "CHROME_MOBILE", "CHROMIUM", "SAFARI", "MOBILE_SAFARI"),
        ),
        **{f"{thing}_version": _VERSION for thing in ("os", "user_agent")},
        **{f"{thing}_version_{size}": _PART for thing in ("os", "user_agent") for size in ("major", "minor", "bugfix")},
    },
    "skill": {},
}
"""The keys of conditions by their category; those on skills have the id of the skill."""

GROUPS = ("and", "or")
_PARTS = ("category", "key", "operator", "value")


def check_filter(document: Document) -> Iterator[Problem]:
    """Return what is wrong with the filter of a pool."""
    part = document.value.get("filter")
    if not is_object(part):
        return
    try:
        length = len(json.dumps(part, ensure_ascii=False, separators=(",", ":")))
    except (TypeError, ValueError, RecursionError):
        length = 0  # what is no JSON yet, or is complained about below
    if length > MAX_LENGTH:
        message = f"the filter has {length} characters as JSON; Toloka takes {MAX_LENGTH}"
        yield document.problem("out-of-range", ("filter",), message)
    if part and not _is_condition(part):
        yield from _check_group(document, ("filter",), part, 0)
    elif part:
        message = 'a filter is a group of conditions; write {"and": [...]} around it'
        yield document.problem("wrong-form", ("filter",), message)


def _is_condition(part: Any) -> bool:
    return any(name in part for name in _PARTS)


def _check_group(document: Document, at: Path, part: Any, depth: int) -> Iterator[Problem]:
    if depth > MAX_DEPTH:
        yield document.problem("out-of-range", at, f"groups of a filter are nested deeper than {MAX_DEPTH} times")
        return
    yield from _check_keys(document, at, part, GROUPS, "a group of a filter")
    if all(name in part for name in GROUPS):
        message = "a group has either and, or or: put one of them into the other"
        yield document.problem("wrong-form", (*at, "or"), message)
    for name in GROUPS:
        if name not in part or (not document.file and is_unknown_yet(part[name])):
            continue
        if not is_array(part[name]):
            message = f"{name} is {shown(part[name])}; it must be a list of conditions and groups"
            yield document.problem("wrong-type", (*at, name), message)
        elif not part[name]:
            who = "everybody" if name == "and" else "nobody"
            yield document.problem("empty-filter", (*at, name), f"{name} has no conditions: {who} meets it", "warning")
        for index, member in items(part[name]):
            yield from _check_member(document, (*at, name, index), member, depth)


def _check_member(document: Document, at: Path, part: Any, depth: int) -> Iterator[Problem]:
    if not document.file and is_unknown_yet(part):
        return
    if not is_object(part) or not part:
        message = f"this is {shown(part)}; it must be a condition or a group"
        yield document.problem("wrong-type", at, message)
    elif _is_condition(part):
        yield from _check_condition(document, at, part)
    else:
        yield from _check_group(document, at, part, depth + 1)


def _check_keys(document: Document, at: Path, part: Any, known: tuple[str, ...], owner: str) -> Iterator[Problem]:
    for key in part:
        if key not in known:
            near = nearest(key, set(known) - part.keys()) or nearest(key, known)
            message = f"{owner} has no {shown(key)}, but {one_of(known)}{did_you_mean(near)}"
            yield document.problem("unknown-key", (*at, key), message)


def _check_condition(document: Document, at: Path, part: Any) -> Iterator[Problem]:
    yield from _check_keys(document, at, part, _PARTS, "a condition of a filter")
    meant = {nearest(key, set(_PARTS) - part.keys()) for key in part if key not in _PARTS}
    category = part.get("category")
    # That somebody does not have a skill at all is said by leaving the value out.
    for name in _PARTS[: 3 if category == "skill" else 4]:
        if name not in part and name not in meant:
            yield document.problem("missing-key", (*at, name), f"{name} is missing, which a condition must have")
    if "category" in part:
        spec = Spec("text", choices=tuple(KEYS))
        yield from check_value(document, (*at, "category"), "category", category, spec)
    if category == "skill":
        yield from _check_skill(document, at, part)
    elif isinstance(category, str) and category in KEYS and "key" in part:
        name = part["key"]
        yield from _check_key(document, (*at, "key"), name, category)
        if isinstance(name, str) and name in KEYS[category]:
            yield from _check_comparison(document, at, part, KEYS[category][name])


def _check_key(document: Document, path: Path, name: Any, category: str) -> Iterator[Problem]:
    """Return what is wrong with a key; one of another category says where it is."""
    homes = [other for other, keys in KEYS.items() if isinstance(name, str) and name in keys and other != category]
    if homes and name not in KEYS[category]:
        yield document.problem("misplaced-key", path, f"{name} is of the category {homes[0]}, not of {category}")
        return
    every = Spec("text", choices=tuple(KEYS[category]), is_open=True)
    yield from check_value(document, path, "key", name, every)


def _check_comparison(document: Document, at: Path, part: Any, key: Key) -> Iterator[Problem]:
    name = f"the value of {part['key']}"
    if "operator" in part:
        yield from _check_operator(document, at, part, key.operators)
    if "value" not in part or (part["value"] is None and key.or_null):
        return
    if key.or_list and is_array(part["value"]) and part["value"]:
        for index, value in items(part["value"]):
            yield from check_value(document, (*at, "value", index), name, value, key.value)
    else:
        yield from check_value(document, (*at, "value"), name, part["value"], key.value)


def _check_operator(document: Document, at: Path, part: Any, fitting: tuple[str, ...]) -> Iterator[Problem]:
    operator, path = part["operator"], (*at, "operator")
    if isinstance(operator, str) and operator in (*OPERATORS, *INCLUSION) and operator not in fitting:
        message = f"{part['key']} cannot be compared by {operator}; it must be {one_of(fitting)}"
        yield document.problem("wrong-operator", path, message)
    else:
        yield from check_value(document, path, "operator", operator, Spec("text", choices=fitting))


def _check_skill(document: Document, at: Path, part: Any) -> Iterator[Problem]:
    if "key" in part:
        yield from check_value(document, (*at, "key"), "the key of a condition on a skill", part["key"], Spec("id"))
    if "operator" in part:
        named = {**part, "key": "a skill"}
        yield from _check_operator(document, at, named, OPERATORS)
    value = part.get("value")
    if value is None:
        if is_id(part.get("key")) and part.get("operator") in OPERATORS and part["operator"] not in IDENTITY:
            message = f"value is missing; only {one_of(IDENTITY)} are possible without, for people who lack the skill"
            yield document.problem("missing-key", (*at, "value"), message)
        return
    # An official example has it as text.
    number = number_of(value)
    spec = Spec("number", minimum=0, maximum=100)
    yield from check_value(document, (*at, "value"), "the value of a skill", value if number is None else number, spec)
