#!/usr/bin/env bash
# One would guess that a file opened for reading in binary by fsspec has a buffer, as open() gives one and as fsspec's
# own buffered files do, so that a loop over its lines costs about as many requests as reading it whole.
#
# That of sshfs 2026.8.0, which is what `sftp://` is in Airflow's provider, has none: each byte of a line is a request
# to the server, one after the other. A file of 200 lines takes 1,691 of them, at 10 ms of latency 17 seconds; read as a
# whole it takes one, and opened as text three, as the decoder around it reads ahead. It writes without a buffer, too.
#
# Seen on 2026-11-28 with sshfs 2026.8.0, asyncssh 2.24.1, fsspec 2026.9.0, Python 3.11.
# Output seen:
#   a loop over 200 lines in binary: 1691 requests, of up to 1 bytes
#   readlines() in binary: 1691 requests, of up to 1 bytes
#   read() in binary: 1 requests, of up to 1690 bytes
#   a loop over 200 lines in text: 3 requests, of up to 8192 bytes
#   200 lines written in binary: 200 requests
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    sshfs==2026.8.0 asyncssh==2.24.1 fsspec==2026.9.0

cat > "$work/lines.py" <<'PYTHON'
import asyncio
import sys
import threading
from pathlib import Path

import asyncssh
from sshfs import SSHFileSystem

LINES = [f"line {number}\n" for number in range(200)]
path = Path(sys.argv[1])
path.write_text("".join(LINES))
reads, writes = [], []
ready = threading.Event()
ports = []


class Everybody(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False


class CountingServer(asyncssh.SFTPServer):
    def read(self, file_obj, offset, size):
        reads.append(size)
        return super().read(file_obj, offset, size)

    def write(self, file_obj, offset, data):
        writes.append(len(data))
        return super().write(file_obj, offset, data)


async def serve():
    keys = [asyncssh.generate_private_key("ssh-ed25519")]
    server = await asyncssh.create_server(
        Everybody, "127.0.0.1", 0, server_host_keys=keys, sftp_factory=CountingServer
    )
    ports.append(server.get_port())
    ready.set()
    await asyncio.Event().wait()


threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
ready.wait()
files = SSHFileSystem("127.0.0.1", port=ports[0], username="anybody", known_hosts=None, client_keys=None)


def loop(file):
    assert sum(1 for _ in file) == len(LINES)


for what, mode, read in (
    ("a loop over 200 lines in binary", "rb", loop),
    ("readlines() in binary", "rb", lambda file: file.readlines()),
    ("read() in binary", "rb", lambda file: file.read()),
    ("a loop over 200 lines in text", "r", loop),
):
    reads.clear()
    with files.open(str(path), mode) as file:
        read(file)
    print(f"{what}: {len(reads)} requests, of up to {max(reads)} bytes")

with files.open(str(path), "wb") as file:
    for line in LINES:
        file.write(line.encode())
print(f"200 lines written in binary: {len(writes)} requests")
PYTHON

"$work/venv/bin/python" "$work/lines.py" "$work/lines.txt" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
