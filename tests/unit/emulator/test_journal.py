from __future__ import annotations

import threading

import pytest
import requests


def journal(api, **params):
    answer = requests.get(f"{api.server.url}/_emulator/journal", params=params, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def follow(api):
    """Follow the journal in the background; return a function that waits for the answer."""

    def begin(**params):
        pages = []
        follower = threading.Thread(target=lambda: pages.append(journal(api, **params)))
        follower.start()

        def answered():
            follower.join()
            return pages[0]

        return answered

    return begin


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"kind": "request"}, 5),
        ({"kind": "event"}, 2),
        ({"event": "pool.created"}, 1),
        ({"method": "GET"}, 3),
        ({"path": "/api/v1/pools"}, 2),
        ({"path": "/api/v1/pools/{id}", "method": "GET"}, 2),
        ({"kind": "event", "method": "GET"}, 0),
        ({"kind": "delivery"}, 0),
    ],
)
def test_filters(api, filters, count):
    pool_id = api.add_pool()
    api("GET", "/pools")
    api("GET", f"/pools/{pool_id}")
    api("GET", "/pools/7")
    page = journal(api, **filters)
    assert len(page["items"]) == count
    assert page["last"] == 7
    assert all(entry.get(name) == value for entry in page["items"] for name, value in filters.items() if name != "path")


def test_templates_in_python(api):
    api("GET", "/pools/7")
    api("GET", "/pools")
    assert len(api.server.journal.requests("GET", "/api/v1/pools/{id}")) == 1


def test_nothing_new_is_answered_at_once(api):
    assert journal(api) == {"items": [], "last": 0}


def test_what_is_there_is_not_waited_for(api):
    api("GET", "/pools")
    # It would come after the client has given up.
    assert len(journal(api, wait=60)["items"]) == 1


def test_waits_for_the_next_entry(api, follow):
    answered = follow(wait=60)
    api("GET", "/pools")
    page = answered()
    assert [entry["path"] for entry in page["items"]] == ["/api/v1/pools"]
    assert page["last"] == 1


def test_waits_for_what_was_asked_for(api, follow):
    answered = follow(wait=60, event="pool.opened")
    pool_id = api.add_pool(tasks=1)
    api.post(f"/pools/{pool_id}/open")
    # Nobody asks for the operation: the emulator notices by itself that it is over.
    api.server.clock.advance(1)
    [entry] = answered()["items"]
    assert entry["pool_id"] == pool_id


def test_waiting_ends(api):
    api.add_project()
    assert journal(api, wait=0.05, after=2) == {"items": [], "last": 2}


def test_follower_goes_or_server_stops(api, stop_at_once):
    with pytest.raises(requests.Timeout):
        requests.get(f"{api.server.url}/_emulator/journal?wait=60", timeout=0.05)
    stop_at_once(api.server)


def test_begins_anew_after_a_reset(api):
    api.add_project()
    api.server.reset()
    assert journal(api, after=2) == {"items": [], "last": 0}
