from __future__ import annotations

import pytest


@pytest.fixture
def pool_ids(api):
    """Make three pools, a minute apart."""
    ids = []
    for _ in range(3):
        ids.append(api.add_pool())
        api.server.clock.advance(60)
    return ids


def listed(api, path, **params):
    return [item["id"] for item in api.get(path, **params)["items"]]


def test_default_order_and_limit(api, pool_ids):
    assert listed(api, "/pools") == pool_ids
    page = api.get("/pools", limit=2)
    assert [item["id"] for item in page["items"]] == pool_ids[:2]
    assert page["has_more"] is True


def test_paging_as_the_official_client_does_it(api):
    pool_id = api.add_pool(tasks=25)
    seen, page = [], {"has_more": True}
    while page["has_more"]:
        after = {"id_gt": seen[-1]} if seen else {}
        page = api.get("/tasks", pool_id=pool_id, sort="id", limit=10, **after)
        seen += [task["id"] for task in page["items"]]
    assert len(seen) == 25
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"created_gt": "2030-01-01T00:00:00"}, [1, 2]),
        ({"created_gte": "2030-01-01T00:01:00.000", "created_lt": "2030-01-01T00:02"}, [1]),
        ({"created_lte": "2030-01-01"}, [0]),
        ({"sort": "-created"}, [2, 1, 0]),
        ({"sort": "-id", "limit": 1}, [2]),
        ({"status": "OPEN"}, []),
        ({"status": "CLOSED"}, [0, 1, 2]),
        ({"last_started_gt": "2000-01-01"}, []),
    ],
)
def test_filters(api, pool_ids, params, expected):
    assert listed(api, "/pools", **params) == [pool_ids[i] for i in expected]


def test_ids_of_digits_are_compared_as_numbers(api, pool_ids):
    assert listed(api, "/pools", id_gt="9") == pool_ids
    assert listed(api, "/pools", id_gte=pool_ids[1], id_lt=pool_ids[2]) == [pool_ids[1]]


def test_things_without_the_sorted_property_come_last(api, pool_ids):
    api.add_tasks(pool_ids[2], 1)
    api.move(pool_ids[2], "open")
    assert listed(api, "/pools", sort="last_started,id")[0] == pool_ids[2]
    assert listed(api, "/pools", sort="-last_started,-id") == [pool_ids[2], pool_ids[1], pool_ids[0]]


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/pools", {"limit": 301}, "limit"),
        ("/pools", {"limit": 0}, "limit"),
        ("/pools", {"limit": "x"}, "limit"),
        ("/pools", {"offset": 1}, "offset"),
        ("/pools", {"created_gt": "x"}, "created_gt"),
        ("/pools", {"created_ge": "2030-01-01"}, "created_ge"),
        ("/pools", {"sort": "status"}, "sort"),
        ("/pools", {"status": "SHUT"}, "status"),
        ("/pools", {"limit": "9" * 5000}, "limit"),
        ("/assignments", {"pool_id": "1", "status": "ACCEPTED,DONE"}, "status"),
        ("/operations", {"limit": 501}, "limit"),
        ("/tasks", {}, "pool_id"),
        ("/skills", {"limit": 101}, "limit"),
        ("/skills", {"global": "yes"}, "global"),
        ("/user-skills", {"limit": 1001}, "limit"),
        ("/user-skills", {"sort": "value"}, "sort"),
        ("/user-restrictions", {"limit": 501}, "limit"),
        ("/user-bonuses", {"limit": 301}, "limit"),
        ("/user-bonuses", {"amount_gt": 1}, "amount_gt"),
        ("/message-threads", {"folder_ne": "TRASH"}, "folder_ne"),
        ("/assignments", {}, "pool_id"),
    ],
)
def test_bad_query_is_named(api, path, params, field):
    answer = api("GET", path, params=params)
    assert answer.status_code == 400
    assert list(answer.json()["payload"]) == [field]


@pytest.mark.parametrize(("path", "limit"), [("/operations", 500), ("/tasks", 100_000), ("/assignments", 100_000)])
def test_longer_lists_where_the_official_client_asks_for_them(api, path, limit):
    params = {} if path == "/operations" else {"pool_id": "1"}
    assert api.get(path, limit=limit, **params) == {"items": [], "has_more": False}


def test_projects_of_an_owner(api):
    project_id = api.add_project()
    owner = api.get("/requester")["id"]
    assert listed(api, "/projects", owner=owner, status="ACTIVE", sort="public_name") == [project_id]
    assert listed(api, "/projects", owner="somebody") == []


def test_operations_by_type_and_status(api):
    pool_id = api.add_pool(tasks=1)
    api.move(pool_id, "open")
    running = api.post(f"/pools/{pool_id}/close")["id"]
    assert listed(api, "/operations", status="PENDING,RUNNING") == [running]
    assert listed(api, "/operations", type="POOL.CLOSE") == [running]
    assert listed(api, "/operations", sort="-submitted,-finished", limit=1) == [running]
