"""The report of bonuses that were refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow.storage.paths import storage_path
from toloka_airflow.transfer.result_files import ensure_distinct, result_file

if TYPE_CHECKING:
    from toloka_airflow.transfer.bonuses.bonus_rows import Bonus
    from toloka_airflow.transfer.invalid_fields import InvalidField


class RefusedBonuses:
    """
    Write a line of JSON for each field that was found wrong.

    :param argument: What gives the source of the bonuses.
    :param source: The path of that file, if it is one.
    :param path: Where to write; beside the source if ``None``, and nowhere if that is no file.
    :param key: Goes into the names of files that are beside others.
    :raises ValueError: If the path cannot be written to.
    """

    def __init__(self, argument: str, source: str | None, path: str | None, key: str) -> None:
        self.path = path or (source and f"{source}.{key}.refused.jsonl")
        ensure_distinct({argument: source, "refused_path": self.path})
        self._file: Any = result_file("refused_path", self.path, key)

    def write(self, bonuses: Mapping[int, Bonus], refused: Mapping[int, Iterable[InvalidField]]) -> str | None:
        """
        Put the report in its place and return its path; without refused bonuses, there is none.

        :param bonuses: All of them by their numbers.
        :param refused: What was wrong, by the numbers of those that were refused.
        """
        if not refused:
            if self.path and (old := storage_path("refused_path", self.path)).exists():
                old.unlink()
            return None
        self._file.discard()
        lines = (_line(bonuses[number], each) for number in sorted(refused) for each in refused[number])
        self._file.append(lines, cursor="", counts={})
        self._file.finish()
        return self.path


def _line(bonus: Bonus, problem: InvalidField) -> bytes:
    fields = {
        "line": bonus.number,
        "user_id": bonus.user_id,
        "amount": str(bonus.amount),
        "field": problem.field,
        "code": problem.code,
        "message": problem.message,
    }
    return json.dumps(fields, ensure_ascii=False).encode()
