"""Where the simulated people live, which languages they know, and what they work with."""

from __future__ import annotations

from random import Random

from toloka_airflow.emulator.world.people import Profile

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


def profile_of(seed: int, number: int) -> Profile:
    """Return the profile of a person of the crowd; the same seed gives the same ones."""
    random = Random(f"{seed}:profile:{number}")
    country = random.choice(list(COUNTRIES))
    languages = COUNTRIES[country][: random.choice((1, 2))]
    return Profile(country, languages, *random.choice(DEVICES))
