"""Say what a pool will cost before a cent is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from toloka_airflow._internal.arguments import parse_fee, parse_money, parse_share
from toloka_airflow._internal.known_arguments import check_known
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error, with_link
from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.checks.duration import Duration, estimate_duration
from toloka_airflow.checks.estimate import Estimate, estimate, table
from toloka_airflow.checks.money import Fee, Range, money_text
from toloka_airflow.checks.task_counts import count_tasks
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, store_link
from toloka_airflow.operators.paces import fetch_paces
from toloka_airflow.operators.pool_contents import read_contents
from toloka_airflow.storage.config_files import read_config

if TYPE_CHECKING:
    from os import PathLike

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.transfer.upload.task_files import Specs

    Config = Mapping[str, Any] | str | PathLike[str] | ObjectStoragePath

__all__ = ["EstimateOperator"]


class EstimateOperator(LineageMixin, BaseOperator):
    """
    Estimate what a pool will cost and how long it takes, log it as a table, and return it.

    Give either the configuration of a pool with its tasks, before anything is created; or the id of a pool that is
    there, without ``tasks`` for those that are in it. Of those, only what is not answered yet is counted.

    The task fails at once, without a retry, if the pool may cost more than ``max_total``, and if nobody knows what
    it costs, as with an infinite overlap. Nothing is changed at Toloka, so it can be repeated as often as needed.

    It returns ``tasks``, ``control_tasks``, ``training_tasks``, ``pages``, ``assignments``, ``paid_assignments``,
    ``people``, ``price``, ``reward``, ``fee``, ``total``, ``assumptions`` and ``duration``. What is not known exactly
    is a range, ``{"least": 12.48, "most": 15.6}``; so are all amounts of money, in the currency of the account.
    ``duration`` has ``work_hours`` and ``hours``, or is ``None`` for endless answers. ``answers`` and ``paid_answers``
    are older names of ``assignments`` and ``paid_assignments``.

    :param config: The pool: a dict (templated, deeply), or the path (templated) of a JSON or YAML file.
    :param pool_id: Instead, a pool that is there (templated).
    :param tasks: The tasks or the path of a file with them, as for `CreateTasksOperator` (templated).
    :param project_config: The project: a dict or the path of a file (templated). With it, tables of tasks can be read
        before the project is created.
    :param project_id: The project (templated), if neither ``config`` nor the pool names it. The fields of tables are
        read by it, and how fast people were is measured in its previous pools.
    :param max_total: Fail if the pool may cost more, the fee included (templated).
    :param fee: What Toloka adds to a reward, as a share of it. It depends on the account; 0.3 was usual.
    :param min_fee: What the fee of an assignment is at the least.
    :param rejected_share: Which share of the assignments is taken to be rejected, where they are reviewed.
    :param allow_defaults: Whether tasks without ``overlap`` get that of the pool's defaults, as for
        `CreateTasksOperator`.
    :param use_previous_pools: Whether to measure how fast people were in previous pools of the project. Without, and
        without any, the hours come from ``assignment_max_duration_seconds``. With ``config``, ``tasks`` and
        ``project_config`` no request is sent then.
    :param people: How many people work at a time, as a pair of the least and the most, where previous pools do not say;
        by default 10 to 100.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = (
        "config",
        "pool_id",
        "tasks",
        "project_config",
        "project_id",
        "max_total",
        "toloka_conn_id",
    )
    template_fields_renderers = {"config": "json", "project_config": "json"}
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        config: Config | XComArg | None = None,
        pool_id: str | XComArg | None = None,
        tasks: RowsOrPath | None = None,
        project_config: Config | XComArg | None = None,
        project_id: str | XComArg | None = None,
        max_total: float | str | XComArg | None = None,
        fee: float = 0.3,
        min_fee: float = 0.005,
        rejected_share: float = 0.0,
        allow_defaults: bool = True,
        use_previous_pools: bool = True,
        people: tuple[int, int] | None = None,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        if (config is None) == (pool_id is None):
            raise argument_error(
                "Give either config, of a pool that is to be created, or pool_id, of one that is there"
            )
        if config is not None and tasks is None:
            raise argument_error("tasks is None; without pool_id, say which tasks the pool will have")
        if hasattr(tasks, "__next__"):
            raise argument_error(f"tasks is {tasks!r:.100}, which can be read only once; give a list or a path")
        for name, amount in (("fee", fee), ("min_fee", min_fee)):
            parse_fee(name, amount)
        parse_share("rejected_share", rejected_share)
        if people is not None:
            people_range(people)
        self.config = as_rendered(config)
        self.pool_id = as_rendered(pool_id)
        self.tasks: Any = tasks
        self.project_config = as_rendered(project_config)
        self.project_id = as_rendered(project_id)
        self.max_total = as_rendered(max_total)
        self.fee = fee
        self.min_fee = min_fee
        self.rejected_share = rejected_share
        self.allow_defaults = allow_defaults
        self.use_previous_pools = use_previous_pools
        self.people = people
        self.toloka_conn_id = toloka_conn_id
        check_known(self, max_total=parse_money)

    def execute(self, context: Context) -> dict[str, Any]:
        """Estimate, and fail if it is too much."""
        with task_errors():
            limit = parse_money("max_total", self.max_total)
            pool = self._read_pool(context)
            estimated = estimate(
                pool,
                count_tasks(self._read_tasks(pool), pool, allow_defaults=self.allow_defaults),
                fee=_fee(self.fee, self.min_fee),
                rejected_share=_decimal("rejected_share", self.rejected_share),
            )
            duration = self._duration(pool, estimated)
        self.log.info(
            "What the pool will cost, in the currency of the account:\n%s", "\n".join(table(estimated, duration))
        )
        if limit is not None and estimated.total.most > limit:
            raise AirflowFailException(
                with_link(
                    f"The pool may cost {money_text(estimated.total.most)}, and max_total is {money_text(limit)}. "
                    "Lower the overlap or the reward, give fewer tasks, or raise max_total",
                    "not-enough-money",
                )
            )
        return estimated.as_json() | {"duration": None if duration is None else duration.as_json()}

    @cached_property
    def _client(self) -> TolokaClient:
        return TolokaHook(self.toloka_conn_id).get_conn()

    def _read_pool(self, context: Context) -> Mapping[str, Any]:
        if self.config is not None:
            return read_config("config", self.config)
        pool = self._client.get_pool(checked_id("pool_id", self.pool_id))
        store_link(context, self._client, pool)
        self._report_pool_read(pool.id)
        return pool.raw

    def _read_tasks(self, pool: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        if self.tasks is None:
            yield from read_contents(self._client, checked_id("pool_id", self.pool_id))
            return
        # Here, as a DAG that is only parsed needs none of it.
        from toloka_airflow.transfer.upload.task_files import task_source

        for row in task_source(self.tasks).rows(lambda: self._specs(pool)):
            yield row.fields

    def _specs(self, pool: Mapping[str, Any]) -> Specs:
        if self.project_config is not None:
            project = read_config("project_config", self.project_config)
        elif project_id := self._project_id(pool):
            project = dict(self._client.get_project(project_id).raw)
        else:
            raise ValueError("The fields of the tasks are not known; give project_config or project_id")
        spec = project.get("task_spec")
        specs = spec if isinstance(spec, Mapping) else {}
        return specs.get("input_spec") or {}, specs.get("output_spec") or {}

    def _project_id(self, pool: Mapping[str, Any]) -> str | None:
        given = self.project_id or pool.get("project_id")
        return None if given is None else checked_id("project_id", given)

    def _duration(self, pool: Mapping[str, Any], estimated: Estimate) -> Duration | None:
        if estimated.assignments is None:
            return None
        paces = []
        project_id = self._project_id(pool) if self.use_previous_pools else None
        if project_id:
            try:
                paces = fetch_paces(self._client, project_id, self.log, besides=self.pool_id)
            except TolokaError as exc:
                self.log.warning("How fast people were in previous pools did not become known: %s", exc)
        people = None if self.people is None else people_range(self.people)
        return estimate_duration(estimated.assignments, pool, paces, people=people)


def people_range(people: tuple[int, int]) -> Range[int]:
    """
    Return how many people work at a time.

    :raises ValueError: If it is no pair of whole numbers.
    """
    least, most = people if isinstance(people, tuple | list) and len(people) == 2 else (0, 0)
    if (
        any(isinstance(number, bool) or not isinstance(number, int) for number in (least, most))
        or not 0 < least <= most
    ):
        raise argument_error(f"people is {people!r}; it must be a pair of the least and the most, such as (10, 100)")
    return Range(least, most)


def _fee(share: float, least: float) -> Fee:
    return Fee(parse_fee("fee", share), parse_fee("min_fee", least))


def _decimal(name: str, value: float) -> Decimal:
    return parse_money(name, value) or Decimal(0)
