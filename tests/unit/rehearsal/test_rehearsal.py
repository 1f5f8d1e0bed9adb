from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.rehearsal.configs import ANSWER_AGAIN, RESULT, ban_below, pool, project, rehearsed, skill, tasks
from toloka_airflow.rehearsal import Crowd, rehearse

TRAINING = {
    "private_name": "School",
    "inherited_instructions": True,
    "training_tasks_in_task_suite_count": 5,
    "task_suites_required_to_pass": 1,
    "assignment_max_duration_seconds": 600,
}


def mixed(real):
    return {"mixer_config": {"real_tasks_count": real, "golden_tasks_count": 0, "training_tasks_count": 0}}


def requiring(value: int, **changes):
    requirement = {"training_pool_id": "1234", "training_passing_skill_value": value}
    return pool(quality_control={"training_requirement": requirement}, **changes)


def test_money_is_the_reward_of_each_page_and_the_fee():
    result = rehearsed(pool(), tasks(30))
    assert [run.money for run in result.runs] == [Decimal("0.026") * 90] * 3
    assert [run.pages for run in result.runs] == [90] * 3
    assert (result.completed, result.incomplete) == (3, "")


def test_runs_are_different_and_the_range_holds_them_all():
    result = rehearsed(pool(), tasks(60), runs=5)
    hours = [run.hours for run in result.runs]
    assert len(set(hours)) == 5
    assert (result.hours.low, result.hours.median, result.hours.high) == (min(hours), sorted(hours)[2], max(hours))
    shares = [run.right["result"] / 60 for run in result.runs]
    spread = result.accuracy["result"]
    assert (spread.low, spread.median, spread.high) == (min(shares), sorted(shares)[2], max(shares))
    assert len({run.seed for run in result.runs}) == 5


def test_each_run_has_a_seed_of_its_own_whatever_the_number_of_runs():
    few, more, other = (rehearsed(pool(), tasks(10), runs=runs, seed=seed) for runs, seed in ((2, 7), (4, 7), (4, 8)))
    assert few.runs == more.runs[:2]
    assert not {run.seed for run in more.runs} & {run.seed for run in other.runs}


def test_people_who_are_more_accurate_give_better_labels():
    poor, fair, good = (rehearsed(pool(), tasks(100), accuracy=accuracy) for accuracy in (0.5, 0.7, 0.95))
    assert poor.accuracy["result"].high < fair.accuracy["result"].low
    assert fair.accuracy["result"].high < good.accuracy["result"].low
    assert good.accuracy["result"].median > 0.97


def test_more_people_per_task_give_better_labels_and_cost_more():
    one, five = (rehearsed(pool(overlap=overlap), tasks(100), accuracy=0.75) for overlap in (1, 5))
    assert one.accuracy["result"].high < five.accuracy["result"].low
    assert five.money.low == 5 * one.money.high


def test_careless_people_are_banned_and_the_pool_takes_longer_and_costs_more():
    config = pool(ban_below(60), ANSWER_AGAIN, golden=1, real=2, assignment_max_duration_seconds=120)
    careful, careless = (
        rehearsed(config, tasks(200, golden=40), people=100, accuracy=accuracy) for accuracy in (0.95, 0.6)
    )
    assert careful.banned.high < 0.1 < careless.banned.low
    assert careful.money.high < careless.money.low
    assert careful.hours.high < careless.hours.low
    assert careful.completed == careless.completed == 3


def test_without_anybody_left_the_pool_is_not_completed():
    result = rehearsed(pool(ban_below(100), golden=1), tasks(200, golden=40), people=5, accuracy=0.3, max_days=2)
    assert result.completed == 0
    assert (result.hours, result.banned.low) == (None, 1)
    assert result.incomplete == (
        "Not completed in 3 of 3 runs: 3 still open after 2 days. Everybody who answered was banned."
    )
    assert {run.hours for run in result.runs} == {48}


def test_without_anybody_left_for_what_is_left_the_pool_is_not_completed():
    result = rehearsed(pool(overlap=6), tasks(10), people=5, max_days=1)
    assert result.incomplete == (
        "Not completed in 3 of 3 runs: 3 still open after 1 day. The people ran out: who was not banned had answered "
        "all that was left."
    )


