"""
Which attachments there are to download, which answers name them, and which are written already.

It is a database that SQLite keeps in a temporary file, so memory does not grow with the number of attachments. It is
gone when it is closed, and when the process is killed. Only the thread that made it may use it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Self

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.models import shape

if TYPE_CHECKING:
    from toloka_airflow.api.models import Assignment
    from toloka_airflow.api.models.attachments import Attachment

COLUMNS = {
    "assignment_id": str,
    "task_id": str,
    "field": str,
    "attachment_id": str,
    "user_id": str,
    "name": str,
    "path": str,
    "size": int,
    "media_type": str,
    "sha256": str,
    "created": str,
    "problem": str,
}
"""What is known of a file that an answer names; any but the ids of attachment and assignment may be ``None``."""

_CACHE_KIB = 8 * 1024
_BATCH = 500
_TABLES = """
CREATE TABLE assignments (id TEXT PRIMARY KEY, user_id TEXT) WITHOUT ROWID;
CREATE TABLE named (number INTEGER PRIMARY KEY, attachment_id TEXT, assignment_id TEXT, task_id TEXT, field TEXT);
CREATE INDEX named_attachments ON named (attachment_id);
CREATE TABLE attachments (
    id TEXT PRIMARY KEY, assignment_id TEXT, user_id TEXT, name TEXT, media_type TEXT, created TEXT, problem TEXT
) WITHOUT ROWID;
CREATE TABLE files (
    id TEXT PRIMARY KEY, path TEXT, size INTEGER, file_type TEXT, sha256 TEXT, is_there INTEGER
) WITHOUT ROWID;
CREATE VIEW found AS
    SELECT attachments.*, path, size, file_type, sha256
    FROM attachments LEFT JOIN files ON files.id = attachments.id AND is_there;
"""
_ROWS = """
SELECT named.assignment_id AS assignment, task_id, field, found.id, assignments.user_id, name, path, size,
    coalesce(file_type, media_type), sha256, created, problem, number
FROM named JOIN assignments ON assignments.id = named.assignment_id JOIN found ON found.id = attachment_id
UNION ALL
SELECT assignment_id, NULL, NULL, id, user_id, name, path, size,
    coalesce(file_type, media_type), sha256, created, problem, 1e18
FROM found WHERE id NOT IN (SELECT attachment_id FROM named)
ORDER BY assignment, number, id
"""
_COUNTS = """
SELECT count(path) AS files, coalesce(sum(size), 0) AS bytes,
    count(CASE WHEN id NOT IN (SELECT attachment_id FROM named) THEN 1 END) AS unnamed, count(problem) AS missing
