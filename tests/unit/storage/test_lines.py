"""Lines are read as a stream from every store, in blocks."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from sshfs import SSHFileSystem

from tests.sftp_server import sftp_server
from toloka_airflow.storage.lines import read_lines

LINES = [b"%d\n" % number for number in range(20_000)]


@pytest.mark.parametrize("name", ["lines.jsonl", "lines.jsonl.gz"])
def test_an_sftp_server_is_not_asked_for_every_byte(tmp_path: Path, name: str) -> None:
    content = b"".join(LINES)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    reads = []
    with sftp_server(tmp_path) as server:
        server.on_call = lambda call, *paths: reads.append(call)
        fs = SSHFileSystem(**server.login, skip_instance_cache=True)
        path: Any = SimpleNamespace(fs=fs, path=f"/{name}", protocol="sftp")
        assert list(read_lines("decisions", path, max_bytes=100)) == list(enumerate(LINES, 1))
    assert 0 < reads.count("read") < 50


@pytest.mark.parametrize("name", ["lines.jsonl", "lines.jsonl.gz"])
def test_a_line_that_is_too_long(tmp_path: Path, name: str) -> None:
    content = b"1\n" + b"2" * 1_000_000
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    path: Any = SimpleNamespace(fs=LocalFileSystem(), path=f"{tmp_path}/{name}", protocol="file")
    lines = read_lines("decisions", path, max_bytes=100)
    assert next(lines) == (1, b"1\n")
    with pytest.raises(ValueError, match="line 2: it is longer than 100 bytes"):
        next(lines)
