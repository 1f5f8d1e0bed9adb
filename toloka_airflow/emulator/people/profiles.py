"""Where the simulated people live, which languages they know, and what they work with; filters of pools ask for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from toloka_airflow.emulator.forms.filters import COMPUTED, COUNTRY, LANGUAGE
from toloka_airflow.emulator.world.people import Profile

LANGUAGES = {"EN": 1.0, "RU": 0.3, "ES": 0.2, "FR": 0.15, "HI": 0.15, "PT": 0.1}
COUNTRIES = {"US": 0.2, "IN": 0.2, "RU": 0.2, "BR": 0.1, "PH": 0.1, "KE": 0.1, "TR": 0.1}
DEVICES = {"SMARTPHONE": 0.6, "PERSONAL_COMPUTER": 0.35, "TABLET": 0.05}
DEVICE = re.compile("|".join(COMPUTED["device_category"].choices))
MOBILE = ("SMARTPHONE", "TABLET", "WEARABLE_COMPUTER")
# Families of systems, and their versions.
MOBILE_SYSTEMS = (("ANDROID", (10, 0)), ("ANDROID", (11, 0)), ("ANDROID", (13, 0)), ("IOS", (15, 2)))
SYSTEMS = (("WINDOWS", (10, 0)), ("WINDOWS", (11, 0)), ("OS_X", (12, 6)))


def draw(
    seed: int,
    number: int,
    languages: Mapping[str, float],
    countries: Mapping[str, float],
    devices: Mapping[str, float],
) -> Profile:
    """
    Return what the person of a number is like.

    :param languages: Which share of the people speaks each language.
    :param countries: How the people spread over countries.
    :param devices: How they spread over device categories.
    """
    # A generator of its own: how people work does not depend on what else they are.
    random = Random(f"{seed}:profile:{number}")
    country, device, system = random.random(), random.random(), random.random()
    spoken = tuple(name for name, share in languages.items() if Random(f"{seed}:{name}:{number}").random() < share)
    category = _one_of(devices, device)
    systems = MOBILE_SYSTEMS if category in MOBILE else SYSTEMS
    return Profile(_one_of(countries, country), spoken, category, *systems[int(system * len(systems))])


def _one_of(shares: Mapping[str, float], place: float) -> str:
    """Return the name at a place from 0 to 1, when names take room in proportion to their shares."""
    rest = place * sum(shares.values())
    for name, share in shares.items():
        rest -= share
        if rest < 0:
            return name
    return max(shares, key=lambda name: shares[name])


def check(languages: Mapping[str, float], countries: Mapping[str, float], devices: Mapping[str, float]) -> None:
    """Refuse shares that are none, and codes that no filter could ask for."""
    for name, shares, pattern, codes in (
        ("languages", languages, LANGUAGE, "capital letters, such as EN"),
        ("countries", countries, COUNTRY, "two capital letters, such as US"),
        ("devices", devices, DEVICE, ", ".join(COMPUTED["device_category"].choices)),
    ):
        for code, share in shares.items():
            if not pattern.fullmatch(code):
                raise ValueError(f"{name}: {code!r} is no code that filters have: {codes}")
            if not 0 <= share <= 1:
                raise ValueError(f"{name}: the share of {code} must be between 0 and 1, not {share}")
        if name != "languages" and not any(shares.values()):
            raise ValueError(f"{name} must give some share to one at least, not {dict(shares)}")
