"""Skills and restrictions: set as wanted, once however often the task is tried, and never half without saying so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from tests.support import TOKEN, ScriptedServer, TaskInstance, connect, run_task
from tests.worlds import small_pool
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.emulator.server import EmulatorServer
from toloka_airflow.operators.restrictions import LiftRestrictionsOperator, RestrictUsersOperator
from toloka_airflow.operators.skills import CreateSkillOperator, SetUserSkillsOperator

LATER = datetime(2040, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Toloka:
    """An emulator, what is in it, and what a test does there."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.client = TolokaClient(ClientSettings(TOKEN, base_url=server.url))
        self.people = server.crowd.user_ids

    def skills(self, skill_id: str) -> dict[str, float]:
        return {each.user_id: each.raw["exact_value"] for each in self.client.list_user_skills(skill_id=skill_id)}

    def restrictions(self) -> dict[str, dict[str, Any]]:
        """Return what holds, by the people; a person has one restriction in these tests."""
        return {each.user_id: dict(each.raw) for each in self.client.list_user_restrictions()}

    def sent(self, method: str, path: str) -> int:
        return len(self.server.journal.requests(method, f"/api/v1{path}"))


@pytest.fixture
def toloka(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toloka]:
    with EmulatorServer(seed=1, frozen=True) as server:
        connect(monkeypatch, server.url)
        yield Toloka(server)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(capsys.readouterr().out.splitlines())


def create(name: str | None = "careful", *, instance: TaskInstance | None = None, **arguments: Any) -> Any:
    return run_task(CreateSkillOperator(task_id="skill", name=name, **arguments), instance).result


def set_skills(skill_id: str, values: Any, **arguments: Any) -> Any:
    return run_task(SetUserSkillsOperator(task_id="set", skill_id=skill_id, values=values, **arguments)).result


def restrict(users: Any, *, instance: TaskInstance | None = None, **arguments: Any) -> Any:
    task = RestrictUsersOperator(task_id="restrict", users=users, **{"scope": "ALL_PROJECTS", **arguments})
    return run_task(task, instance).result


def lift(*, instance: TaskInstance | None = None, **arguments: Any) -> Any:
    return run_task(LiftRestrictionsOperator(task_id="lift", **arguments), instance).result


