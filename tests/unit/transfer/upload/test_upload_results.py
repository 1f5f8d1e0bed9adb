"""What is written down of an upload, and what is said if the report has no place any more when it is finished."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toloka_airflow.transfer import result_files
from toloka_airflow.transfer.invalid_fields import InvalidField
from toloka_airflow.transfer.upload.batch_operations import BatchResult, ChangedError
from toloka_airflow.transfer.upload.batches import Batch
from toloka_airflow.transfer.upload.upload_results import UploadResults


def test_a_batch_is_written_once_however_often_it_is_added(tmp_path: Path) -> None:
    """A pass over the source that stops at a batch is followed by one from the beginning."""
    path = tmp_path / "ids.jsonl"
    where: dict[str, Any] = {"source": None, "name": "n", "key": "k", "stops_at_invalid": False}
    results = UploadResults.open(str(path), None, **where)
    first, second = Batch((0, 0, 0), checksum=1), Batch((1, 0, 0), checksum=2)
    for batch, task_id in ((first, "t-1"), (first, "t-1"), (second, "t-2")):
        results.add(batch, BatchResult([(batch.checksum, task_id)], [], 0))
        assert results.has(batch)
        results.add(batch, None)
    assert results.counts["created"] == 2
    with pytest.raises(ChangedError, match="were others when their ids were written down"):
        results.has(Batch((1, 0, 0), checksum=3))
    results.finish()
    assert [json.loads(line)["task_id"] for line in path.read_text().splitlines()] == ["t-1", "t-2"]


def test_a_report_that_lacks_what_was_refused_is_completed(tmp_path: Path) -> None:
    """Of two files of different sizes, one may be further than the other when a writer is killed."""
    where: dict[str, Any] = {"source": None, "name": "n", "key": "k", "stops_at_invalid": False}
    ids, report = tmp_path / "ids.jsonl", tmp_path / "report.jsonl"
    batch = Batch((0, 0, 0))
    result = BatchResult([(1, "t" * result_files.PART_BYTES)], [InvalidField(2, "input_values.more", None, "")], 1)
    UploadResults.open(str(ids), str(report), **where).add(batch, result)
    results = UploadResults.open(str(ids), str(report), **where)
    assert results.counts == {"created": 1, "invalid": 1}
    assert not results.has(batch)
    results.add(batch, result)
    results.finish()
    assert results.counts == {"created": 1, "invalid": 1}
    assert [json.loads(line)["line"] for path in (ids, report) for line in path.read_text().splitlines()] == [1, 2]


def test_a_report_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    results = UploadResults.open(None, str(path), source=None, name="n", key="k", stops_at_invalid=True)
    results.add(Batch((0, 0, 0)), BatchResult([], [InvalidField(2, "input_values.more", "VALUE_NOT_ALLOWED", "")], 1))
    path.mkdir()
    assert f"The report could not be written to {path} (" in results.report()
    assert list(results.examples(5)) == ["2: input_values.more VALUE_NOT_ALLOWED"]
