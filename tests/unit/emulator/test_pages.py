from __future__ import annotations

import pytest
import requests


def page(api, path):
    return requests.get(f"{api.server.url}{path}", timeout=5)


@pytest.mark.parametrize("kind", ["pool", "training"])
def test_page_of_a_pool(api, kind):
    project_id = api.add_project()
    add = api.add_pool if kind == "pool" else api.add_training
    pool_id = add(project_id, tasks=1, private_name="<b>First</b>")
    api.move(pool_id, "open", kind=f"{kind}s")
    answer = page(api, f"/requester/project/{project_id}/{kind}/{pool_id}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "&lt;b&gt;First&lt;/b&gt;" in answer.text
    assert "<b>" not in answer.text
    assert "OPEN" in answer.text
    assert "http://" not in answer.text
    assert f'href="/requester/project/{project_id}/{kind}/{pool_id}"' in page(api, "/").text


def test_page_of_a_project(api):
    first, second = api.add_project(public_name="<b>Cats</b>"), api.add_project()
    pool_id = api.add_pool(first)
    answer = page(api, f"/requester/project/{first}")
    assert answer.status_code == 200
    assert "&lt;b&gt;Cats&lt;/b&gt;" in answer.text
    assert f"/pool/{pool_id}" in answer.text
    assert "no pools yet" in page(api, f"/requester/project/{second}").text


def test_page_of_a_skill(api):
    skill_id = api.post("/skills", {"name": "<b>Cats</b>"})["id"]
    assert "Nobody" in page(api, f"/requester/quality/skill/{skill_id}").text
    user_id = api.server.crowd.user_ids[0]
    api("PUT", "/user-skills", json={"skill_id": skill_id, "user_id": user_id, "value": 59.7})
    text = page(api, f"/requester/quality/skill/{skill_id}").text
    assert "&lt;b&gt;Cats&lt;/b&gt;" in text
    assert f"<td>{user_id}</td><td>60</td>" in text


def test_no_such_page(api):
    assert page(api, "/requester/project/1").status_code == 404
    assert page(api, "/requester/quality/skill/1").status_code == 404
    pool_id = api.add_pool()
    assert page(api, f"/requester/project/1/pool/{pool_id}").status_code == 404
    assert page(api, "/requester/project/1/pool/<i>").status_code == 404
    assert page(api, "/elsewhere").status_code == 404


def test_overview_of_nothing(api):
    assert "no pools yet" in page(api, "/").text
