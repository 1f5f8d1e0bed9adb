"""How many tasks of each kind are in a suite, and when nobody gets one more, as the guide and the client have it."""

from __future__ import annotations

from collections import Counter

import pytest

from toloka_airflow.emulator.people.crowd import CrowdSettings

DAY = 24 * 3600


def few(size, **changes):
    return CrowdSettings(size=size, skip_rate=0, expire_rate=0, **changes)


KNOWN = {"known_solutions": [{"output_values": {"result": "cat"}}], "infinite_overlap": True}
HINT = KNOWN | {"message_on_unknown_solution": "It is a cat."}


def sizes(api, mixer, *, tasks, golden=0, hints=0, overlap=1):
    """Let people work for a day, and return how often which number of real, control and training tasks was given."""
    counts = {"real_tasks_count": 2, "golden_tasks_count": 0, "training_tasks_count": 0} | mixer
    pool_id = api.add_pool(mixer_config=counts)
    api.add_tasks(pool_id, tasks, overlap=overlap)
    api.add_tasks(pool_id, golden, **KNOWN)
    api.add_tasks(pool_id, hints, **HINT)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)

    def kind(task):
        return 2 if "message_on_unknown_solution" in task else int("known_solutions" in task)

    counted = [Counter(map(kind, item["tasks"])) for item in api.assignments(pool_id)]
    return Counter((count[0], count[1], count[2]) for count in counted), api.status(pool_id)


COMPLETED = ("CLOSED", "COMPLETED")
OPEN = ("OPEN", None)


@pytest.mark.parametrize(
    ("mixer", "wanted", "status"),
    [
        ({}, {(2, 0, 0): 2, (1, 0, 0): 1}, COMPLETED),
        ({"force_last_assignment": True}, {(2, 0, 0): 2, (1, 0, 0): 1}, COMPLETED),
        ({"force_last_assignment": False}, {(2, 0, 0): 2}, OPEN),
        ({"force_last_assignment": False, "min_real_tasks_count": 1}, {(2, 0, 0): 2, (1, 0, 0): 1}, COMPLETED),
    ],
)
def test_an_incomplete_suite(api, mixer, wanted, status):
    assert sizes(api, mixer, tasks=5) == (wanted, status)


def test_what_is_left_over_is_given_out_once_it_is_enough(api):
    pool_id = api.add_pool(
        mixer_config={
            "real_tasks_count": 2,
            "golden_tasks_count": 0,
            "training_tasks_count": 0,
            "force_last_assignment": False,
        }
    )
    api.add_tasks(pool_id, 1, overlap=1)
    api.move(pool_id, "open")
    api.server.clock.advance(DAY)
    assert api.assignments(pool_id) == []
    api.add_tasks(pool_id, 1, overlap=1)
    api.server.clock.advance(DAY)
    assert [len(item["tasks"]) for item in api.assignments(pool_id)] == [2]
    assert api.status(pool_id) == COMPLETED


def test_who_has_had_all_control_tasks_gets_no_more(make_api):
    api = make_api(crowd=few(2))
    assert sizes(api, {"golden_tasks_count": 1}, tasks=20, golden=3) == ({(2, 1, 0): 6}, OPEN)


@pytest.mark.parametrize(
    ("mixer", "wanted", "status"),
    [
        ({"golden_tasks_count": 2, "min_golden_tasks_count": 1}, {(2, 2, 0): 1, (2, 1, 0): 1}, OPEN),
        ({"golden_tasks_count": 2, "min_golden_tasks_count": 0}, {(2, 2, 0): 1, (2, 1, 0): 1, (2, 0, 0): 3}, COMPLETED),
        ({"training_tasks_count": 1}, {}, OPEN),
        ({"training_tasks_count": 1, "min_training_tasks_count": 0}, {(2, 0, 0): 5}, COMPLETED),
    ],
)
def test_fewer_of_the_others(make_api, mixer, wanted, status):
    api = make_api(crowd=few(1))
    assert sizes(api, mixer, tasks=10, golden=3) == (wanted, status)


def test_in_the_last_suite_the_others_are_complete(make_api):
    api = make_api(crowd=few(1))
    mixer = {"golden_tasks_count": 2, "min_golden_tasks_count": 0}
    assert sizes(api, mixer, tasks=3, golden=3) == ({(2, 2, 0): 1}, OPEN)
    assert sizes(api, mixer, tasks=3, golden=4) == ({(2, 2, 0): 1, (1, 2, 0): 1}, COMPLETED)


def test_training_tasks_ride_along(make_api):
    api = make_api(crowd=few(1))
    assert sizes(api, {"training_tasks_count": 1}, tasks=4, hints=2) == ({(2, 0, 1): 2}, COMPLETED)
