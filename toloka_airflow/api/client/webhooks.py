"""Calls about webhook subscriptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from toloka_airflow.api.client.calls import Calls, object_path

if TYPE_CHECKING:
    from toloka_airflow.api.models import Raw
    from toloka_airflow.api.models.batches import BatchAnswer
    from toloka_airflow.api.models.webhooks import WebhookSubscription, WebhookTest


class WebhookCalls(Calls):
    """Calls about webhook subscriptions; their models are imported when they are used."""

    def set_webhook_subscriptions(self, subscriptions: Sequence[Raw]) -> BatchAnswer[WebhookSubscription]:
        """Create or change subscriptions; some may be refused while others are set."""
        from toloka_airflow.api.models.batches import read_batch
        from toloka_airflow.api.models.webhooks import WebhookSubscription

        answer = self._put("/webhook-subscriptions", list(subscriptions))
        return read_batch("PUT /webhook-subscriptions", answer, WebhookSubscription.from_api, len(subscriptions))

    def get_webhook_subscription(self, subscription_id: str) -> WebhookSubscription:
        """Return a subscription."""
        from toloka_airflow.api.models.webhooks import WebhookSubscription

        path = object_path("/webhook-subscriptions", subscription_id=subscription_id)
        return WebhookSubscription.from_api(self._get(path))

    def list_webhook_subscriptions(self, **filters: Any) -> Iterator[WebhookSubscription]:
        """Iterate over subscriptions, such as those of a ``pool_id`` or an ``event_type``."""
        from toloka_airflow.api.models.webhooks import WebhookSubscription

        return self._list("/webhook-subscriptions", WebhookSubscription, filters)

    def delete_webhook_subscription(self, subscription_id: str) -> None:
        """End a subscription."""
        self._delete(object_path("/webhook-subscriptions", subscription_id=subscription_id))

    def test_webhook_subscription(self, subscription_id: str) -> WebhookTest:
        """Have Toloka send a ``TEST_EVENT`` to the address of a subscription, and return how that went."""
        from toloka_airflow.api.models.webhooks import WebhookTest

        path = object_path("/webhook-subscriptions", "test", subscription_id=subscription_id)
        return WebhookTest.from_api(self._create(path))
