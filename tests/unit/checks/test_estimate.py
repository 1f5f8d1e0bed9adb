"""What a pool will cost: arithmetic, refusals and assumptions; tests/contract holds it against the emulator."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from toloka_airflow.checks.estimate import estimate, table
from toloka_airflow.checks.money import Fee, Range, cost_of, money_text, rewards_of
from toloka_airflow.checks.task_counts import CannotEstimateError, TaskCounts, count_tasks

MIXER = {"real_tasks_count": 5, "golden_tasks_count": 0, "training_tasks_count": 0}
POOL: dict[str, Any] = {
    "reward_per_assignment": 0.02,
    "defaults": {"default_overlap_for_new_task_suites": 2, "default_overlap_for_new_tasks": 3},
    "mixer_config": MIXER,
}
TASK: dict[str, Any] = {"input_values": {"image": "a"}}
CONTROL = TASK | {"known_solutions": [{"output_values": {"label": "yes"}}], "infinite_overlap": True}
LESSON = CONTROL | {"message_on_unknown_solution": "It is yes."}
SUITE: dict[str, Any] = {"tasks": [TASK, TASK]}


def with_mixer(**changes: Any) -> dict[str, Any]:
    return POOL | {"mixer_config": MIXER | changes}


class TestMoney:
    @pytest.mark.parametrize(
        ("reward", "fee"),
        [
            ("0", "0"),
            ("0.005", "0.005"),
            ("0.016", "0.005"),
            ("0.017", "0.0051"),
            ("0.1", "0.03"),
            ("123.45", "37.035"),
        ],
    )
    def test_the_fee_is_a_share_and_not_less_than_half_a_cent(self, reward: str, fee: str) -> None:
        assert Fee().of(Decimal(reward)) == Decimal(fee)

    def test_another_fee(self) -> None:
        assert Fee(Decimal("0.2")).of(Decimal("1")) == Decimal("0.2")
        assert Fee(Decimal("0.2"), Decimal("0.5")).of(Decimal("1")) == Decimal("0.5")
        assert Fee(Decimal(0)).of(Decimal("1")) == 0

    def test_nothing_is_rounded(self) -> None:
        cost = cost_of(3, Decimal("0.0333"), Fee())
        assert (cost.reward, cost.fee, cost.total) == (Decimal("0.0999"), Decimal("0.02997"), Decimal("0.12987"))
        # As binary fractions, these would be 0.30000000000000004 and 0.39000000000000007.
        assert cost_of(3, Decimal(str(0.1)), Fee()).total == Decimal("0.39")

    def test_the_rewards_of_dynamic_pricing(self) -> None:
        prices = [{"from": 0, "to": 50, "reward_per_assignment": 0.01}, {"from": 51, "reward_per_assignment": 2.5}]
        pricing = {"type": "SKILL", "skill_id": "1", "intervals": prices}
        assert rewards_of(POOL) == Range(Decimal("0.02"), Decimal("0.02"))
        assert rewards_of(POOL | {"dynamic_pricing_config": pricing}) == Range(Decimal("0.01"), Decimal("2.5"))
        assert rewards_of({}) == Range(Decimal(0), Decimal(0))

    @pytest.mark.parametrize("value", ["a lot", -1, True, float("nan"), [1]])
    def test_no_reward_is_an_error(self, value: Any) -> None:
        with pytest.raises(ValueError, match=r"reward_per_assignment is .*; it must be an amount of money"):
            rewards_of({"reward_per_assignment": value})
        interval = {"intervals": [{"reward_per_assignment": 1}, {"reward_per_assignment": value}]}
        with pytest.raises(ValueError, match=r"^dynamic_pricing_config\.intervals\.1\.reward_per_assignment is"):
            rewards_of(POOL | {"dynamic_pricing_config": interval})

    @pytest.mark.parametrize(
        ("amount", "text"), [("0", "0.00"), ("100", "100.00"), ("1.5", "1.50"), ("0.0260", "0.026"), ("1E+2", "100.00")]
    )
    def test_as_text(self, amount: str, text: str) -> None:
        assert money_text(Decimal(amount)) == text


class TestCounting:
    def test_kinds_and_overlaps(self) -> None:
        rows = [TASK, TASK | {"overlap": 7}, CONTROL, CONTROL, LESSON, SUITE, SUITE | {"overlap": 4}]
        assert count_tasks(rows, POOL) == TaskCounts({3: 1, 7: 1}, {2: 1, 4: 1}, golden={None: 2}, training={None: 1})

    def test_without_an_end(self) -> None:
        rows = [TASK | {"infinite_overlap": True}, SUITE | {"infinite_overlap": True}, TASK]
        assert count_tasks(rows, POOL) == TaskCounts({3: 1}, endless=2)

    def test_control_tasks_with_an_end(self) -> None:
        rows = [CONTROL | {"infinite_overlap": False, "overlap": 4}, CONTROL | {"infinite_overlap": False}]
        assert count_tasks(rows, POOL) == TaskCounts(golden={4: 1, 3: 1})

    def test_what_is_answered_already_does_not_count(self) -> None:
        assert count_tasks([TASK | {"overlap": 5, "remaining_overlap": 2}], POOL) == TaskCounts({2: 1})
        assert estimate(POOL, [TASK | {"overlap": 5, "remaining_overlap": 0}]).total == Range(Decimal(0), Decimal(0))

    @pytest.mark.parametrize(
        ("row", "name"),
        [(TASK, "default_overlap_for_new_tasks"), (SUITE, "default_overlap_for_new_task_suites")],
    )
    def test_without_an_overlap(self, row: dict[str, Any], name: str) -> None:
        for pool, allowed in (({}, True), ({"defaults": {name: 0}}, True), (POOL, False)):
            with pytest.raises(
                CannotEstimateError, match=rf"Task 2 has no overlap, and the pool has no defaults\.{name}"
            ):
                count_tasks([row | {"overlap": 1}, row], pool, allow_defaults=allowed)

    @pytest.mark.parametrize("overlap", ["3", -1, 1.5, True])
    def test_no_overlap_is_an_error(self, overlap: Any) -> None:
        with pytest.raises(CannotEstimateError, match=f"Task 1 has the overlap {overlap!r}"):
            count_tasks([TASK | {"overlap": overlap}], POOL)


class TestRefusals:
    @pytest.mark.parametrize(
        ("pool", "rows", "why"),
        [
            (POOL, [], "The pool has no tasks"),
            (POOL, [TASK, TASK | {"infinite_overlap": True}], "1 of 2 tasks has an infinite overlap.*nobody knows"),
            (
                POOL,
                [SUITE | {"infinite_overlap": True}],
                "1 of 1 task has an infinite overlap.*max_spend of PoolSensor",
            ),
            (POOL, [CONTROL, LESSON], "The pool has no real tasks"),
            (POOL | {"mixer_config": None}, [TASK], "no mixer_config.*Toloka refuses them"),
            (with_mixer(real_tasks_count=0), [TASK], "real_tasks_count is 0"),
            (with_mixer(golden_tasks_count=2), [TASK, CONTROL], "Every page needs 2 control tasks, and there is 1"),
            (with_mixer(training_tasks_count=1), [TASK, CONTROL], "needs 1 training task, and there are 0"),
        ],
    )
    def test_nobody_knows(self, pool: dict[str, Any], rows: list[dict[str, Any]], why: str) -> None:
        with pytest.raises(CannotEstimateError, match=why):
            estimate(pool, rows)

    @pytest.mark.parametrize("value", [-1, "5", True, 1.5])
    def test_no_number_in_the_mixer_is_an_error(self, value: Any) -> None:
        with pytest.raises(ValueError, match=r"^mixer_config\.real_tasks_count is .*; it must be a whole number"):
            estimate(with_mixer(real_tasks_count=value), [TASK])

    @pytest.mark.parametrize("share", ["-0.1", "1.1"])
    def test_no_share_is_an_error(self, share: str) -> None:
        with pytest.raises(ValueError, match=r"rejected_share is .*; it must be a number from 0 to 1"):
            estimate(POOL, [TASK], rejected_share=Decimal(share))


class TestUnpaid:
    def test_endless_answers_that_nobody_is_paid_for(self) -> None:
        made = estimate(POOL | {"reward_per_assignment": 0}, [TASK | {"infinite_overlap": True}])
        assert (made.assignments, made.paid_assignments, made.total.most) == (None, None, 0)
        assert "so it costs nothing" in " ".join(made.assumptions)
        assert made.as_json()["answers"] is None
        assert ("assignments", "endless", "endless") in made.rows()

    def test_a_training(self) -> None:
        training = {"training_tasks_in_task_suite_count": 5}
        made = estimate(training, [CONTROL] * 7)
        assert (made.tasks, made.assignments, made.total.most) == (7, None, 0)
        assert made.assumptions == ("It is a training: everybody may take it, and nobody is paid for it.",)
        # A training that is fetched as a pool.
        assert estimate({"type": "TRAINING"}, [CONTROL]).assumptions == made.assumptions


def said(pool: dict[str, Any], rows: list[dict[str, Any]], **options: Any) -> str:
    return "\n".join(estimate(pool, rows, **options).assumptions)


class TestAssumptions:
    def test_nothing_more_than_needed(self) -> None:
        pool = with_mixer(real_tasks_count=1)
        assert estimate(pool, [TASK]).assumptions == (
            "Toloka's fee is 30% of the reward, and at least 0.005 for an assignment; it depends on the account.",
            "Bonuses are not in it, nor is the training that people must pass, which is not paid.",
            "All assignments are accepted at once, as auto_accept_solutions is not false, so none is rejected.",
        )
        assert "Toloka takes no fee." in said(pool, [TASK], fee=Fee(Decimal(0)))

    def test_how_many_people(self) -> None:
        rows = [TASK] * 100 + [CONTROL] * 7
        made = estimate(with_mixer(golden_tasks_count=2), rows)
        # Twenty pages for each of three people, of which nobody gets more than three.
        assert (made.pages, made.assignments, made.people) == (20, Range(60, 60), 20)
        assert "one person can answer 3 of the 20 pages: it takes at least 20 people" in "\n".join(made.assumptions)
        made = estimate(with_mixer(golden_tasks_count=2, min_golden_tasks_count=1), rows)
        assert made.people == 15
        assert estimate(with_mixer(golden_tasks_count=2, min_golden_tasks_count=0), rows).people == 3

    def test_tasks_that_are_held_back(self) -> None:
        text = said(with_mixer(force_last_assignment=False), [TASK] * 12)
        assert "Up to 6 of 36 answers to tasks are not given" in text
        assert "not given" not in said(with_mixer(force_last_assignment=False), [TASK] * 10)

    def test_control_tasks_that_run_out(self) -> None:
        rows = [TASK] * 50 + [CONTROL | {"infinite_overlap": False, "overlap": 2}] * 4
        assert "enough for 8 pages" in said(with_mixer(golden_tasks_count=1), rows)

    def test_tasks_in_another_order(self) -> None:
        sentence = "Everybody gets the tasks in the same order. If not, there may be up to 14 assignments"
        assert sentence in said(POOL, [TASK] * 20)
        assert "same order" not in said(with_mixer(mix_tasks_in_creation_order=True), [TASK] * 20)
        assert "same order" not in said(with_mixer(real_tasks_count=1), [TASK] * 20)
        assert "same order" not in said(POOL, [TASK | {"overlap": 1}] * 20)

    def test_control_tasks_that_take_the_place_of_others(self) -> None:
        function = {"scope": "PROJECT", "distribution": "UNIFORM", "window_days": 7, "intervals": []}
        pool = with_mixer(golden_task_distribution_function=function)
        assert "golden_task_distribution_function is not reckoned with" in said(pool, [TASK])

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"auto_accept_solutions": False}, "All assignments are reviewed and accepted."),
            ({"dynamic_overlap_config": {"max_overlap": 6}}, "the most if 6 people answer every task"),
            (
                {"dynamic_pricing_config": {"intervals": [{"from": 50, "reward_per_assignment": 0.1}]}},
                "from 0.02 to 0.10",
            ),
        ],
    )
    def test_settings(self, changes: dict[str, Any], text: str) -> None:
        assert text in said(POOL | changes, [TASK] * 5)

    def test_rules_that_ask_for_more_answers(self) -> None:
        def control(*collectors: str) -> dict[str, Any]:
            action = {"type": "CHANGE_OVERLAP", "parameters": {"delta": 1}}
            condition = {"key": "skill_id", "operator": "EQ", "value": "REJECT"}
            rules = [{"conditions": [condition], "action": action}]
            configs = [{"collector_config": {"type": name}, "rules": rules} for name in collectors]
            return {"quality_control": {"configs": configs}}

        assert "Rules of quality control for USERS_ASSESSMENT demand more" in said(
            POOL | control("USERS_ASSESSMENT"), [TASK]
        )
        assert "demand more" not in said(POOL | control("ASSIGNMENTS_ASSESSMENT"), [TASK])
        reviewed = POOL | {"auto_accept_solutions": False} | control("ASSIGNMENTS_ASSESSMENT")
        made = estimate(reviewed, [TASK] * 20, rejected_share=Decimal("0.5"))
        assert made.paid_assignments == made.assignments == Range(12, 12)
        assert "answered again by somebody else" in "\n".join(made.assumptions)

    def test_a_share_that_is_rejected(self) -> None:
        reviewed = POOL | {"auto_accept_solutions": False}
        made = estimate(reviewed, [TASK] * 20, rejected_share=Decimal("0.3"))
        # Of 12 answers, 3.6: no answer is rejected in parts, and money is rather too much than too little.
        assert (made.assignments, made.paid_assignments) == (Range(12, 12), Range(9, 9))
        assert "3 assignments are reviewed and rejected" in "\n".join(made.assumptions)
        assert estimate(POOL, [TASK] * 20, rejected_share=Decimal("0.3")).paid_assignments == Range(12, 12)


def test_the_table_and_the_json() -> None:
    made = estimate(with_mixer(golden_tasks_count=1), [TASK] * 12 + [CONTROL] * 3)
    assert list(table(made))[:10] == [
        "                        least   most",
        "tasks                      12     12",
        "control tasks               3      3",
        "pages                       3      3",
        "assignments                 8      9",
        "price of an assignment  0.026  0.026",
        "rewards                  0.16   0.18",
        "fee                     0.048  0.054",
        "total                   0.208  0.234",
        "",
    ]
    assert list(table(made))[10:] == [f"- {sentence}" for sentence in made.assumptions]
    values = json.loads(json.dumps(made.as_json()))
    assert values == {
        "tasks": 12,
        "control_tasks": 3,
        "training_tasks": 0,
        "pages": 3,
        "assignments": {"least": 8, "most": 9},
        "paid_assignments": {"least": 8, "most": 9},
        "answers": {"least": 8, "most": 9},
        "paid_answers": {"least": 8, "most": 9},
        "people": 3,
        "price": {"least": 0.026, "most": 0.026},
        "reward": {"least": 0.16, "most": 0.18},
        "fee": {"least": 0.048, "most": 0.054},
        "total": {"least": 0.208, "most": 0.234},
        "assumptions": list(made.assumptions),
    }
