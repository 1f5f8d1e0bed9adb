from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.rehearsal.configs import RESULT, pool, project, rehearsed, skill, tasks
from toloka_airflow.rehearsal import Rehearsal, Run, Spread
from toloka_airflow.rehearsal.chart import draw
from toloka_airflow.rehearsal.results import show_hours, table

ROOT = Path(__file__).resolve().parents[3]
SVG = "{http://www.w3.org/2000/svg}"


def run(money="1.30", hours=2.0, right=8, banned=1, **changes):
    values = {"seed": 1, "completed": True, "close_reason": "COMPLETED", "idle": False, "seconds": hours * 3600}
    values |= {"money": Decimal(money), "pages": 30, "eligible": 40, "people": 20, "banned": banned}
    values |= {"tasks": 10, "labelled": 10, "right": {"result": right}}
    return Run(**values | changes)


def rehearsal(*runs, ungraded=("comment",)):
    return Rehearsal(runs, ungraded, ("All is assumed.",), 30)


def test_the_table_has_medians_and_ranges():
    lines = list(table(rehearsal(run(), run("1.50", 3.5, 9, 2), run("1.40", 50, 7, 0))))
    assert lines == [
        "                         median   range of 3 runs",
        "money, with the fee       $1.40   $1.30 to $1.50",
        "time until completed      3.5 h   2.0 h to 2.1 days",
        "right labels: result      80.0%   70.0% to 90.0%",
        "people who answered          20   20",
        "of these banned            5.0%   0.0% to 10.0%",
        "right labels: comment   unknown   its values cannot be listed",
        "",
        "What is assumed:",
        "- All is assumed.",
    ]


@pytest.mark.parametrize(
    ("estimate", "line"),
    [
        (("1.35", "1.35"), "estimate                  $1.35   as runs took"),
        (("1.60", "1.60"), "estimate                  $1.60   more than any run took"),
        (("1.00", "1.10"), "estimate                $1.00 to $1.10   less than any run took"),
        (("1.00", "1.30"), "estimate                $1.00 to $1.30   as runs took"),
    ],
)
def test_an_estimate_stands_beside_the_runs(estimate, line):
    least, most = map(Decimal, estimate)
    assert line in list(table(rehearsal(run(), run("1.50")), (least, most)))


def test_runs_that_were_not_completed_count_for_all_but_the_time():
    result = rehearsal(run(), run("9", 720, completed=False, close_reason="EXPIRED"), run("1.50", 4))
    assert result.hours == Spread(3.0, 2.0, 4.0)
    assert result.money.high == 9
    assert "Not completed in 1 of 3 runs: 1 EXPIRED. They count above, but not for the time." in list(table(result))
    assert result.as_json()["completed"] == 2


def test_json_has_numbers():
    result = rehearsal(run("1.3012"), run("1.3015")).as_json()
    assert result["money"] == {"median": 1.30135, "low": 1.3012, "high": 1.3015}
    assert result["accuracy"] == {"result": {"median": 0.8, "low": 0.8, "high": 0.8}, "comment": None}
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize(("hours", "shown"), [(0.25, "15 min"), (1.5, "1.5 h"), (47, "47.0 h"), (60, "2.5 days")])
def test_times_are_in_a_unit_that_fits(hours, shown):
    assert show_hours(hours) == shown


def test_the_picture_has_a_dot_for_each_run_and_a_mark_for_each_median():
    result = rehearsal(*(run(f"1.{i:02}", 1 + i, i % 10, i) for i in range(20)))
    root = ET.fromstring("\n".join(draw(result, "A & B")))
    assert root.find(f"{SVG}title").text == "A & B"
    circles = [float(circle.get("cy")) for circle in root.iter(f"{SVG}circle")]
    # Money, time, labels and bans; the number of people is the same in all runs, and has one.
    assert len(circles) == 4 * 20 + 1
    assert sum(line.get("class") == "median" for line in root.iter(f"{SVG}line")) == 5
    assert 0 < min(circles) < max(circles) < float(root.get("height"))


def test_the_picture_escapes_names_and_leaves_out_what_is_unknown():
    odd = {'a<b & "c"': RESULT}
    result = rehearsed(pool(filter={"and": [skill("1", "GT", 100)]}), tasks(2), project=project(**odd), max_days=1)
    texts = [text.text for text in ET.fromstring("\n".join(draw(result, "<title>"))).iter(f"{SVG}text")]
    assert "<title>" in texts
    # Nobody answered: no label is right or wrong, and no time led to completion.
    assert not {'right labels: a<b & "c"', "time until completed"} & set(texts)
    assert texts[-1] == result.incomplete


def test_nothing_but_what_the_package_needs_is_imported_and_no_socket_opened():
    """The emulator serves HTTP by two packages that are an extra; a rehearsal needs neither."""
    code = """
import socket, sys
for name in ("starlette", "uvicorn", "fastapi", "anyio"):
    sys.modules[name] = None
from tests.unit.rehearsal.configs import pool, rehearsed, tasks
socket.socket = socket.create_connection = None
print(rehearsed(pool(), tasks(5), runs=2).completed)
"""
    output = subprocess.check_output([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, timeout=120)
    assert output.split()[-1] == b"2"
