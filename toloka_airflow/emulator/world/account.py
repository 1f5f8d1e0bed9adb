"""The requester's account: money, and the tokens that open it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha256

# The guide's page on prices: 30 % of the price of a suite, but not less than 0.005 dollars. No call shows it.
FEE = Decimal("0.30")
LEAST_FEE = Decimal("0.005")


def price_of(reward: float) -> Decimal:
    """Return what an answer costs: the reward and the fee; what is not paid has none (inferred)."""
    paid = Decimal(str(reward))
    return paid + max(paid * FEE, LEAST_FEE) if paid else Decimal(0)


class Account:
    """
    Hold the balance: `reserved` is the part promised for answers that are not decided yet.

    Of the accepted tokens only hashes are kept, as snapshots are shown and stored; none stands for any token.
    """

    def __init__(self, balance: Decimal) -> None:
        self.balance = balance
        self.reserved = Decimal(0)
        self._accepted: list[str] = []

    def accept_only(self, tokens: Iterable[str]) -> None:
        """Refuse all other tokens from now on; accept any if there are none."""
        self._accepted = [_hash(token) for token in tokens]

    def accepts(self, token: str) -> bool:
        """Say whether requests with this token are answered."""
        return not self._accepted or _hash(token) in self._accepted

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


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
