"""A relative path is one below the folder of the process, in every Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile


@pytest.mark.parametrize("path", ["tasks.csv", "./tasks.csv", "folder/tasks.csv", Path("tasks.csv")])
def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    Path(path).write_text("here")
    assert storage_path("tasks", path).read_text() == "here"


@pytest.mark.parametrize("path", ["~/labels.jsonl", Path("~/labels.jsonl")])
def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = RowFile(storage_path("path", path), key="labels", max_age=-1)
    file.append([b"{}"], cursor="", counts={})
    file.finish()
    assert (tmp_path / "labels.jsonl").read_text() == "{}\n"
