"""Writing a graph into the database, once per revision of it.

The first registration is plain bulk inserts. A later revision adds its new tasks, gives tasks that
have not started their new dependencies, cancels what is gone and leaves what has run alone. What has run
gets its new dependencies for the case that it is to run again.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from slurmband.domain.attempts import Ending, Outcome, charge_of
from slurmband.domain.budgets import COUNTERS, DEFAULTS, RULES, Budgets, Charge
from slurmband.domain.graph import Graph
from slurmband.domain.labels import kept
from slurmband.domain.states import TaskState
from slurmband.domain.task import Task
from slurmband.errors import GraphChanged, GraphGrows
from slurmband.store import interventions, transitions
from slurmband.store.bulk import AS_GIVEN, insert_edges, insert_graph, insert_tasks, requirements_of
from slurmband.store.database import Transaction
from slurmband.store.schema import WORKFLOW, attempts, edges, revisions, tasks, workflows
from slurmband.store.statements import Statement

#: Stands for the digest of a graph that is never whole; see `slurmband.store.growth`.
GROWING: Final = "growing"


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration did.

    Parameters
    ----------
    revision : int
        Number of the revision that is now current.
    added, dropped, changed, invalidated : int
        How many tasks are new, no longer in the graph, registered otherwise than before, or to run
        again since their fingerprint is another.
    too_late : tuple of str
        Tasks that had started, so that their new dependencies change nothing unless they run again.
    mended : int
        How many had failed and are to be tried again, since their fingerprint is another.
    """

    revision: int
    added: int = 0
    dropped: int = 0
    changed: int = 0
    invalidated: int = 0
    too_late: tuple[str, ...] = ()
    mended: int = 0


@dataclass(frozen=True, slots=True)
class Revision:
    """The registered form of the graph.

    Parameters
    ----------
    number : int
    digest : str
        Of ids and dependencies.
    fingerprints : str or None
        Digest of the tasks' fingerprints; None where they are not compared.
    """

    number: int
    digest: str
    fingerprints: str | None


def current(tx: Transaction) -> Revision | None:
    """Return the registered revision; None before the first registration."""
    rows = _CURRENT.run(tx)
    return Revision(*rows[0]) if rows else None


_CURRENT = Statement(
    select(revisions.c.number, revisions.c.digest, revisions.c.fingerprints)
    .order_by(revisions.c.number.desc())
    .limit(1)
)


def register(
    tx: Transaction,
    graph: Graph,
    *,
    budgets: Budgets,
    new_revision: bool,
    now: float,
    compare: bool = False,
    alone: Callable[[], bool] = lambda: False,
) -> Registered:
    """Register a graph, or find that it is registered already.

    Parameters
    ----------
    tx : Transaction
    graph : Graph
        Checked by `slurmband.domain.graph.check`.
    budgets : Budgets
    new_revision : bool
        Whether a graph that differs from the registered one becomes its next revision (`submit`),
        or is refused (a worker).
    now : float
        UTC seconds since the epoch.
    compare : bool, default False
        Whether completed tasks whose fingerprint is another than that of their completion are to run
        again. A worker does this only where it is the first one there.
    alone : callable
        Says whether no other worker is there.

    Raises
    ------
    GraphChanged
        If the graphs differ and `new_revision` is false.
    GraphGrows
        If the registered graph is a growing one.
    """
    registered = current(tx)
    if registered is not None and registered.digest == GROWING:
        raise GraphGrows(registered=True)
    if registered is not None and registered.digest != graph.digest and not new_revision:
        raise GraphChanged(registered.digest, graph.digest)
    set_budgets(tx, budgets)
    wanted = graph.fingerprints if compare else None
    if registered is None:
        write_revision(tx, Revision(1, graph.digest, wanted), len(graph), now)
        insert_graph(tx, graph.tasks, now=now)
        return Registered(1, added=len(graph))
    refingerprinted = compare and registered.fingerprints != wanted
    if not new_revision and not (refingerprinted and alone()):
        return Registered(registered.number)
    number = registered.number
    if registered.digest != graph.digest or registered.fingerprints != wanted:
        number += 1
        write_revision(tx, Revision(number, graph.digest, wanted), len(graph), now)
    return _revise(tx, graph, number, compare=compare, now=now)


