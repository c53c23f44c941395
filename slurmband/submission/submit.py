"""Queueing the arrays of a request, so that no lost reply queues anything twice.

First the intent is committed, with a token that is also the job's comment; then sbatch is called;
then the id is committed. Wherever that is cut off, the next submission finds the intent, and looks
the array up by its token before it queues anything.
"""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from slurmband.domain.budgets import Budgets
from slurmband.domain.graph import Graph
from slurmband.errors import (
    CommitUnknown,
    EnvironmentFault,
    GraphReplaced,
    RaceLost,
    SlurmMissing,
    SlurmRefused,
    SubmissionUnknown,
)
from slurmband.liveness.notice import telling
from slurmband.slurm.arrays import ArraySpec, parse, split
from slurmband.slurm.executors import LocalArray, LocalArrayExecutor, SlurmArrayExecutor
from slurmband.slurm.limits import max_array_size
from slurmband.slurm.queue import SlurmQueue
from slurmband.store import (
    chains,
    growth,
    intents,
    interventions,
    listings,
    queries,
    registration,
    stopping,
)
from slurmband.store.chains import Link
from slurmband.store.database import Store
from slurmband.store.registration import Registered
from slurmband.submission.order import Order
from slurmband.submission.request import Cluster, Request

#: How often, and after how many seconds, an array is looked up whose reply was lost.
LOOK_UPS = (1.0, 2.0, 4.0)
#: Seconds after which an intent that SLURM knows nothing of is taken for one that never arrived.
FORGOTTEN_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Queued:
    """One array that is queued.

    Parameters
    ----------
    array_job_id : int
    array : ArraySpec
    handle : submitit.Job or None
        To wait for and to cancel; None where the array was found again by its token.
    local : bool
        Whether it runs on this machine.
    """

    array_job_id: int
    array: ArraySpec
    handle: Any | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class Submitter:
    """Queues arrays for one band.

    Parameters
    ----------
    store : Store
    queue : SlurmQueue
        Looks arrays up by token.
    now : callable
        UTC seconds since the epoch.
    sleep : callable
    """

    store: Store
    queue: SlurmQueue
    now: Callable[[], float]
    sleep: Callable[[float], None]

    def submit(self, request: Request) -> list[Queued]:
        """Queue the arrays of a request, or find those that an earlier, interrupted call queued.

        Raises
        ------
        SlurmRefused
            If sbatch said no. Arrays queued before it, of a request too large for one, stay queued.
        SubmissionUnknown
            If it cannot be told whether an array is queued.
        """
        found = self.look_up_lost(request)
        if found:
            return found
        limit = max_array_size() if request.cluster is Cluster.SLURM else None
        orders = [Order.of(request, p) for p in split(request.array, max_array_size=limit)]
        return [self.queue_order(order, most=request.max_submissions) for order in orders]

    def look_up_lost(self, request: Request) -> list[Queued]:
        """Settle earlier submissions whose reply is missing; return those found for this command."""
        with self.store.read() as tx:
            rows = listings.submission_rows(tx)
        found = []
        for row in rows:
            if row["status"] not in ("intended", "unknown") or row["cluster"] != request.cluster:
                continue
            try:
                array_job_id = self.queue.array_with_comment(row["token"])
            except EnvironmentFault as error:  # no answer is no evidence that it never arrived
                raise SubmissionUnknown(row["token"], str(error)) from error
            spec = parse(row["array"])
            if array_job_id is not None:
                self._write_id(row["id"], array_job_id, spec)
                if row["command"] == request.worker_command:
                    found.append(Queued(array_job_id, spec))
            elif self.now() - row["created_at"] < FORGOTTEN_AFTER:
                raise SubmissionUnknown(
                    row["token"], row["error"] or "the submission was interrupted"
                )
            else:
                with contextlib.suppress(RaceLost), self.store.transaction() as tx:
                    intents.not_queued(tx, row["id"], "refused", "SLURM never saw it")
        return found

    def queue_order(
        self, order: Order, *, most: int | None = None, follows: Link | None = None
    ) -> Queued:
        """Write an order down, queue it, and write its id down.

        Parameters
        ----------
        order : Order
        most : int, optional
            The array continues itself, until there were so many of them.
        follows : Link, optional
            What it continues.

        Raises
        ------
        RaceLost
            If another process has continued that, or the workers are to stop.
        """
        submission, numbered = self._intend(order, most, follows)
        return (
            self._start_locally(order, numbered)
            if order.is_local
            else self._call(order, submission)
        )

    def _intend(
        self, order: Order, most: int | None, follows: Link | None
    ) -> tuple[int, dict[int, int]]:
        """Write an order down; return its id, and the numbers of an array of this machine."""
        try:
            return self._write(order, most, follows)
        except CommitUnknown:
            with self.store.read() as tx:
                written = intents.find(tx, order.token)
            return written or self._write(order, most, follows)

    def _write(
        self, order: Order, most: int | None, follows: Link | None
    ) -> tuple[int, dict[int, int]]:
        with self.store.transaction() as tx:
            submission = intents.intend(tx, order.token, most=most, **self._described(order))
            if follows is None:
                stopping.go_on(tx)
            else:
                chains.follow(tx, submission, follows)
            numbered = {}
            if order.is_local:
                numbered = intents.number_locally(tx, submission, order.array.indices)
        return submission, numbered

    def _described(self, order: Order) -> dict[str, Any]:
        return {
            "cluster": order.cluster,
            "array": order.array_text,
            "command": order.command,
            "directory": order.directory,
            "script": order.script,
            "options": order.options,
            "log": order.log,
            "now": self.now(),
        }

    def _call(self, order: Order, submission: int) -> Queued:
        """Call sbatch."""
        try:
            executor = SlurmArrayExecutor(
                self.store.layout.submissions, order.script, list(order.options), order.token
            )
            handle = executor.queue()
            array_job_id = int(handle.job_id)
        except (SlurmRefused, SlurmMissing) as error:
            with self.store.transaction() as tx:
                intents.not_queued(tx, submission, "refused", str(error))
            raise
        except SubmissionUnknown as error:
            found = self._find_patiently(order.token)
            if found is None:
                with self.store.transaction() as tx:
                    intents.not_queued(tx, submission, "unknown", str(error.__cause__ or error))
                raise
            handle, array_job_id = None, found
        self._write_id(submission, array_job_id, order.array)
        return Queued(array_job_id, order.array, handle)

    def _write_id(self, submission: int, array_job_id: int, array: ArraySpec) -> None:
        with self.store.transaction() as tx:
            intents.queued(tx, submission, array_job_id, array.indices)

    def _find_patiently(self, token: str) -> int | None:
        for pause in LOOK_UPS:
            found = self._find(token)
            if found is not None:
                return found
            self.sleep(pause)
        return self._find(token)

    def _find(self, token: str) -> int | None:
        with contextlib.suppress(EnvironmentFault):
            return self.queue.array_with_comment(token)
        return None

    def _start_locally(self, order: Order, numbered: dict[int, int]) -> Queued:
        file = self.store.layout.submissions / f"{order.token}.sh"
        file.write_text(order.script)
        job = LocalArray(
            array_job_id=min(numbered.values()),
            elements=numbered,
            throttle=order.array.throttle,
            workers_per_element=order.workers_per_element,
            script=str(file),
            directory=order.directory,
            log=order.log or "",
            time_limit=order.time_limit,
        )
        handle = LocalArrayExecutor(self.store.layout.submissions, job).queue()
        return Queued(job.array_job_id, order.array, handle, local=True)


