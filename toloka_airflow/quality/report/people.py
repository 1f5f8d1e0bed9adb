"""How the part People shows how everybody did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.charts import Dot, duration
from toloka_airflow.quality.report.figures import MOST_DOTS, Figures, PersonFigures, least_accurate
from toloka_airflow.quality.report.parts import FULL, Key, Pair, answers_in_words, count
from toloka_airflow.quality.report.values import plain_text

MOST_PEOPLE = 25


def people_view(figures: Figures) -> dict[str, Any]:
    """Return what the template shows of people."""
    people = figures.people
    banned = sum(person.is_banned for person in people)
    by = "the control tasks" if figures.accuracy_by == "control tasks" else "the labels (and known solutions)"
    words = f"{count(len(people), 'person has', 'people have')} answered"
    words += f"; {count(banned, 'of them is', 'of them are')} banned" if banned else ""
    words += "; it is not known here whether one is banned" if figures.facts.restricted is None else ""
    words += f". Whether an answer is right is measured by {by}."
    if figures.times_are == "gap":
        words += " The file does not say when a page was begun, so a time is the one since the previous page."
    elif figures.times_are is None:
        words += " The file does not say how long people took."
    shown = sorted(people[:MOST_PEOPLE], key=lambda person: (not person.is_banned, *least_accurate(person)))
    caption = f"Everybody, {'banned ones, then ' if banned else ''}the least accurate first"
    if len(people) > MOST_PEOPLE:
        worst = [person for person in people if not person.is_banned]
        shown = ([person for person in people if person.is_banned] + worst)[:MOST_PEOPLE]
        caption = f"{MOST_PEOPLE} of {len(people):,} people: banned ones, then the least accurate by their intervals"
    dots = _dots(people)
    chance = _chance(figures)
    return {
        "words": words,
        "dots": Pair.of(lambda width: charts.accuracy_by_speed(dots, chance, figures.accuracy_by, width), FULL)
        if dots
        else None,
        "caption": "each dot is a person"
        if len(dots) == sum(dot.people for dot in dots)
        else "a dot is one person, or several that are near each other",
        "legend": [Key("person", "person"), *([Key("banned", "banned")] if banned else [])],
        "table_caption": caption,
        "rows": [_person_row(person) for person in shown],
    }


def _chance(figures: Figures) -> float | None:
    """Return what somebody reaches who guesses, if there are few labels."""
    if len(figures.fields) != 1:
        return None
    each = figures.fields[0]
    return 1 / len(each.values) if len(each.values) >= 2 and not each.others else None


def _person_row(person: PersonFigures) -> dict[str, Any]:
    low, high = person.interval or (0.0, 0.0)
    is_known = person.interval is not None
    return {
        "id": plain_text(person.id, 60),
        "answers": f"{person.answers:,}",
        "right": f"{person.right:,} of {person.compared:,}" if is_known else "-",
        "accuracy": f"{person.accuracy:.1%}" if is_known else "-",
        "interval": f"{low:.1%} to {high:.1%}" if is_known else "-",
        "seconds": "-" if person.seconds is None else duration(person.seconds),
        "is_banned": person.is_banned,
    }


def _dots(people: Sequence[PersonFigures]) -> list[Dot]:
    """Return a dot for each person, or, if they are many, for those that are near each other."""
    known = [person for person in people if person.accuracy is not None and person.seconds]
    if len(known) <= MOST_DOTS:
        return [_dot([person]) for person in known]
    times = [math.log(person.seconds or 1) for person in known]
    fast, breadth = min(times), (max(times) - min(times)) or 1.0
    fineness = 60
    while True:
        groups: dict[tuple[int, int, bool], list[PersonFigures]] = {}
        for person, time in zip(known, times, strict=True):
            across, up = (time - fast) / breadth, person.accuracy or 0
            groups.setdefault((round(across * fineness), round(up * fineness / 2), person.is_banned), []).append(person)
        if len(groups) <= MOST_DOTS:
            return [_dot(group) for group in groups.values()]
        fineness -= 5


def _dot(group: Sequence[PersonFigures]) -> Dot:
    seconds = math.exp(sum(math.log(person.seconds or 1) for person in group) / len(group))
    accuracy = sum(person.accuracy or 0 for person in group) / len(group)
    banned = sum(person.is_banned for person in group)
    who = plain_text(group[0].id, 60) if len(group) == 1 else f"{len(group):,} people"
    answers = sum(person.answers for person in group)
    tip = f"{who}: {accuracy:.1%}, {duration(seconds)}, {answers_in_words(answers)}"
    return Dot(seconds, accuracy, len(group), banned, tip + (", banned" if banned else ""))