def test_a_pool_that_people_still_work_in_at_the_limit_is_not_completed():
    result = rehearsed(pool(), tasks(300), pace=60, max_days=0.01)
    assert result.incomplete == "Not completed in 3 of 3 runs: 3 still open after 0.01 days."
    assert {run.seconds for run in result.runs} == {864}


def test_a_pool_that_expires_is_not_completed():
    result = rehearsed(pool(will_expire="2030-01-01T00:10:00"), tasks(500), pace=60)
    assert [(run.completed, run.close_reason, run.seconds) for run in result.runs] == [(False, "EXPIRED", 600)] * 3
    assert result.incomplete == "Not completed in 3 of 3 runs: 3 EXPIRED."
    assert all(0 < run.labelled < run.tasks == 500 for run in result.runs)


def test_a_pool_that_has_expired_before_says_so():
    result = rehearsed(pool(will_expire="2029-12-31T00:00:00"), tasks(5), runs=1)
    assert result.incomplete.startswith("Not completed in 1 of 1 run: 1 EXPIRED. Nobody was given a page")
    assert any("not after the start" in note for note in result.notes)


def test_a_pool_that_nobody_may_work_in_ends_at_the_limit():
    result = rehearsed(pool(filter={"and": [skill("77", "GT", 100)]}), tasks(5), max_days=3)
    assert [(run.eligible, run.people, run.money) for run in result.runs] == [(0, 0, 0)] * 3
    assert result.incomplete == "Not completed in 3 of 3 runs: 3 still open after 3 days. Nobody meets the filter."
    assert result.accuracy == {"result": None}


def test_people_who_take_longer_need_more_time():
    fast, slow = (
        rehearsed(pool(assignment_max_duration_seconds=600), tasks(600), people=5, pace=pace) for pace in (5, 50)
    )
    assert 5 < slow.hours.median / fast.hours.median < 20
    assert fast.money == slow.money


def test_the_pace_is_for_a_page_however_many_tasks_are_on_it():
    config = pool(assignment_max_duration_seconds=200)
    one, ten = (rehearsed(config | mixed(real), tasks(100 * real), pace=60) for real in (1, 10))
    assert 0.6 < one.hours.median / ten.hours.median < 1.6


def test_more_people_are_done_earlier():
    config = pool(assignment_max_duration_seconds=30)
    few, many = (rehearsed(config, tasks(300), people=people) for people in (5, 50))
    assert many.hours.high < few.hours.low / 5


def test_values_that_cannot_be_listed_have_no_known_accuracy():
    spec = {"result": RESULT, "is_clear": {"type": "boolean"}, "comment": {"type": "string", "required": False}}
    result = rehearsed(pool(), tasks(20), project=project(**spec), runs=2)
    assert list(result.accuracy) == ["result", "is_clear"]
    assert result.ungraded == ("comment",)
    assert result.as_json()["accuracy"]["comment"] is None


def test_control_tasks_have_no_labels():
    result = rehearsed(pool(golden=1, real=4), tasks(40, golden=10), runs=1)
    assert (result.runs[0].tasks, result.runs[0].labelled) == (40, 40)


def test_answers_that_wait_for_review_count_as_money_and_as_labels():
    result = rehearsed(pool(auto_accept_solutions=False, auto_accept_period_day=3), tasks(30))
    assert [run.money for run in result.runs] == [Decimal("0.026") * 90] * 3
    assert [run.labelled for run in result.runs] == [30] * 3
    assert any("Nobody reviews" in note for note in result.notes)


def test_a_skill_that_the_pool_only_reads_is_how_accurate_people_are():
    good, everybody = (
        rehearsed(pool(filter={"and": [skill("77", "GTE", value)]}), tasks(60), people=100) for value in (85, 0)
    )
    assert all(30 < run.eligible < 70 for run in good.runs)
    assert all(run.eligible == 100 for run in everybody.runs)
    assert good.accuracy["result"].median > everybody.accuracy["result"].median
    assert "People have their share of right answers in percent of skill 77 when they begin." in good.notes


