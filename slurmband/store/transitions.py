"""The end of attempts: what the loop and the reaper do to tasks.

The open attempt is the claim. Completion, failure, release and revocation all close it through
:func:`close_attempts`, the one fence: what is no longer open is lost, and nothing is written for it.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    bindparam,
    func,
    select,
    true,
    update,
)

from slurmband.domain.attempts import (
    Claim,
    Ending,
    Outcome,
    Reason,
    Report,
    Tally,
    charge_of,
    event_after,
    judged,
)
from slurmband.domain.budgets import BUDGETS, COUNTERS, NAMES, RULES, Charge
from slurmband.domain.labels import raised
from slurmband.domain.states import CLAIMABLE, ENDED_BADLY, Event, TaskState
from slurmband.errors import ClaimLost, InvariantBroken
from slurmband.store import durations, error_texts
from slurmband.store.database import Transaction
from slurmband.store.moves import (
    Move,
    along,
    block_dependents,
    chunks,
    free_dependents,
    move,
    move_from_there,
    states_of,
    wait_again,
)
from slurmband.store.schema import attempts, edges, revisions, tasks, workers, workflows
from slurmband.store.statements import KEYS, Row, Statement


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of reports.

    Parameters
    ----------
    freed : frozenset of str
        Ids of the tasks that became claimable, those included that are to be tried again.
    lost : list of Claim
        Whose attempt was no longer open: nothing was written.
    """

    freed: frozenset[str]
    lost: list[Claim]


def close(tx: Transaction, held: Claim, ending: Ending, *, now: float) -> frozenset[str]:
    """Close one claimed attempt; see `close_all`.

    Raises
    ------
    ClaimLost
        If the attempt is no longer open. Nothing has been written.
    """
    closed = close_all(tx, [(held, ending)], now=now)
    if closed.lost:
        raise ClaimLost(held.task, held.number)
    return closed.freed


def close_all(tx: Transaction, reports: Sequence[Report], *, now: float) -> Closed:
    """Close claimed attempts, and do to their tasks and the dependents what follows.

    A completion frees what waited for it, in this transaction; but if another fingerprint was
    registered meanwhile, the task is to run again. A failure or a death with no budget left blocks
    everything downstream. Otherwise the task is ready again, or waits, if what it depends on is to run
    again.

    Parameters
    ----------
    tx : Transaction
    reports : sequence of (Claim, Ending)
        No two of one task.
    now : float
        UTC seconds since the epoch.
    """
    reports = _judged(tx, reports)
    closed = close_attempts(tx, reports, now)
    ended = [(held, ending) for held, ending in reports if held.attempt in closed]
    before = {row.key: row for row in _BEFORE.run_for(tx, [held.task_key for held, _ in ended])}
    steps: list[Move] = []
    values: dict[int, dict[str, Any]] = {}
    still_in: dict[int, dict[str, Any]] = {}
    charged: dict[int, dict[str, Any]] = {}
    took: dict[str, list[float]] = {}
    outdated = []
    for held, ending in ended:
        row, attempt = before[held.task_key], closed[held.attempt]
        if ending.outcome is Outcome.COMPLETED and ending.seconds is not None:
            took.setdefault(row.kind, []).append(ending.seconds)
        charge = charge_of(ending)
        require_more(tx, row, charge, attempt.worker)
        if charge is not None or ending.reason == Reason.TIME_LIMIT:
            charged[row.key] = _charged(row, charge, ending)
        tally = _tally(row, ending.outcome, charge)
        counted = _tallied(row, tally, ending.outcome, attempt.fingerprint)
        event = event_after(ending.outcome, tally)
        if event is None:
            still_in[row.key] = counted
            continue
        of, was = attempt.fingerprint or row.fingerprint, TaskState(row.state)
        steps.append(Move(row.key, was, event, attempt.worker, held.attempt, of))
        claimable = along(was, event) in CLAIMABLE
        values[row.key] = counted | {"free": row.max_parallel_workers if claimable else 0}
        if event is Event.COMPLETE and _is_outdated(row, counted["of"]):
            outdated.append(row.key)
    durations.learn(tx, took)
    _CHARGE.change(tx, charged)
    _TALLY.change(tx, still_in)
    reached = move(tx, steps, now, write=_END_TASK, values=values)
    names = {held.task_key: held.task for held, _ in ended}
    lost = [held for held, _ in reports if held.attempt not in closed]
    return Closed(_follow(tx, reached, outdated, names, now), lost)


