"""Whatever is wrong in a database is found, and named."""

import pytest

from slurmband.errors import DatabaseMissing
from slurmband.store import invariants, soundness
from slurmband.store.invariants import INVARIANTS, SHOWN
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit

#: What holds -> a write that breaks it, in a band where a completed, b runs, c waits for b.
BREAKS = {
    "exactly the running tasks have open attempts": "UPDATE tasks SET state = 'failed', free_slots = 0 "
    "WHERE id = 'b'",
    "only workers that are alive hold open attempts": "UPDATE workers SET status = 'left', ended_at = 9",
    "only a worker that is alive makes the graph grow": "INSERT INTO producers "
    "SELECT 'main', key, 1 FROM workers WHERE name = 'gone'",
    "what is claimable depends only on what completed": "UPDATE tasks SET state = 'ready', unmet = 0, "
    "free_slots = 1 WHERE id = 'c'",
    "what has not started counts only dependencies that completed": "UPDATE edges SET satisfied = 1 "
    "WHERE downstream = (SELECT key FROM tasks WHERE id = 'c')",
    "the number of unmet dependencies is that of the edges": "UPDATE tasks SET unmet = 2 WHERE id = 'c'",
    "what waits has something to wait for, and nothing that ended without completing": "UPDATE tasks "
    "SET unmet = 0 WHERE id = 'c'",
    "what is blocked depends on something that ended without completing": "UPDATE tasks "
    "SET state = 'blocked' WHERE id = 'c'",
    "what is claimable has all its slots free, what runs no more than are left": "UPDATE tasks "
    "SET free_slots = 0 WHERE id = 'd'",
    "a completed task has an attempt that completed": "UPDATE attempts SET outcome = 'failed' "
    "WHERE outcome = 'completed'",
    "no attempt has a number that its task has not given yet": "UPDATE tasks SET attempts = 0 "
    "WHERE id = 'b'",
    "the newest line of a task's history is its state": "UPDATE task_statuses SET status = 'failed' "
    "WHERE id = (SELECT max(id) FROM task_statuses)",
    "the tasks are counted right": "UPDATE task_counts SET n = n + 1 WHERE state = 'running'",
}


@pytest.fixture
def busy(bench: Bench) -> Bench:
    bench.register(task("a", priority=2), task("b", priority=1), task("c", "b"), task("d"))
    bench.leave(bench.worker("gone"))
    alice = bench.worker()
    bench.close(bench.claim(alice))
    bench.claim(alice)
    return bench


def look(bench: Bench) -> soundness.Soundness:
    with bench.store.read() as tx:
        return soundness.of_connection(tx.connection)


def test_a_sound_database_is_told_so(busy: Bench) -> None:
    assert look(busy) == soundness.Soundness(tasks=4)


@pytest.mark.parametrize("says", BREAKS)
def test_what_does_not_hold_is_found(busy: Bench, says: str) -> None:
    busy.write(BREAKS[says])

    found = look(busy)

    assert says in found.broken
    assert not found.sound


def test_every_invariant_is_broken_here_once() -> None:
    assert {invariant.says for invariant in INVARIANTS} == set(BREAKS)


def test_a_count_that_is_missing_is_found(busy: Bench) -> None:
    busy.write("DELETE FROM task_counts WHERE state = 'completed'")

    assert look(busy).broken == {"the tasks are counted right": ["completed []"]}


def test_only_the_first_offenders_are_named(bench: Bench) -> None:
    bench.register(*(task(f"t{number}") for number in range(SHOWN + 3)))
    bench.write("UPDATE tasks SET free_slots = 0")

    with bench.store.read() as tx:
        ((_, offenders),) = invariants.broken(tx.connection).items()

    assert offenders == [f"t{number}" for number in range(SHOWN)]


def test_rows_that_refer_to_nothing_are_found(busy: Bench) -> None:
    with busy.store.read() as tx:
        tx.connection.exec_driver_sql("ROLLBACK")
        tx.connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        tx.connection.exec_driver_sql("UPDATE attempts SET worker = 99 WHERE outcome IS NOT NULL")
        tx.connection.exec_driver_sql("BEGIN")

    assert look(busy).references == ["attempts refers to workers"]


def test_a_torn_file_is_found_and_not_asked_further(busy: Bench) -> None:
    busy.write("CREATE TABLE x (y)")
    busy.write("PRAGMA writable_schema = ON")
    busy.write("UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'x'")
    busy.store.close()

    found = soundness.of_database(busy.store.layout.database, lock_timeout=9.0)

    assert found.integrity
    assert found.broken == {}


def test_a_file_that_sqlite_cannot_read_is_told_and_does_not_raise(busy: Bench) -> None:
    busy.store.close()
    database = busy.store.layout.database
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)

    found = soundness.of_database(database, lock_timeout=9.0)

    assert found.integrity
    assert not found.sound


def test_damage_that_is_not_seen_twice_was_a_read_that_failed(
    busy: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([["database disk image is malformed"], []])
    monkeypatch.setattr(soundness, "damage", lambda _connection: next(looks))

    assert soundness.of_database(busy.store.layout.database, lock_timeout=9.0).sound


def test_what_is_no_damage_of_the_file_is_not_called_so(busy: Bench) -> None:
    busy.store.close()
    busy.store.layout.database.unlink()

    with pytest.raises(DatabaseMissing):
        soundness.of_database(busy.store.layout.database, lock_timeout=0.1)
