"""Rules, filters and task interfaces that Toloka would not take are refused, and the field is named."""

from __future__ import annotations

import pytest

BAN = {"type": "RESTRICTION_V2", "parameters": {"scope": "PROJECT", "duration_unit": "DAYS", "duration": 10}}
ENOUGH = {"key": "golden_set_answers_count", "operator": "GT", "value": 7}


def control(collector="GOLDEN_SET", parameters=None, conditions=(ENOUGH,), action=BAN):
    told = {"type": collector} | ({} if parameters is None else {"parameters": parameters})
    rules = [{"conditions": list(conditions), "action": action}]
    return {"configs": [{"collector_config": told, "rules": rules}]}


def action(type, **parameters):
    return {"type": type, "parameters": parameters}


def submit_time(**parameters):
    return control(
        "ASSIGNMENT_SUBMIT_TIME", parameters, [{"key": "fast_submitted_count", "operator": "GT", "value": 1}]
    )


COLLECTOR = "quality_control.configs.0.collector_config"
RULE = "quality_control.configs.0.rules.0"
CONDITION = f"{RULE}.conditions.0"
PARAMETERS = f"{RULE}.action.parameters"
WRONG_CONTROL = [
    (control("GOLDEN_SETT"), f"{COLLECTOR}.type"),
    (control(parameters={"history": 5}), f"{COLLECTOR}.parameters.history"),
    (control(parameters={"history_size": 0}), f"{COLLECTOR}.parameters.history_size"),
    (control(parameters={"answer_threshold": 3}), f"{COLLECTOR}.parameters.answer_threshold"),
    (submit_time(), f"{COLLECTOR}.parameters.fast_submit_threshold_seconds"),
    (control(conditions=[ENOUGH | {"operator": "LTX"}]), f"{CONDITION}.operator"),
    (control(conditions=[ENOUGH | {"key": "golden_answers"}]), f"{CONDITION}.key"),
    (control(conditions=[ENOUGH | {"key": "skipped_in_row_count"}]), f"{CONDITION}.key"),
    (control(conditions=[ENOUGH | {"value": "seven"}]), f"{CONDITION}.value"),
    (control(conditions=[ENOUGH | {"extra": 1}]), f"{CONDITION}.extra"),
    (control(action=action("RESTRICTION_V9", scope="POOL")), f"{RULE}.action.type"),
    (control(action=action("CHANGE_OVERLAP", delta=1)), f"{RULE}.action.type"),
    (control(action=action("RESTRICTION_V2", scope="PROJECT")), f"{PARAMETERS}.duration_unit"),
    (control(action=action("RESTRICTION_V2", scope="PROJECT", duration_unit="DAYS")), f"{PARAMETERS}.duration"),
    (control(action=action("RESTRICTION_V2", scope="SYSTEM", duration_unit="PERMANENT")), f"{PARAMETERS}.scope"),
    (control(action=action("REJECT_ALL_ASSIGNMENTS", comment="no")), f"{PARAMETERS}.comment"),
    (control(action=action("SET_SKILL", skill_id="77", skill_value=5)), f"{PARAMETERS}.skill_id"),
    (control(action=action("SET_SKILL", skill_id="77", skill_value=101)), f"{PARAMETERS}.skill_value"),
    (
        control(action=action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id="7", from_field="correct_rate")),
        f"{PARAMETERS}.from_field",
    ),
    (
        control(
            "ASSIGNMENTS_ASSESSMENT",
            conditions=[{"key": "assessment_event", "operator": "EQ", "value": "REJECTED"}],
            action=action("CHANGE_OVERLAP", delta=1),
        ),
        f"{CONDITION}.value",
    ),
    (
        control(
            "ASSIGNMENTS_ASSESSMENT",
            conditions=[{"key": "assessment_event", "operator": "NE", "value": "REJECT"}],
            action=action("CHANGE_OVERLAP", delta=1),
        ),
        f"{CONDITION}.operator",
    ),
    (
        control(
            "USERS_ASSESSMENT",
            conditions=[{"key": "skill_id", "operator": "EQ", "value": "77"}],
            action=action("CHANGE_OVERLAP", delta=1),
        ),
        f"{CONDITION}.value",
    ),
]


@pytest.mark.parametrize(("quality_control", "field"), WRONG_CONTROL, ids=[field for _, field in WRONG_CONTROL])
def test_wrong_rules_of_a_pool_and_of_a_project(api, quality_control, field):
    project_id = api.add_project()
    project = api.get(f"/projects/{project_id}")
    pool = api.get(f"/pools/{api.add_pool(project_id)}")
    for path, body in (
        ("/projects", project | {"quality_control": quality_control}),
        ("/pools", pool | {"quality_control": quality_control}),
    ):
        for method, address in (("POST", path), ("PUT", f"{path}/{body['id']}")):
            answer = api(method, address, json=body)
            assert (answer.status_code, list(answer.json()["payload"])) == (400, [field])