def test_a_skill_that_the_pool_wants_to_be_one_number_everybody_has():
    result = rehearsed(pool(filter={"and": [skill("77", "EQ", 1)]}), tasks(5), runs=1)
    assert (result.runs[0].eligible, result.completed) == (20, 1)


def test_a_skill_that_rules_set_nobody_has_yet():
    rule = {
        "collector_config": {"type": "ANSWER_COUNT"},
        "rules": [
            {
                "conditions": [{"key": "assignments_accepted_count", "operator": "GTE", "value": 2}],
                "action": {"type": "SET_SKILL", "parameters": {"skill_id": "88", "skill_value": 1}},
            }
        ],
    }
    config = pool(rule, filter={"or": [skill("88", "EQ", None)]}, overlap=1)
    result = rehearsed(config, tasks(36), people=20, runs=1)
    assert (result.runs[0].eligible, result.completed) == (20, 1)
    # Two pages each, and nobody a third.
    assert 18 <= result.runs[0].people <= 20


@pytest.mark.parametrize(
    "condition",
    [
        {"category": "profile", "key": "languages", "operator": "IN", "value": "DE"},
        {"category": "profile", "key": "languages", "operator": "NOT_IN", "value": "EN"},
        {"category": "profile", "key": "country", "operator": "EQ", "value": "SE"},
        {"category": "profile", "key": "country", "operator": "NE", "value": "US"},
        {"category": "computed", "key": "device_category", "operator": "EQ", "value": "TABLET"},
        {"category": "computed", "key": "client_type", "operator": "EQ", "value": "BROWSER"},
        {"category": "computed", "key": "client_type", "operator": "EQ", "value": "TOLOKA_APP"},
        {"category": "profile", "key": "gender", "operator": "EQ", "value": "FEMALE"},
    ],
)
def test_the_people_are_those_whom_the_filter_wants(condition):
    result = rehearsed(pool(filter={"and": [condition]}), tasks(5), runs=2)
    assert [run.eligible for run in result.runs] == [20, 20]


def test_a_training_that_is_given_is_rehearsed():
    hard, easy = (
        rehearsed(requiring(value), tasks(60), training=TRAINING, people=60, accuracy=0.8) for value in (100, 60)
    )
    assert hard.people.high < easy.people.low <= easy.people.high <= 60
    # Those who pass are not always the better ones, and mostly they are.
    assert any("stand for those of the training" in note for note in hard.notes)


def test_the_tasks_of_the_training_are_used_if_there_are_any():
    known = [{"input_values": {"image": f"https://example.com/t{i}"}} for i in range(5)]
    result = rehearsed(requiring(100), tasks(20), training=TRAINING, training_tasks=known, accuracy=0.5)
    # They have no known solution: who has done them has passed.
    assert (result.completed, result.people.low > 5) == (3, True)
    assert not any("stand for" in note for note in result.notes)


def test_nobody_passes():
    result = rehearsed(requiring(100), tasks(5), training=TRAINING, accuracy=0, max_days=1)
    assert result.incomplete.endswith("Nobody was given a page: nobody passed the training, or the pool had no time.")


def test_a_training_that_is_not_given_was_passed():
    result = rehearsed(requiring(100), tasks(5), accuracy=0.1)
    assert result.completed == 3
    assert "Everybody has passed the training before: its configuration was not given." in result.notes


def test_a_training_that_the_pool_does_not_require_is_not_rehearsed():
    result = rehearsed(pool(), tasks(5), training=TRAINING, runs=1)
    assert any(note.startswith("The training is not rehearsed: the pool does not require it") for note in result.notes)


def test_how_well_the_training_must_be_passed_may_be_given_beside_the_pool():
    """As the operators take it, with the id of the training."""
    inside, beside = (
        rehearsed(config, tasks(30), training=TRAINING, accuracy=0.8, training_passing_skill_value=value)
        for config, value in ((requiring(80), None), (pool(), 80))
    )
    assert beside.runs == inside.runs
    # What the pool says itself wins, and it need not name a training that is not there yet.
    without_id = pool(quality_control={"training_requirement": {"training_passing_skill_value": 80}})
    assert rehearsed(without_id, tasks(30), training=TRAINING, accuracy=0.8, training_passing_skill_value=1).runs == (
        inside.runs
    )


