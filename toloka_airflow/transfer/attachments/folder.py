"""
The folder that attachments are written to, and a journal there of which are complete.

A file appears when it is complete; see `toloka_airflow.storage.replacing`. The journal has its size and checksum, which
the next attempt would not know of a file that it only finds. It is a few files behind: what it does not have is fetched
again, and replaces what is there.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from typing import IO, Any

from toloka_airflow.storage.json_text import compact_json
from toloka_airflow.storage.replacing import OBJECT_STORES, StoragePath, check_replaceable, replacing
from toloka_airflow.transfer.attachments.index import StoredFile


@dataclass(frozen=True)
class FilePath:
    """A file in the folder; see `StoragePath`."""

    fs: Any
    path: str
    protocol: str
    uri: str

    def __str__(self) -> str:
        return self.uri


class AttachmentFolder:
    """
    Write files to a folder.

    :param path: The folder; it is made if it is not there.
    :param key: Distinguishes the journal from those of other downloads to the same folder.
    :raises ValueError: If it is a file, or the store cannot put a file in its place as a whole.
    """

    def __init__(self, path: StoragePath, *, key: str) -> None:
        check_replaceable(path, name="folder")
        self.path, self.key, self._fs = path, key, path.fs
        if path.protocol not in OBJECT_STORES and self._fs.isfile(path.path):
            raise ValueError(f"folder is {str(path)!r}, which is a file")
        self._parts = f".{key}.parts"

    def file(self, name: str) -> FilePath:
        """Return the path of a file in the folder."""
        folder, uri = self.path.path.rstrip("/"), str(self.path).rstrip("/")
        return FilePath(self._fs, f"{folder}/{name}", self.path.protocol, f"{uri}/{name}")

    def writing(self, path: FilePath) -> AbstractContextManager[IO[bytes]]:
        """Open a file of the folder, which appears at the end of the block, unless an error ends it."""
        return replacing(path, self.file(f"{self._parts}/{uuid.uuid4().hex}.tmp").path, name="folder")

    def size(self, path: FilePath) -> int | None:
        """Return how many bytes a file has; ``None`` if it is not there."""
        try:
            return int(self._fs.size(path.path))
        except FileNotFoundError:
            return None

    def add_to_journal(self, files: Iterable[StoredFile]) -> None:
        """Remember that files are complete."""
        content = "".join(f"{compact_json(asdict(file))}\n" for file in files)
        with self.writing(self.file(f"{self._parts}/{uuid.uuid4().hex}.jsonl")) as file:
            file.write(content.encode())

    def journal(self) -> Iterator[StoredFile]:
        """Iterate over the files that previous attempts remembered; they may be gone."""
        try:
            names = self._fs.ls(self.file(self._parts).path, detail=False)
        except FileNotFoundError:
            return
        for name in names:
            # Another attempt may be finishing, or the journal be that of another version.
            with suppress(FileNotFoundError, ValueError, TypeError):
                if name.endswith(".jsonl"):
                    yield from [StoredFile(**json.loads(line)) for line in self._fs.cat_file(name).splitlines()]

    def remove_journal(self) -> None:
        """Remove the journal, and what killed attempts left half written."""
        with suppress(FileNotFoundError):
            self._fs.rm(self.file(self._parts).path, recursive=True)
