"""An SFTP server on loopback that serves one folder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.sftp import SFTPServerHandler

USER, PASSWORD = "labels", "only-for-tests"

asyncssh.set_log_level("WARNING")


class SftpServer:
    """
    A server that runs.

    ``on_call`` is called with the name of a call and the paths inside the folder: before each read and write, and after
    each rename.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.on_call: Callable[..., None] = lambda name, *paths: None
        self._connections: list[asyncssh.SSHServerConnection] = []

    @property
    def login(self) -> dict[str, Any]:
        """The arguments of an `sshfs.SSHFileSystem`."""
        return {"host": "127.0.0.1", "port": self.port, "username": USER, "password": PASSWORD, "known_hosts": None}

    def connect(self, monkeypatch: pytest.MonkeyPatch) -> str:
        """Return the id of an Airflow connection to it: a new one, as Airflow keeps what it has opened by an id."""
        conn_id = f"sftp_{self.port}"
        uri = f"sftp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/?no_host_key_check=true"
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", uri)
        return conn_id

    async def listen(self) -> None:
        """Begin to serve."""
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            server_factory=partial(_Login, self._connections),
            sftp_factory=partial(_Folder, self),
        )
        self.port = self._acceptor.get_port()

    async def close(self) -> None:
        """Hang up."""
        self._acceptor.close()
        for connection in self._connections:
            connection.abort()
            await connection.wait_closed()
        await self._acceptor.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Login(asyncssh.SSHServer):
    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


class _Folder(asyncssh.SFTPServer):
    def __init__(self, server: SftpServer, channel: Any) -> None:
        super().__init__(channel, chroot=str(server.folder).encode())
        self._server = server

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        self._server.on_call("read", self._path(file_obj))
        return bytes(super().read(file_obj, offset, size))  # type: ignore[arg-type]

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        self._server.on_call("write", self._path(file_obj))
        return int(super().write(file_obj, offset, data))  # type: ignore[arg-type]

    def _path(self, file_obj: Any) -> str:
        return f"/{Path(file_obj.name.decode()).relative_to(self._server.folder)}"

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        super().posix_rename(oldpath, newpath)
        self._server.on_call("renamed", oldpath.decode(), newpath.decode())


@contextmanager
def sftp_server(folder: Path, *, can_replace: bool = True) -> Iterator[SftpServer]:
    """
    Serve a folder as the root of an SFTP server.

    :param can_replace: Whether it knows ``posix-rename@openssh.com``, as OpenSSH does.
    """
    known = SFTPServerHandler._extensions
    if not can_replace:
        SFTPServerHandler._extensions = [item for item in known if item[0] != b"posix-rename@openssh.com"]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = SftpServer(folder)
    try:
        asyncio.run_coroutine_threadsafe(server.listen(), loop).result(30)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result(30)
    finally:
        SFTPServerHandler._extensions = known
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        # What hanging up has left to do, such as closing the sockets.
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
