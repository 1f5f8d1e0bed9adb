"""
What answers cost: rewards and Toloka's fee, exact to the last digit; nothing is rounded.

This is the one place where the package reckons what a pool may cost: `estimate` and ``check_budget`` of
`OpenPoolOperator` use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

Number = TypeVar("Number", int, float, Decimal)


@dataclass(frozen=True)
class Range(Generic[Number]):
    """What something is at the least and at the most; both are the same if it is known."""

    least: Number
    most: Number

    @property
    def is_known(self) -> bool:
        """Say whether there is only one value."""
        return self.least == self.most

    def as_json(self) -> dict[str, float]:
        """Return it as JSON values: ``{"least", "most"}``."""
        return {name: value if isinstance(value, int) else float(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Fee:
    """
    What Toloka takes for an answer, besides its reward.

    Toloka's guide (the pages on prices and budget, and the glossary): 30 % of the price of a suite, but not less than
    0.005 dollars. Newer editions name no figures, as they depend on the account. What is not paid is taken to have no
    fee, and an account without a share none at all.

    :param share: Of the reward.
    :param least: For one answer, in the currency of the account.
    """

    share: Decimal = Decimal("0.3")
    least: Decimal = Decimal("0.005")

    def of(self, reward: Decimal) -> Decimal:
        """Return the fee for an answer with this reward."""
        return max(reward * self.share, self.least) if reward and self.share else Decimal(0)

    def of_reward(self, reward: Decimal) -> str:
        """Return how much it is for an answer with this reward, as a share, or as an amount where the least counts."""
        return f"{self.of(reward)}" if self.of(reward) > reward * self.share else str(self)

    def __str__(self) -> str:
        return f"{self.share.normalize():%}"


@dataclass(frozen=True)
class Cost:
    """What answers cost, in the currency of the account: the rewards of people, and the fee of Toloka."""

    reward: Decimal
    fee: Decimal
    total: Decimal = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", self.reward + self.fee)


def cost_of(answers: int, reward: Decimal, fee: Fee) -> Cost:
    """Return what a number of answers with the same reward cost."""
    return Cost(answers * reward, answers * fee.of(reward))


def rewards_of(pool: Mapping[str, Any]) -> Range[Decimal]:
    """
    Return what an answer may be paid with, without the fee.

    With dynamic pricing it depends on a skill. Whoever does not have it, or is in none of the intervals, gets the
    ``reward_per_assignment`` of the pool, so that is in the range, too.

    :param pool: As the API takes or answers it; a training has no reward.
    :raises ValueError: If one of the rewards is no amount of money.
    """
    rewards = [_reward(pool, "")]
    pricing = pool.get("dynamic_pricing_config")
    intervals = pricing.get("intervals") if isinstance(pricing, Mapping) else None
    for number, interval in enumerate(intervals if isinstance(intervals, list) else ()):
        if isinstance(interval, Mapping) and "reward_per_assignment" in interval:
            rewards.append(_reward(interval, f"dynamic_pricing_config.intervals.{number}."))
    return Range(min(rewards), max(rewards))


def money_text(amount: Decimal) -> str:
    """Return an amount as people write it: exact, with two decimals or more."""
    short = amount.normalize()
    decimals = max(2, -int(short.as_tuple().exponent))
    return f"{short:.{decimals}f}"


def _reward(values: Mapping[str, Any], at: str) -> Decimal:
    given = values.get("reward_per_assignment")
    if given is None:
        return Decimal(0)
    try:
        reward = Decimal(str(given))
    except InvalidOperation:
        reward = Decimal(-1)
    if isinstance(given, bool) or not reward.is_finite() or reward < 0:
        raise ValueError(f"{at}reward_per_assignment is {given!r}; it must be an amount of money such as 0.05")
    return reward
