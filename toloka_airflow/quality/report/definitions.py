"""What the figures of a report mean."""

from __future__ import annotations

from toloka_airflow.quality.label_rows import BY_TOLOKA
from toloka_airflow.quality.methods import DEFAULT_METHOD
from toloka_airflow.quality.report.figures import SURE_AT, Figures
from toloka_airflow.quality.report.values import plain_text

CONFIDENCE = (
    "The confidence of a label is how likely it is right, as its method reckons by the answers to the task and how "
    "accurate these people are elsewhere."
)
CALIBRATED = " It is calibrated: of labels with 0.9, about nine in ten are right."
NOT_KNOWN = " It is that of {}; whether of labels with 0.9 about nine in ten are right is not known here."
SCORE = (
    "The score of a label is higher for labels that are surer, but it is no probability: of labels with 0.9, more or "
    "fewer than nine in ten may be right."
)
MOST_METHODS = 5
"""That are named; whoever wrote the rows of labels may have given each another."""
OF_TOLOKA = " It is what Toloka's own aggregation calls confidence; it does not say that it is calibrated."
TIMES = {
    "page": "From the moment at which a page was begun to its submission, divided by the tasks on it. A person's is "
    "the median.",
    "gap": "From one submission of a person to the next, divided by the tasks of the page, as the file does not say "
    "when a page was begun. So it also holds pauses, of which a person's median takes little notice.",
    None: "Not known here.",
}
ACCURACY = {
    "control tasks": "The share of a person's answers to control tasks that are like the known solution.",
    "labels": "The share of a person's answers that are like the label of the task, or like the known solution of a "
    "control task. As the label is made of these answers, too, it is a little higher than the truth.",
}


def definitions(figures: Figures) -> list[dict[str, str]]:
    """Return the definition of each figure that a report may show, with the id that tiles lead to."""
    number = figures.number
    given = [
        ("labels", "Labels", f"Tasks for which there is one answer to use. Made by {_made_by(figures)}."),
        (
            "answers",
            "Answers",
            "An answer is one person's answer to one task, whatever its status. A page that "
            "a person has submitted, with the answers to all tasks on it, is an assignment.",
        ),
        (
            "alpha",
            "Agreement (Krippendorff's alpha)",
            "1 if people always agree, 0 if they agree no more often than by chance, below 0 if less often. Answers "
            "count that are submitted or accepted, one of each person for each task. By Krippendorff's rule, 0.8 and "
            "more is reliable, and from 0.667 on, tentative conclusions can be drawn.",
        ),
        (
            "over-time",
            "Agreement over time",
            "How many of the other answers to its task an answer agrees with, on average over the answers of a span of "
            "time. It has no correction for chance, so it is higher than alpha.",
        ),
        ("sure", "Sure labels", f"The share of labels with a {number} of {SURE_AT} or more. {_sureness(figures)}"),
    ]
    if figures.is_confidence:
        expected = "The mean confidence of the labels: how many of them are right, as far as it is calibrated."
        given.append(("expected", "Expected right", expected))
    given += [
        (
            "money",
            "Money",
            "Spent are the rewards of accepted assignments, committed those of submitted ones that are neither "
            "accepted nor rejected yet. Toloka's fee and bonuses are not in it.",
        ),
        ("per-label", "Per label", "What is spent and committed, divided by the labels."),
        (
            "accuracy",
            "Accuracy of a person",
            f"{ACCURACY[figures.accuracy_by]} The interval is Wilson's, of 95 %: the fewer answers, the wider it is.",
        ),
        ("time", "Time of an answer", f"{TIMES[figures.times_are]}"),
        ("guesses", "Who guesses", "One divided by the labels that occur: what random answers would reach."),
        (
            "banned",
            "Banned",
            "People who may not work in the pool, in the project or for the requester, when the report was made.",
        ),
        (
            "least-sure",
            "The least sure tasks",
            f"Those whose labels have the lowest {number}; of several fields, the lowest of them counts.",
        ),
    ]
    return [{"id": identifier, "name": name, "text": text} for identifier, name, text in given]


def _made_by(figures: Figures) -> str:
    if not figures.methods:
        return "what wrote the file of labels, which does not name its method"
    by_toloka = [each.removeprefix(BY_TOLOKA) for each in figures.methods if each.startswith(BY_TOLOKA)]
    names = [f"Toloka's own aggregation ({plain_text(each, 100)})" for each in by_toloka]
    names += [f"the method {plain_text(each, 100)}" for each in figures.methods if not each.startswith(BY_TOLOKA)]
    if len(names) > MOST_METHODS:
        return f"{len(names):,} methods"
    return " and ".join(names) + (", for this report" if figures.are_labels_made_here else "")


def _sureness(figures: Figures) -> str:
    if not figures.is_confidence:
        return SCORE + (OF_TOLOKA if any(method.startswith(BY_TOLOKA) for method in figures.methods) else "")
    if tuple(figures.methods) == (DEFAULT_METHOD,):
        return CONFIDENCE + CALIBRATED
    return CONFIDENCE + NOT_KNOWN.format(_made_by(figures))
