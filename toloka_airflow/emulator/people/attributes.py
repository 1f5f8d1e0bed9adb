"""What people are like besides how they work: languages, country and device, which filters of pools ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms.filters import COMPUTED, COUNTRY, LANGUAGE

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

LANGUAGES = {"EN": 1.0, "RU": 0.3, "ES": 0.2, "FR": 0.15, "HI": 0.15, "PT": 0.1}
COUNTRIES = {"US": 0.2, "IN": 0.2, "RU": 0.2, "BR": 0.1, "PH": 0.1, "KE": 0.1, "TR": 0.1}
DEVICES = {"SMARTPHONE": 0.6, "PERSONAL_COMPUTER": 0.35, "TABLET": 0.05}
DEVICE = re.compile("|".join(COMPUTED["device_category"].choices))
MOBILE = ("SMARTPHONE", "TABLET")


@dataclass(frozen=True)
class Attributes:
    """What the platform knows of a person."""

    languages: tuple[str, ...]
    country: str
    device_category: str
    os_family: str

    @property
    def is_mobile(self) -> bool:
        """Say whether the person works in the app, and not in a browser."""
        return self.device_category in MOBILE

    @property
    def computed(self) -> Json:
        """Return what the platform finds out by itself, as the API names it."""
        return {
            "client_type": "TOLOKA_APP" if self.is_mobile else "BROWSER",
            "device_category": self.device_category,
            "os_family": self.os_family,
            "user_agent_type": "OTHER" if self.is_mobile else "BROWSER",
        }

    def values_of(self, category: str, key: str) -> tuple[Any, ...] | None:
        """Return what the person has of that which a filter asks for; None if nobody knows."""
        if category == "profile":
            return {"languages": self.languages, "country": (self.country,)}.get(key)
        return (self.computed[key],) if key in self.computed else None


def draw(
    seed: int,
    number: int,
    languages: Mapping[str, float],
    countries: Mapping[str, float],
    devices: Mapping[str, float],
) -> Attributes:
    """
    Return what the person of a number is like.

    :param languages: Which share of the people speaks each language.
    :param countries: How the people spread over countries.
    :param devices: How they spread over device categories.
    """
    # A generator of its own: how people work does not depend on what else they are.
    random = Random(f"{seed}:attributes:{number}")
    country, device, os = random.random(), random.random(), random.random()
    spoken = tuple(name for name, share in languages.items() if Random(f"{seed}:{name}:{number}").random() < share)
    category = _one_of(devices, device)
    families = ("ANDROID", "IOS") if category in MOBILE else ("WINDOWS", "OS_X")
    return Attributes(spoken, _one_of(countries, country), category, families[os > 0.8])


def _one_of(shares: Mapping[str, float], place: float) -> str:
    """Return the name at a place from 0 to 1, when names take room in proportion to their shares."""
    rest = place * sum(shares.values())
    for name, share in shares.items():
        rest -= share
        if rest < 0:
            return name
    return next(name for name, share in reversed(shares.items()) if share)


def check(languages: Mapping[str, float], countries: Mapping[str, float], devices: Mapping[str, float]) -> None:
    """Refuse shares that are none, and codes that no filter could ask for."""
    for name, shares, pattern in (
        ("languages", languages, LANGUAGE),
        ("countries", countries, COUNTRY),
        ("devices", devices, DEVICE),
    ):
        for code, share in shares.items():
            if not pattern.fullmatch(code):
                raise ValueError(f"{name}: {code!r} is no code that filters have")
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: the share of {code} must be between 0 and 1, not {share}")
        if name != "languages" and not any(shares.values()):
            raise ValueError(f"{name} must give some share to one at least, not {dict(shares)}")