class TestCreatingASkill:
    def test_it_is_found_by_its_name(self, toloka: Toloka, capsys: pytest.CaptureFixture[str]) -> None:
        config = {"public_name": {"EN": "Careful"}, "hidden": False}
        first = create(config=config)
        assert (
            create(config={**config, "name": "careful"}) == create(None, config={**config, "name": "careful"}) == first
        )
        assert create(config=config, instance=TaskInstance(dag_id="another", run_id="another")) == first
        assert "differs" not in printed(capsys)
        [skill] = toloka.client.list_skills()
        assert {name: skill.raw[name] for name in ("name", *config)} == {"name": "careful", **config}
        assert create("fast") != first
        assert len(list(toloka.client.list_skills())) == 2

    def test_one_that_differs_is_left_as_it_is(self, toloka: Toloka, capsys: pytest.CaptureFixture[str]) -> None:
        skill_id = create(config={"hidden": False, "private_comment": "by hand"})
        assert create(config={"hidden": True, "private_comment": "by hand", "skill_ttl_hours": 24}) == skill_id
        said = printed(capsys)
        assert (
            f"Skill {skill_id} is left as it is, but differs from what this task requests in: hidden, skill_ttl" in said
        )
        assert toloka.client.get_skill(skill_id).raw["hidden"] is False
        assert toloka.sent("PUT", f"/skills/{skill_id}") == 0

    def test_a_deprecated_one_gives_way(self, toloka: Toloka) -> None:
        old = create(config={"deprecated": True})
        assert create() == old
        new = toloka.client.create_skill({"name": "careful"}).id
        assert create() == new

    @pytest.mark.parametrize("fault", [{"lost_answer": True}, {"half_body": True}])
    def test_a_lost_answer_is_found_in_the_same_attempt(self, toloka: Toloka, fault: dict[str, Any]) -> None:
        toloka.server.faults.add("POST", "/api/v1/skills", **fault)
        assert [skill.id for skill in toloka.client.list_skills()] == [] != [create()]
        assert len(list(toloka.client.list_skills())) == 1

    @pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 500}, {"html": 502}])
    def test_the_next_attempt_finds_it_or_creates_it(self, toloka: Toloka, fault: dict[str, Any]) -> None:
        """The answer is lost, and so is the one to the question whether there was any effect."""
        toloka.server.faults.add("POST", "/api/v1/skills", **fault)
        toloka.server.faults.add("GET", "/api/v1/skills", skip=1, status=429, payload={"interval": "HOUR"})
        with pytest.raises(AirflowException) as caught:
            create()
        assert not isinstance(caught.value, AirflowFailException)
        skill_id = create()
        assert [skill.id for skill in toloka.client.list_skills()] == [skill_id]

    def test_two_that_search_at_once_return_the_same(self, toloka: Toloka, capsys: pytest.CaptureFixture[str]) -> None:
        toloka.server.faults.add("GET", "/api/v1/skills", delay=1.0, times=2)  # both find that there is none
        with ThreadPoolExecutor() as threads:
            results = list(threads.map(lambda _: create(), range(2)))
        first, second = (skill.id for skill in toloka.client.list_skills())
        assert results == [first, first]
        assert f"created the skill careful, as {first} and {second}; this one returns the first" in printed(capsys)

    @pytest.mark.usefixtures("connection")
    def test_skills_of_toloka_and_trainings_and_others_of_a_similar_name(self, server: ScriptedServer) -> None:
        others = [
            {"id": "1", "name": "careful", "global": True},
            {"id": "2", "name": "careful", "training": True},
            {"id": "3", "name": "careful reader"},
        ]
        server.default("GET", "/skills", {"items": others, "has_more": False})
        server.answer("POST", "/skills", status=201, json={"id": "4", "name": "careful"})
        assert create() == "4"

    @pytest.mark.parametrize(
        ("name", "config", "message"),
        [
            (None, None, "name is None; give the name of the skill"),
            ("None", None, "name is 'None'"),
            (None, {"hidden": True}, "name is None"),
            ("careful", {"name": "fast"}, "name is 'careful', but name in config is 'fast'"),
            ("careful", "skill.xml", "config is 'skill.xml'"),
        ],
    )
    @pytest.mark.usefixtures("connection")
    def test_what_cannot_be_used(self, server: ScriptedServer, name: Any, config: Any, message: str) -> None:
        with pytest.raises(AirflowFailException, match=message):
            create(name, config=config)
        assert server.seen == []


