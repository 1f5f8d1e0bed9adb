"""
Run code in processes of its own that have imported Airflow and nothing more.

Importing Airflow takes seconds, and what Airflow's managers have found they remember for the rest of a process. So one
process imports it, and forks for each question. Nothing tells the fork from a process that begins with ``import
airflow``, but where that happened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import IO, Any, Self


@dataclass(frozen=True)
class Output:
    """What a process printed, and how it ended."""

    code: int
    out: str
    err: str


class ForkedAirflow:
    """
    A process with Airflow; use it in a ``with`` block.

    :param modules: What else it has imported.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__, *self._modules]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    @cache  # noqa: B019, for there is one of this class, until the end
    def run(self, code: str, *arguments: str, path: str | None = None) -> Output:
        """Run Python code, with these in `sys.argv`, and with a folder in front of all others for modules."""
        assert self._process.stdin
        assert self._process.stdout
        question = {"code": code, "arguments": ["-c", *arguments], "path": path}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return Output(**json.loads(self._process.stdout.readline()))

    def ask(self, code: str, *arguments: str) -> Any:
        """Run code that has nothing to complain about, and return its last line as JSON."""
        output = self.run(code, *arguments)
        assert output.code == 0, output.err
        assert "toloka" not in output.err.lower(), "Airflow has something to say about the provider"
        return json.loads(output.out.strip().splitlines()[-1])


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        _print_to(out, err)
        for module in ("airflow", *sys.argv[1:]):
            import_module(module)
        begun = _printed(out), _printed(err)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                _print_to(out, err)
                os._exit(_run(**json.loads(line)))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answer = {"code": code, "out": begun[0] + _printed(out), "err": begun[1] + _printed(err)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _print_to(out: IO[bytes], err: IO[bytes]) -> None:
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)


def _printed(file: IO[bytes]) -> str:
    sys.stdout.flush()
    sys.stderr.flush()
    file.seek(0)
    return file.read().decode()


def _run(code: str, arguments: Sequence[str], path: str | None) -> int:
    sys.argv[:] = arguments
    if path:
        sys.path.insert(0, path)
    try:
        exec(compile(code, "<question>", "exec"), {"__name__": "__main__"})
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    _serve()
