"""The page of a report: how its figures are shown."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from toloka_airflow import __version__
from toloka_airflow.quality.numeric import np
from toloka_airflow.quality.report import charts
from toloka_airflow.quality.report.charts import Dot, duration
from toloka_airflow.quality.report.definitions import definitions
from toloka_airflow.quality.report.figures import (
    MOST_DOTS,
    SURE_AT,
    Doubt,
    FieldFigures,
    Figures,
    Money,
    PersonFigures,
    Timeline,
    least_accurate,
)
from toloka_airflow.quality.report.values import Images, plain_text

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

FULL, HALF, NARROW = 998, 487, 330
"""Pixels for which charts are drawn: alone in a row, two in a row, and on a phone."""
MOST_PEOPLE = 25
MOST_MIXED_UP = 10
MOST_WHO = 8
MOST_OF_IMAGES = 6_000_000
"""Letters of all images of a page together."""
MOST_INSTRUCTIONS = 20_000
STATUSES = {
    "ACCEPTED": ("accepted", "accepted"),
    "SUBMITTED": ("submitted, not decided yet", "submitted"),
    "REJECTED": ("rejected", "rejected"),
}
OTHER_STATUS = ("in another status", "other-status")


@dataclass(frozen=True)
class Pair:
    """A chart for a wide page and for a narrow one."""

    wide: Markup
    narrow: Markup

    @classmethod
    def of(cls, draw: Callable[[int], Markup], wide: int = HALF) -> Pair:
        """Return what a function draws for two widths."""
        return cls(draw(wide), draw(NARROW))


@dataclass(frozen=True)
class Table:
    """What a chart shows, in words; the first cell of a row is its name."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Fact:
    """A name and what it is."""

    name: str
    text: str


@dataclass(frozen=True)
class Tile:
    """A figure in large; ``about`` is the definition that it leads to."""

    name: str
    value: str
    note: str
    about: str
    kind: str = ""


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    kind: str


def render(figures: Figures, *, title: str | None, made: datetime, currency: str = "$") -> str:
    """
    Return the page as HTML.

    :param title: Its heading; the names of project and pool by default.
    :param made: When it is made.
    :param currency: What stands before an amount.
    """
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    page = _Page(figures, title, made, currency)
    html = _template().render(report=page.view(), style=_safe_style(style), policy=_policy(style), version=__version__)
    # Half surrogates, which JSON has and UTF-8 has not; most are replaced where text is shortened.
    return html.encode("utf-8", "replace").decode("utf-8")


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("template.html").read_text("utf-8"))


def _safe_style(style: str) -> Markup:
    from markupsafe import Markup

    return Markup(style)  # noqa: S704, as it is a file of ours, in which nothing is put


