"""What `docs/quality.md` says of a file from elsewhere is enough of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from toloka_airflow.quality.aggregating import aggregate_answers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "quality.md").read_text()


def test_rows_of_your_own_need_three_keys(tmp_path: Path) -> None:
    [row] = re.findall(r"^```json\n(\{\"task_id\".*)\n```$", PAGE, re.MULTILINE)
    assert list(json.loads(row)) == ["task_id", "user_id", "output_values"]
    rows = [row, row.replace("u1", "u2"), row.replace("u1", "u3").replace("cat", "dog")]
    answers, labels = tmp_path / "answers.jsonl", tmp_path / "labels.jsonl"
    answers.write_text("\n".join(rows))
    aggregate_answers(str(answers), str(labels), fields=["label"], method="majority_vote")
    assert [json.loads(line)["output_values"] for line in labels.read_text().splitlines()] == [{"label": "cat"}]