def condition(category="profile", key="languages", operator="IN", value="EN", **more):
    return {"category": category, "key": key, "operator": operator, "value": value, **more}


def grouped(*conditions):
    return {"and": [{"or": list(conditions)}]}


FIRST = "filter.and.0.or.0"
WRONG_FILTERS = [
    (grouped(condition("profil")), f"{FIRST}.category"),
    (grouped(condition(key="langages")), f"{FIRST}.key"),
    (grouped(condition(key="os_family", operator="EQ", value="LINUX")), f"{FIRST}.key"),
    (grouped(condition(operator="EQ")), f"{FIRST}.operator"),
    (grouped(condition(key="country", operator="IN", value="US")), f"{FIRST}.operator"),
    (grouped(condition(value="english")), f"{FIRST}.value"),
    (grouped(condition(value=["EN", "FR"])), f"{FIRST}.value"),
    (grouped(condition(values="EN")), f"{FIRST}.values"),
    (grouped(condition("computed", "device_category", "EQ", "PHONE")), f"{FIRST}.value"),
    (grouped(condition("computed", "os_version", "GTE", "new")), f"{FIRST}.value"),
    (grouped(condition("skill", "77", "GT", 50)), f"{FIRST}.key"),
    (grouped(condition("skill", "77", "LTX", 50)), f"{FIRST}.operator"),
    (grouped(condition("skill", "77", "GT", None)), f"{FIRST}.value"),
    (grouped(condition(), {"category": "profile"}), "filter.and.0.or.1.key"),
    ({"and": [condition(), 5]}, "filter.and.1"),
    ({"and": [], "or": []}, "filter.or"),
    ({"and": [{"or": [condition()], "and": [condition()]}]}, "filter.and.0.or"),
    ({"and": [condition()] * 200}, "filter"),
]


@pytest.mark.parametrize(("told", "field"), WRONG_FILTERS)
def test_wrong_filters(api, told, field):
    pool = api.get(f"/pools/{api.add_pool()}")
    for method, path in (("POST", "/pools"), ("PUT", f"/pools/{pool['id']}")):
        answer = api(method, path, json=pool | {"filter": told})
        assert answer.status_code == 400
        assert field in answer.json()["payload"]


def test_a_filter_that_is_nested_too_deep_is_refused_and_breaks_nothing(api):
    told = condition()
    for _ in range(200):
        told = {"and": [told]}
    assert api.code("POST", "/pools", api.get(f"/pools/{api.add_pool()}") | {"filter": told})[0] == 400


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"and": []},
        {"and": [condition("skill", 26366, "EQ", 100)]},
        {"or": [condition(), {"and": [condition("computed", "region_by_ip", "NOT_IN", 225)]}]},
        grouped(condition("profile", "date_of_birth", "LT", 946684800)),
    ],
)
def test_filters_that_are_kept(api, told):
    pool_id = api.add_pool(filter=told)
    assert api.get(f"/pools/{pool_id}")["filter"] == told


def test_a_skill_that_is_there_may_be_named_as_text_or_as_a_number(api):
    skill_id = api.post("/skills", {"name": "Good"})["id"]
    rule = action("SET_SKILL_FROM_OUTPUT_FIELD", skill_id=skill_id, from_field="golden_set_correct_answers_rate")
    for told in (skill_id, int(skill_id)):
        api.add_pool(filter=grouped(condition("skill", told, "EQ", None)), quality_control=control(action=rule))


@pytest.mark.parametrize(
    ("view_spec", "field"),
    [
        ({"type": "tb", "config": {"view": {}}}, "config"),
        ({"type": "tb", "config": "{view}"}, "config"),
        ({"type": "tb"}, "config"),
        ({"config": ["view"]}, "config"),
        ({"type": "template"}, "type"),
    ],
)
def test_template_builder_takes_its_config_as_text(api, view_spec, field):
    project = api.get(f"/projects/{api.add_project()}")
    answer = api("POST", "/projects", json=project | {"task_spec": {**project["task_spec"], "view_spec": view_spec}})
    assert (answer.status_code, list(answer.json()["payload"])) == (400, [f"task_spec.view_spec.{field}"])


def test_prices_by_skill_need_not_name_one(api):
    # The reference requires only type and intervals.
    intervals = [{"from": 0, "to": 60, "reward_per_assignment": 0.03}]
    pricing = {"type": "SKILL", "intervals": intervals}
    pool_id = api.add_pool(dynamic_pricing_config=pricing)
    assert api.get(f"/pools/{pool_id}")["dynamic_pricing_config"] == pricing
