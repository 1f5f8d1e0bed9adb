"""What becomes of findings: exit codes, what is crossed out, probes that fail or hang."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from toloka_airflow._internal.troubleshooting import PAGE
from toloka_airflow.cli.__main__ import main
from toloka_airflow.cli.doctor import _lines
from toloka_airflow.doctor.findings import Finding, Status, exit_code, fail, ok, unknown, warn
from toloka_airflow.doctor.probes import run_probe

GOOD, POOR, BAD, OPEN = ok("a", "Well"), warn("b", "So so", "Do"), fail("c", "Ill", "Do"), unknown("d", "Not tried")


@pytest.mark.parametrize(
    ("findings", "code", "strict_code"),
    [
        ([], 0, 0),
        ([GOOD], 0, 0),
        ([GOOD, POOR], 0, 1),
        ([GOOD, OPEN], 2, 2),
        ([POOR, OPEN], 2, 1),
        ([GOOD, POOR, BAD, OPEN], 1, 1),
    ],
)
def test_the_exit_code(findings: list[Finding], code: int, strict_code: int) -> None:
    assert (exit_code(findings), exit_code(findings, strict=True)) == (code, strict_code)


def test_secrets_are_crossed_out_wherever_they_are() -> None:
    finding = Finding(Status.FAIL, "c", "sesame-street and sesame", "Not sesame", "conn")
    hidden = finding.without({"sesame", "sesame-street", ""})
    assert (hidden.message, hidden.remedy) == ("*** and ***", "Not ***")


def test_a_probe_that_raises_says_so_and_keeps_what_it_found() -> None:
    def probe() -> Iterator[Finding]:
        yield GOOD
        raise KeyError("first line\nSELECT secrets")

    first, second = run_probe("a", probe, 60, conn_id="conn")
    assert first == GOOD
    assert (second.status, second.check, second.conn_id) == (Status.UNKNOWN, "a", "conn")
    assert "KeyError" in second.message


def test_a_probe_that_hangs_is_given_up() -> None:
    is_over = threading.Event()

    def probe() -> Iterator[Finding]:
        yield GOOD
        is_over.wait()

    found = list(run_probe("a", probe, 0.05))
    is_over.set()
    assert [finding.status for finding in found][-1] is Status.UNKNOWN
    assert "longer than 0.05 s" in found[-1].message


def test_a_line_has_its_remedy_below() -> None:
    text = _lines(fail("triggerer", "None is alive", "Start `airflow triggerer`", conn_id="conn"), in_colour=False)
    assert text.splitlines() == [
        "fail    triggerer           conn: None is alive",
        "                            -> Start `airflow triggerer`",
        f"                               {PAGE}#no-triggerer",
    ]


def test_json_values() -> None:
    assert json.loads(json.dumps(GOOD.as_json())) == {
        "status": "ok", "check": "a", "conn_id": None, "message": "Well", "remedy": None, "help": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--min-balance", "-1"],
        ["--timeout", "abc"],
        ["--min-balance", "much"],
    ],
)
def test_arguments_that_cannot_be_used(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert arguments[0] in error
    assert "_positive" not in error
