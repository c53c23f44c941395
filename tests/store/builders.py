"""A bench: one store, and each event of the life of a task as one transaction of its own."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.budgets import Budgets
from slurmband.domain.graph import check
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.task import Task
from slurmband.domain.workers import Element, Worker
from slurmband.liveness import incarnation
from slurmband.store import (
    claiming,
    explanations,
    growth,
    interventions,
    membership,
    pruning,
    registration,
    transitions,
)
from slurmband.store.claiming import Taker
from slurmband.store.database import Store
from slurmband.store.explanations import Amended
from slurmband.store.pruning import Pruned
from slurmband.store.registration import Registered, Revision

#: A process of a boot that never was: nothing can be proven about it.
ELSEWHERE: Final = ProcessIdentity("node7", "boot-7", "pid:[7]", 700, 7)
#: One of each kind of end.
COMPLETED: Final = Ending(Outcome.COMPLETED)
FAILED: Final = Ending(Outcome.FAILED, "ValueError: burnt")
KILLED: Final = Ending(Outcome.KILLED, Reason.PROCESS_GONE)
RELEASED: Final = Ending(Outcome.RELEASED, Reason.LEFT)
TABLES: Final = (
    *("workflows", "revisions", "tasks", "edges", "workers", "attempts", "task_statuses"),
    *("events", "producers", "task_counts", "submissions", "elements"),
)

Row = tuple[Any, ...]


def task(
    name: str,
    *needs: str,
    slots: int = 1,
    priority: int = 0,
    labels: str = "",
    of: str | None = None,
    failed: int | None = None,
    killed: int | None = None,
) -> Task[None]:
    """Write a task in one line; `labels` are separated by blanks, `of` is its fingerprint."""
    return Task(
        name,
        dependencies=frozenset(needs),
        requirements=frozenset(labels.split()),
        max_parallel_workers=slots,
        priority=priority,
        fingerprint=of,
        max_failed_retries=failed,
        max_killed_retries=killed,
    )


def element(restarts: int = 0, *, rank: int | None = None, **changes: Any) -> Element:
    """Return element 36_1 of an array, as SLURM tells it."""
    fields: dict[str, Any] = {
        "cluster": "thunder",
        "array_job_id": 36,
        "array_task_id": 1,
        "job_id": 37,
    }
    return Element(restarts=restarts, rank=rank, **(fields | changes))


def never() -> bool:
    """Say that a worker moved."""
    return False


def always() -> bool:
    """Say that a worker did not move."""
    return True


@dataclass(frozen=True)
class Bench:
    """One store and short words for what happens to it."""

    store: Store

    def register(
        self,
        *tasks: Task[Any],
        failed: int | None = None,
        killed: int | None = None,
        new_revision: bool = False,
        compare: bool = False,
        alone: bool = False,
        now: float = 0.0,
    ) -> Registered:
        with self.store.transaction() as tx:
            return registration.register(
                tx,
                check(tasks),
                budgets=Budgets(failed, killed, killed, killed),
                new_revision=new_revision,
                compare=compare,
                alone=lambda: alone,
                now=now,
            )

    def submit(self, *tasks: Task[Any], compare: bool = False, now: float = 50.0) -> Registered:
        return self.register(*tasks, new_revision=True, compare=compare, now=now)

    def worker(
        self,
        name: str = "alice",
        labels: str = "",
        *,
        process: ProcessIdentity = ELSEWHERE,
        now: float = 1.0,
    ) -> Worker:
        with self.store.transaction() as tx:
            return membership.join(
                tx,
                name,
                process,
                None,
                frozenset(labels.split()),
                heartbeat_timeout=60.0,
                log=None,
                now=now,
            )

    def arrive(
        self,
        where: Element | None = None,
        *,
        process: ProcessIdentity = ELSEWHERE,
        identifier: str | None = None,
        fate: Fate = Fate.UNKNOWN,
        log: str | None = None,
        now: float = 1.0,
    ) -> Worker:
        """Join the way a worker does, taking the place of who was there before."""
        who = incarnation.Applicant(process, where, frozenset(), identifier, 60.0, log)
        with self.store.transaction() as tx:
            return incarnation.join(
                tx, self.store.layout, who, fate_of=lambda _process: fate, now=now
            )

    def open(
        self, *, reopen: bool = False, failed: int | None = None, now: float = 0.0
    ) -> Revision:
        """Let the graph grow."""
        with self.store.transaction() as tx:
            return growth.begin(tx, budgets=Budgets(failed), reopen=lambda: reopen, now=now)

    def take(self, worker: Worker, now: float = 4.0) -> bool:
        with self.store.transaction() as tx:
            return growth.take(tx, worker.key, now=now)

    def give_back(self, worker: Worker) -> bool:
        with self.store.transaction() as tx:
            return growth.give_back(tx, worker.key)

    def extend(self, worker: Worker, *slice_: Task[Any], now: float = 5.0) -> int:
        with self.store.transaction() as tx:
            return growth.extend(tx, worker.key, slice_, now=now)

    def end(self, worker: Worker, now: float = 6.0) -> None:
        with self.store.transaction() as tx:
            growth.end(tx, worker.key, now=now)

    def growth(self) -> growth.Growth | None:
        with self.store.read() as tx:
            return growth.look(tx)

    def claims(self, worker: Worker, limit: int = 99, now: float = 2.0) -> list[Claim]:
        with self.store.transaction() as tx:
            taker = Taker(worker.key, worker.labels, limit)
            return claiming.claim(tx, [taker], now=now)[worker.key]

    def claim(self, worker: Worker, now: float = 2.0) -> Claim:
        (only,) = self.claims(worker, limit=1, now=now)
        return only

    def close(self, held: Claim, ending: Ending = COMPLETED, now: float = 3.0) -> frozenset[str]:
        with self.store.transaction() as tx:
            return transitions.close(tx, held, ending, now=now)

    def reset(self, *names: str, now: float = 40.0) -> list[str]:
        with self.store.transaction() as tx:
            return interventions.reset(tx, names or None, now=now)

    def cancel(self, *names: str, now: float = 40.0) -> list[str]:
        with self.store.transaction() as tx:
            return interventions.cancel(tx, names, now=now)

    def leave(self, worker: Worker, now: float = 30.0) -> None:
        with self.store.transaction() as tx:
            membership.leave(tx, worker, Reason.LEFT, now=now)

    def lose(
        self,
        worker: Worker,
        reason: Reason = Reason.SILENT,
        journal: Mapping[int, Ending | None] | None = None,
        unmoved: Callable[[], bool] = always,
        settled: bool = False,
        now: float = 20.0,
    ) -> list[tuple[Claim, Ending]]:
        with self.store.transaction() as tx:
            return membership.lose(
                tx,
                worker,
                reason,
                unmoved=unmoved,
                journal=journal or {},
                settled=settled,
                now=now,
            )

    def explain(
        self,
        worker: Worker,
        told: Reason | None,
        was: Reason = Reason.PROCESS_GONE,
        *,
        settled: bool = True,
        now: float = 30.0,
    ) -> list[Amended]:
        with self.store.transaction() as tx:
            return explanations.explain(tx, worker, was, told, settled=settled, now=now)

    def prune(self, **keep: int | None) -> Pruned:
        with self.store.transaction() as tx:
            return pruning.prune(tx.connection, **keep)  # type: ignore[arg-type]  # as the caller says

    # --- looking ----------------------------------------------------------------------------------

    def rows(self, sql: str, *parameters: object) -> list[Row]:
        with self.store.read() as tx:
            found = tx.connection.exec_driver_sql(sql, parameters)
            return [tuple(row) for row in found] if found.returns_rows else []

    def write(self, sql: str, *parameters: object) -> None:
        with self.store.transaction() as tx:
            tx.connection.exec_driver_sql(sql, parameters)

    def one(self, sql: str, *parameters: object) -> Any:
        ((value,),) = self.rows(sql, *parameters)
        return value

    def states(self) -> dict[str, str]:
        return dict(self.rows("SELECT id, state FROM tasks ORDER BY key"))

    def state(self, name: str) -> str:
        return str(self.states()[name])

    def dump(self) -> dict[str, list[Row]]:
        """Return everything that the database holds."""
        return {table: self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES}


def names(claims: Iterable[Claim]) -> list[str]:
    return [held.task for held in claims]


def finish(bench: Bench, worker: Worker, *wanted: str) -> None:
    """Complete the tasks named, in the order in which they become ready."""
    missing: Collection[str] = set(wanted)
    while missing:
        held = bench.claim(worker)
        assert held.task in missing
        bench.close(held)
        missing = set(missing) - {held.task}
