"""What is said if the report of refused tasks has no place any more when it is finished."""

from __future__ import annotations

from pathlib import Path

from toloka_airflow.transfer.batch_operations import BatchResult, InvalidField
from toloka_airflow.transfer.batches import Batch
from toloka_airflow.transfer.upload_results import UploadResults


def test_a_report_that_cannot_be_written_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    results = UploadResults.open(None, str(path), source=None, name="n", key="k", stops_at_invalid=True)
    results.add(Batch((0, 0, 0)), BatchResult([], [InvalidField(2, "input_values.more", "VALUE_NOT_ALLOWED", "")], 1))
    path.mkdir()
    assert f"The report could not be written to {path} (" in results.report()
    assert list(results.examples(5)) == ["2: input_values.more VALUE_NOT_ALLOWED"]