def close_attempts(tx: Transaction, reports: Sequence[Report], now: float) -> dict[int, Row]:
    """End those of some attempts that are open; this is the fence all reports pass.

    Returns
    -------
    dict of int to Row
        By attempt: its ``worker``, and the ``fingerprint`` it was of. Whose attempt is not there has
        lost its claim.
    """
    found = {row.id: row for row in _STILL_OPEN.run_for(tx, [held.attempt for held, _ in reports])}
    endings = {
        held.attempt: {
            "as": ending.outcome.value,
            "why": ending.reason,
            "told": error_texts.id_of(ending.error),
            "at": now,
        }
        for held, ending in reports
        if held.attempt in found
    }
    error_texts.keep(tx, [ending.error for held, ending in reports if held.attempt in found])
    if _END.change(tx, endings) != len(found):
        raise InvariantBroken("attempts that were open are not any more, within one transaction")
    return found


def _judged(tx: Transaction, reports: Sequence[Report]) -> Sequence[Report]:
    """Say how attempts are written down, of which some may have come to the end of their job's time."""
    at_the_wall = [held.task_key for held, ending in reports if ending.reason == Reason.TIME_LIMIT]
    if not at_the_wall:
        return reports
    walls = {row.key: row.walls for row in _WALLS.run_for(tx, at_the_wall)}
    return [(held, judged(ending, walls.get(held.task_key, 0))) for held, ending in reports]


def require_more(tx: Transaction, task: Row, charge: Charge | None, worker: int) -> None:
    """Let a task that was too large for a worker require more than that had, where its user says so.

    Where nobody knows how much the worker had, the task stays as it is.
    """
    rule = getattr(task, RULES[charge]) if charge is not None and charge in RULES else None
    if rule is None:
        return
    now = _REQUIREMENTS.value(tx, task=task.key)
    labels = json.loads(_LABELS.value(tx, worker=worker))
    more = raised(rule, json.loads(now), labels)
    if more is not None:
        _REQUIRE.change(tx, {task.key: {"was": now, "now": json.dumps(sorted(more))}})


def _charged(row: Row, charge: Charge | None, ending: Ending) -> dict[str, Any]:
    """Return what is counted against a task once its attempt is charged, or came to the wall."""
    counted = {COUNTERS[each]: getattr(row, COUNTERS[each]) + (each is charge) for each in Charge}
    return counted | {"walls": row.walls + (ending.reason == Reason.TIME_LIMIT)}


def _tally(row: Row, outcome: Outcome, charge: Charge | None) -> Tally:
    """Count this end, and return what the task has behind it now."""
    completions = row.completions + (outcome is Outcome.COMPLETED)
    return _tally_of(row.still_open, completions > 0, _counters(row), charge, _budgets(row))


_counters: Final = attrgetter(*COUNTERS.values())
_budgets: Final = attrgetter(*BUDGETS.values())


@lru_cache  # of a thousand tasks that complete, all but a few have the same behind them
def _tally_of(
    still_open: int,
    completed: bool,
    before: tuple[int, ...],
    charge: Charge | None,
    budgets: tuple[int, ...],
) -> Tally:
    charged = {each: n + (each is charge) for each, n in zip(COUNTERS, before, strict=True)}
    return Tally(still_open, completed, charged, dict(zip(BUDGETS, budgets, strict=True)))


def standing(tx: Transaction, keys: Collection[int]) -> dict[int, tuple[Row, Tally]]:
    """Return the rows of tasks, each with what the task has behind it."""
    rows = _BEFORE.run_for(tx, keys)
    return {row.key: (row, _tally(row, Outcome.RELEASED, None)) for row in rows}


def _tallied(row: Row, tally: Tally, outcome: Outcome, fingerprint: str | None) -> dict[str, Any]:
    completed = outcome is Outcome.COMPLETED
    # After a completion, or with a budget spent, nobody joins who is still in it.
    joinable = tally.open_attempts and not tally.completed and not tally.spent
    return {
        "free": row.max_parallel_workers - tally.open_attempts if joinable else 0,
        "done": row.completions + completed,
        "of": fingerprint if completed else row.last_fingerprint,
    }


def _is_outdated(row: Row, fingerprint: str | None) -> bool:
    """Whether a completion that is just recorded is of another fingerprint than is wanted."""
    known = None not in (row.fingerprint, fingerprint)
    return bool(known and fingerprint != row.fingerprint and row.compared)


