"""How the part on the least sure tasks shows one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.report.parts import answers_in_words
from toloka_airflow.quality.report.values import Images, plain_text

if TYPE_CHECKING:
    from toloka_airflow.quality.report.figures import Doubt, Figures

MOST_WHO = 8


def doubts_in_words(figures: Figures) -> str:
    """Return what the least sure tasks are."""
    shown = len(figures.doubts)
    words = (
        f"These {shown} labels have the lowest {figures.number}"
        if shown > 1
        else f"This label has the lowest {figures.number}"
    )
    return words + ". Inputs and answers are shown as they came; images at an address are not fetched."


def doubt_view(doubt: Doubt, number: str, images: Images) -> dict[str, Any]:
    """
    Return what the template shows of a task.

    :param number: What the number of a label is called.
    """
    inputs = list((doubt.inputs or {}).items())[:12]
    return {
        "task_id": plain_text(doubt.task_id, 100),
        "sureness": f"{number} {doubt.sureness:.3f}",
        "inputs": [
            images.shown(plain_text(name, 100), value, may_link=True)
            for name, value in inputs
            if value is not None and value != ""
        ],
        "groups": [
            {
                "caption": f"{plain_text(name, 100)}: {answers_in_words(sum(len(vote.people) for vote in votes))}",
                "votes": [
                    {
                        "value": images.shown("answer", vote.value, may_link=False),
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


def _who(people: Sequence[str]) -> str:
    shown = ", ".join(plain_text(person, 60) for person in people[:MOST_WHO])
    return shown + (f" and {len(people) - MOST_WHO} more" if len(people) > MOST_WHO else "")
