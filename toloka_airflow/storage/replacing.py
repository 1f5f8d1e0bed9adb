"""
Put a file in its place as a whole: who reads the path finds the old file or the new one, whatever ends the writer.

- On a local disk it is written under another name and renamed, which replaces the target in one step.
- So it is over SFTP, if the server can do it (``posix-rename@openssh.com``; OpenSSH can).
- Object stores make an upload visible when it is closed. What was not closed is no object.
- With any other store, a reader could find half a file, and a killed writer would leave it: those are refused.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from toloka_airflow._internal.troubleshooting import with_link

LOCAL = ("file", "local", "")
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "wasb")
"""Stores without folders; to make one, their clients would create the bucket of a misspelt name."""
_MEDIA_TYPE = {"s3": "ContentType", "s3a": "ContentType", "gs": "content_type", "gcs": "content_type"}
"""What s3fs and gcsfs call the media type of a file that is written."""
_SFTP = ("sftp", "ssh")
_MEMORY = "memory"
"""For tests of DAGs, as it is of one process only."""
_PATH_ERRORS = FileNotFoundError, PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError
_PATH_ERRNOS = errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP
"""What is wrong with the place of a file. A disk that is full is not: that may be over at the next attempt."""


class StoragePath(Protocol):
    """The part of an `ObjectStoragePath` that is used here; its siblings forget the connection in Airflow 3.1."""

    @property
    def fs(self) -> Any:
        """The fsspec file system."""

    @property
    def path(self) -> str:
        """The path as the file system takes it."""

    @property
    def protocol(self) -> str:
        """The scheme of the path's URL."""


def check_replaceable(path: StoragePath, *, name: str = "path") -> None:
    """
    Find out before the work whether a file can be put in its place as a whole.

    :param name: The argument to name in the error.
    :raises ValueError: If the store cannot do it, Airflow has no provider for it, or the folder, as far as it is there
        and local, cannot be written to.
    """
    if path.protocol in OBJECT_STORES:
        try:
            path.fs  # noqa: B018, as it is made by reading it
        except ValueError as exc:
            raise ValueError(f"{name} is {str(path)!r}: {exc}; install the provider of this store") from exc
    elif path.protocol in _SFTP and type(path.fs).__name__ == "SSHFileSystem":
        _check_sftp(path, name)
    elif path.protocol not in (*LOCAL, *OBJECT_STORES, _MEMORY):
        raise _not_replaceable(name, path, f"a store of {path.protocol} cannot replace a file in one step")
    if path.protocol in LOCAL:
        _check_folder(path, name)


@contextmanager
def replacing(
    path: StoragePath, temporary: str | None = None, *, name: str = "path", media_type: str | None = None
) -> Iterator[IO[bytes]]:
    """
    Open a file for writing that takes the place of the path at the end of the block, unless an error ends it.

    :param path: The file, which may be there or not.
    :param temporary: A path on the same file system that nobody else uses, beside the file by default; where the store
        can rename, the file is written there first. Folders are made as needed.
    :param name: The argument to name in an error.
    :param media_type: What S3 and Google's store say that the file is, to a browser. Without it they say
        that it is binary, which a browser saves instead of showing it.
    :raises ValueError: If the store cannot do it, or nothing can be written there, as far as is known before.
    :raises OSError: If that comes out later.
    """
    check_replaceable(path, name=name)
    if path.protocol in OBJECT_STORES:
        key = _MEDIA_TYPE.get(path.protocol)
        options = {key: media_type} if key and media_type else {}
        with path_errors(path, name):
            opened = path.fs.open(path.path, "wb", **options)
        with _uploading(opened, path, name) as file:
            yield file
        return
    temporary = temporary or f"{path.path}.{uuid.uuid4().hex[:8]}.tmp"
    with path_errors(path, name):
        for each in (temporary, path.path):
            path.fs.makedirs(path.fs._parent(each), exist_ok=True)
    try:
        with path_errors(path, name):
            opened = path.fs.open(temporary, "wb")
        with opened as file:
            yield file
        with path_errors(path, name):
            _rename(path, temporary)
    except BaseException:
        with suppress(Exception):
            path.fs.rm_file(temporary)
        raise


