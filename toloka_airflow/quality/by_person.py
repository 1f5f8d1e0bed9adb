"""How each person did, by their votes: how many are right and within which interval, agreement with others, seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from toloka_airflow.quality.numeric import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toloka_airflow.quality.answer_table import AnswerTable
    from toloka_airflow.quality.methods.votes import Votes


def wilson_interval(right: int, total: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """
    Return the interval that a share is in with some confidence; `None` of nothing.

    E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927). It is of use for few
    answers, and for shares near 0 and 1: of 3 right out of 3 it says 0.44 to 1.
    """
    if not total:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, square = right / total, z * z
    middle = share + square / (2 * total)
    spread = z * math.sqrt((share * (1 - share) + square / (4 * total)) / total)
    low, high = (middle - spread) / (1 + square / total), (middle + spread) / (1 + square / total)
    return (0.0 if right == 0 else low), (1.0 if right == total else high)


def share(right: int, total: int, reason: str) -> dict[str, Any]:
    """Return the share of right votes with its interval; `None`, with the reason, of nothing."""
    interval = wilson_interval(right, total)
    if interval is None:
        return {"value": None, "low": None, "high": None, "right": 0, "total": 0, "reason": reason}
    return {"value": right / total, "low": interval[0], "high": interval[1], "right": right, "total": total}


def right_by_person(votes: Votes, is_right: NDArray[np.int8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Return how many votes of each person are right, and of how many that is known.

    :param is_right: For each vote 1 if it is right, 0 if it is wrong, and -1 if that is not known.
    """
    right = np.bincount(votes.people[is_right == 1], minlength=votes.person_count)
    return right, np.bincount(votes.people[is_right >= 0], minlength=votes.person_count)


def medians(people: NDArray[np.int32], values: NDArray[np.float64], person_count: int) -> NDArray[np.float64]:
    """Return the median of each person's values that are known; nan if none is."""
    known = np.isfinite(values)
    sorted_by = np.lexsort((values[known], people[known]))
    values, sizes = values[known][sorted_by], np.bincount(people[known], minlength=person_count)
    found = np.full(person_count, np.nan)
    some = np.flatnonzero(sizes)
    first = (np.cumsum(sizes) - sizes)[some]
    low, high = first + (sizes[some] - 1) // 2, first + sizes[some] // 2
    found[some] = (values[low] + values[high]) / 2
    return found


def by_person(
    table: AnswerTable,
    field: str,
    votes: Votes,
    accuracy: Mapping[str, NDArray[np.int8]],
    agreement: NDArray[np.float64],
) -> list[dict[str, Any]]:
    """
    Return the figures of everybody who has votes in a field, as values of JSON.

    :param accuracy: By what it is measured, and for each vote whether it is right, as for `right_by_person`.
    :param agreement: For each vote the share of the others on its task that are the same; nan if there are no others.
    """
    numbers = np.bincount(votes.people, minlength=votes.person_count)
    compared = np.isfinite(agreement)
    pairs = np.bincount(votes.people[compared], minlength=votes.person_count)
    sums = np.bincount(votes.people[compared], agreement[compared], votes.person_count)
    seconds = medians(votes.people, table.seconds[table.vote_rows(field)], votes.person_count)
    counts = {kind: right_by_person(votes, is_right) for kind, is_right in accuracy.items()}
    return [
        {
            "user_id": table.person_ids[person],
            "votes": int(numbers[person]),
            "agreement": float(sums[person] / pairs[person]) if pairs[person] else None,
            "seconds": None if math.isnan(seconds[person]) else float(seconds[person]),
            **{
                kind: share(int(right[person]), int(total[person]), "none of these votes")
                for kind, (right, total) in counts.items()
            },
        }
        for person in np.flatnonzero(numbers).tolist()
    ]
