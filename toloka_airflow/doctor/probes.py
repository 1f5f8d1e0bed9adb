"""A probe that neither ends the others when it fails, nor holds them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Thread

from toloka_airflow.doctor.findings import Finding, unknown

Probe = Callable[[], Iterable[Finding]]


def run_probe(check: str, probe: Probe, timeout: float, *, conn_id: str | None = None) -> Iterator[Finding]:
    """
    Give what a probe finds; what it raises, or that it takes too long, is a finding, too.

    A probe that takes too long is left to itself, in a thread that does not keep the process from ending: what it
    waits for, such as a database that does not answer, cannot be interrupted.

    :param timeout: Seconds that it may take.
    """
    findings: list[Finding] = []
    raised: list[Exception] = []

    def collect() -> None:
        try:
            findings.extend(probe())
        except Exception as exc:  # whatever it is, the other probes go on
            raised.append(exc)

    thread = Thread(target=collect, name=f"doctor-{check}", daemon=True)
    thread.start()
    thread.join(timeout)
    is_late = thread.is_alive()
    yield from tuple(findings)
    if is_late:
        what = f"This could not be tried to its end: it took longer than {timeout:g} s"
        yield unknown(check, what, "Try again with a longer --timeout", conn_id=conn_id)
    elif raised:
        [exc] = raised
        text = f"This could not be tried: {type(exc).__name__}: {first_line(exc)}"
        yield unknown(check, text, "Mend what it says, and try again", conn_id=conn_id)


def first_line(exc: BaseException) -> str:
    """Return the beginning of what an exception says; those of databases have statements and parameters behind it."""
    return next(iter(str(exc).strip().splitlines()), "")[:500]
