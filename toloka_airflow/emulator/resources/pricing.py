"""What a person is paid for a suite of a pool: by a skill, if the pool says so, else what all are."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from toloka_airflow.emulator.resources import user_skills
from toloka_airflow.emulator.world.account import price_of

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.world import World


def offer(world: World, pool: Pool, user_id: str) -> tuple[float, Decimal]:
    """
    Return the reward of a person at this moment, and what it costs with the fee.

    The guide's page on prices: the price is found when the suite is given out, and is that of the pool for people who
    do not have the skill. The official client says so of those who are in no interval, too.
    """
    reward: float = pool.body.get("reward_per_assignment", 0)
    config = pool.body.get("dynamic_pricing_config")
    if config is None:
        return reward, pool.price
    has = user_skills.value_of(world, user_id, config.get("skill_id", ""))
    if has is not None:
        reward = next((own["reward_per_assignment"] for own in config["intervals"] if _holds(own, has)), reward)
    return reward, price_of(reward)


def _holds(interval: Json, value: float) -> bool:
    """Inferred: an interval holds both its ends, and values are rounded, as its ends are whole numbers."""
    return interval.get("from", 0) <= round(value) <= interval.get("to", 100) and "reward_per_assignment" in interval