class TestSettingSkills:
    @pytest.fixture
    def skill_id(self, toloka: Toloka) -> str:
        return toloka.client.create_skill({"name": "careful"}).id

    @pytest.mark.parametrize("kind", ["list", "mapping", "accuracy", ".jsonl.gz", ".csv", ".json", ".parquet"])
    def test_each_is_set_once(self, toloka: Toloka, skill_id: str, tmp_path: Path, kind: str) -> None:
        import gzip

        wanted = {person: 2.5 * number for number, person in enumerate(toloka.people)}
        rows: list[dict[str, Any]] = [{"user_id": person, "value": value} for person, value in wanted.items()]
        values: Any = wanted if kind == "mapping" else rows
        if kind == "accuracy":
            values = [{"user_id": person, "total": 9, "accuracy": value / 100} for person, value in wanted.items()]
        elif kind.startswith("."):
            values = str(tmp_path / f"values{kind}")
            lines = [json.dumps(row) for row in rows]
            if kind == ".csv":
                lines = ["user_id,value", *(f"{person},{value}" for person, value in wanted.items())]
            content = json.dumps(rows).encode() if kind == ".json" else "\n".join(lines).encode()
            Path(values).write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
            if kind == ".parquet":
                pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), values)
        assert set_skills(skill_id, values) == {"skill_id": skill_id, "total": 40, "already": 0}
        assert toloka.skills(skill_id) == wanted
        assert set_skills(skill_id, values) == {"skill_id": skill_id, "total": 40, "already": 40}
        assert toloka.sent("PUT", "/user-skills") == 40

    def test_only_what_differs_is_sent(self, toloka: Toloka, skill_id: str) -> None:
        a, b, c = toloka.people[:3]
        set_skills(skill_id, {a: 50, b: 60})
        assert set_skills(skill_id, {a: 50.0, b: "61"}) == {"skill_id": skill_id, "total": 2, "already": 1}
        assert toloka.skills(skill_id) == {a: 50, b: 61}
        assert set_skills(skill_id, [{"user_id": c, "accuracy": 2 / 3}])["already"] == 0
        assert set_skills(skill_id, [{"user_id": c, "accuracy": 2 / 3}])["already"] == 1
        assert toloka.skills(skill_id)[c] == 66.67

    def test_one_that_lapses_is_renewed(self, toloka: Toloka) -> None:
        skill_id = toloka.client.create_skill({"name": "fresh", "skill_ttl_hours": 24}).id
        for already in (0, 0):
            assert set_skills(skill_id, {toloka.people[0]: 50})["already"] == already
            toloka.server.clock.advance(23 * 3600)
        assert toloka.skills(skill_id) == {toloka.people[0]: 50}

    @pytest.mark.usefixtures("connection")
    def test_reasons(self, server: ScriptedServer) -> None:
        server.default("GET", "/skills/7", {"id": "7", "name": "careful"})
        server.default("GET", "/user-skills", {"items": [], "has_more": False})
        server.default("PUT", "/user-skills", {"id": "1", "skill_id": "7", "user_id": "a", "value": 5})
        rows = [{"user_id": "a", "value": 5, "reason": "own"}, {"user_id": "b", "value": 5, "other": 1}]
        set_skills("7", rows, reason="given", in_flight=1)
        set_skills("7", rows[1:])
        assert [seen.body for seen in server.seen if seen.method == "PUT"] == [
            {"skill_id": "7", "user_id": "a", "value": 5.0, "reason": "own"},
            {"skill_id": "7", "user_id": "b", "value": 5.0, "reason": "given"},
            {"skill_id": "7", "user_id": "b", "value": 5.0},
        ]

    @pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 503}, {"half_body": True}])
    def test_lost_answers(self, toloka: Toloka, skill_id: str, fault: dict[str, Any]) -> None:
        toloka.server.faults.add("PUT", "/api/v1/user-skills", skip=3, **fault)
        wanted = dict.fromkeys(toloka.people, 70)
        assert set_skills(skill_id, wanted)["total"] == 40
        assert toloka.skills(skill_id) == wanted

    def test_an_attempt_that_ends_early_says_how_far_it_came(
        self, toloka: Toloka, skill_id: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        busy = {"status": 429, "code": "TOO_MANY_REQUESTS", "payload": {"interval": "DAY"}}
        toloka.server.faults.add("PUT", "/api/v1/user-skills", skip=25, probability=1, **busy)
        wanted = dict.fromkeys(toloka.people, 70)
        with pytest.raises(AirflowException) as caught:
            set_skills(skill_id, wanted)
        assert not isinstance(caught.value, AirflowFailException)
        assert "Only 25 of 40 skills of people are known to be done; a further attempt does the rest" in printed(capsys)
        toloka.server.faults.clear()
        assert set_skills(skill_id, wanted) == {"skill_id": skill_id, "total": 40, "already": 25}

    def test_what_is_refused_keeps_nobody_else_from_theirs(self, toloka: Toloka, skill_id: str) -> None:
        wanted = dict.fromkeys([*toloka.people[:10], "nobody", *toloka.people[10:]], 70)
        with pytest.raises(AirflowFailException) as refused:
            set_skills(skill_id, wanted)
        message = str(refused.value)
        assert message.startswith(
            "40 of 41 skills of people are done; 1 was refused:\n  nobody: PUT /user-skills answered"
        )
        assert toloka.skills(skill_id) == dict.fromkeys(toloka.people, 70)

    def test_when_all_is_refused_it_ends_early(self, toloka: Toloka, skill_id: str) -> None:
        with pytest.raises(
            AirflowFailException, match=r"^0 of 1000 .* were refused, 9[0-9]+ were not sent any more:"
        ) as refused:
            set_skills(skill_id, {f"nobody-{number}": 1 for number in range(1000)})
        assert str(refused.value).count("\n  nobody-") == 20
        assert toloka.sent("PUT", "/user-skills") < 100

    @pytest.mark.parametrize(("values", "warns"), [((0.75, 1), True), ((0.75, 80), False), ((0, 1), False)])
    def test_shares_in_the_place_of_values(
        self, toloka: Toloka, skill_id: str, values: tuple[float, ...], warns: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        set_skills(skill_id, dict(zip(toloka.people, values, strict=False)))
        assert ("if these are shares, call them accuracy" in printed(capsys)) == warns

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ({"value": 101}, "value is 101; it must be a number from 0 to 100"),
            ({"value": -1}, "value is -1"),
            ({"value": True}, "value is True"),
            ({"value": "NaN"}, "value is 'NaN'"),
            ({"value": "much"}, "value is 'much'"),
            ({"accuracy": 70}, "accuracy is 70; it must be a number from 0 to 1, such as 0.6 for 60 %"),
            ({"value": "87,5"}, "value is '87,5'; it must be a number from 0 to 100, such as 87.5"),
            ({"accuracy": 0.7, "value": 70}, "it has a value and an accuracy, which say both how good somebody is"),
            (
                {"values": 70},
                "it has neither a value (0 to 100) nor an accuracy (0 to 1); its fields are user_id, values",
            ),
        ],
    )
    @pytest.mark.usefixtures("connection")
    def test_a_row_that_cannot_be_used(self, server: ScriptedServer, row: dict[str, Any], message: str) -> None:
        with pytest.raises(AirflowFailException) as refused:
            set_skills("7", [{"user_id": "a", "value": 1}, {"user_id": "b", **row}])
        assert f"\n  item 2: {message}" in str(refused.value)
        assert server.seen == []


