"""An SFTP server on loopback that serves one folder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.sftp import SFTPServerHandler

USER, PASSWORD = "labels", "only-for-tests"

asyncssh.set_log_level("WARNING")


@dataclass
class SftpServer:
    """
    What to know of a server that runs.

    :param on_call: Called with the name of a call and paths inside the folder: before each write, and
        after each rename.
    """

    port: int
    on_call: Callable[..., None] = lambda name, *paths: None

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


@contextmanager
def sftp_server(folder: Path, *, can_replace: bool = True) -> Iterator[SftpServer]:
    """
    Serve a folder as the root of an SFTP server.

    :param can_replace: Whether it knows ``posix-rename@openssh.com``, as OpenSSH does.
    """

    class Login(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            connections.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

    class Folder(asyncssh.SFTPServer):
        def __init__(self, channel: Any) -> None:
            super().__init__(channel, chroot=str(folder).encode())

        def write(self, file_obj: Any, offset: int, data: bytes) -> int:
            server.on_call("write", f"/{Path(file_obj.name.decode()).relative_to(folder)}")
            return int(super().write(file_obj, offset, data))  # type: ignore[arg-type]

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
            super().posix_rename(oldpath, newpath)
            server.on_call("renamed", oldpath.decode(), newpath.decode())

    async def listen() -> asyncssh.SSHAcceptor:
        key = asyncssh.generate_private_key("ssh-ed25519")
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=Login, sftp_factory=Folder
        )

    async def close(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        await acceptor.wait_closed()

    connections: list[asyncssh.SSHServerConnection] = []
    known = SFTPServerHandler._extensions
    if not can_replace:
        SFTPServerHandler._extensions = [item for item in known if item[0] != b"posix-rename@openssh.com"]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
        server = SftpServer(acceptor.get_port())
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(close(acceptor), loop).result(30)
    finally:
        SFTPServerHandler._extensions = known
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
