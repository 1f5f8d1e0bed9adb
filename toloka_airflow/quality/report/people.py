"""How everybody did, and how the part People shows it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.by_person import medians, right_by_person, wilson_interval
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.charts import Dot
from toloka_airflow.quality.report.drawing import duration
from toloka_airflow.quality.report.parts import FULL, Key, Pair, answers_in_words, count
from toloka_airflow.quality.report.values import plain_text
from toloka_airflow.quality.truth import known_truth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.answer_table import AnswerTable
    from toloka_airflow.quality.report.figures import Figures

MOST_DOTS = 400
"""Dots of people; more people are put together where they are near each other."""
ENOUGH_CONTROLS = 5
"""Answers to control tasks of a person, on average, from which on accuracy is measured by these alone."""
MOST_PEOPLE = 25


@dataclass(frozen=True)
class PersonFigures:
    """
    How one person did.

    :param right: Votes that were right, of ``compared``, in all fields together.
    :param interval: Wilson's 95 % interval of the accuracy; ``None`` if nothing was compared.
    :param seconds: Median time of an answer; ``None`` if unknown.
    """

    id: str
    answers: int
    right: int
    compared: int
    interval: tuple[float, float] | None
    seconds: float | None
    is_banned: bool

    @property
    def accuracy(self) -> float | None:
        """Return the share of right votes."""
        return self.right / self.compared if self.compared else None


def least_accurate(person: PersonFigures) -> tuple[float, str]:
    """Return what people are sorted by, so that those come first of whom it is surest that they are not accurate."""
    return (2.0 if person.interval is None else person.interval[1]), person.id


def is_measured_by_controls(table: AnswerTable, names: Sequence[str]) -> bool:
    """Return whether there are enough answers to control tasks to measure people by these alone."""
    number = sum(int((known_truth(table, name).is_right(table.votes(name)) >= 0).sum()) for name in names)
    return number > 0 and number >= ENOUGH_CONTROLS * len(table.person_ids) * len(names)


def _is_right(table: AnswerTable, name: str, labels: NDArray[np.int32] | None) -> NDArray[np.int8]:
    """Return for each vote 1 if it is right, 0 if it is wrong, and -1 if that is not known; labels come second."""
    votes = table.votes(name)
    known = known_truth(table, name).is_right(votes)
    if labels is None:
        return known
    label = labels[votes.tasks]
    by_label = np.where(label < 0, -1, label == votes.labels)
    return np.where(known >= 0, known, by_label).astype(np.int8)


def seconds_of(table: AnswerTable) -> tuple[NDArray[np.float64], str | None]:
    """
    Return what each answer took, and how that is known.

    A file that does not say when a page was begun has only the time since the previous submission of the person.
    """
    if np.isfinite(table.seconds).any():
        return table.seconds, "page"
    pages = np.bincount(table.assignments, minlength=len(table.assignment_ids))
    people = np.zeros(len(table.assignment_ids), np.int32)
    submitted = np.full(len(table.assignment_ids), np.nan)
    people[table.assignments], submitted[table.assignments] = table.people, table.submitted
    by_person = np.lexsort((submitted, people))
    gaps = np.full(len(by_person), np.nan)
    is_same = people[by_person][1:] == people[by_person][:-1]
    gaps[by_person[1:][is_same]] = np.diff(submitted[by_person])[is_same]
    seconds = (gaps / np.maximum(pages, 1))[table.assignments]
    return seconds, "gap" if np.isfinite(seconds).any() else None


def people_figures(
    table: AnswerTable,
    names: Sequence[str],
    labels: Mapping[str, NDArray[np.int32]],
    seconds: NDArray[np.float64],
    restricted: Collection[str],
    *,
    by_controls: bool,
) -> list[PersonFigures]:
    """Return how everybody did, the least accurate first."""
    number = len(table.person_ids)
    hits, compared = np.zeros(number, np.int64), np.zeros(number, np.int64)
    for name in names:
        is_right = _is_right(table, name, None if by_controls else labels[name])
        right, total = right_by_person(table.votes(name), is_right)
        hits += right
        compared += total
    answers = np.bincount(table.people, minlength=number)
    typical = medians(table.people, seconds, number)
    people = [
        PersonFigures(
            id=person,
            answers=int(answers[i]),
            right=int(hits[i]),
            compared=int(compared[i]),
            interval=wilson_interval(int(hits[i]), int(compared[i])),
            seconds=None if math.isnan(typical[i]) else float(typical[i]),
            is_banned=person in restricted,
        )
        for i, person in enumerate(table.person_ids)
    ]
    return sorted(people, key=least_accurate)


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