def _follow(
    tx: Transaction,
    reached: Mapping[int, TaskState],
    outdated: Sequence[int],
    names: Mapping[int, str],
    now: float,
) -> frozenset[str]:
    """Do to others what follows from where tasks have come to; return what became claimable."""
    completed = [task for task, state in reached.items() if state is TaskState.COMPLETED]
    freed = free_dependents(tx, completed, now)
    if len(completed) == len(reached) and not outdated:
        return freed
    invalidate(tx, outdated, now=now)
    others = [task for task, state in reached.items() if state is not TaskState.COMPLETED]
    for part in chunks(others):
        wait_again(tx, edges.c.downstream.in_(part), now)
    block_dependents(tx, [task for task in others if reached[task] in ENDED_BADLY], now)
    now_at = states_of(tx, [*others, *outdated])
    again = (names[task] for task, state in now_at.items() if state in CLAIMABLE)
    return frozenset(again) | (freed if not outdated else frozenset())


_STILL_OPEN = Statement(
    select(attempts.c.id, attempts.c.worker, attempts.c.fingerprint).where(
        attempts.c.id.in_(KEYS), attempts.c.outcome.is_(None)
    )
)
_REQUIREMENTS = Statement(select(tasks.c.requirements).where(tasks.c.key == bindparam("task")))
_LABELS = Statement(select(workers.c.labels).where(workers.c.key == bindparam("worker")))
_REQUIRE = Statement(
    update(tasks)
    .where(tasks.c.key.in_(KEYS), tasks.c.requirements == bindparam("was"))
    .values(requirements=bindparam("now"))
)
_WALLS = Statement(select(tasks.c.key, tasks.c.walls).where(tasks.c.key.in_(KEYS)))
_END = Statement(
    update(attempts)
    .where(attempts.c.id.in_(KEYS), attempts.c.outcome.is_(None))
    .values(
        outcome=bindparam("as"),
        reason=bindparam("why"),
        error_text=bindparam("told"),
        ended_at=bindparam("at"),
    )
)
_BEFORE = Statement(
    select(
        tasks.c.key,
        tasks.c.state,
        tasks.c.max_parallel_workers,
        tasks.c.completions,
        tasks.c.walls,
        tasks.c.kind,
        tasks.c.on_oom,
        tasks.c.on_time_limit,
        *(tasks.c[name] for name in COUNTERS.values()),
        tasks.c.fingerprint,
        tasks.c.last_fingerprint,
        *(
            func.coalesce(tasks.c[name], workflows.c[name]).label(name)  # its own, else the band's
            for name in NAMES
        ),
        select(func.count())
        .select_from(attempts)
        .where(attempts.c.task == tasks.c.key, attempts.c.outcome.is_(None))
        .scalar_subquery()
        .label("still_open"),
        select(revisions.c.fingerprints)
        .order_by(revisions.c.number.desc())
        .limit(1)
        .scalar_subquery()
        .is_not(None)
        .label("compared"),
    )
    .join_from(tasks, workflows)
    .where(tasks.c.key.in_(KEYS))
)
_COUNTED: Final[dict[str, Any]] = {
    "free_slots": bindparam("free"),
    "completions": bindparam("done"),
    "last_fingerprint": bindparam("of"),
}
_CHARGE = Statement(
    update(tasks)
    .where(tasks.c.key.in_(KEYS))
    .values({name: bindparam(name) for name in ("walls", *COUNTERS.values())})
)
_TALLY = Statement(update(tasks).where(tasks.c.key.in_(KEYS)).values(_COUNTED))
_END_TASK = Statement(
    update(tasks)
    .where(tasks.c.key.in_(KEYS), tasks.c.state == bindparam("was"))
    .values(_COUNTED | {"state": bindparam("to")})
)


# --- a completion that counts no more -----------------------------------------------------------


def invalidate(tx: Transaction, outdated: Sequence[int], *, now: float) -> None:
    """Let completed tasks run again; what has not started yet waits for them again."""
    if outdated:
        begin_new_round(tx, outdated)
        move_from_there(tx, dict.fromkeys(outdated, Event.INVALIDATE), now)
        wait_again(tx, true(), now)


def begin_new_round(tx: Transaction, keys: Collection[int]) -> None:
    """Forget what counted towards the end of tasks, but not their attempts."""
    _BEGIN_ANEW.run_for(tx, keys)


_NOTHING_BEHIND: Final = dict.fromkeys(("completions", "walls", *COUNTERS.values()), 0)
_BEGIN_ANEW = Statement(update(tasks).where(tasks.c.key.in_(KEYS)).values(_NOTHING_BEHIND))
