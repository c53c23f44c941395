"""What the band has learned of how long its tasks take; by kind of task."""

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from slurmband.domain.durations import Durations
from slurmband.store.database import Transaction
from slurmband.store.schema import durations, tasks
from slurmband.store.statements import Statement


def known(tx: Transaction) -> dict[str, Durations]:
    """Return what is known, by kind."""
    return {row.kind: Durations(row.n, row.mean, row.spread) for row in _KNOWN.run(tx)}


def longest(tx: Transaction) -> float:
    """Return the seconds that a task of any kind will hardly exceed, as far as anything is known."""
    return max(_LONGEST_FORESEEN.value(tx) or 0.0, _LONGEST_LIMIT.value(tx) or 0.0)


def learn(tx: Transaction, took: Mapping[str, Collection[float]]) -> None:
    """Learn from tasks that completed: by kind, how many seconds each took."""
    if not took:
        return
    before = known(tx)
    rows = []
    for kind, seconds in took.items():
        now = before.get(kind, Durations()).with_more(seconds)
        learned = {"many": now.n, "m": now.mean, "s": now.spread, "hardly": now.foreseen}
        rows.append({"of": kind, **learned})
    _LEARN.run_many(tx, rows)


_KNOWN = Statement(select(durations))
_LONGEST_FORESEEN = Statement(select(func.max(durations.c.foreseen)))
_LONGEST_LIMIT = Statement(
    select(func.max(tasks.c.time_limit)).where(tasks.c.time_limit.is_not(None))
)
_NEW = insert(durations).values(
    kind=bindparam("of"),
    n=bindparam("many"),
    mean=bindparam("m"),
    spread=bindparam("s"),
    foreseen=bindparam("hardly"),
)
_LEARN = Statement(
    _NEW.on_conflict_do_update(
        index_elements=["kind"],
        set_={name: _NEW.excluded[name] for name in ("n", "mean", "spread", "foreseen")},
    )
)
