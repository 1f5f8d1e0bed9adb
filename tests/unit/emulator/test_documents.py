"""What the emulator says of itself: its OpenAPI document, and the table of calls in its page."""

from __future__ import annotations

import json
import re
from itertools import product

from docs import coverage
from docs.made_parts import part, updated
from toloka_airflow.emulator.http.openapi import document, undescribed
from toloka_airflow.emulator.http.steering import STEERING
from toloka_airflow.emulator.resources.routes import HANDLERS, STAGING_HANDLERS

# The calls of the official API reference.
DOCUMENTED = """
/aggregated-solutions/aggregate-by-pool POST
/aggregated-solutions/aggregate-by-task POST
/aggregated-solutions/{id} GET
/assignments GET
/assignments/{id} GET PATCH
/attachments GET
/attachments/{id} GET
/attachments/{id}/download GET
/message-threads GET
/message-threads/compose POST
/message-threads/{id}/add-to-folders POST
/message-threads/{id}/remove-from-folders POST
/message-threads/{id}/reply POST
/operations GET
/operations/{id} GET
/operations/{id}/log GET
/pools GET POST
/pools/{id} GET PUT PATCH
/pools/{id}/archive POST
/pools/{id}/clone POST
/pools/{id}/close POST
/pools/{id}/close-for-update POST
/pools/{id}/open POST
/projects GET POST
/projects/{id} GET PUT
/projects/{id}/archive POST
/requester GET
/skills GET POST
/skills/{id} GET PUT
/task-suites GET POST
/task-suites/{id} GET PATCH
/task-suites/{id}/set-overlap-or-min PATCH
/tasks GET POST
/tasks/{id} GET PATCH
/tasks/{id}/set-overlap-or-min PATCH
/trainings GET POST
/trainings/{id} GET PUT
/trainings/{id}/archive POST
/trainings/{id}/clone POST
/trainings/{id}/close POST
/trainings/{id}/close-for-update POST
/trainings/{id}/open POST
/user-bonuses GET POST
/user-bonuses/{id} GET
/user-metadata/{id} GET
/user-restrictions GET PUT
/user-restrictions/{id} GET DELETE
/user-skills GET PUT
/user-skills/{id} GET DELETE
/webhook-subscriptions GET PUT
/webhook-subscriptions/{id} GET DELETE
/webhook-subscriptions/{id}/test POST
"""


def documented() -> set[tuple[str, str]]:
    lines = (line.split() for line in DOCUMENTED.strip().splitlines())
    return {(method, path) for path, *methods in lines for method in methods}


def test_the_table_has_every_documented_call_and_no_other():
    assert len(documented()) == 73
    assert set(coverage.calls()) == documented()


def test_the_page_names_what_is_served_and_nothing_else(api):
    _, table, _ = part(coverage.PAGE.read_text(), "coverage")
    named = {tuple(call.split()) for call in re.findall(r"^\|.*\| `([A-Z]+ /[^`]+)` \|$", table, re.MULTILINE)}
    calls = list(product(coverage.ORDER, {path for _, path in named}))
    answers = {(method, path): api(method, path.replace("{id}", "1")) for method, path in calls}
    served = {call for call, answer in answers.items() if answer.status_code != 405}
    assert served == named == documented()
    assert f"All {len(served)} documented calls" in table
    assert not [call for call in served if "no route" in answers[call].text or answers[call].status_code >= 500]


def test_the_page_is_up_to_date():
    page = coverage.PAGE.read_text()
    assert page == updated(page, coverage.PARTS), "run: make docs"


def test_the_page_names_every_way_to_steer():
    page = coverage.PAGE.read_text()
    assert [path for _, path in STEERING if f"/_emulator{path}`" not in page] == []


def test_the_openapi_document_describes_every_emulated_call():
    assert undescribed() == []
    paths = document()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {(method, f"/api/v1{path}") for method, path in HANDLERS} | STAGING_HANDLERS.keys()


def test_the_openapi_document_refers_to_nothing_that_is_not_there():
    shown = document()
    names = {f'"#/components/schemas/{name}"' for name in shown["components"]["schemas"]}
    texts = json.dumps(shown).split('"$ref": ')[1:]
    assert {text.partition("}")[0] for text in texts} <= names


def test_the_openapi_document_is_published(api):
    answer = api("GET", "/_emulator/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == document()
