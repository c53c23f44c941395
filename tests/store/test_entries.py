"""The tables as classes: they say what the tables say, and prune without breaking a reference."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from slurmband.errors import DatabaseMissing, UsageError
from slurmband.store.entries import TaskEntry, TaskStatusEntry, WorkerEntry, WorkflowEntry, session
from tests.store.builders import FAILED, Bench, finish, task

pytestmark = pytest.mark.unit


@pytest.fixture
def band(bench: Bench) -> Path:
    bench.register(task("bake", labels="oven", of="x"), task("serve", "bake"), failed=5)
    worker = bench.worker("alice", labels="oven fast")
    for _ in range(3):
        bench.close(bench.claim(worker), FAILED)
    finish(bench, worker, "bake")
    return bench.store.layout.database


def test_a_task_knows_its_state_its_history_and_its_dependencies(band: Path) -> None:
    with session(band) as asked:
        bake, serve = asked.query(TaskEntry).order_by(TaskEntry.key)

        assert (bake.id, bake.state, bake.completed) == ("bake", "completed", True)
        assert bake.requirements == {"oven"}
        assert (bake.fingerprint, bake.last_fingerprint) == ("x", "x")
        assert serve.dependencies == [bake]
        assert [status.event for status in bake.statuses][-2:] == ["claim", "complete"]
        assert bake.current_status.fingerprint == "x"
        assert bake.current_status.timestamp == datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC)


def test_a_worker_knows_what_it_did(band: Path) -> None:
    with session(band) as asked:
        (alice,) = asked.query(WorkerEntry)

        assert (alice.name, alice.alive) == ("alice", True)
        assert alice.labels == {"oven", "fast"}
        assert {status.task.id for status in alice.task_statuses} == {"bake"}
        assert alice.workflow.workers == [alice]
        assert [task.id for task in asked.query(WorkflowEntry).one().tasks] == ["bake", "serve"]


def test_the_newest_rows_of_one_task_stay(band: Path, bench: Bench) -> None:
    with session(band, write=True) as asked:
        bake = asked.query(TaskEntry).filter_by(id="bake").one()
        assert len(bake.statuses) == 9

        assert bake.prune_status_history(asked, keep_latest=1) == 8

        assert [status.event for status in bake.statuses] == ["complete"]

    assert bench.rows("SELECT task_id, count(*) FROM task_statuses GROUP BY 1") == [(1, 1), (2, 2)]
    assert bench.rows("PRAGMA foreign_key_check") == []
    assert bench.one("SELECT count(*) FROM attempts") == 4


def test_ten_rows_stay_where_nothing_is_said(band: Path) -> None:
    with session(band, write=True) as asked:
        assert asked.query(TaskEntry).filter_by(id="bake").one().prune_status_history(asked) == 0


def test_no_row_at_all_cannot_be_asked_for(band: Path) -> None:
    with session(band, write=True) as asked:
        bake = asked.query(TaskEntry).filter_by(id="bake").one()
        with pytest.raises(UsageError, match="at least 1"):
            bake.prune_status_history(asked, keep_latest=0)


def test_a_session_for_reading_writes_nothing(band: Path, bench: Bench) -> None:
    before = bench.dump()

    with session(band) as asked:
        asked.query(TaskEntry).filter_by(id="bake").one().prune_status_history(asked, 1)

    assert bench.dump() == before


@pytest.mark.parametrize("end", ["commit", "close"])
def test_the_transaction_is_not_ended_by_the_session(band: Path, bench: Bench, end: str) -> None:
    before = bench.dump()

    with pytest.raises(KeyError), session(band, write=True) as asked:  # noqa: PT012  # one block
        asked.query(TaskEntry).filter_by(id="bake").one().prune_status_history(asked, 1)
        getattr(asked, end)()
        raise KeyError

    assert bench.dump() == before


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing), session(tmp_path / "none.sqlite"):
        pass

    assert not (tmp_path / "none.sqlite").exists()


def test_every_row_of_the_history_has_a_task(band: Path) -> None:
    with session(band) as asked:
        assert all(status.task is not None for status in asked.query(TaskStatusEntry))
