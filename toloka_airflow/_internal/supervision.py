"""
Whether the supervisor of a task lives: its parent process, which reports to Airflow that it runs and how it ended.

If that process alone is killed, as for want of memory, nobody stops the task, and Airflow starts the next attempt:
under Celery within seconds, beside the orphan. Airflow itself cannot say which of both is the orphan: it has one state
for both.
"""

from __future__ import annotations

import os
import select

from toloka_airflow._internal.airflow_internals import supervisor_socket
from toloka_airflow.api.errors import TolokaNotSentError

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class _Parent:
    """The parent of this process, as it was when the process forked, or imported this."""

    pid = 0

    @classmethod
    def remember(cls) -> None:
        cls.pid = os.getppid()


_Parent.remember()
os.register_at_fork(after_in_child=_Parent.remember)


def ensure_supervised() -> None:
    """
    Do nothing, unless this is a task whose supervisor has ended.

    Where there is no supervisor, such as in ``dag.test()`` and in plain Python, it does nothing at all.

    :raises TolokaNotSentError: If this is an orphan.
    """
    connection = supervisor_socket()
    if connection is not None and (os.getppid() != _Parent.pid or _is_closed(connection.fileno())):
        raise TolokaNotSentError(
            "Nothing more is sent to Toloka that changes it: the supervisor of this task has ended, and Airflow tries "
            "the task again. There is nothing to do, the next attempt continues from here"
        )


def _is_closed(fileno: int) -> bool:
    """
    Return whether a socket has no other end any more, without reading from it.

    Neither an answer that nobody has read yet nor another thread that waits for one matters.
    """
    if fileno < 0:
        return True
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return any(event & _GONE for _, event in poll.poll(0))
