"""
Kill a download of attachments at four points, one attempt after the other, and let the fifth attempt finish it.

Run as a program of its own, because it forks. The points are counted in what Python reports to audit hooks: requests
that are sent, files that are opened and put in their places, in whichever thread.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from types import SimpleNamespace

from fsspec.implementations.local import LocalFileSystem

from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.transfer.attachments.downloading import download_attachments
from toloka_airflow.transfer.attachments.folder import AttachmentFolder, FilePath

POINTS = [("http.client.send", 250), ("os.rename", 200), ("open", 350), ("http.client.send", 230)]

URL, POOL_ID, FOLDER = sys.argv[1:]

awaited, events_left = "", 0


def step(event: str, arguments: tuple[object, ...]) -> None:
    global events_left
    if event == awaited:
        events_left -= 1
        if not events_left:
            os.kill(os.getpid(), signal.SIGKILL)


def download() -> dict[str, int]:
    folder = AttachmentFolder(FilePath(LocalFileSystem(), FOLDER, "file", FOLDER), key="k")
    return download_attachments(
        TolokaClient(ClientSettings("a-token-of-somebody", base_url=URL, first_pause=0.001)),
        POOL_ID,
        folder,
        folder.file("manifest.jsonl"),
        statuses=["ACCEPTED"],
        fields=["photo"],
        in_flight=8,
        log=SimpleNamespace(info=lambda *said: None, warning=lambda *said: None),
    )


def attempt(event: str = "", number: int = 0) -> int:
    """Download in a process of its own, killed at one of its events; return its exit code, or minus the signal."""
    global awaited, events_left
    child = os.fork()
    if not child:
        awaited, events_left = event, number
        sys.addaudithook(step)
        download()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Print how the attempts ended, and how many files were there after each."""
    ends, files = [], []
    for point in [*POINTS, ("", 0)]:
        ends.append(attempt(*point))
        assert os.path.exists(f"{FOLDER}/manifest.jsonl") == (ends[-1] == 0)
        files.append(len([name for name in os.listdir(FOLDER) if name.endswith(".png")]))
    print(json.dumps({"ends": ends, "files": files}))


warnings.simplefilter("error")
main()