def write_revision(tx: Transaction, revision: Revision, total: int, now: float) -> None:
    """Make a revision the current one."""
    tx.connection.execute(
        insert(revisions).values(
            number=revision.number,
            workflow_id=WORKFLOW,
            digest=revision.digest,
            total_tasks=total,
            registered_at=now,
            fingerprints=revision.fingerprints,
        )
    )
    tx.connection.execute(
        update(workflows).where(workflows.c.id == WORKFLOW).values(revision=revision.number)
    )


def set_budgets(tx: Transaction, budgets: Budgets) -> None:
    """Write the budgets that were asked for; of a new band, also those that were not."""
    known = tx.connection.execute(select(workflows.c.id)).scalar_one_or_none()
    if known is None:
        chosen = DEFAULTS.given | budgets.given
        tx.connection.execute(insert(workflows).values(id=WORKFLOW, **chosen))
    elif budgets.given:
        tx.connection.execute(
            update(workflows).where(workflows.c.id == known).values(budgets.given)
        )


def _revise(
    tx: Transaction, graph: Graph, revision: int, *, compare: bool, now: float
) -> Registered:
    """Bring the tables to a graph that may differ from the one they hold."""
    wanted = list(graph)
    known = {row.id: row for row in tx.connection.execute(select(tasks)).all()}
    keys = {name: row.key for name, row in known.items()}
    new = [task for task in wanted if task.id not in known]
    keys |= insert_tasks(tx, new, first_key=max(keys.values()) + 1, now=now)

    gone = [row for name, row in known.items() if name not in graph.tasks]
    dropped = [row.key for row in gone if row.state in _CAN_BE_DROPPED]
    interventions.drop(tx, dropped, now=now)
    _set(tx, "in_graph", {row.key: 0 for row in gone if row.in_graph})
    back = [t for t in wanted if t.id in known and not known[t.id].in_graph]
    _set(tx, "in_graph", {keys[task.id]: 1 for task in back})
    cancelled = [t for t in back if known[t.id].state == TaskState.CANCELLED]
    interventions.restore(tx, [keys[task.id] for task in cancelled], now=now)

    rewired = _rewired(tx, wanted, known)
    started = [t for t in wanted if t.id in rewired and known[t.id].state in _HAS_STARTED]
    otherwise = rewired | {task.id for task in cancelled}
    too_large = _too_large(tx, wanted)
    changed = [
        task
        for task in wanted
        if task.id in known
        and known[task.id].state not in _HAS_STARTED
        and (
            task.id in otherwise
            or _described(known[task.id]) != _wanted(task, known[task.id], too_large)
        )
    ]
    interventions.hold(tx, [keys[task.id] for task in changed], now=now)
    for task in changed:
        tx.connection.execute(
            update(tasks)
            .where(tasks.c.key == keys[task.id])
            .values(**_wanted(task, known[task.id], too_large))
        )
    completed = frozenset(n for n, row in known.items() if row.state == TaskState.COMPLETED)
    _rewire(tx, changed + new, changed, keys, completed)
    # Whoever has started waits for nothing, but for all of these if it is to run again.
    _rewire(tx, started, started, keys, frozenset(graph.tasks))
    _describe_completed(tx, wanted, known)
    waiting = [*changed, *(task for task in new if task.dependencies)]
    interventions.settle(tx, [keys[task.id] for task in waiting], now=now)
    outdated = _refingerprint(tx, wanted, known, compare=compare, now=now)
    too_late = tuple(sorted({task.id for task in started} - outdated))
    return Registered(revision, len(new), len(dropped), len(changed), len(outdated), too_late)


_CAN_BE_DROPPED = frozenset(TaskState) - {
    *(TaskState.RUNNING, TaskState.COMPLETED, TaskState.CANCELLED),
}
#: New dependencies come too late for these, unless they run again.
_HAS_STARTED = frozenset({TaskState.RUNNING, TaskState.COMPLETED})


