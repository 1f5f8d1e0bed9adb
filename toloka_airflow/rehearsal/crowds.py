"""The crowd of a rehearsal: how many people, how fast, how often right, and which of them a pool is for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toloka_airflow.emulator.forms import filters
from toloka_airflow.emulator.people import profiles
from toloka_airflow.emulator.people.crowd import DAY_IN_SECONDS, MAX_SIZE, CrowdSettings
from toloka_airflow.emulator.resources import known_skills

SECONDS_PER_TASK = 12.0
"""The pace where none is given: the middle of the emulator's own crowd, for a question with a few answers."""
ACCURACY_SPREAD = 0.1
PACE_SPREAD = 2 / 3
_MOBILE, _DESKTOP = "SMARTPHONE", "PERSONAL_COMPUTER"
_DEVICES = {
    "client_type": {"TOLOKA_APP": _MOBILE, "BROWSER": _DESKTOP},
    "user_agent_type": {"BROWSER": _DESKTOP, "MOBILE_BROWSER": _MOBILE, "OTHER": _MOBILE},
    "os_family": {"ANDROID": _MOBILE, "IOS": _MOBILE, "WINDOWS": _DESKTOP, "OS_X": _DESKTOP},
}


@dataclass(frozen=True)
class Crowd:
    """
    Describe the people who work in a rehearsal.

    They are all there when the pool is opened, stay until it is closed, and have nothing else to do. One in fifty pages
    is skipped, one in a hundred forgotten.

    :param people: How many there are.
    :param pace: Seconds that they take for a page, as the median; the paces of people are evenly spread from a third
        of it to five thirds. ``None`` stands for 12 seconds a task.
    :param accuracy: Share of right answers of a person, as the mean; people are evenly spread up to 0.1 around it.
    :raises ValueError: If one of them cannot be.
    """

    people: int = 40
    pace: float | None = None
    accuracy: float = 0.85

    def __post_init__(self) -> None:
        if not 1 <= self.people <= MAX_SIZE:
            raise ValueError(f"people is {self.people}; it must be between 1 and {MAX_SIZE:,}")
        if self.pace is not None and not 0 < self.pace < DAY_IN_SECONDS / 2:
            raise ValueError(f"pace is {self.pace}; it must be seconds for a page, above 0 and less than half a day")
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy is {self.accuracy}; it must be a share between 0 and 1")

    @property
    def accuracies(self) -> tuple[float, float]:
        """Return the accuracy of the worst and of the best, around the mean."""
        spread = min(ACCURACY_SPREAD, self.accuracy, 1 - self.accuracy)
        return round(self.accuracy - spread, 6), round(self.accuracy + spread, 6)

    def page_seconds(self, tasks_on_page: int) -> float:
        """Return the median pace for pages of this size."""
        return SECONDS_PER_TASK * tasks_on_page if self.pace is None else self.pace

    def settings(self, pool: Mapping[str, Any], tasks_on_page: int) -> CrowdSettings:
        """
        Return the emulator's settings for these people in a pool.

        What its filter wants of languages, countries and devices, they are: those who do not meet it stay away from
        the pool, and are not counted among the people.
        """
        pace = self.page_seconds(tasks_on_page) / tasks_on_page
        traits = list(_traits(pool.get("filter", {})))
        return CrowdSettings(
            size=self.people,
            accuracy=self.accuracies,
            seconds_per_task=(pace * (1 - PACE_SPREAD), pace * (1 + PACE_SPREAD)),
            languages=_shares("languages", profiles.LANGUAGES, traits),
            countries=_shares("countries", profiles.COUNTRIES, traits),
            devices=_shares("devices", profiles.DEVICES, traits),
        )


Trait = tuple[str, str, bool]
"""What a condition is about that the emulator knows of people, its value, and whether that is wanted."""


def _shares(name: str, usual: Mapping[str, float], traits: Sequence[Trait]) -> dict[str, float]:
    """Return a mix of people with what is wanted and without what is not."""
    wanted = {value: 1.0 for trait, value, is_wanted in traits if trait == name and is_wanted}
    unwanted = {value for trait, value, is_wanted in traits if trait == name and not is_wanted} - set(wanted)
    # People speak several languages, and are in one country.
    mix = {**usual, **wanted} if name == "languages" else wanted or usual
    return {code: share for code, share in mix.items() if code not in unwanted} or dict(usual)


def _traits(filter: Mapping[str, Any]) -> Iterator[Trait]:
    for _, condition in filters.conditions(dict(filter)):
        key, value, is_wanted = condition["key"], condition["value"], condition["operator"] in ("EQ", "IN")
        if condition["category"] == "skill":
            continue
        if key in ("languages", "country"):
            yield ("languages" if key == "languages" else "countries"), value, is_wanted
        elif key == "device_category":
            yield "devices", value, is_wanted
        elif value in _DEVICES.get(key, {}) and is_wanted:
            yield "devices", _DEVICES[key][value], True


def given_skills(pool: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, float | None]:
    """
    Return the skills that people have before they begin, by id: a value for everybody, or ``None``.

    ``None`` stands for the person's own share of right answers in percent: a skill says how good somebody is. It is so
    where a filter compares it, or prices depend on it. Where a filter wants one number, everybody has that. What rules
    of the configuration set, or a filter wants people not to have, nobody has yet, and it is not returned.
    """
    own = set(_set_by_rules(pool)) | set(_set_by_rules(project))
    given: dict[str, float | None] = {}
    for _, condition in filters.conditions(pool.get("filter", {})):
        skill_id, operator, value = str(condition["key"]), condition["operator"], condition["value"]
        if condition["category"] != "skill" or skill_id in own | set(filters.LANGUAGE_TESTS):
            continue
        if operator in ("GT", "GTE", "LT", "LTE"):
            given[skill_id] = None
        elif operator == "EQ" and value is not None:
            given.setdefault(skill_id, float(value))
    priced = pool.get("dynamic_pricing_config", {}).get("skill_id")
    if priced is not None and priced not in own:
        given[priced] = None
    return given


def named_skills(pool: Mapping[str, Any], project: Mapping[str, Any]) -> list[str]:
    """Return the ids of all skills that the configuration names."""
    return sorted({skill_id for body in (pool, project) for _, skill_id in known_skills.named(dict(body))})


def _set_by_rules(body: Mapping[str, Any]) -> Iterator[str]:
    for config in body.get("quality_control", {}).get("configs", []):
        for rule in config["rules"]:
            if rule["action"]["type"].startswith("SET_SKILL"):
                yield str(rule["action"]["parameters"]["skill_id"])


def shown_pace(seconds: float) -> str:
    """Return a pace for people."""
    return f"{math.ceil(seconds) if seconds >= 10 else round(seconds, 1):g} s"
