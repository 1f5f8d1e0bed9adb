"""How the part on the least sure tasks shows one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.report.parts import answers_in_words
from toloka_airflow.quality.report.values import MOST_TEXT, Images, Shown, plain_text

if TYPE_CHECKING:
    from toloka_airflow.quality.report.figures import Doubt, Figures

MOST_WHO = 8
MOST_INPUTS, MOST_VALUES = 12, 10
MOST_LETTERS = 1500
"""Of the inputs of a task together, beside images; what comes then is cut off sooner."""
FEWEST_LETTERS = 40
MOST_OF_ANSWER = 120


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
    return {
        "task_id": plain_text(doubt.task_id, 100),
        "sureness": f"{number} {doubt.sureness:.3f}",
        "inputs": _inputs(doubt.inputs or {}, images),
        "more_inputs": max(0, len(_given(doubt.inputs or {})) - MOST_INPUTS),
        "groups": [
            {
                "caption": f"{plain_text(name, 60)}: {answers_in_words(sum(len(vote.people) for vote in votes))}",
                "votes": [
                    {
                        "value": images.shown("answer", vote.value, may_link=False, most=MOST_OF_ANSWER),
                        "number": f"{len(vote.people):,}",
                        "people": [plain_text(person, 40) for person in vote.people[:MOST_WHO]],
                        "more_people": max(0, len(vote.people) - MOST_WHO),
                        "is_label": vote.is_label,
                        "is_known": vote.is_known,
                    }
                    for vote in votes[:MOST_VALUES]
                ],
                "more": max(0, len(votes) - MOST_VALUES),
            }
            for name, votes in doubt.votes.items()
            if votes
        ],
    }


def _given(inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in inputs.items() if value is not None and value != ""]


def _inputs(inputs: Mapping[str, Any], images: Images) -> list[Shown]:
    left, shown = MOST_LETTERS, []
    for name, value in _given(inputs)[:MOST_INPUTS]:
        most = max(FEWEST_LETTERS, min(MOST_TEXT, left))
        shown.append(images.shown(plain_text(name, 60), value, may_link=True, most=most))
        left -= len(shown[-1].text)
    return shown
