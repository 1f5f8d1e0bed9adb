"""A relative path is one below the folder of the process, in every Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from toloka_airflow.storage.paths import storage_path


@pytest.mark.parametrize("path", ["tasks.csv", "./tasks.csv", "folder/tasks.csv", Path("tasks.csv")])
def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    Path(path).write_text("here")
    assert storage_path("tasks", path).read_text() == "here"
