"""Pay people bonuses, besides the rewards for their answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from toloka_airflow._internal.arguments import parse_int, parse_money
from toloka_airflow._internal.brief_waits import DEFER_BY_DEFAULT
from toloka_airflow._internal.known_arguments import check_known
from toloka_airflow._internal.task_outputs import as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.operators.waiting import WaitingOperator, remaining_deadline

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from toloka_airflow._internal.task_outputs import RowsOrPath
    from toloka_airflow.transfer.bonuses.bonus_rows import Decide
    from toloka_airflow.transfer.bonuses.paying import Payment

__all__ = ["PayBonusesOperator"]

DAILY_QUOTA = 10_000
ALREADY = "already"


class PayBonusesOperator(WaitingOperator):
    """
    Pay bonuses, each exactly once.

    Bonuses come from a list (also the output of another task), or from a file on any object storage: JSON Lines
    (``.jsonl``, ``.ndjson``), a JSON array (``.json``), a table (``.csv``, ``.tsv``), each also with ``.gz`` behind it,
    or Parquet (``.parquet``, needs pyarrow). A bonus has ``user_id`` and ``amount``, and may have ``assignment_id``,
    ``private_comment`` and a message: ``public_title`` and ``public_message``, each a text in English or an object of
    texts by language, ``{"EN": "Thank you"}``. Without them, the person gets the money and no message.

    Or they are made of answers: ``bonus`` gets each row of ``answers``, such as the file of `GetAssignmentsOperator`,
    and returns the amount, or the fields of a bonus, or ``None`` for no bonus. Person and assignment are those of the
    answer. It must return the same in every attempt. An assignment has a row for each of its tasks.

    Before anything is sent, every bonus is checked, and the whole against ``max_total``, the daily quota, and the
    balance. An amount is from 0.005 to 100 and has three decimals at the most.

    It may be retried and cleared as often as needed, also if a worker was killed: what was paid is found again, by the
    ids of operations, and by a tag with which the private comment of each bonus begins: that Toloka remembers the
    former for long is not documented. A run that was deleted and is created anew under its id finds it, too, if the id
    has a date, as those that Airflow makes have, or the run its old logical date. With the tag, also equal bonuses for
    one person are paid, which Toloka would refuse in one request. Bonuses that are paid stay so if others are refused;
    repair the refused rows in their place, and clear the task. If a row that is paid has changed, has moved or is gone,
    nothing more is sent, and the task fails.

    It returns the counts ``total``, ``paid``, ``already`` (those of them that were paid before this attempt) and
    ``refused``; ``amount``, the sum that is paid, as text, in the currency of the account; and ``refused_path``, where
    it is written what was wrong with every bonus that was refused, ``{"line": 2, "user_id": "...", "amount": "0.5",
    "field": "user_id", "code": "ENTITY_DOES_NOT_EXIST", "message": "..."}``; ``None`` if none was.

    :param bonuses: The bonuses, or the path of a file with them (templated).
    :param answers: Instead, answers or the path of a file with them (templated), in the same formats. The cells of
        CSV and TSV are text.
    :param bonus: What makes bonuses of answers.
    :param max_total: The most that all bonuses together may be (templated), those that are paid already included; in
        the currency of the account. It must be given; ``None`` is no limit.
    :param public_title: The title of the message to those whose bonus has none (templated).
    :param public_message: The message (templated).
    :param private_comment: What only the requester reads, of bonuses that have none (templated).
    :param skip_invalid_items: Whether to pay the valid bonuses of a chunk of 100 with invalid ones, and succeed.
    :param refused_path: Where to write what was refused; beside the file by default, nowhere for a list (templated).
    :param daily_quota: How many bonuses the account may pay in 24 hours, by whichever tasks: 10,000 are documented.
    :param timeout: Seconds until all operations must have ended, counted anew in every attempt.

    Further arguments are those of `WaitingOperator`.
    """

    template_fields: Sequence[str] = (
        "bonuses",
        "answers",
        "max_total",
        "public_title",
        "public_message",
        "private_comment",
        "refused_path",
        "toloka_conn_id",
    )

    def __init__(
        self,
        *,
        max_total: Decimal | float | str | XComArg | None,
        bonuses: RowsOrPath | None = None,
        answers: RowsOrPath | None = None,
        bonus: Decide | None = None,
        public_title: str | Mapping[str, str] | XComArg | None = None,
        public_message: str | Mapping[str, str] | XComArg | None = None,
        private_comment: str | XComArg | None = None,
        skip_invalid_items: bool = False,
        refused_path: str | XComArg | None = None,
        daily_quota: int = DAILY_QUOTA,
        timeout: float | timedelta = 6 * 3600.0,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        deferrable: bool = DEFER_BY_DEFAULT,
        defer_after: float | timedelta | None = None,
        poll_interval: float | timedelta = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            toloka_conn_id=toloka_conn_id,
            deferrable=deferrable,
            defer_after=defer_after,
            poll_interval=poll_interval,
            timeout=timeout,
            **{"multiple_outputs": True, **kwargs},
        )
        if (bonuses is None) == (answers is None):
            raise argument_error("bonuses or answers must be given, and not both")
        if (answers is None) != (bonus is None):
            raise argument_error("answers and bonus, a function that makes bonuses of them, must be given together")
        if bonus is not None and not callable(bonus):
            raise argument_error(f"bonus is {bonus!r:.100}; it must be a function")
        for name, value in {"bonuses": bonuses, "answers": answers}.items():
            if hasattr(value, "__next__"):
                raise argument_error(f"{name} is {value!r:.100}, which can be read only once; give a list or a path")
        self.bonuses: Any = bonuses
        self.answers: Any = answers
        self.bonus = bonus
        self.max_total = as_rendered(max_total)
        self.public_title = as_rendered(public_title)
        self.public_message = as_rendered(public_message)
        self.private_comment = as_rendered(private_comment)
        self.skip_invalid_items = skip_invalid_items
        self.refused_path = as_rendered(refused_path)
        self.daily_quota = parse_int("daily_quota", daily_quota, maximum=10_000_000)
        check_known(self, max_total=parse_money)

    def execute(self, context: Context) -> dict[str, Any]:
        """Pay what is not paid yet, wait for it, and write down what was refused."""
        return self._pay(context, time.time() + self.timeout)

    def previous_operations_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume after the triggerer waited for an operation of a previous attempt."""
        with task_errors():
            deadline = remaining_deadline(event)
        return self._pay(context, deadline)

    def operations_finished(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume after the triggerer waited for an operation of this attempt."""
        with task_errors():
            deadline = remaining_deadline(event)
            ti = context["ti"]
            already = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index, key=ALREADY)
            return self._collect(self._payment(context), deadline, already or 0)

    def _pay(self, context: Context, deadline: float) -> dict[str, Any]:
        with task_errors():
            payment = self._payment(context)
            for operation in payment.survey():
                self._wait(payment.client, operation, deadline, self.previous_operations_finished)
            already = payment.paid_count
            # For the resume after a deferral, which cannot tell any more.
            context["ti"].xcom_push(key=ALREADY, value=already)
            payment.send()
            return self._collect(payment, deadline, already)

    def _collect(self, payment: Payment, deadline: float, already: int) -> dict[str, Any]:
        for operation in payment.survey():
            self._wait(payment.client, operation, deadline, self.operations_finished)
        result = payment.result(already)
        self._lineage_facts = result
        return result

    def _payment(self, context: Context) -> Payment:
        """Read and check all bonuses; nothing is sent."""
        # Here, as a DAG that is only parsed needs none of it.
        from toloka_airflow.transfer.bonuses.paying import open_payment

        defaults = {name: getattr(self, name) for name in ("public_title", "public_message", "private_comment")}
        return open_payment(
            TolokaHook(self.toloka_conn_id).get_conn(),
            context,
            argument="bonuses" if self.answers is None else "answers",
            given=self.bonuses if self.answers is None else self.answers,
            decide=self.bonus,
            defaults=defaults,
            max_total=parse_money("max_total", self.max_total),
            refused_path=self.refused_path,
            skip_invalid_items=self.skip_invalid_items,
            daily_quota=self.daily_quota,
            log=self.log,
        )
