"""Where the simulated people live, which languages they know, and what they work with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

# Languages by country: the first of each, or both, are known to who lives there.
COUNTRIES: dict[str, tuple[str, str]] = {
    "IN": ("EN", "HI"),
    "PH": ("EN", "TL"),
    "KE": ("EN", "SW"),
    "US": ("EN", "ES"),
    "BR": ("PT", "EN"),
    "FR": ("FR", "EN"),
    "TR": ("TR", "EN"),
    "RU": ("RU", "EN"),
}
# Category, family of the system, and its version.
DEVICES: tuple[tuple[str, str, tuple[int, int]], ...] = (
    ("SMARTPHONE", "ANDROID", (10, 0)),
    ("SMARTPHONE", "ANDROID", (13, 0)),
    ("SMARTPHONE", "IOS", (15, 2)),
    ("TABLET", "ANDROID", (11, 0)),
    ("PERSONAL_COMPUTER", "WINDOWS", (10, 0)),
    ("PERSONAL_COMPUTER", "MACOS", (12, 6)),
)


@dataclass(frozen=True)
class Profile:
    """What is known of a person; two letters stand for a country or a language."""

    country: str
    languages: tuple[str, ...]
    device_category: str
    os_family: str
    os_version: tuple[int, int]

    @property
    def is_mobile(self) -> bool:
        """Say whether the person works in the app."""
        return self.device_category != "PERSONAL_COMPUTER"

    @property
    def attributes(self) -> Json:
        """Return what is known of place and device."""
        major, minor = self.os_version
        return {
            "country_by_phone": self.country,
            "country_by_ip": self.country,
            "client_type": "TOLOKA_APP" if self.is_mobile else "BROWSER",
            "user_agent_type": "OTHER" if self.is_mobile else "BROWSER",
            "device_category": self.device_category,
            "os_family": self.os_family,
            "os_version": float(f"{major}.{minor}") if minor else major,
            "os_version_major": major,
            "os_version_minor": minor,
            "os_version_bugfix": 0,
        }


@cache
def profile_of(seed: int, number: int) -> Profile:
    """Return the profile of a person of the crowd; the same seed gives the same ones."""
    random = Random(f"{seed}:profile:{number}")
    country = random.choice(list(COUNTRIES))
    languages = COUNTRIES[country][: random.choice((1, 2))]
    return Profile(country, languages, *random.choice(DEVICES))
