"""
Toloka's requester API v1, one method per call, in one module per noun.

Facts are those of https://toloka.ai/docs/api/api-reference.
"""

from __future__ import annotations

from toloka_airflow.api.client.account import AccountCalls
from toloka_airflow.api.client.aggregation import AggregationCalls
from toloka_airflow.api.client.analytics import AnalyticsCalls
from toloka_airflow.api.client.assignments import AssignmentCalls
from toloka_airflow.api.client.attachments import AttachmentCalls
from toloka_airflow.api.client.bonuses import BonusCalls
from toloka_airflow.api.client.messages import MessageCalls
from toloka_airflow.api.client.people import PeopleCalls
from toloka_airflow.api.client.pools import PoolCalls
from toloka_airflow.api.client.projects import ProjectCalls
from toloka_airflow.api.client.tasks import TaskCalls
from toloka_airflow.api.client.webhooks import WebhookCalls
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Pool, Project, Training
from toloka_airflow.api.settings import PRODUCTION, SANDBOX, YANDEX_TASKS

__all__ = ["TolokaClient"]

WEB_HOSTS = {
    PRODUCTION: "https://platform.toloka.ai",
    SANDBOX: "https://platform.sandbox.toloka.ai",
    YANDEX_TASKS: "https://platform.tasks.yandex.ru",
}
IN_USD = (PRODUCTION, SANDBOX)
"""Where the documentation names the currency of all amounts; that of Yandex Tasks does not."""


class TolokaClient(
    AccountCalls,
    ProjectCalls,
    PoolCalls,
    TaskCalls,
    AssignmentCalls,
    AggregationCalls,
    AnalyticsCalls,
    PeopleCalls,
    BonusCalls,
    AttachmentCalls,
    MessageCalls,
    WebhookCalls,
):
    """
    Call the Toloka API with one account's token.

    Every call raises `TolokaConnectionError` when no answer came, and `TolokaApiError` when the answer was an error
    (see `toloka_airflow.api.errors`). Calls that are safe to repeat are repeated on 408, 429, 5xx and lost
    answers, with pauses that double up to 30 s, until ``retry_budget`` is spent. Calls that create something
    are repeated only if the server cannot have received them.

    :param settings: The account, where its API is served, time limits and retries.
    :param session: A `requests.Session` to use instead of an own one, which then has only the time limits that
        `requests` has; or one that is made later, of another client.
    :param retries: Whether to send a request again after a transient error; if not, that is left to the caller.
    :param deadline: Monotonic time by which all its requests must have ended.
    :param before_change: Called right before each sending of a request that is no GET; it raises `TolokaNotSentError`
        if this process may not change anything at Toloka any more.
    :param on_retry: Called with the error of a request that is about to be sent again.
    :param before_receiving: Called when an answer begins to come, before more of it is read than its headers.
    :param observer: Called with each request that was sent, as an `Exchange`, once it is answered or failed; it raises
        nothing.
    """

    def web_url(self, found: Training | Project) -> str:
        """Return the address of a pool's, training's or project's page for requesters."""
        if isinstance(found, Project):
            return self.project_web_url(found.id)
        noun = "pool" if isinstance(found, Pool) else "training"
        return f"{self.project_web_url(found.project_id)}/{noun}/{found.id}"

    def assignment_web_url(self, pool_id: str, assignment_id: str) -> str:
        """Return the address of an assignment's page, as it is in Toloka's own files of results."""
        pool, assignment = checked_id("pool_id", pool_id), checked_id("assignment_id", assignment_id)
        return f"{self._web_host}/task/{pool}/{assignment}"

    def project_web_url(self, project_id: str) -> str:
        """Return the address of a project's page for requesters."""
        return f"{self._web_host}/requester/project/{checked_id('project_id', project_id)}"

    def skill_web_url(self, skill_id: str) -> str:
        """Return the address of a skill's page for requesters."""
        return f"{self._web_host}/requester/quality/skill/{checked_id('skill_id', skill_id)}"

    def in_currency(self, amount: object) -> str:
        """Return an amount of money for a message, with its currency where that is known."""
        return f"{amount} {self.currency}" if self.currency else str(amount)

    @property
    def currency(self) -> str | None:
        """The currency of all amounts; ``None`` where it is not documented."""
        return "USD" if self.base_url in IN_USD else None

    @property
    def _web_host(self) -> str:
        return WEB_HOSTS.get(self.base_url, self.base_url)
