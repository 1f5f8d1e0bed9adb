"""Attachments: files that people send with their answers."""

from __future__ import annotations

import json

import pytest

from toloka_airflow.emulator.resources import attachments

PNG = bytes(range(256))


@pytest.fixture
def pool_id(api):
    """A pool in which two assignments have files."""
    pool_id = api.add_pool(tasks=4)
    api.move(pool_id, "open")
    api.server.clock.advance(3600)
    with api.server.world.up_to_date() as world:
        for number, assignment in enumerate(world.pools[pool_id].assignments[:2]):
            for name, media_type in ((f"cat {number}.png", "image/png"), ("Ärger; x.txt", "text/plain")):
                attachments.add(world, assignment, name, media_type, PNG[number:])
    return pool_id


def test_what_is_told_of_a_file(api, pool_id):
    items = api.get("/attachments", pool_id=pool_id)["items"]
    assert len(items) == 4
    assert [item["id"] for item in items] == sorted(item["id"] for item in items)
    shown = next(item for item in items if item["name"] == "cat 0.png")
    first = api.assignments(pool_id)[0]
    assert shown["details"] == {"user_id": first["user_id"], "assignment_id": first["id"], "pool_id": pool_id}
    assert (shown["attachment_type"], shown["media_type"]) == ("ASSIGNMENT_ATTACHMENT", "image/png")
    assert api.get(f"/attachments/{shown['id']}") == shown


def test_lists_of_files(api, pool_id):
    first, second, *_ = api.assignments(pool_id)
    assert len(api.get("/attachments", assignment_id=first["id"])["items"]) == 2
    own = api.get("/attachments", pool_id=pool_id, user_id=second["user_id"], name="cat 1.png")["items"]
    assert [item["details"]["assignment_id"] for item in own] == [second["id"]]
    assert len(api.get("/attachments", pool_id=pool_id, type="ASSIGNMENT_ATTACHMENT")["items"]) == 4
    seen, page = [], {"has_more": True}
    while page["has_more"]:
        after = {"id_gt": seen[-1]} if seen else {}
        page = api.get("/attachments", pool_id=pool_id, sort="id", limit=1, **after)
        seen += [item["id"] for item in page["items"]]
    assert len(set(seen)) == 4
    assert api.get("/attachments", pool_id="1")["items"] == []
    assert api.get("/attachments", pool_id="1", assignment_id=first["id"])["items"] == []


def test_a_pool_or_an_assignment_must_be_named(api):
    answer = api("GET", "/attachments")
    assert (answer.status_code, list(answer.json()["payload"])) == (400, ["pool_id"])
    assert api.code("GET", "/attachments", pool_id="1", limit=101) == (400, "VALIDATION_ERROR")


def test_files_are_downloaded(api, pool_id):
    shown = {item["name"]: item for item in api.get("/attachments", pool_id=pool_id)["items"]}
    for name, media_type, encoded in (
        ("cat 1.png", "image/png", "cat%201.png"),
        ("Ärger; x.txt", "text/plain", "%C3%84rger%3B%20x.txt"),
    ):
        answer = api("GET", f"/attachments/{shown[name]['id']}/download")
        assert answer.status_code == 200
        assert answer.content in (PNG, PNG[1:])
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{encoded}"
    assert api.code("GET", "/attachments/1/download") == (404, "DOES_NOT_EXIST")
    assert api.code("GET", "/attachments/1") == (404, "DOES_NOT_EXIST")


def test_files_survive_a_snapshot(api, pool_id):
    before = api.get("/attachments", pool_id=pool_id)
    document = json.loads(json.dumps(api.server.snapshot()))
    api.server.reset()
    assert api.get("/attachments", pool_id=pool_id)["items"] == []
    api.server.restore(document)
    assert api.get("/attachments", pool_id=pool_id) == before
    first = next(item for item in before["items"] if item["name"] == "cat 0.png")
    assert api("GET", f"/attachments/{first['id']}/download").content == PNG


def test_half_a_file(api, pool_id):
    shown = api.get("/attachments", pool_id=pool_id)["items"][0]
    api.server.faults.add("GET", "/api/v1/attachments/{id}/download", half_body=True)
    with pytest.raises(Exception, match="IncompleteRead"):
        api("GET", f"/attachments/{shown['id']}/download")