def test_rules_that_are_not_simulated_are_named():
    captcha = {
        "collector_config": {"type": "CAPTCHA", "parameters": {"history_size": 5}},
        "rules": [
            {
                "conditions": [{"key": "success_rate", "operator": "LT", "value": 50}],
                "action": {"type": "RESTRICTION", "parameters": {"scope": "POOL"}},
            }
        ],
    }
    result = rehearsed(pool(captcha), tasks(5), runs=1)
    assert "Rules of the collector CAPTCHA do nothing: it is not simulated." in result.notes


def test_files_are_read(tmp_path):
    (tmp_path / "project.yaml").write_text(
        "public_name: Animals\npublic_description: Which?\nassignments_issuing_type: AUTOMATED\n"
        "task_spec:\n  input_spec: {image: {type: url}}\n  output_spec: {ok: {type: boolean}}\n"
    )
    (tmp_path / "pool.yaml").write_text(
        "private_name: First\nreward_per_assignment: 0.01\nassignment_max_duration_seconds: 600\n"
        "defaults: {default_overlap_for_new_task_suites: 1, default_overlap_for_new_tasks: 2}\n"
        "mixer_config: {real_tasks_count: 1, golden_tasks_count: 0, training_tasks_count: 0}\n"
    )
    (tmp_path / "tasks.csv").write_text("INPUT:image,GOLDEN:ok\nhttps://e.com/1,\nhttps://e.com/2,\n")
    result = rehearse(tmp_path / "project.yaml", tmp_path / "pool.yaml", None, tmp_path / "tasks.csv", runs=1)
    assert (result.money.median, list(result.accuracy)) == (Decimal("0.060"), ["ok"])


def test_what_is_given_is_not_changed():
    config, some = requiring(50), tasks(5)
    rehearsed(config, some, training=TRAINING, runs=1)
    assert (config, some) == (requiring(50), tasks(5))
    assert "project_id" not in TRAINING


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pool": pool(reward_per_assignment=-1)}, "The pool would be refused .*reward_per_assignment: Value must be"),
        ({"pool": pool(rewards=1)}, "The pool would be refused .*rewards: Unknown field name"),
        ({"pool": pool(filter={"and": [skill("x-1", "GT", 5)]})}, "A skill .* would be refused .*id"),
        ({"tasks": []}, "tasks holds no task"),
        ({"tasks": [*tasks(1001), {"input_values": {}}]}, "The tasks 1001 to 1002 .*item 2: input_values.image"),
        ({"people": 0}, "people is 0; it must be between 1 and 100,000"),
        ({"pace": 0}, "pace is 0; it must be seconds"),
        ({"pace": 3600}, "The pace is 3600 s for a page of 1 task, and assignment_max_duration_seconds is 3600"),
        ({"accuracy": 1.2}, "accuracy is 1.2; it must be a share"),
        ({"runs": 0}, "runs is 0; it must be at least 1"),
        ({"max_days": 0}, "max_days is 0; it must be above 0"),
        ({"project": {**project(), "public_name": None}}, "The project would be refused .*public_name"),
        (
            {"pool": pool(), "training": TRAINING, "training_passing_skill_value": 101},
            "The pool would be refused .*training_passing_skill_value: Value must be less",
        ),
        ({"pool": requiring(50), "training": {**TRAINING, "x": 1}}, "The training would be refused .*x: Unknown"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused_with_the_reason(changes, message):
    with pytest.raises(ValueError, match=message):
        rehearsed(**{"pool": pool(), "tasks": tasks(3)} | changes)


def test_progress_is_reported():
    begun: list[int] = []
    rehearsed(pool(), tasks(2), runs=3, on_run=begun.append)
    assert begun == [1, 2, 3]


def test_the_crowd_has_the_accuracy_that_was_given_as_its_mean():
    for accuracy in (0, 0.05, 0.5, 0.85, 0.97, 1):
        low, high = Crowd(accuracy=accuracy).accuracies
        assert 0 <= low <= high <= 1
        assert (low + high) / 2 == pytest.approx(accuracy)
