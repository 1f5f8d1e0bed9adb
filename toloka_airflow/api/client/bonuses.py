"""Calls that pay people bonuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import object_path
from toloka_airflow.api.client.operations import OperationCalls

if TYPE_CHECKING:
    from toloka_airflow.api.models import Operation, Raw
    from toloka_airflow.api.models.batches import BatchAnswer
    from toloka_airflow.api.models.people import UserBonus


class BonusCalls(OperationCalls):
    """Calls about bonuses; their models are imported when they are used."""

    def create_user_bonuses(
        self, bonuses: Sequence[Raw], *, skip_invalid_items: bool = False
    ) -> BatchAnswer[UserBonus]:
        """
        Pay up to 100 bonuses at once (10,000 a day), all or none unless ``skip_invalid_items``.

        It is never repeated when an answer is lost, because the API would pay a second time: use
        `create_user_bonuses_async` where that matters.
        """
        from toloka_airflow.api.models.batches import read_batch
        from toloka_airflow.api.models.people import UserBonus

        answer = self._create("/user-bonuses", list(bonuses), {"skip_invalid_items": skip_invalid_items})
        return read_batch("POST /user-bonuses", answer, UserBonus.from_api, len(bonuses))

    def create_user_bonuses_async(
        self,
        bonuses: Sequence[Raw] | bytes,
        *,
        operation_id: str | None = None,
        skip_invalid_items: bool = False,
    ) -> Operation:
        """
        Start an operation that pays bonuses, exactly once for each ``operation_id``.

        :param bonuses: Bonuses, or the JSON list of them; ``user_id`` and ``amount`` (0.005 to 100) are needed.
        :param operation_id: A UUID. Sent a second time, it pays nothing and the operation that already has it is
            returned. How long Toloka remembers it is not documented.
        :raises ValueError: If ``operation_id`` is no UUID.
        """
        params = {"skip_invalid_items": skip_invalid_items}
        return self._create_async("/user-bonuses", bonuses, operation_id, params)

    def get_user_bonus(self, bonus_id: str) -> UserBonus:
        """Return a bonus."""
        from toloka_airflow.api.models.people import UserBonus

        return UserBonus.from_api(self._get(object_path("/user-bonuses", bonus_id=bonus_id)))

    def list_user_bonuses(self, **filters: Any) -> Iterator[UserBonus]:
        """Iterate over bonuses, such as those of a ``user_id`` or those since ``created_gte``."""
        from toloka_airflow.api.models.people import UserBonus

        return self._list("/user-bonuses", UserBonus, filters)

    def user_bonus_pages(self, *, after: str | None = None, **filters: Any) -> Iterator[list[Raw]]:
        """
        Iterate over bonuses page by page, as the API answers them: for whoever reads very many.

        :param after: Begin behind the bonus with this id.
        """
        return (page.items for page in self._list_pages("/user-bonuses", {"id_gt": after, **filters}))