class TestRestricting:
    def test_each_scope(self, toloka: Toloka) -> None:
        pool_id = small_pool(toloka.client)
        project_id = toloka.client.get_pool(pool_id).project_id
        a, b, c = toloka.people[:3]
        assert restrict([a]) == {"scope": "ALL_PROJECTS", "total": 1, "already": 0, "left": 0}
        assert restrict([b], scope="PROJECT", project_id=project_id)["total"] == 1
        assert (
            restrict([{"user_id": c}], scope="POOL", pool_id=pool_id, comment="Careless", will_expire=LATER)["total"]
            == 1
        )
        found = toloka.restrictions()
        assert [found[a]["scope"], found[b]["scope"], found[c]["scope"]] == ["ALL_PROJECTS", "PROJECT", "POOL"]
        assert (found[b]["project_id"], found[c]["pool_id"]) == (project_id, pool_id)
        assert ("will_expire" in found[a], found[c]["will_expire"][:19]) == (False, "2040-01-01T00:00:00")
        assert found[a]["private_comment"].startswith("Restricted by the Airflow DAG dag [airflow:")
        assert found[c]["private_comment"].startswith("Careless [airflow:")

    def test_it_may_be_repeated(self, toloka: Toloka) -> None:
        people = toloka.people[:5]
        for arguments in ({}, {"will_expire": LATER}, {"expires_in": DAY}):
            lift(users=people, restricted_by="anybody")
            before = toloka.sent("PUT", "/user-restrictions")
            assert restrict(people, **arguments)["already"] == 0
            first = toloka.restrictions()
            toloka.server.clock.advance(3600)
            assert restrict(people, **arguments)["already"] == 5
            assert toloka.restrictions() == first
            assert toloka.sent("PUT", "/user-restrictions") == before + 5

    def test_the_log_says_who_is_restricted_though_nothing_is_sent(
        self, toloka: Toloka, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rows = [
            {"user_id": person, "accuracy": share} for person, share in zip(toloka.people, (0.1, 0.9), strict=False)
        ]
        for before in (0, 1):
            restrict(rows, accuracy_below=0.5)
            assert f"Restricted: 1 of 2 people; {before} before this attempt" in printed(capsys)
        lift()
        assert "Lifted 1 restriction; left 0 that somebody else has made" in printed(capsys)

    def test_one_that_is_over_is_made_anew(self, toloka: Toloka) -> None:
        people = toloka.people[:2]
        restrict(people, expires_in=DAY)
        toloka.server.clock.advance(25 * 3600)
        assert toloka.restrictions() == {}
        assert restrict(people, expires_in=DAY)["already"] == 0

    def test_what_somebody_else_has_made_is_never_shortened(self, toloka: Toloka) -> None:
        for_ever, long, short = toloka.people[:3]
        by_hand = {"scope": "ALL_PROJECTS", "private_comment": "by hand"}
        toloka.client.set_user_restriction({**by_hand, "user_id": for_ever})
        toloka.client.set_user_restriction({**by_hand, "user_id": long, "will_expire": "2041-01-01T00:00:00"})
        toloka.client.set_user_restriction({**by_hand, "user_id": short, "will_expire": "2039-01-01T00:00:00"})
        assert restrict([for_ever, long, short], will_expire=LATER)["already"] == 2
        found = toloka.restrictions()
        assert {person: row["private_comment"].split(" [")[0] for person, row in found.items()} == {
            for_ever: "by hand",
            long: "by hand",
            short: "Restricted by the Airflow DAG dag",
        }
        assert (found[long]["will_expire"][:4], found[short]["will_expire"][:4]) == ("2041", "2040")

    def test_by_accuracy(self, toloka: Toloka) -> None:
        a, b, c = toloka.people[:3]
        rows = [{"user_id": person, "accuracy": share} for person, share in ((a, 0.4), (b, 0.6), (c, "0.59"))]
        assert restrict(rows, accuracy_below=0.6) == {"scope": "ALL_PROJECTS", "total": 2, "already": 0, "left": 1}
        assert set(toloka.restrictions()) == {a, c}

    def test_who_is_restricted_gets_no_further_task(self, toloka: Toloka) -> None:
        pool_id = toloka.server.add_pool(200, overlap=3, open=True)
        toloka.server.clock.advance(60)
        banned = toloka.people[:20]
        restrict(banned, scope="POOL", pool_id=pool_id)
        since = toloka.client.get_user_restriction(next(toloka.client.list_user_restrictions()).id).created
        toloka.server.clock.advance(24 * 3600)
        answers = list(toloka.client.list_assignments(pool_id=pool_id, created_gte=since))
        assert answers
        assert not {answer.user_id for answer in answers} & set(banned)

    @pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 503}])
    def test_lost_answers(self, toloka: Toloka, fault: dict[str, Any]) -> None:
        toloka.server.faults.add("PUT", "/api/v1/user-restrictions", skip=3, **fault)
        assert restrict(toloka.people)["total"] == 40
        assert set(toloka.restrictions()) == set(toloka.people)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"scope": "SYSTEM"}, "scope is 'SYSTEM'; it must be ALL_PROJECTS, PROJECT, POOL"),
            ({"scope": "POOL"}, "pool_id is None; scope is 'POOL', so it must say which"),
            (
                {"scope": "PROJECT", "project_id": "1", "pool_id": "2"},
                "scope is 'PROJECT', so pool_id must not be given",
            ),
            ({"project_id": "1"}, "scope is 'ALL_PROJECTS', so project_id must not be given; it is '1'"),
            ({"will_expire": "2001-01-01T00:00:00Z"}, "will_expire is 2001-01-01T00:00:00.00:00, which is in the past"),
            ({"will_expire": "soon"}, "will_expire is 'soon'"),
            (
                {"comment": "x" * 499},
                "comment is 'xxx.*; with the tag of Airflow it is too long: 45[0-9] characters fit",
            ),
            ({"accuracy_below": 0.5}, "item 1: it has no accuracy, which accuracy_below needs"),
            ({"users": ["a", "a"]}, "item 2: user_id a is there twice, first in item 1"),
        ],
    )
    @pytest.mark.usefixtures("connection")
    def test_what_cannot_be_used(self, server: ScriptedServer, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(AirflowFailException, match=message):
            restrict(**{"users": ["a"], **arguments})
        assert server.seen == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"expires_in": 5, "will_expire": LATER}, "expires_in and will_expire say both when"),
            ({"expires_in": 0}, "expires_in is 0"),
            ({"expires_in": timedelta(days=40_000)}, "which is more than a hundred years"),
            ({"accuracy_below": 60}, "accuracy_below is 60; it must be a number from 0 to 1"),
            ({"in_flight": 0}, "in_flight is 0"),
            ({"users": iter(["a"])}, "users is .*, which can be read only once"),
        ],
    )
    def test_what_cannot_be_used_at_all(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            restrict(**{"users": ["a"], **arguments})


class TestLifting:
    def test_what_this_run_has_made(self, toloka: Toloka) -> None:
        a, b, c, d = toloka.people[:4]
        restrict([a])
        restrict([b], instance=TaskInstance(task_id="restrict", run_id="manual__2"))
        restrict([c], instance=TaskInstance(task_id="restrict", dag_id="another"))
        toloka.client.set_user_restriction({"scope": "ALL_PROJECTS", "user_id": d})
        assert lift() == {"lifted": 1, "left": 3}
        assert set(toloka.restrictions()) == {b, c, d}
        assert lift() == {"lifted": 0, "left": 3}
        assert lift(restricted_by="dag") == {"lifted": 1, "left": 2}
        assert lift(restricted_by="anybody", users=[c]) == {"lifted": 1, "left": 0}
        assert set(toloka.restrictions()) == {d}

    def test_a_scope_and_people(self, toloka: Toloka) -> None:
        pool_id = small_pool(toloka.client)
        project_id = toloka.client.get_pool(pool_id).project_id
        a, b, c = toloka.people[:3]
        restrict([a])
        restrict([b], scope="PROJECT", project_id=project_id)
        restrict([c], scope="POOL", pool_id=pool_id)
        assert lift(users=[a, b], scope="PROJECT") == {"lifted": 1, "left": 0}
        assert lift(project_id=project_id) == {"lifted": 0, "left": 0}
        assert lift(pool_id=pool_id, users=[a, {"user_id": c}]) == {"lifted": 1, "left": 0}
        assert set(toloka.restrictions()) == {a}

    @pytest.mark.parametrize("fault", [{"lost_answer": True}, {"drop": True}, {"status": 503}])
    def test_lost_answers(self, toloka: Toloka, fault: dict[str, Any]) -> None:
        restrict(toloka.people)
        [first, *_] = toloka.client.list_user_restrictions()
        toloka.server.faults.add("DELETE", f"/api/v1/user-restrictions/{first.id}", **fault)
        assert lift() == {"lifted": 40, "left": 0}
        assert toloka.restrictions() == {}

    @pytest.mark.parametrize("comment", ["fraud, ticket 7", "", "x" * 499])
    @pytest.mark.parametrize("own", ["Careless", "y" * 440])
    def test_what_was_made_longer_is_as_before(self, toloka: Toloka, comment: str, own: str) -> None:
        person = toloka.people[0]
        ban = {"scope": "ALL_PROJECTS", "user_id": person, "will_expire": "2039-01-01T00:00:00.000"}
        toloka.client.set_user_restriction({**ban, **({"private_comment": comment} if comment else {})})
        for expires in (LATER, LATER + DAY):
            assert restrict([person], will_expire=expires, comment=own)["already"] == 0
            assert restrict([person], will_expire=expires, comment=own)["already"] == 1
        assert lift() == {"lifted": 1, "left": 1}
        left = toloka.restrictions()[person]
        assert left["will_expire"][:19] == "2039-01-01T00:00:00"
        assert comment.endswith(left.get("private_comment", "")), "of a long one the end is left"
        assert len(comment) > 60 or left.get("private_comment", "") == comment
        assert lift() == {"lifted": 0, "left": 1}
        assert lift(restricted_by="anybody", users=[person]) == {"lifted": 1, "left": 0}

    def test_what_was_made_longer_and_is_over(self, toloka: Toloka) -> None:
        person = toloka.people[0]
        ends = toloka.client.server_time() or datetime.now(UTC)
        ends = (ends + DAY).replace(tzinfo=None)
        toloka.client.set_user_restriction(
            {"scope": "ALL_PROJECTS", "user_id": person, "will_expire": ends.isoformat(timespec="milliseconds")}
        )
        restrict([person], expires_in=9 * DAY)
        toloka.server.clock.advance(2 * 24 * 3600)
        assert lift() == {"lifted": 1, "left": 0}
        assert toloka.restrictions() == {}

    def test_of_another_run_one_is_left_that_this_run_made_longer(self, toloka: Toloka) -> None:
        """But not if it is what any run of the DAG has made that is to be lifted."""
        runs = [TaskInstance(task_id="restrict", run_id=f"manual__{number}") for number in (1, 2)]
        people = toloka.people[:2]
        for instance, years in zip(runs, (0, 366), strict=True):
            restrict(people, will_expire=LATER + years * DAY, comment="z" * 440, instance=instance)
        lifted = {"lifted": 1, "left": 0}
        assert lift(users=people[:1], instance=TaskInstance(task_id="lift", run_id="manual__1")) == {
            "lifted": 0,
            "left": 1,
        }
        assert lift(users=people[:1], instance=TaskInstance(task_id="lift", run_id="manual__2")) == {
            "lifted": 1,
            "left": 1,
        }
        assert toloka.restrictions()[people[0]]["will_expire"][:19] == "2040-01-01T00:00:00"
        assert lift(users=people[:1], instance=TaskInstance(task_id="lift", run_id="manual__1")) == lifted
        assert lift(users=people[1:], restricted_by="dag") == lifted

    @pytest.mark.parametrize("place", ["project_id", "pool_id"])
    @pytest.mark.usefixtures("connection")
    def test_filters_that_the_api_ignores(self, server: ScriptedServer, place: str) -> None:
        """It documents the ids as filters only beside their scope."""
        scope = {"project_id": "PROJECT", "pool_id": "POOL"}[place]
        others = [
            {"id": "1", "scope": "ALL_PROJECTS", "user_id": "a"},
            {"id": "2", "scope": scope, place: "8", "user_id": "a"},
            {"id": "3", "scope": scope, place: "7", "user_id": "a"},
        ]
        server.default("GET", "/user-restrictions", {"items": others, "has_more": False})
        server.default("DELETE", "/user-restrictions/3", {})
        server.error("GET", "/pools/7", 404, "DOES_NOT_EXIST")  # for the link
        assert lift(restricted_by="anybody", **{place: "7"}) == {"lifted": 1, "left": 0}
        [listing] = [seen for seen in server.seen if seen.path.endswith("/user-restrictions")]
        assert {f"scope={scope}", f"{place}=7"} <= set(listing.query.split("&"))

    @pytest.mark.usefixtures("connection")
    def test_a_gateway_that_knows_no_such_path_has_lifted_nothing(self, server: ScriptedServer) -> None:
        ban = {"id": "3", "scope": "ALL_PROJECTS", "user_id": "a"}
        server.default("GET", "/user-restrictions", {"items": [ban], "has_more": False})
        for seconds in ("0", "100"):
            lost = {"body": b"<h1>Not found</h1>", "headers": {"Retry-After": seconds}}
            server.answer("DELETE", "/user-restrictions/3", status=404, **lost)
        with pytest.raises(AirflowException, match="404"):
            lift(restricted_by="anybody", users=["a"])

    @pytest.mark.usefixtures("connection")
    def test_tolokas_own_are_left(self, server: ScriptedServer) -> None:
        system = {"id": "1", "scope": "SYSTEM", "user_id": "a"}
        server.default("GET", "/user-restrictions", {"items": [system], "has_more": False})
        assert lift(users=["a"], restricted_by="anybody") == {"lifted": 0, "left": 0}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"restricted_by": "me"}, "restricted_by is 'me'; it must be run, dag, anybody"),
            ({"restricted_by": "anybody", "scope": "ALL_PROJECTS"}, "restricted_by is 'anybody', so users"),
            ({"scope": "SYSTEM"}, "scope is 'SYSTEM'"),
            ({"scope": "POOL", "project_id": "1"}, "scope is 'POOL', so project_id must not be given"),
            ({"pool_id": "1/2"}, "pool_id is '1/2'"),
        ],
    )
    @pytest.mark.usefixtures("connection")
    def test_what_cannot_be_used(self, server: ScriptedServer, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            lift(**arguments)
        assert server.seen == []
