"""Tasks of a pool, more than are kept in memory."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from tests.support import TOKEN, ScriptedServer
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.transfer.download.pool_tasks import CACHE_KIB, PoolTasks


def nameless_files() -> list[str]:
    """Return the files that this process has open, and that are at no path."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            if str(fd.readlink()).endswith("(deleted)"):
                found.append(f"{fd.readlink()} {os.stat(fd).st_mode & 0o777:o}")
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_what_does_not_fit_into_memory_is_in_a_file_that_a_kill_leaves_nowhere(server: ScriptedServer) -> None:
    texts = {f"t-{number:03}": chr(97 + number % 26) * 512 * 1024 for number in range(2 * CACHE_KIB // 512)}
    items = [{"id": name, "input_values": {"text": text}} for name, text in texts.items()]
    server.answer("GET", "/tasks", json={"items": items[:50], "has_more": True})
    server.answer("GET", "/tasks", json={"items": items[50:], "has_more": False})
    before = nameless_files()
    with PoolTasks(TolokaClient(ClientSettings(TOKEN, base_url=server.url)), "21", log=logging.getLogger()) as tasks:
        assert server.seen == []
        for name in reversed(texts):
            assert tasks.of(name) == {"input_values": {"text": texts[name]}, "is_control": False}
        [file] = set(nameless_files()) - set(before)
        assert file.endswith(" 600")
    assert nameless_files() == before
    assert [seen.query for seen in server.seen] == [
        "sort=id&limit=5000&pool_id=21",
        "sort=id&limit=5000&pool_id=21&id_gt=t-049",
    ]
