"""The page of a report: how its figures are shown."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from toloka_airflow import __version__
from toloka_airflow.quality.report.agreement import field_view, reliability
from toloka_airflow.quality.report.definitions import definitions
from toloka_airflow.quality.report.doubts import doubt_view, doubts_in_words
from toloka_airflow.quality.report.figures import SURE_AT, Figures
from toloka_airflow.quality.report.money import money_view
from toloka_airflow.quality.report.parts import Fact, amount, count, small_amount
from toloka_airflow.quality.report.people import people_view
from toloka_airflow.quality.report.progress import progress_view
from toloka_airflow.quality.report.values import Images, plain_text

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

MOST_OF_IMAGES = 6_000_000
"""Letters of all images of a page together."""
MOST_INSTRUCTIONS = 20_000


@dataclass(frozen=True)
class Tile:
    """A figure in large; ``about`` is the definition that it leads to."""

    name: str
    value: str
    note: str
    about: str
    kind: str = ""


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

    def view(self) -> dict[str, Any]:
        """Return what the template needs, by name."""
        figures, images = self.figures, Images(MOST_OF_IMAGES)
        return {
            "title": plain_text(self.title or self._default_title(), 200),
            "subtitle": self._subtitle(),
            "tiles": self._tiles(),
            "notes": self._notes(),
            "facts": self._facts(),
            "instructions": self._instructions(),
            "timeline": None if figures.timeline is None else progress_view(figures, figures.timeline),
            "no_timeline": "The file does not say when answers were submitted."
            if figures.answers
            else "Nobody has answered yet.",
            "money": None if figures.money is None else money_view(figures.money, figures.facts, self.currency),
            "fields": [field_view(figures, each, is_first=i == 0) for i, each in enumerate(figures.fields)],
            "people": people_view(figures) if figures.people else None,
            "doubts": [doubt_view(each, figures.number, images) for each in figures.doubts],
            "doubts_words": doubts_in_words(figures),
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

    def _tiles(self) -> list[Tile]:
        figures = self.figures
        rejected = figures.statuses.get("REJECTED", 0)
        tiles = [
            Tile("Labels", f"{figures.labelled:,}", self._labelled_of(), "labels"),
            Tile(
                "Answers",
                f"{figures.answers:,}",
                f"by {count(len(figures.people), 'person', 'people')}"
                + (f"; {rejected:,} rejected" if rejected else ""),
                "answers",
            ),
        ]
        if figures.fields and figures.fields[0].alpha is not None:
            alpha = figures.fields[0].alpha
            of_field = f"in {plain_text(figures.fields[0].name, 30)}: " if len(figures.fields) > 1 else ""
            tiles.append(Tile("Agreement", f"{alpha:.3f}", of_field + reliability(alpha), "alpha"))
        if figures.sure is not None:
            tiles.append(
                Tile("Sure labels", f"{figures.sure:.1%}", f"with a {figures.number} of {SURE_AT} or more", "sure")
            )
        if figures.is_confidence and figures.mean_sureness is not None:
            tiles.append(
                Tile("Expected right", f"{figures.mean_sureness:.1%}", "of the labels, by their confidence", "expected")
            )
        if figures.money is not None:
            money = figures.money
            tiles.append(
                Tile(
                    "Money",
                    amount(self.currency, money.spent),
                    f"spent; {amount(self.currency, money.committed)} committed",
                    "money",
                )
            )
            if money.per_label is not None:
                tiles.append(
                    Tile("Per label", small_amount(self.currency, money.per_label), "spent or committed", "per-label")
                )
        return tiles

    def _labelled_of(self) -> str:
        """Return what has a label, of what could have one: a control task need not."""
        figures = self.figures
        answered = count(figures.tasks - figures.controls_without_label, "answered task", "answered tasks")
        controls = count(figures.controls_without_label, "control task has none", "control tasks have none")
        parts = [f"of {answered}"]
        if figures.unanswered:
            others = count(figures.unanswered, "other", "others")
            parts = [f"for {figures.labelled - figures.unanswered:,} of {answered}, and for {others}"]
        return "; ".join(parts + ([controls] if figures.controls_without_label else []))

    def _notes(self) -> list[str]:
        figures, notes = self.figures, []
        if not figures.answers:
            notes.append("There are no answers in the file, so most of this page is empty.")
        if figures.left_out_fields:
            notes.append(
                f"There are many output fields. Of these {len(figures.left_out_fields):,} no figure is here: "
                f"{plain_text(', '.join(figures.left_out_fields[:50]), 300)}."
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
        percent = facts.measured.get("percent")
        given = [
            ("Project", project.get("public_name"), project.get("id")),
            ("Description", project.get("public_description"), None),
            ("Pool", pool.get("private_name"), pool.get("id")),
            ("State of the pool", _state(pool), None),
            ("Reward for a page", None if reward is None else f"{self.currency}{reward}", None),
            ("Tasks on a page", _page(mixer), None),
            ("Overlap of new tasks", defaults.get("default_overlap_for_new_tasks"), None),
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


def _object(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _state(pool: Mapping[str, Any]) -> str | None:
    if not pool.get("status"):
        return None
    reason = pool.get("last_close_reason")
    return f"{pool['status']}, last closed for {reason}" if reason else str(pool["status"])


def _page(mixer: Mapping[str, Any]) -> str | None:
    kinds = (("real_tasks_count", "real"), ("golden_tasks_count", "control"), ("training_tasks_count", "training"))
    given = [f"{mixer[key]} {name}" for key, name in kinds if mixer.get(key)]
    return ", ".join(given) or None
