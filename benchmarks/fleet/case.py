"""One kind of waits, from the start of fresh triggerers to the last end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.fleet.deployment import TRIGGERERS, Sampler
from benchmarks.fleet.figures import Record
from benchmarks.fleet.kinds import IN_ENVIRONMENT
from benchmarks.fleet.toloka import spread
from demo.airflow_api import wait_until

if TYPE_CHECKING:
    from benchmarks.fleet.deployment import Deployment
    from benchmarks.fleet.kinds import Kind
    from benchmarks.fleet.toloka import Toloka

PATIENCE = 300.0
KILL_AFTER = 0.6
"""The part of the time in which waits end after which a triggerer is killed."""
TAKEOVER_PATIENCE = 180.0
HEARTBEATS = 5.0
"""Seconds in which every living triggerer has sent a heartbeat; shorter than any threshold."""


@dataclass(frozen=True)
class Plan:
    """
    A kind, and when what happens.

    :param quiet: Seconds in which nothing ends, after all waits should have begun.
    :param seconds: Within how many seconds the ends are.
    """

    kind: Kind
    waits: int
    quiet: float
    seconds: float

    @property
    def lead(self) -> float:
        """Seconds in which all waits begin: workers defer about one task a second."""
        return 60 + self.waits if self.kind.real else 30 + self.waits / 40

    @property
    def ends_within(self) -> float:
        """Seconds in which all waits end; workers resume about one task a second, too."""
        return max(self.seconds, float(self.waits)) if self.kind.real else self.seconds

    @property
    def estimate(self) -> float:
        """How many seconds it will take, roughly."""
        return 60 + self.lead + self.quiet + self.ends_within + self.waits / 50

    def __str__(self) -> str:
        return f"{self.waits:,} waits, {self.kind.title}"


class Case:
    """Run a plan on a deployment, with a Toloka of its own."""

    def __init__(self, plan: Plan, deployment: Deployment, toloka: Toloka, say: Callable[[str], None]) -> None:
        self.plan, self.deployment, self.toloka, self.say = plan, deployment, toloka, say
        # Triggerers know a connection for some minutes.
        self.conn_id = f"bench_{plan.kind.name}_{time.time():.0f}"
        if plan.kind.name == "environment":
            self.conn_id = IN_ENVIRONMENT

    def run(self) -> Record:
        """Return what was seen."""
        kind = self.plan.kind
        url = self.toloka.pages.url if kind.name == "http" else self.toloka.api.url
        self.deployment.prepare()
        if kind.name != "environment":
            self.deployment.store_connection(self.conn_id, "http" if kind.name == "http" else "toloka", url)
        self.say("starting fresh triggerers")
        self.deployment.start_triggerers_anew()
        with Sampler(self.deployment) as sampler:
            record = self._real() if kind.real else self._in_database()
        record.connections, record.memory = sampler.connections, sampler.memory
        record.requests, record.refused = self.toloka.requests(record.deferred), self.toloka.refused()
        return record

    def _real(self) -> Record:
        begin, ends = self._moments()
        subjects = self._begin(ends)
        if self.plan.kind.name == "real_datetime":
            subjects = [datetime.fromtimestamp(end, UTC).isoformat() for end in ends]
        record = Record(self.plan.kind.name, time.time(), begin, ends)
        self.say(f"workers defer the tasks; the first ends in {begin - time.time():.0f} s")
        return self._follow(record, self._triggered(subjects))

    def _in_database(self) -> Record:
        kind = self.plan.kind
        self.say("having Airflow expand the tasks")
        run_id = self._triggered([str(number) for number in range(self.plan.waits)])
        expanded = partial(self.deployment.tasks, kind.dag_id, run_id, "state = 'scheduled'")
        wait_until(lambda: expanded() == self.plan.waits, "all tasks are mapped and scheduled", PATIENCE, 1)
        with self.deployment.deferring(kind.dag_id, run_id, kind.classpath) as defer:
            begin, ends = self._moments()
            subjects = self._begin(ends)
            defer([kind.arguments(each, self.conn_id, end) for each, end in zip(subjects, ends, strict=True)])
        record = Record(kind.name, time.time(), begin, ends)
        self.say(f"deferred; the first ends in {begin - time.time():.0f} s")
        return self._follow(record, run_id)

    def _moments(self) -> tuple[float, list[float]]:
        begin = time.time() + self.plan.lead + self.plan.quiet
        return begin, spread(self.plan.waits, begin, self.plan.ends_within)

    def _begin(self, ends: list[float]) -> list[str]:
        return (self.toloka.open_pools if self.plan.kind.name == "pools" else self.toloka.start_operations)(ends)

    def _triggered(self, waited_for: list[str]) -> str:
        file = self.deployment.lane.files / f"{self.conn_id}_{self.plan.waits}.json"
        file.write_text(json.dumps(waited_for))
        conf: dict[str, Any] = {"file": str(file)}
        if self.plan.kind.name != "real_datetime":
            conf["toloka_conn_id"] = self.conn_id
        self.deployment.api.wait_for_dag(self.plan.kind.dag_id)
        return self.deployment.api.trigger(self.plan.kind.dag_id, conf)

    def _follow(self, record: Record, run_id: str) -> Record:
        deployment, dag_id = self.deployment, self.plan.kind.dag_id
        log = deployment.log_sizes()
        deferred = partial(deployment.tasks, dag_id, run_id, "state = 'deferred'")
        while time.time() < record.begin:
            if deferred() == self.plan.waits and not deployment.unassigned():
                record.assigned, record.shares = time.time(), deployment.shares()
                break
            time.sleep(0.25)
        self.say(f"assigned {record.shares or 'not all of them yet'} after {time.time() - record.deferred:.1f} s")
        cpu = deployment.cpu()
        time.sleep(max(0.0, record.begin - time.time()))
        record.cpu = deployment.cpu() - cpu
        record.blocks_at_start, log = deployment.blocks(log), deployment.log_sizes()
        self.say(f"the waits end, within {self.plan.ends_within:.0f} s")
        if not self.plan.kind.real:
            time.sleep(max(0.0, record.begin + KILL_AFTER * self.plan.ends_within - time.time()))
            self._kill(record)
        time.sleep(max(0.0, record.begin + self.plan.ends_within - time.time()))
        give_up = time.time() + PATIENCE
        ended = "state in ('success', 'failed')" if self.plan.kind.real else "state <> 'deferred'"
        while deployment.tasks(dag_id, run_id, ended) < self.plan.waits and time.time() < give_up:
            time.sleep(1)
        record.blocks_later = deployment.blocks(log)
        record.seen = deployment.ends(dag_id, run_id)
        deployment.finish(dag_id, run_id)
        return record

    def _kill(self, record: Record) -> None:
        """Kill a triggerer that has triggers: on a busy machine, one may have taken over all of them before."""
        for name in TRIGGERERS:
            record.killed = time.time()
            self.deployment.lane.kill(name)
            time.sleep(HEARTBEATS)
            record.lost = self.deployment.lost(record.killed)
            if record.lost:
                break
        give_up = record.killed + TAKEOVER_PATIENCE
        while (left := self.deployment.lost(record.killed)) and time.time() < give_up:
            time.sleep(0.25)
        if record.lost and not left:
            record.taken_over = time.time()
            self.say(f"{record.lost} of a killed triggerer taken over after {record.taken_over - record.killed:.1f} s")
