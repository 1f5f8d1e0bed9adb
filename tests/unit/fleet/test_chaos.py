"""The bag of disturbances, the page, and what is read of Airflow's logs."""

from __future__ import annotations

import json
from functools import partial
from html.parser import HTMLParser
from itertools import islice

import pytest

from fleet.chaos import page
from fleet.chaos.__main__ import leaks, summary
from fleet.chaos.bag import LONGEST, SHORTEST, Step, minutes_for_all, steps
from fleet.chaos.collection import errors
from fleet.chaos.disturbances import DISTURBANCES, Scene
from fleet.chaos.driver import Disturber, Journal, note_clock
from fleet.chaos.judgement import judge
from fleet.chaos.records import Records
from fleet.chaos.toloka import Toloka
from fleet.lane import Lane
from fleet.settings import ROOT, Fleet, Options
from tests.unit.fleet.chaos_records import Scenario
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer

KINDS = list(DISTURBANCES)


def test_there_are_fourteen_kinds_and_each_comes_within_twenty_minutes():
    assert len(KINDS) == 14
    assert minutes_for_all(KINDS) < 20


def test_the_docs_name_each_kind():
    section = (ROOT / "docs" / "failure-modes.md").read_text().partition("## Under chaos")[2].partition("\n## ")[0]
    table = section.partition("| Disturbance |")[2].partition("\n\n")[0]
    named = [kind for line in table.splitlines()[2:] for kind in line.split(" | ")[0][2:].split(", ")]
    assert sorted(named) == sorted(KINDS)


@pytest.mark.parametrize("seed", range(5))
def test_each_kind_once_before_any_comes_again(seed):
    found = list(islice(steps(KINDS, seed), 3 * len(KINDS)))
    for first in range(0, len(found), len(KINDS)):
        assert sorted(step.kind for step in found[first : first + len(KINDS)]) == sorted(KINDS)
    assert all(SHORTEST <= step.pause <= LONGEST and 0 <= step.choice < 1 for step in found)


def test_the_seed_decides():
    one, same, other = (list(islice(steps(KINDS, seed), 40)) for seed in (1, 1, 2))
    assert one == same
    assert [step.kind for step in one] != [step.kind for step in other]


