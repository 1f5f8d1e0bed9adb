"""Whatever is sent, the emulator answers as its own OpenAPI document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="run by: make test-fidelity")

import requests  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis import GenerationMode, checks  # noqa: E402
from schemathesis.specs.openapi import checks as rules  # noqa: E402

from toloka_airflow.emulator.http.openapi import document  # noqa: E402
from toloka_airflow.emulator.resources import attachments  # noqa: E402
from toloka_airflow.emulator.server import EmulatorServer  # noqa: E402

WANTED_REQUESTS = 5_000
SEED = 20_300_101
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (result.ok() for result in SCHEMA.get_all_operations())
}
EXAMPLES = 1 + WANTED_REQUESTS // (2 * len(OPERATIONS))
CHECKS = [
    checks.not_a_server_error,
    rules.status_code_conformance,
    rules.content_type_conformance,
    rules.response_schema_conformance,
]
STRICT_CHECKS = [*CHECKS, rules.negative_data_rejection]
PROJECT = {
    "public_name": "Animals",
    "public_description": "Which animal is it?",
    "assignments_issuing_type": "AUTOMATED",
    "task_spec": {
        "input_spec": {"image": {"type": "url"}},
        "output_spec": {"result": {"type": "string", "allowed_values": ["cat", "dog"]}},
    },
}
POOL = {
    "private_name": "Pool",
    "will_expire": "2031-01-01T00:00:00",
    "reward_per_assignment": 0.02,
    "assignment_max_duration_seconds": 600,
    "defaults": {"default_overlap_for_new_task_suites": 1, "default_overlap_for_new_tasks": 3},
    "mixer_config": {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0},
}
TRAINING = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}
PAUSES = (0, 1, 900)
NOUNS = {
    "pool_id": "pools",
    "project_id": "projects",
    "task_id": "tasks",
    "user_id": "people",
    "skill_id": "skills",
    "assignment_id": "assignments",
}
CHANCES = st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 1), st.integers(0, 99))


class Target:
    """An emulator in which there is a bit of everything, so that ids can be found."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["Authorization"] = "OAuth secret"
        self.requests = 0

    def post(self, path: str, body: Any = None, **query: str) -> Any:
        answer = self.session.post(f"{self.server.url}/api/v1{path}", json=body, params=query, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def begin(self) -> None:
        """Begin anew: an unused project, and one with a pool in each status and a training."""
        self.server.reset()
        self.post("/projects", PROJECT)
        project_id = self.post("/projects", PROJECT)["id"]
        training_id = self.post("/trainings", TRAINING | {"project_id": project_id})["id"]
        pools = [self.post("/pools", POOL | {"project_id": project_id})["id"] for _ in range(4)]
        manual = POOL | {"project_id": project_id, "auto_accept_solutions": False}
        pools.append(self.post("/pools", manual)["id"])
        for pool_id in [training_id, *pools[1:]]:
            tasks = [{"pool_id": pool_id, "input_values": {"image": f"u{i}"}} for i in range(6)]
            self.post("/tasks", tasks, allow_defaults="true")
        self.post(f"/pools/{pools[3]}/archive")
        for pool_id in (pools[2], pools[4]):
            self.post(f"/pools/{pool_id}/open")
            self.server.clock.advance(3600)
        weights = {"pool_id": pools[2], "type": "DAWID_SKENE", "fields": [{"name": "result"}]}
        self.post("/aggregated-solutions/aggregate-by-pool", weights)
        self.server.clock.advance(3600)
        self.add_people(pools[4])

    def add_people(self, pool_id: str) -> None:
        """Let there be a bit of everything about people."""
        with self.server.world.up_to_date() as world:
            assignment = world.pools[pool_id].assignments[0]
            attachments.add(world, assignment, "cat.png", "image/png", b"cat")
        user_id = assignment.user_id
        skill_id = self.post("/skills", {"name": "Cats"})["id"]
        self.put("/user-skills", {"skill_id": skill_id, "user_id": user_id, "value": 50})
        self.put("/user-restrictions", {"scope": "ALL_PROJECTS", "user_id": user_id})
        bonus = {"user_id": user_id, "amount": 1, "without_message": True, "assignment_id": assignment.id}
        self.post("/user-bonuses", bonus)
        message = {"topic": {"EN": "a"}, "text": {"EN": "b"}, "recipients_select_type": "DIRECT"}
        self.post("/message-threads/compose", message | {"recipients_ids": [user_id]})

    def put(self, path: str, body: Any) -> None:
        answer = self.session.put(f"{self.server.url}/api/v1{path}", json=body, timeout=10)
        assert answer.status_code == 201, answer.text

    def ids(self, path: str) -> list[str]:
        """Return the ids of what a path is about."""
        world = self.server.world
        by_noun: dict[str, Any] = {
            "pools": [pool.id for pool in world.pools.values() if not pool.is_training],
            "trainings": [pool.id for pool in world.pools.values() if pool.is_training],
            "aggregated-solutions": world.operations,
            "user-metadata": world.people,
        }
        noun = path.removeprefix("/api/v1/").partition("/")[0]
        found = by_noun.get(noun, getattr(world, noun.replace("-", "_"), []))
        return list(found)

    def make_real(self, case: Any, chances: tuple[int, int, int, int]) -> None:
        """Put ids that there are in place of made-up ones, as often as chance says."""
        in_path, in_body, in_query, which = chances
        if case.path_parameters and in_path:
            case.path_parameters["id"] = self.pick(case.operation.path, which) or case.path_parameters["id"]
        bodies = case.body if isinstance(case.body, list) else [case.body]
        for fields in [*(bodies if in_body else []), case.query if in_query else None]:
            for name, noun in NOUNS.items():
                if isinstance(fields, dict) and isinstance(fields.get(name), str):
                    fields[name] = self.pick(noun, which)

    def pick(self, path: str, which: int) -> str | None:
        known = self.ids(path)
        return known[which % len(known)] if known else None

    def try_out(self, case: Any) -> None:
        """Send the request and hold the answer against the document."""
        response = case.call(base_url=self.server.url, session=self.session, timeout=10)
        self.requests += 1
        case.validate_response(response, checks=CHECKS if _may_be_taken(case, response) else STRICT_CHECKS)


def _may_be_taken(case: Any, response: Any) -> bool:
    # What is wrong with the items of an asynchronous upload is found out later and told in its log; what is wrong
    # with some of several webhooks is told next to those that are right.
    told_later = case.method == "POST" and response.status_code == 202
    told_apart = "validation_errors" in (response.text if isinstance(case.body, list) else "")
    # Of a parameter that is sent twice, the last one counts.
    sent_twice = any(isinstance(value, list) for value in (case.query or {}).values())
    # Too many items are refused by a status that the strict check does not take for a refusal.
    is_too_much = response.status_code == 413
    return told_later or told_apart or sent_twice or is_too_much


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with EmulatorServer(seed=1, frozen=True, start="2030-01-01T00:00:00") as server:
        target = Target(server)
        yield target
        target.session.close()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_documented(name: str, mode: GenerationMode, target: Target) -> None:
    target.begin()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[name].as_strategy(generation_mode=mode), chances=CHANCES, pause=st.sampled_from(PAUSES))
    def check(case: Any, chances: tuple[int, int, int, int], pause: int) -> None:
        target.make_real(case, chances)
        target.try_out(case)
        target.server.clock.advance(pause)

    check()


def test_an_assignment_with_a_bonus(target: Target) -> None:
    target.begin()
    [bonus] = target.session.get(f"{target.server.url}/api/v1/user-bonuses", timeout=10).json()["items"]
    operation = OPERATIONS["GET /api/v1/assignments/{id}"]
    case = operation.Case(path_parameters={"id": bonus["assignment_id"]})
    response = case.call(base_url=target.server.url, session=target.session, timeout=10)
    assert response.json()["bonus_ids"] == [bonus["id"]]
    case.validate_response(response, checks=CHECKS)


def test_there_were_enough_requests(target: Target, request: pytest.FixtureRequest) -> None:
    if request.session.testscollected < 2 * len(OPERATIONS):
        pytest.skip("only a part of the requests was wanted")
    assert target.requests >= WANTED_REQUESTS
