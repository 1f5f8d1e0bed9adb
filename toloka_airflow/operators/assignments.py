"""Download and review what people answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from toloka_airflow._internal.arguments import parse_int
from toloka_airflow._internal.identity import TaskIdentity
from toloka_airflow._internal.task_outputs import BaseOperator, as_rendered
from toloka_airflow._internal.troubleshooting import argument_error
from toloka_airflow.api.client.calls import PAGE_SIZE
from toloka_airflow.api.errors import TolokaApiError, TolokaError
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Assignment, AssignmentStatus, Training
from toloka_airflow.api.pool_rules import is_archived, why_not_closed
from toloka_airflow.assets import check_outlets, report
from toloka_airflow.hooks import TolokaHook, task_errors
from toloka_airflow.lineage import LineageMixin
from toloka_airflow.links import TolokaLink, find_link, store_link
from toloka_airflow.storage.paths import storage_path
from toloka_airflow.storage.row_files import RowFile
from toloka_airflow.transfer.download.answer_formats import AnswerFormat, answer_format, answer_writer
from toloka_airflow.transfer.download.answer_rows import read_answers, read_assignments
from toloka_airflow.transfer.download.parallel_download import ParallelDownload
from toloka_airflow.transfer.download.parallel_reading import ParallelReading
from toloka_airflow.transfer.download.periods import period_filters
from toloka_airflow.transfer.review.decisions import Decision, read_file, read_list, read_mapping
from toloka_airflow.transfer.review.reviewing import Decide, DecidesFromAll, Review, ask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath, XComArg

    from toloka_airflow.api.client import TolokaClient
    from toloka_airflow.storage.row_writers import RowWriter

__all__ = ["GetAssignmentsOperator", "ReviewAssignmentsOperator"]

Rows = Literal["answers", "assignments"]
MAX_PAGE, MAX_IN_FLIGHT = 100_000, 64
RESUMABLE_FOR = 3600.0
"""Seconds in which a further attempt may resume a previous one, if no ``until`` limits which answers there are: what
was accepted since then may be in pages that were read already."""
WITH_ANSWERS = ("SUBMITTED", "ACCEPTED", "REJECTED")


class GetAssignmentsOperator(LineageMixin, BaseOperator):
    """
    Write the answers of a pool to a file, on any object storage.

    It takes the same memory for any number of answers. The file is there when all are in it, in ascending id. Several
    ranges of ids are read at a time. An attempt that was killed is resumed after the last part that was written of each
    range, so every answer is one row; without ``until`` only if it began in the last hour, as answers before that part
    may have changed since. For the same reason, an answer that comes into the status during the download is in the file
    if its place had not been read yet; its row is as of the moment at which its page was read.

    The end of the file's name is its format: JSON Lines; Parquet (``.parquet``), with the keys of a row as its columns
    and a schema made of the project's input and output fields, so it is the same whatever was answered; or the TSV of
    Toloka's own pages (``.tsv``).

    A row for an answer has ``assignment_id``, ``task_id``, ``task_suite_id``, ``pool_id``, ``user_id``, ``status``,
    ``assignment_reward`` (what was paid for all answers of the assignment together), ``input_values`` and
    ``output_values``; if there are such, ``submitted``, ``accepted``, ``rejected``, ``public_comment``, and
    ``known_solutions``, by which a control task is known. An assignment is as the API answers it.

    For an incremental download, take the time span of the run::

        since="{{ data_interval_start }}", until="{{ data_interval_end }}"

    An answer is in the run in which it came into its status: accepted, if ``status`` is ACCEPTED. For all of
    SUBMITTED, ACCEPTED and REJECTED together, the time of its submission counts. ``until`` itself is in the next span.

    It returns ``{"pool_id", "path", "assignments", "answers"}``, the last two being counts. Assets among its outlets
    get the same as the extra of their event, so a DAG that the event starts finds the file.

    :param pool_id: The pool or training (templated).
    :param path: The file to write (templated): ``.parquet`` (needs pyarrow), ``.tsv``, or any other name for JSON
        Lines; the last two are gzip if the name ends with ``.gz``. One that is there is replaced.
    :param status: A status of assignments, several, or several with commas in between (templated).
    :param rows: A row for each of the ``answers``, or one for each of the ``assignments``, which have no columns: only
        JSON Lines can hold them.
    :param since: Only what happened at this time or later: a date with a time zone (templated). What renders as
        nothing or as ``None`` is no limit.
    :param until: Only what happened before (templated). It must have passed. What renders as nothing is an error, as
        the next run would read the same answers again.
    :param page_size: How many assignments to fetch at once. 300 are documented; toloka-kit names 100 000. What the
        API refuses is fetched in pages of 300. More memory is needed for larger pages.
    :param in_flight: How many pages to fetch at a time. Fewer are, for a while, if Toloka answers that they are too
        many (429).
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("pool_id", "path", "status", "since", "until", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        path: str | ObjectStoragePath | XComArg,
        status: str | Sequence[str] | XComArg = ("ACCEPTED",),
        rows: Rows = "answers",
        since: str | datetime | XComArg | None = None,
        until: str | datetime | XComArg | None = None,
        page_size: int = PAGE_SIZE,
        in_flight: int = 12,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        if rows not in get_args(Rows):
            raise argument_error(f"rows is {rows!r}; it must be {' or '.join(get_args(Rows))}")
        self.pool_id = as_rendered(pool_id)
        self.path = as_rendered(path)
        self.status = as_rendered(status)
        self.rows = rows
        self.since = as_rendered(since)
        self.until = as_rendered(until)
        self.page_size = parse_int("page_size", page_size, maximum=MAX_PAGE)
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the file."""
        with task_errors():
            pool_id = checked_id("pool_id", self.pool_id)
            check_outlets(self.outlets, pool_id=pool_id, toloka_conn_id=self.toloka_conn_id)
            statuses = self._statuses()
            path = storage_path("path", self.path)
            chosen = answer_format(path, self.rows)
            wanted = {"status": statuses, **period_filters(statuses, self.since, self.until)}
            # Another download, such as one with an edited filter, does not resume this one's parts.
            key = TaskIdentity.of(context).uuid("answers", pool_id, self.rows, wanted)[:8]
            max_age = RESUMABLE_FOR if self.until is None else float("inf")
            file = RowFile(path, key=key, max_age=max_age, is_converted=chosen is not AnswerFormat.JSON_LINES)
            client = TolokaHook(self.toloka_conn_id).get_conn()
            writer = self._writer(client, pool_id, chosen, path)
            download = self._download(client, pool_id, wanted, file, chosen)
            download.run(meanwhile=lambda: find_link(context, client, {"pool_id": pool_id}))
            if not file.counts["assignments"]:
                pool_or_training(client, pool_id)
            counts = file.finish(writer)
        result = {"pool_id": pool_id, "path": str(self.path), "assignments": 0, "answers": 0, **counts}
        report(context, self.outlets, pool_id=pool_id, toloka_conn_id=self.toloka_conn_id, facts=result)
        self._report_pool_read(pool_id)
        self._lineage_facts = result
        return result

    def _writer(
        self, client: TolokaClient, pool_id: str, chosen: AnswerFormat, path: ObjectStoragePath
    ) -> Callable[[IO[bytes]], RowWriter] | None:
        if chosen is AnswerFormat.JSON_LINES:
            return None
        project = client.get_project(pool_or_training(client, pool_id).project_id)
        return answer_writer(chosen, path, client, pool_id, project.raw["task_spec"], log=self.log)

    def _download(
        self, client: TolokaClient, pool_id: str, wanted: Mapping[str, Any], file: RowFile, chosen: AnswerFormat
    ) -> ParallelDownload:
        positions = [each.cursor for each in file.ranges if each.cursor is not None]
        if positions:
            self.log.info("This attempt resumes after assignment %s, where a previous attempt ended", positions[0])
        answers = partial(read_answers, with_more=chosen is AnswerFormat.TSV)
        return ParallelDownload(
            file,
            client,
            read=answers if self.rows == "answers" else read_assignments,
            pages=lambda client, read, after, until: client.read_assignments(
                pool_id, read, page_size=self.page_size, after=after, until=until, **wanted
            ),
            find_last=lambda client: client.find_last_assignment(pool_id, **wanted),
            in_flight=self.in_flight,
            log=self.log,
        )

    def _statuses(self) -> list[str]:
        if self.rows == "answers":
            return parse_statuses(self.status, hint=" (others have no answers: rows='assignments')")
        return parse_statuses(self.status, tuple(AssignmentStatus))


def parse_statuses(given: Any, allowed: Sequence[str] = WITH_ANSWERS, hint: str = "") -> list[str]:
    """
    Return the statuses of assignments that the argument ``status`` gives: one, several, or several with commas.

    :param hint: What to add to the error about one that is not allowed.
    :raises ValueError: If one is not allowed, or there are none.
    """
    several = given.split(",") if isinstance(given, str) else given
    if not isinstance(several, Iterable):
        raise ValueError(f"status is {given!r}; it must be one or more statuses of assignments")
    statuses = [AssignmentStatus(str(status).strip()) for status in several]
    if not statuses or set(statuses) - set(allowed):
        raise ValueError(f"status is {given!r}; it must be one or more of {', '.join(allowed)}{hint}")
    return [status.value for status in statuses]


def pool_or_training(client: TolokaClient, pool_id: str) -> Training:
    """Return it; raise if there is none, for its list of assignments may just be empty then."""
    try:
        return client.get_pool(pool_id)
    except TolokaApiError as exc:
        if exc.status not in (404, 409):
            raise
        return client.get_training(pool_id)


class ReviewAssignmentsOperator(LineageMixin, BaseOperator):
    """
    Accept or reject the assignments of a pool.

    It may be repeated: what is decided as wanted already counts as done. SUBMITTED can become ACCEPTED or REJECTED,
    and REJECTED can become ACCEPTED. If Toloka or somebody else has decided otherwise, such as by accepting after the
    review period, the others are decided and then the task fails: money was paid.

    It returns ``{"pool_id", "accepted", "rejected", "already", "left"}``: counts of assignments that are decided as
    wanted, how many of them were before this attempt, and how many were left as they are. With ``decide``, everything
    that is decided is as wanted, whoever did it.

    A decision is ``{"status": "ACCEPTED" or "REJECTED", "public_comment": "..."}``; the person who answered reads the
    comment, of up to 2048 characters. Only an acceptance may do without.

    Toloka's own page takes a table with the columns ``ASSIGNMENT:assignment_id``, ``ACCEPT:verdict`` and
    ``ACCEPT:comment``. A verdict is ``+``, ``ACCEPTED`` or ``APPROVED``; or ``-`` or ``REJECTED``; a row without one
    decides nothing. There may be other columns, such as those of the downloaded file, and several rows for an
    assignment, as it has one for each task: one of them has the verdict, or several that agree.

    :param pool_id: The pool (templated).
    :param decisions: A mapping from ids of assignments to decisions; or a list of decisions that have an
        ``assignment_id``, too; or the path of a file (templated): such a table if its name ends with ``.tsv`` or
        ``.csv``, else JSON Lines with decisions as in a list; gzip with ``.gz`` behind it. All decisions are checked
        before anything is sent; contradictory ones, and two for an assignment but in a table, are refused.
    :param decide: Instead of decisions, a function that gets every SUBMITTED answer as a
        `toloka_airflow.api.models.Assignment` and returns its decision, or ``None`` to leave it. Or what gets all
        answers first: `toloka_airflow.voting.MajorityVote`, or another object with a method ``from_answers``, which
        gets an iterator of all SUBMITTED, ACCEPTED and REJECTED answers and returns such a function.
    :param in_flight: How many assignments to decide at a time, and with ``decide``, how many pages of them to read.
    :param toloka_conn_id: The Airflow connection to Toloka (templated).
    """

    template_fields: Sequence[str] = ("pool_id", "decisions", "toloka_conn_id")
    operator_extra_links = (TolokaLink(),)

    def __init__(
        self,
        *,
        pool_id: str | XComArg,
        decisions: Mapping[str, Any] | Sequence[Any] | ObjectStoragePath | XComArg | None = None,
        decide: Decide | DecidesFromAll | None = None,
        in_flight: int = 8,
        toloka_conn_id: str = TolokaHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        if (decisions is None) == (decide is None):
            raise argument_error("decisions or decide must be given, and not both")
        if isinstance(decisions, DecidesFromAll):
            raise argument_error(f"decisions is {decisions!r:.100}, which decides by itself: give it as decide")
        if decide is not None and (
            isinstance(decide, type) or not (callable(decide) or isinstance(decide, DecidesFromAll))
        ):
            raise argument_error(f"decide is {decide!r:.100}; it must be a function, or one like MajorityVote(...)")
        self.pool_id = as_rendered(pool_id)
        self.decisions = as_rendered(decisions)
        self.decide = decide
        self.in_flight = parse_int("in_flight", in_flight, maximum=MAX_IN_FLIGHT)
        self.toloka_conn_id = toloka_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Decide what is not decided yet."""
        with task_errors():
            pool_id = checked_id("pool_id", self.pool_id)
            for _ in self._given():
                pass  # every one of them is checked
            client = TolokaHook(self.toloka_conn_id).get_conn()
            pool = client.get_pool(pool_id)
            store_link(context, client, pool)
            if is_archived(pool):
                raise TolokaError(
                    f"Pool {pool_id} is ARCHIVED, so its answers cannot be accepted or rejected any more. Review them "
                    "before the pool is archived",
                    topic="archived",
                )
            review = Review(client, pool_id, in_flight=self.in_flight, log=self.log)
            if self.decide is None:
                review.carry_out(self._given())
            else:
                decide = self.decide
                if isinstance(decide, DecidesFromAll):
                    if why := why_not_closed(pool):
                        self.log.warning(
                            "Pool %s is %s, so answers may still come that are not among those it is decided from: "
                            "people may be rejected who are right by all answers. Wait until the pool is closed",
                            pool_id,
                            why,
                        )
                    decide = decide.from_answers(self._answers(client, pool_id))
                review.carry_out(ask(decide, self._answers(client, pool_id)))
            review.ensure_success()
            if not any(review.counts.values()):
                self.log.warning(
                    "Pool %s: there was nothing to decide, so all assignments are left as they are", pool_id
                )
        self._report_pool_written(pool_id)
        self._lineage_facts = {"pool_id": pool_id, **review.counts}
        return self._lineage_facts

    def _answers(self, client: TolokaClient, pool_id: str) -> Iterator[Assignment]:
        return iter(ParallelReading(client, pool_id, in_flight=self.in_flight, status=WITH_ANSWERS))

    def _given(self) -> Iterator[Decision]:
        if self.decide is not None:
            return iter(())
        if isinstance(self.decisions, Mapping):
            return read_mapping(self.decisions)
        if isinstance(self.decisions, Sequence) and not isinstance(self.decisions, str):
            return read_list(self.decisions)
        return read_file(storage_path("decisions", self.decisions))
