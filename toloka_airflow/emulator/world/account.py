"""The requester's money."""

from __future__ import annotations

from decimal import Decimal

# Inferred: what Toloka added to a reward was 30 % for most accounts; no documented call shows it.
FEE = Decimal("0.30")


def price_of(reward: float) -> Decimal:
    """Return what an answer costs: the reward and the fee."""
    return Decimal(str(reward)) * (1 + FEE)


class Account:
    """Hold the balance: `reserved` is the part promised for answers that are not decided yet."""

    def __init__(self, balance: Decimal) -> None:
        self.balance = balance
        self.reserved = Decimal(0)

    def can_pay(self, price: Decimal) -> bool:
        """Say whether one more answer can be promised."""
        return price <= self.balance - self.reserved or price == 0

    def reserve(self, price: Decimal) -> None:
        """Promise the price of an answer."""
        self.reserved += price

    def release(self, price: Decimal) -> None:
        """Take a promise back."""
        self.reserved -= price

    def pay(self, price: Decimal) -> None:
        """Pay for an answer; the balance ends at zero, whatever it was set to in between."""
        self.balance = max(self.balance - price, Decimal(0))