def _set(tx: Transaction, column: str, values: Mapping[int, object]) -> None:
    """Write one column of many tasks."""
    if values:
        tx.connection.execute(
            update(tasks).where(tasks.c.key == bindparam("row")).values({column: bindparam("to")}),
            [{"row": key, "to": value} for key, value in values.items()],
        )


def _rewired(tx: Transaction, wanted: Sequence[Task[Any]], known: Mapping[str, Any]) -> set[str]:
    """Return the tasks whose dependencies are registered otherwise than the graph has them."""
    names = {row.key: name for name, row in known.items()}
    registered: dict[str, set[str]] = {name: set() for name in known}
    for upstream, downstream in tx.connection.execute(select(edges.c.upstream, edges.c.downstream)):
        registered[names[downstream]].add(names[upstream])
    return {t.id for t in wanted if t.id in known and registered[t.id] != set(t.dependencies)}


def _refingerprint(
    tx: Transaction,
    wanted: Sequence[Task[Any]],
    known: Mapping[str, Any],
    *,
    compare: bool,
    now: float,
) -> set[str]:
    """Write the fingerprints, and let run again what completed with another; return which."""
    registered = [(known[task.id], task.fingerprint) for task in wanted if task.id in known]
    _set(tx, "fingerprint", {row.key: own for row, own in registered if row.fingerprint != own})
    if not compare:
        return set()
    outdated = [
        row
        for row, own in registered
        if row.state == TaskState.COMPLETED and None not in (own, row.last_fingerprint)
        if row.last_fingerprint != own
    ]
    transitions.invalidate(tx, [row.key for row in outdated], now=now)
    return {row.id for row in outdated}


def _description(task: Task[Any]) -> dict[str, object]:
    given: dict[str, object] = {name: getattr(task, name) for name in AS_GIVEN}
    return {"requirements": requirements_of(task)} | given


def _wanted(
    task: Task[Any], row: Any, too_large: Collection[tuple[int, Charge]]
) -> dict[str, object]:
    """Describe a task as the graph has it, with what it came to require since it was too large."""
    for charge, field in RULES.items():
        rule = getattr(task, field)
        if rule and (getattr(row, COUNTERS[charge]) or (row.key, charge) in too_large):
            required = kept(rule, json.loads(row.requirements), task.requirements)
            task = replace(task, requirements=required)
    return _description(task)


def _too_large(tx: Transaction, wanted: Sequence[Task[Any]]) -> set[tuple[int, Charge]]:
    """Return which tasks ever were too large for a worker, also before a person had them tried again."""
    if not any(getattr(task, rule) for task in wanted for rule in RULES.values()):
        return set()
    query = select(attempts.c.task, attempts.c.reason).where(
        attempts.c.outcome == Outcome.KILLED, attempts.c.reason.is_not(None)
    )
    found = set()
    for row in tx.connection.execute(query):
        charge = charge_of(Ending(Outcome.KILLED, row.reason))
        if charge is not None and charge in RULES:
            found.add((int(row.task), charge))
    return found


def _describe_completed(
    tx: Transaction, wanted: Sequence[Task[Any]], known: Mapping[str, Any]
) -> None:
    """Write how completed tasks are to be run, if they are to run again."""
    for task in wanted:
        row = known.get(task.id)
        if row is None or row.state != TaskState.COMPLETED:
            continue
        if _described(row) != _description(task):
            tx.connection.execute(
                update(tasks).where(tasks.c.key == row.key).values(**_description(task))
            )


def _described(row: Any) -> dict[str, object]:
    return {name: getattr(row, name) for name in ("requirements", *AS_GIVEN)}


def _rewire(
    tx: Transaction,
    to_write: Sequence[Task[Any]],
    changed: Sequence[Task[Any]],
    keys: Mapping[str, int],
    completed: frozenset[str],
) -> None:
    for task in changed:
        tx.connection.execute(delete(edges).where(edges.c.downstream == keys[task.id]))
    insert_edges(tx, to_write, keys, completed=completed)
    for task in to_write:
        unmet = len(set(task.dependencies) - completed)
        tx.connection.execute(update(tasks).where(tasks.c.key == keys[task.id]).values(unmet=unmet))