def _policy(style: str) -> str:
    """Return the page's Content-Security-Policy: this style sheet, images within the page, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


class _Page:
    """What the template shows of some figures."""

    def __init__(self, figures: Figures, title: str | None, made: datetime, currency: str) -> None:
        self.figures, self.title, self.made, self.currency = figures, title, made, currency
        self.number = "confidence" if figures.is_confidence else "score"
        self.images = Images(MOST_OF_IMAGES)

    def view(self) -> dict[str, Any]:
        """Return what the template needs, by name."""
        figures = self.figures
        return {
            "title": plain_text(self.title or self._default_title(), 200),
            "subtitle": self._subtitle(),
            "tiles": self._tiles(),
            "notes": self._notes(),
            "facts": self._facts(),
            "instructions": self._instructions(),
            "timeline": None if figures.timeline is None else self._timeline(figures.timeline),
            "no_timeline": "The file does not say when answers were submitted."
            if figures.answers
            else "Nobody has answered yet.",
            "money": None if figures.money is None else self._money(figures.money),
            "fields": [self._field(each, is_first=i == 0) for i, each in enumerate(figures.fields)],
            "people": self._people() if figures.people else None,
            "doubts": [self._doubt(each) for each in figures.doubts],
            "doubts_words": self._doubts_words(),
            "no_doubts": "It is not known how sure labels are."
            if figures.labelled and figures.answers
            else "No task has answers and a label yet.",
            "definitions": definitions(figures),
            "footer": f"Made by airflow-toloka {__version__} on {self.made.astimezone(UTC):%-d %B %Y, %H:%M} UTC. "
            "This page is one file: it has no scripts, and requests nothing from anywhere.",
        }

    def _default_title(self) -> str:
        facts = self.figures.facts
        return str(facts.project.get("public_name") or facts.pool.get("private_name") or "Labels and their quality")

    def _subtitle(self) -> str:
        pool, parts = self.figures.facts.pool, []
        pools = self.figures.pool_ids or ([str(pool["id"])] if pool.get("id") else [])
        if pools:
            shown = ", ".join(pools[:3]) + (f" and {len(pools) - 3} more" if len(pools) > 3 else "")
            name = pool.get("private_name")
            parts.append(f"Pool {shown}" + (f" ({name})" if name and len(pools) == 1 else ""))
        fields = [each.name for each in self.figures.fields]
        if fields:
            parts.append(f"{'fields' if len(fields) > 1 else 'field'} {', '.join(fields)}")
        parts.append(f"made on {self.made.astimezone(UTC):%-d %B %Y, %H:%M} UTC")
        return plain_text(" · ".join(parts), 300)

    def _amount(self, value: float, digits: int = 2) -> str:
        return f"{self.currency}{value:,.{digits}f}"

    def _small_amount(self, value: float) -> str:
        """Return an amount with as many digits as say something."""
        digits = 2 if value >= 1 or value == 0 else min(6, 2 - math.floor(math.log10(value)))
        while digits > 2 and f"{value:.{digits}f}".endswith("0"):
            digits -= 1
        return self._amount(value, digits)

    def _tiles(self) -> list[Tile]:
        figures = self.figures
        rejected = figures.statuses.get("REJECTED", 0)
        tiles = [
            Tile(
                "Labels",
                f"{figures.labelled:,}",
                f"of {_count(figures.tasks, 'answered task', 'answered tasks')}",
                "labels",
            ),
            Tile(
                "Answers",
                f"{figures.answers:,}",
                f"by {_count(len(figures.people), 'person', 'people')}"
                + (f"; {rejected:,} rejected" if rejected else ""),
                "answers",
            ),
        ]
        if figures.fields and figures.fields[0].alpha is not None:
            alpha = figures.fields[0].alpha
            tiles.append(Tile("Agreement", f"{alpha:.3f}", _reliability(alpha), "alpha"))
        if figures.sure is not None:
            tiles.append(
                Tile("Sure labels", f"{figures.sure:.1%}", f"with a {self.number} of {SURE_AT} or more", "sure")
            )
        if figures.is_confidence and figures.mean_sureness is not None:
            tiles.append(
                Tile("Expected right", f"{figures.mean_sureness:.1%}", "of the labels, by their confidence", "expected")
            )
        if figures.money is not None:
            money = figures.money
            tiles.append(
                Tile("Money", self._amount(money.spent), f"spent; {self._amount(money.committed)} committed", "money")
            )
            if money.per_label is not None:
                tiles.append(Tile("Per label", self._small_amount(money.per_label), "spent or committed", "per-label"))
        return tiles

    def _notes(self) -> list[str]:
        figures, notes = self.figures, []
        if not figures.answers:
            notes.append("There are no answers in the file, so most of this page is empty.")
        if figures.left_out_fields:
            notes.append(
                f"Not shown, as there are many: the fields {plain_text(', '.join(figures.left_out_fields), 300)}."
            )
        if figures.labelled and figures.sure is None:
            notes.append(
                "The labels have neither a confidence nor a score, so it is not known which are the least sure."
            )
        return notes

    def _facts(self) -> list[Fact]:
        facts = self.figures.facts
        project, pool = facts.project, facts.pool
        mixer, defaults = (_object(pool, name) for name in ("mixer_config", "defaults"))
        reward = pool.get("reward_per_assignment")
        overlap = defaults.get("default_overlap_for_new_tasks") or defaults.get("default_overlap_for_new_task_suites")
        percent = facts.measured.get("percent")
        given = [
            ("Project", project.get("public_name"), project.get("id")),
            ("Description", project.get("public_description"), None),
            ("Pool", pool.get("private_name"), pool.get("id")),
            ("State of the pool", _state(pool), None),
            ("Reward for a page", None if reward is None else f"{self.currency}{reward}", None),
            ("Tasks on a page", _page(mixer), None),
            ("Overlap of new tasks", overlap, None),
            ("Answered, by Toloka's count", None if percent is None else f"{percent} %", None),
            ("Adults only", "yes" if pool.get("may_contain_adult_content") else None, None),
        ]
        return [
            Fact(name, plain_text(value if identifier is None else f"{value} ({identifier})", 1000))
            for name, value, identifier in given
            if value not in (None, "")
        ]

    def _instructions(self) -> str | None:
        text = self.figures.facts.project.get("public_instructions")
        return plain_text(text, MOST_INSTRUCTIONS) if isinstance(text, str) and text.strip() else None

    def _timeline(self, timeline: Timeline) -> dict[str, Any]:
        known = [status for status in (*STATUSES, *timeline.counts) if status in timeline.counts]
        rows = [(*STATUSES.get(status, OTHER_STATUS), timeline.counts[status]) for status in dict.fromkeys(known)]
        totals = [sum(counts) for counts in zip(*timeline.counts.values(), strict=True)]
        so_far = list(accumulate(totals))
        last = max(i for i, total in enumerate(totals) if total)
        first_at, last_at = timeline.start, timeline.start + timeline.step * (last + 1)
        words = f"The first answer came after {_time(first_at)}, the last one before {_time(last_at)} (UTC). "
        words += _shares(self.figures)
        table = Table(
            f"Answers in each {charts.span_in_words(timeline.step)}",
            ["from (UTC)", *(name for name, _, _ in rows), "so far"],
            [
                [
                    _time(timeline.start + timeline.step * i),
                    *(f"{counts[i]:,}" for _, _, counts in rows),
                    f"{so_far[i]:,}",
                ]
                for i in range(timeline.spans)
            ],
        )
        return {
            "words": words,
            "so_far": Pair.of(lambda width: charts.so_far(timeline.start, timeline.step, so_far, width)),
            "bars": Pair.of(lambda width: charts.answers_over_time(timeline.start, timeline.step, rows, width)),
            "legend": _keys((name, kind) for name, kind, _ in rows),
            "table": table,
        }

    def _money(self, money: Money) -> dict[str, Any]:
        parts = [
            ("spent", "accepted", money.spent),
            ("committed", "submitted", money.committed),
            ("rejected", "rejected", money.rejected),
        ]
        shown = [part for part in parts if part[2] > 0]
        facts = [
            Fact("Spent, on accepted answers", self._amount(money.spent)),
            Fact("Committed, for answers not decided yet", self._amount(money.committed)),
            Fact("Not paid, as answers were rejected", self._amount(money.rejected)),
        ]
        if money.per_label is not None:
            facts.append(Fact("Per label", self._small_amount(money.per_label)))
        notes = ["These are the rewards of the answers in the file, without Toloka's fee and without bonuses."]
        measured = self.figures.facts.measured
        if measured.get("spent") is not None:
            committed = measured.get("committed")
            more = "" if committed is None else f", and {self._amount(float(committed))} committed"
            notes.append(
                f"By Toloka's own count, {self._amount(float(measured['spent']))} are spent for the pool{more}."
            )
        if money.unknown:
            notes.append(
                f"Of {_count(money.unknown, 'page', 'pages')} of answers the reward is not known; they are not in it."
            )
        return {
            "bar": Pair.of(lambda width: charts.shares_bar("Money", shown, self.currency, width), FULL),
            "legend": _keys((name, kind) for name, kind, _ in shown),
            "facts": facts,
            "notes": notes,
        }

    def _field(self, each: FieldFigures, *, is_first: bool) -> dict[str, Any]:
        name = plain_text(each.name, 100)
        if each.alpha is None:
            words = (
                "Krippendorff's alpha is not defined: no task has answers of two people, or all answers are the same."
            )
        else:
            words = f"Krippendorff's alpha is {each.alpha:.3f}: {_reliability(each.alpha)}."
        over_time, over_time_table = self._over_time(each)
        view: dict[str, Any] = {
            "name": name,
            "words": words,
            "over_time": over_time,
            "over_time_table": over_time_table,
            "sureness": None,
            "confusion": None,
        }
        if is_first:
            view |= self._sureness()
        if each.compared:
            view |= self._confusion(each)
        return view

    def _over_time(self, each: FieldFigures) -> tuple[Pair | None, Table | None]:
        timeline = self.figures.timeline
        if timeline is None or sum(value is not None for value in each.agreements) < 2:
            return None, None
        title = "Agreement over time"
        pair = Pair.of(
            lambda width: charts.line_over_time(title, timeline.start, timeline.step, each.agreements, width)
        )
        rows = [
            [_time(timeline.start + timeline.step * i), "-" if value is None else f"{value:.1%}"]
            for i, value in enumerate(each.agreements)
        ]
        return pair, Table(title, ["from (UTC)", "agreement"], rows)

    def _sureness(self) -> dict[str, Any]:
        known = self.figures.sureness[~np.isnan(self.figures.sureness)]
        if not len(known):
            return {}
        counts, _ = np.histogram(np.clip(known, 0, 1), bins=10, range=(0, 1))
        numbers = counts.tolist()
        names = [f"{i / 10:.1f}" for i in range(10)]
        title = f"Labels by their {self.number}"
        rows = [[f"{i / 10:.1f} to {(i + 1) / 10:.1f}", f"{number:,}"] for i, number in enumerate(numbers)]
        return {
            "sureness": Pair.of(lambda width: charts.histogram(title, numbers, names, "labels", width)),
            "sureness_table": Table(title, [self.number, "labels"], rows),
        }

    def _confusion(self, each: FieldFigures) -> dict[str, Any]:
        names = [plain_text(value, 60) for value in each.values]
        if each.others:
            names.append(f"{each.others} others")
        rows = [
            [name, *(f"{number:,}" for number in counts)] for name, counts in zip(names, each.confusion, strict=True)
        ]
        words = (
            f"{each.right:,} of {each.compared:,} answers ({each.right / each.compared:.1%}) are right: as a control "
            "task's known solution says, or else as the label of the task. A square is the darker, the larger its "
            "share of its row: blue where the answer is right, red where it is not."
        )
        return {
            "confusion": Pair.of(
                lambda width: charts.confusion(names, each.confusion, each.others > 0, "right", width), 620
            ),
            "confusion_words": words,
            "mixed_up": _mixed_up(names, each.confusion),
            "confusion_table": Table("Right in rows, answered in columns", ["right", *names], rows),
        }

    def _people(self) -> dict[str, Any]:
        people = self.figures.people
        banned = sum(person.is_banned for person in people)
        by = "the control tasks" if self.figures.accuracy_by == "control tasks" else "the labels (and known solutions)"
        words = f"{_count(len(people), 'person has', 'people have')} answered"
        words += f"; {_count(banned, 'of them is', 'of them are')} banned" if banned else ""
        words += "; it is not known here whether one is banned" if self.figures.facts.restricted is None else ""
        words += f". Whether an answer is right is measured by {by}."
        if self.figures.times_are == "gap":
            words += " The file does not say when a page was begun, so a time is the one since the previous page."
        elif self.figures.times_are is None:
            words += " The file does not say how long people took."
        shown = sorted(people[:MOST_PEOPLE], key=lambda person: (not person.is_banned, *least_accurate(person)))
        caption = "Everybody, the least accurate first"
        if len(people) > MOST_PEOPLE:
            worst = [person for person in people if not person.is_banned]
            shown = ([person for person in people if person.is_banned] + worst)[:MOST_PEOPLE]
            caption = (
                f"{MOST_PEOPLE} of {len(people):,} people: banned ones, then the least accurate by their intervals"
            )
        dots = _dots(people)
        chance = self._chance()
        return {
            "words": words,
            "dots": Pair.of(lambda width: charts.accuracy_by_speed(dots, chance, self.figures.accuracy_by, width), FULL)
            if dots
            else None,
            "caption": "each dot is a person"
            if len(dots) == sum(dot.people for dot in dots)
            else "a dot is one person, or several that are near each other",
            "legend": [Key("person", "person"), *([Key("banned", "banned")] if banned else [])],
            "table_caption": caption,
            "rows": [_person_row(person) for person in shown],
        }

    def _chance(self) -> float | None:
        """Return what somebody reaches who guesses, if there are few labels."""
        if len(self.figures.fields) != 1:
            return None
        each = self.figures.fields[0]
        return 1 / len(each.values) if len(each.values) >= 2 and not each.others else None

    def _doubts_words(self) -> str:
        shown = len(self.figures.doubts)
        words = (
            f"These {shown} labels have the lowest {self.number}"
            if shown > 1
            else f"This label has the lowest {self.number}"
        )
        return words + ". Inputs and answers are shown as they came; images at an address are not fetched."

    def _doubt(self, doubt: Doubt) -> dict[str, Any]:
        inputs = list((doubt.inputs or {}).items())[:12]
        return {
            "task_id": plain_text(doubt.task_id, 100),
            "sureness": f"{self.number} {doubt.sureness:.3f}",
            "inputs": [
                self.images.shown(plain_text(name, 100), value, may_link=True)
                for name, value in inputs
                if value is not None and value != ""
            ],
            "groups": [
                {
                    "caption": f"{plain_text(name, 100)}: {_answers(sum(len(vote.people) for vote in votes))}",
                    "votes": [
                        {
                            "value": self.images.shown("answer", vote.value, may_link=False),
                            "number": f"{len(vote.people):,}",
                            "people": _who(vote.people),
                            "is_label": vote.is_label,
                            "is_known": vote.is_known,
                        }
                        for vote in votes[:10]
                    ],
                }
                for name, votes in doubt.votes.items()
                if votes
            ],
        }


def _answers(number: int) -> str:
    return _count(number, "answer", "answers")


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def _keys(entries: Iterable[tuple[str, str]]) -> list[Key]:
    return [Key(name, kind) for name, kind in dict.fromkeys(entries)]


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def _reliability(alpha: float) -> str:
    if alpha >= 0.8:
        return "reliable, by the usual rule"
    if alpha >= 0.667:
        return "tentative, by the usual rule"
    return "too low to rely on, by the usual rule"


def _shares(figures: Figures) -> str:
    parts = [
        f"{number:,} {STATUSES.get(status, OTHER_STATUS)[0]} ({number / figures.answers:.1%})"
        for status, number in figures.statuses.items()
    ]
    return f"Of {_answers(figures.answers)}: {', '.join(parts)}."


def _object(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _state(pool: Mapping[str, Any]) -> str | None:
    if not pool.get("status"):
        return None
    reason = pool.get("last_close_reason")
    return f"{pool['status']} ({reason})" if reason and pool["status"] != "OPEN" else str(pool["status"])


def _page(mixer: Mapping[str, Any]) -> str | None:
    kinds = (("real_tasks_count", "real"), ("golden_tasks_count", "control"), ("training_tasks_count", "training"))
    given = [f"{mixer[key]} {name}" for key, name in kinds if mixer.get(key)]
    return ", ".join(given) or None


def _who(people: Sequence[str]) -> str:
    shown = ", ".join(plain_text(person, 60) for person in people[:MOST_WHO])
    return shown + (f" and {len(people) - MOST_WHO} more" if len(people) > MOST_WHO else "")


def _mixed_up(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """Return which labels were taken for which most often."""
    pairs = [(number, i, j) for i, row in enumerate(counts) for j, number in enumerate(row) if i != j and number]
    most = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:MOST_MIXED_UP]
    rows = [
        [f"{names[i]} taken for {names[j]}", f"{number:,}", f"{number / sum(counts[i]):.1%}"] for number, i, j in most
    ]
    return Table("The most frequent mistakes", ["", "answers", "of the right label"], rows)


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
    groups: dict[tuple[int, int, bool], list[PersonFigures]] = {}
    for person in known:
        cell = round(math.log(person.seconds or 1) * 5), round((person.accuracy or 0) * 25), person.is_banned
        groups.setdefault(cell, []).append(person)
    return [_dot(group) for group in groups.values()]


def _dot(group: Sequence[PersonFigures]) -> Dot:
    seconds = math.exp(sum(math.log(person.seconds or 1) for person in group) / len(group))
    accuracy = sum(person.accuracy or 0 for person in group) / len(group)
    banned = sum(person.is_banned for person in group)
    who = plain_text(group[0].id, 60) if len(group) == 1 else f"{len(group):,} people"
    answers = sum(person.answers for person in group)
    tip = f"{who}: {accuracy:.1%}, {duration(seconds)}, {_answers(answers)}"
    return Dot(seconds, accuracy, len(group), banned, tip + (", banned" if banned else ""))