FROM found
"""
_OTHER_TYPES = """
SELECT count(*) OVER (), id, media_type, file_type FROM found WHERE bare(media_type) <> bare(file_type)
ORDER BY id LIMIT 1
"""


@dataclass(frozen=True)
class StoredFile:
    """
    An attachment that was written as a whole.

    :param id: The attachment.
    :param path: Where it is.
    :param size: In bytes.
    :param media_type: What it came as, if the server said so.
    :param sha256: Its checksum, as hexadecimal digits.
    """

    id: str
    path: str
    size: int
    media_type: str | None
    sha256: str


@dataclass(frozen=True)
class Wanted:
    """
    An attachment to download.

    :param assignment_id: Whose it is.
    :param name: What it is called; ``None`` if only an answer names it, and it is not in the list of the pool.
    :param stored: What a previous download wrote, which may be gone.
    """

    id: str
    assignment_id: str
    name: str | None
    stored: StoredFile | None


class AttachmentIndex:
    """
    What is known of the attachments of a pool.

    :param fields: The output fields that hold attachments.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        self._fields = tuple(fields)
        self._database = sqlite3.connect("")  # a temporary file that has no name
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.executescript(_TABLES)
        self._database.create_function("bare", 1, _bare, deterministic=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._database.close()

    def add_answers(self, assignment: Assignment) -> None:
        """
        Add what the answers of an assignment name.

        :raises TolokaError: If it is not known which answer belongs to which task.
        """
        raw = assignment.raw
        self._database.execute("INSERT OR IGNORE INTO assignments VALUES (?, ?)", (assignment.id, raw.get("user_id")))
        try:
            answers = [
                (str(task["id"]), solution["output_values"])
                for task, solution in zip(raw.get("tasks") or (), raw.get("solutions") or (), strict=True)
            ]
            named = [
                (_text(attachment_id), assignment.id, task_id, field)
                for task_id, values in answers
                for field in self._fields
                for attachment_id in _ids(values.get(field))
            ]
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise TolokaError(
                f"Assignment {assignment.id} is not as documented ({type(exc).__name__}: {exc}), so it is not known "
                f"which attachment belongs to which task; it is {shape(raw)}"
            ) from exc
        insert = "INSERT INTO named (attachment_id, assignment_id, task_id, field) VALUES (?, ?, ?, ?)"
        self._database.executemany(insert, named)

    def add(self, attachment: Attachment) -> bool:
        """Add an attachment of the list; return whether it belongs to an assignment whose answers were added."""
        query = "SELECT 1 FROM assignments WHERE id = ? UNION ALL SELECT 1 FROM named WHERE attachment_id = ?"
        if not self._database.execute(query, (attachment.assignment_id, attachment.id)).fetchone():
            return False
        self.describe(attachment)
        return True

    def add_named(self) -> None:
        """Add what is named by answers and was in no list."""
        self._database.execute(
            "INSERT OR IGNORE INTO attachments (id, assignment_id) "
            "SELECT attachment_id, min(assignment_id) FROM named GROUP BY attachment_id"
        )

    def describe(self, attachment: Attachment) -> None:
        """Add what the API says of an attachment."""
        raw = attachment.raw
        known = self._database.execute("SELECT assignment_id FROM attachments WHERE id = ?", (attachment.id,))
        [assignment_id] = known.fetchone() or [None]
        self._database.execute(
            "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (
                attachment.id,
                attachment.assignment_id or assignment_id,
                attachment.user_id,
                *(None if raw.get(name) is None else _text(raw[name]) for name in ("name", "media_type", "created")),
            ),
        )

    def add_stored(self, files: Iterable[StoredFile], *, is_there: bool) -> None:
        """
        Add files that were written.

        :param is_there: Whether they are known to be there; else they will be looked for.
        """
        rows = ((*astuple(file), is_there) for file in files)
        self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)

    def set_problem(self, attachment_id: str, problem: str) -> None:
        """Remember why there is no file of an attachment."""
        self._database.execute("UPDATE attachments SET problem = ? WHERE id = ?", (problem, attachment_id))

    def wanted(self) -> Iterator[Wanted]:
        """Iterate over the attachments; others may be added to the files meanwhile."""
        query = (
            "SELECT attachments.id, assignment_id, name, path, size, file_type, sha256 "
            "FROM attachments LEFT JOIN files ON files.id = attachments.id "
            "WHERE attachments.id > ? ORDER BY attachments.id LIMIT ?"
        )
        last = ""
        while batch := self._database.execute(query, (last, _BATCH)).fetchall():
            for last, assignment_id, name, *file in batch:
                stored = StoredFile(last, *file) if file[0] else None
                yield Wanted(last, assignment_id, name, stored)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Iterate over the rows of the manifest: by assignment, and then as its answers name them."""
        return (dict(zip(COLUMNS, row, strict=False)) for row in self._database.execute(_ROWS))

    def total(self) -> int:
        """Return how many attachments there are."""
        [number] = self._database.execute("SELECT count(*) FROM attachments").fetchone()
        return int(number)

    def counts(self) -> dict[str, int]:
        """Return how many ``files`` are there, of how many ``bytes``, and how many are ``unnamed`` or ``missing``."""
        counted = self._database.execute(_COUNTS)
        names = [name for name, *_ in counted.description]
        return dict(zip(names, counted.fetchone(), strict=True))

    def missing(self, limit: int) -> list[tuple[str, str, str]]:
        """Return some attachments that are missing: their ids, those of assignments that name them, and why."""
        query = "SELECT id, assignment_id, problem FROM attachments WHERE problem IS NOT NULL ORDER BY id LIMIT ?"
        return self._database.execute(query, (limit,)).fetchall()

    def other_types(self) -> tuple[int, str, str, str] | None:
        """Return how many files came as another media type than was listed, and the first: its id, and both types."""
        found: tuple[int, str, str, str] | None = self._database.execute(_OTHER_TYPES).fetchone()
        return found


def _bare(media_type: str | None) -> str | None:
    """Return a media type without its parameters."""
    return media_type and media_type.partition(";")[0].strip().lower()


def _ids(value: Any) -> list[str]:
    """Return the ids that the value of a field holds: one, an array of them, or none."""
    values = value if isinstance(value, list) else [value]
    if any(not isinstance(item, str | None) for item in values):
        raise TypeError(f"{value!r:.100} is no id of an attachment")
    return [item for item in values if item]


def _text(value: Any) -> str:
    """Return a text that SQLite takes: halves of characters, which people do send, as escapes."""
    return str(value).encode(errors="backslashreplace").decode()
