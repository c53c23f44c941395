"""What the driver is given of a statement: what never changes in its text, the rest by number."""

import pickle
from dataclasses import astuple

import pytest
from sqlalchemy import bindparam, select, update

from slurmband.domain.attempts import Claim, Ending, Outcome
from slurmband.domain.workers import WorkerStatus
from slurmband.store.schema import tasks, workers
from slurmband.store.statements import KEYS, Statement

pytestmark = pytest.mark.unit


def test_what_never_changes_is_no_parameter() -> None:
    """With one, SQLite would plan anew each time whether an index of a part of the rows will do."""
    found = Statement(
        select(workers.c.key).where(
            workers.c.status == WorkerStatus.ALIVE,
            workers.c.reason == "it's",
            workers.c.rank == 0,
            workers.c.name == bindparam("who"),
        )
    ).prepare()

    for text in ("status = 'alive'", "reason = 'it''s'", "rank = 0", "name = ?"):
        assert text in found.sql
    assert (found.before, found.after) == (["who"], [])


def test_parameters_stand_around_the_list_of_keys() -> None:
    found = Statement(
        update(tasks)
        .where(tasks.c.key.in_(KEYS), tasks.c.state == bindparam("was"))
        .values(state=bindparam("to"))
    ).prepare()

    assert (found.before, found.after) == (["to"], ["was"])


def test_what_workers_send_each_other_arrives_whole() -> None:
    claim = Claim(1, "bake", 2, 3, 4, awaited=True, time_limit=5.0, foreseen=6.0)
    ending = Ending(Outcome.FAILED, "why", "all of it", 7.0)

    arrived = pickle.loads(pickle.dumps((claim, ending)))

    assert [astuple(each) for each in arrived] == [astuple(claim), astuple(ending)]