class Tags(HTMLParser):
    """Insist that every tag that is opened is closed, and count them."""

    VOID = {"meta"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page(tmp_path):
    scenario = Scenario()
    scenario.change_run("green", doubled=("2 projects: 10, 12",))
    scenario.change_run("red", run_id="<red>")
    records = scenario.write(tmp_path)
    drawn = page.draw(records, judge(records, KINDS))
    tags = Tags()
    tags.feed(drawn)
    assert tags.open == []
    classes = [attrs.get("class") for tag, attrs in tags.seen if tag in ("rect", "circle", "path")]
    assert classes.count("hit") == len(KINDS)
    assert classes.count("ok") == 2 + 1  # and the legend
    assert classes.count("failed") == 1 + 1 + 2  # and the legend, and two times with faults
    assert classes.count("pool") == 3
    assert "<red>" not in drawn
    assert "round_plain green: 2 projects: 10, 12" in drawn
    assert "killed worker.2 with all its processes" in drawn
    assert not any("http" in str(value) for _, attrs in tags.seen for value in attrs.values())
    assert len(drawn) < 300_000
    assert page.draw(records, judge(records, KINDS)) == drawn


def test_the_page_of_what_went_well_says_so(tmp_path):
    records = Scenario().write(tmp_path)
    verdict = judge(records, KINDS)
    assert "No violation" in page.draw(records, verdict)
    assert summary(verdict).endswith("The three rules were kept: 0 violations")


def test_a_token_is_found_wherever_it_stands(tmp_path):
    (tmp_path / "logs" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "deep" / "1.log").write_text("all is well, secret-2 is our token")
    (tmp_path / "other.log").write_bytes(b"\xff all is well")
    assert list(leaks(["secret-1", "secret-2"], tmp_path)) == ["logs/deep/1.log"]


def test_what_a_log_says_of_errors():
    failed = {
        "level": "error",
        "event": "Task failed with exception",
        "error_detail": [{"exc_type": "OSError", "exc_value": "[Errno 28] No space left on device"}],
    }
    lines = ["no JSON", json.dumps({"level": "info", "event": "Filling up the DagBag"}), json.dumps(failed)]
    assert list(errors(lines)) == ["Task failed with exception; OSError: [Errno 28] No space left on device"]


def test_steering_toloka():
    """Calls go wrong and well again, the token is changed, and the clock steps forward."""
    with EmulatorServer(seed=1) as server:
        toloka, client = Toloka(server.url), TolokaClient(ClientSettings(token="old", base_url=server.url))
        toloka.begin()
        toloka.accept("old", "new")
        assert list(client.list_pools()) == []
        toloka.accept("new")
        with pytest.raises(TolokaError, match="401"):
            list(client.list_pools())
        before = server.clock.now()
        toloka.step(30)
        assert server.clock.now() - before >= 30_000
        toloka.set_speed(0.5)
        assert server.clock.view()["speed"] == 0.5
        toloka.break_calls(0.02)
        assert len(server.faults) > 100
        toloka.mend_calls()
        assert len(server.faults) == 0
        items, last = toloka.journal(0)
        assert [entry["status"] for entry in items] == [200, 401]
        assert toloka.journal(last) == ([], last)


@pytest.fixture
def lane(tmp_path):
    """A fleet of which nothing runs."""
    fleet = Fleet.new(tmp_path / "fleet", tmp_path / "fleet" / "postgres", None, Options(dags="dags"))
    fleet.home.mkdir()
    fleet.write()
    return Lane(fleet.home)


def test_disturbances_are_written_down_and_what_lasts_is_ended_in_the_end(lane, tmp_path, capsys):
    steps = [Step("clock step", 0, 0.5), Step("faulty calls", 0, 0.5), Step("worker", 3600, 0.5)]
    with EmulatorServer(seed=1) as server:
        toloka, records = Toloka(server.url), Records(tmp_path)
        scene = Scene(lane, toloka, None, partial(note_clock, records, toloka))
        disturber = Disturber(scene, records, iter(steps))
        disturber.start()
        journal = Journal(toloka, records)
        while disturber.count < 2:
            journal.fetch()
        assert server.clock.view()["speed"] == 0.5
        assert len(server.faults) > 100
        disturber.stop.set()
        disturber.join()
        assert server.clock.view()["speed"] == 1
        assert len(server.faults) == 0
    clock, faults = records.disturbances()
    assert (clock.kind, clock.hit, faults.kind, faults.hit) == ("clock step", True, "faulty calls", True)
    assert clock.ended - clock.began >= 60
    before, after, right = [(row["here"], row["there"]) for row in records.rows("clock")]
    assert after[1] - before[1] >= 30
    assert right[0] >= after[0]
    assert list(records.rows("errors")) == []
    assert "clock step: Toloka's clock went forward by 30 s" in capsys.readouterr().out


def test_a_full_disk_needs_a_disk_and_killing_a_task_needs_one(lane):
    scene = Scene(lane, None, None, lambda: None)
    for kind in ("full disk", "task process", "supervisor"):
        disturb, _ = DISTURBANCES[kind]
        assert disturb(scene, 0.5) is None


def test_the_chosen_one_comes_first(lane):
    scene = Scene(lane, None, None, lambda: None)
    assert scene.numbered("worker", 0.1) == ["worker.1", "worker.2"]
    assert scene.numbered("worker", 0.9) == ["worker.2", "worker.1"]
    assert scene.numbered("toloka", 0.9) == ["toloka"]


def test_no_file_system_that_others_use_is_filled(tmp_path, capsys):
    from fleet.chaos.__main__ import main

    assert main(["--home", str(tmp_path / "chaos"), "--results", str(tmp_path)]) == 2
    assert f"{tmp_path} is no file system of its own" in capsys.readouterr().err
    assert not (tmp_path / "chaos").exists()