@contextmanager
def path_errors(path: object, name: str = "path") -> Iterator[None]:
    """
    Have what is wrong with the place of a file say which argument names it, and what to do.

    It stays an `OSError`, which Airflow tries again: what was well before the work may be so again.

    :param path: The file, as the argument has it.
    :param name: The argument.
    :raises OSError: If a folder is missing, is none, or cannot be written to.
    """
    try:
        yield
    except OSError as exc:
        kind = next((each for each in _PATH_ERRORS if isinstance(exc, each)), OSError)
        if kind is OSError and exc.errno not in _PATH_ERRNOS:
            raise
        reason = exc.strerror or str(exc) or type(exc).__name__
        where = f": {exc.filename}" if exc.filename and str(exc.filename) != str(path) else ""
        raise kind(_not_writable(name, path, f"{reason}{where}")) from exc


def _not_writable(name: str, path: object, reason: str) -> str:
    text = (
        f"{name} is {str(path)!r}, which cannot be written where this runs ({reason}). Name one in a folder that this "
        "process may write to, or let it write there"
    )
    return with_link(text, "paths-and-files")


def _check_folder(path: StoragePath, name: str) -> None:
    """Make sure of what else would come out after the work: the nearest folder that is there can be written to."""
    target = Path(path.path).absolute()
    there = target if target.is_dir() else next(each for each in target.parents if os.path.exists(each))
    if not os.path.isdir(there):
        raise ValueError(_not_writable(name, path, f"{there} is no folder"))
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(_not_writable(name, path, f"{there} cannot be written to"))


@contextmanager
def _uploading(file: Any, path: StoragePath, name: str) -> Iterator[IO[bytes]]:
    try:
        yield file
    except BaseException:
        # Closing it would store what was written so far; so would the end of its life.
        file.closed = True
        with suppress(Exception):
            file.discard()
        raise
    with path_errors(path, name):
        file.close()


def _rename(path: StoragePath, temporary: str) -> None:
    if path.protocol in LOCAL:
        os.replace(temporary, path.path)
    elif path.protocol in _SFTP:
        _posix_rename(path.fs, temporary, path.path)
    else:
        path.fs.mv(temporary, path.path)


def _check_sftp(path: StoragePath, name: str) -> None:
    from asyncssh.sftp import SFTPFailure, SFTPOpUnsupported, SFTPPermissionDenied

    missing = f"{path.path}.{uuid.uuid4().hex}"
    try:
        _posix_rename(path.fs, missing, missing)
    except SFTPOpUnsupported:
        problem = "this SFTP server cannot replace a file in one step, as it has no posix-rename@openssh.com"
        raise _not_replaceable(name, path, problem) from None
    except (FileNotFoundError, SFTPFailure, SFTPPermissionDenied):
        pass  # There is no such file, so the server has tried; what else is wrong will be told by writing.


def _posix_rename(fs: Any, old: str, new: str) -> None:
    """
    Rename at the server, in one step.

    Not by ``fs.mv``: at a server that cannot do it, that copies by a shell, and deletes the source even if this fails.
    """
    from fsspec.asyn import sync  # type: ignore[import-untyped]
    from sshfs.utils import wrap_exceptions  # type: ignore[import-untyped]

    async def rename() -> None:
        async with fs._pool.get() as channel:
            await channel.posix_rename(old, new)

    sync(fs.loop, wrap_exceptions(rename))


def _not_replaceable(name: str, path: StoragePath, problem: str) -> ValueError:
    return ValueError(
        f"{name} is {str(path)!r}: {problem}, so readers could find half of it, and a killed task would leave that. "
        "Name a file on a local disk, on an object store such as s3, gs or abfs, or on an SFTP server with OpenSSH, "
        "and copy it from there in a task of its own"
    )