def check_cluster(cluster: Cluster) -> None:
    """Raise `SlurmMissing` where there is nothing to submit to; before anything is written."""
    if cluster is Cluster.SLURM and shutil.which("sbatch") is None:
        raise SlurmMissing("sbatch")


def register(
    store: Store,
    graph: Graph,
    budgets: Budgets,
    *,
    compare: bool,
    replace_study: bool,
    now: float,
    mended: bool = False,
) -> Registered:
    """Register the graph as the band's current revision.

    Parameters
    ----------
    store : Store
    graph : Graph
    budgets : Budgets
    compare : bool
        Whether completed tasks whose fingerprint changed are to run again.
    replace_study : bool
        Whether the graph may take the place of one that has nothing in common with it.
    now : float
        UTC seconds since the epoch.
    mended : bool, default False
        Whether failed and killed tasks whose fingerprint changed are to be tried again.

    Raises
    ------
    GraphReplaced
        If the registered graph has no task in common with it, and `replace_study` is false.
    """
    with telling(store) as tx:
        known = queries.task_ids(tx)
        if known and not replace_study and known.isdisjoint(graph.tasks):
            raise GraphReplaced(str(store.layout.database), len(known))
        ended = queries.fingerprints_of_ended(tx) if mended else {}
        done = registration.register(
            tx, graph, budgets=budgets, new_revision=True, compare=compare, now=now
        )
        other = [
            name
            for name, of in ended.items()
            if name in graph.tasks and graph.tasks[name].fingerprint != of
        ]
        return replace(done, mended=len(interventions.reset(tx, other, now=now)))


def let_grow(store: Store, budgets: Budgets, *, now: float) -> None:
    """Register the band as one whose graph grows; where its end was recorded, open it again.

    Raises
    ------
    GraphGrows
        If a whole graph is registered.
    """
    with telling(store) as tx:
        growth.begin(tx, budgets=budgets, reopen=lambda: True, now=now)
