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


def test_overview_tells_pools_apart(api):
    """The pools that a DAG makes every night are all called the same."""
    project_id = api.add_project(public_name="Cats & dogs")
    pool_ids = [api.add_pool(project_id, tasks=1) for _ in range(2)]
    text = page(api, "/").text
    for pool_id in pool_ids:
        assert f"<td>{pool_id}</td>" in text
    assert text.count(f'<a href="/requester/project/{project_id}">Cats &amp; dogs ({project_id})</a>') == 2
    assert "balance $1,000.00" in text
    now = api.server.clock.view()["now"][:10]
    assert text.count(now) >= 3  # the clock, and when each was created


def test_page_of_a_pool_says_when_it_ends_and_what_is_reviewed(api):
    pool_id = api.server.add_pool(
        3, overlap=2, open=True, will_expire="2100-01-02T03:04:05", auto_accept_solutions=False
    )
    api.server.clock.advance(3600)
    project_id = api.get(f"/pools/{pool_id}")["project_id"]
    text = page(api, f"/requester/project/{project_id}/pool/{pool_id}").text
    assert "<th>Expires</th><td>2100-01-02 03:04:05</td>" in text
    assert "<th>Overlap</th><td>2</td>" in text
    assert "of which 0 are control tasks" in text
    assert " submitted" in text
