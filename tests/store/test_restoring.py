"""A backup comes back whole, in either mode, and no number is ever given out a second time."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slurmband.errors import BackupRefused, DatabaseFault
from slurmband.store import generations, queries, restoring
from slurmband.store.database import Store
from slurmband.store.modes import APPLICATION_IDS, Mode
from slurmband.store.restoring import GAP, prepared, progress, put_in_place
from slurmband.store.schema import SCHEMA_VERSION
from tests.store.builders import Bench, task
from tests.store.test_upgrades import VERSION_1

pytestmark = pytest.mark.unit


@pytest.fixture(params=list(Mode))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Three tasks, of which a completed before the backup, b runs, and c waits."""
    store = Store(tmp_path / "slurmband.sqlite", mode=request.param, create=True)
    bench = Bench(store)
    bench.register(task("a", priority=1), task("b"), task("c", "b"))
    alice = bench.worker()
    bench.close(bench.claim(alice))
    bench.claim(alice)
    yield bench
    store.close()


@pytest.fixture
def backup(bench: Bench) -> Path:
    target = bench.store.layout.backups / "2026-01-31T080000Z.sqlite"
    bench.store.copy(target)
    return target


def restore(bench: Bench, backup: Path) -> tuple[Bench, Path]:
    """Put a backup in place; return a bench on the restored database, and what was kept aside."""
    layout, mode = bench.store.layout, bench.store.mode
    aside = layout.backups / "replaced.sqlite"
    there = restoring.present(layout, lock_timeout=9.0)
    bench.store.close()
    with prepared(backup, layout, there.used if there else {}, now=70.0) as (copy, _alive):
        put_in_place(copy, layout, mode, aside=aside, lock_timeout=1.0)
    return Bench(Store(layout.database)), aside


def test_what_the_backup_has_is_there_and_the_rest_is_kept_aside(
    bench: Bench, backup: Path
) -> None:
    bench.cancel("c")

    restored, aside = restore(bench, backup)

    assert restored.states() == {"a": "completed", "b": "running", "c": "waiting"}
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("SELECT state FROM tasks WHERE id = 'c'").fetchone() == (
            "cancelled",
        )
    assert list(bench.store.layout.backups.glob(".*")) == []


def test_no_number_that_was_given_out_is_given_out_again(bench: Bench, backup: Path) -> None:
    bench.register(task("a"), task("b"), task("c", "b"), task("d"), new_revision=True)
    later = bench.claim(bench.worker("bob"))
    newest = bench.one("SELECT max(sequence) FROM events")

    restored, _ = restore(bench, backup)

    restored.register(task("a"), task("b"), task("c", "b"), task("d"), new_revision=True)
    carol = restored.worker("carol")
    assert restored.claim(carol).attempt > later.attempt
    assert carol.key > 2
    assert restored.one("SELECT min(sequence) FROM events WHERE event = 'restore'") > newest


def test_what_only_files_tell_of_is_not_given_out_again(bench: Bench, backup: Path) -> None:
    layout = bench.store.layout
    bench.store.close()
    used = {"workers": 500, "attempts": 700}
    with (
        prepared(backup, layout, used, now=70.0) as (copy, alive),
        closing(sqlite3.connect(copy)) as connection,
    ):
        found = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())

    assert (found["workers"], found["attempts"]) == (500 + GAP, 700 + GAP)
    assert found["elements"] == GAP
    assert alive == [1]


def test_an_open_claim_of_the_backup_can_still_be_reported(bench: Bench, backup: Path) -> None:
    with bench.store.read() as tx:
        (held,) = queries.open_claims(tx, 1)

    restored, _ = restore(bench, backup)

    assert restored.close(held) == {"c"}


def damage_tail(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    file.write_bytes(content)


def not_a_database(file: Path) -> None:
    file.write_text("dear diary " * 99)


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


def contradict_itself(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE tasks SET unmet = 7 WHERE id = 'c'")
        connection.commit()


@pytest.mark.parametrize("spoil", [damage_tail, not_a_database, newer, contradict_itself])
def test_a_backup_that_is_not_whole_is_refused(
    bench: Bench, backup: Path, spoil: Callable[[Path], None]
) -> None:
    before = bench.dump()
    spoil(backup)

    with pytest.raises(BackupRefused, match="Take another one"):
        restore(bench, backup)

    assert Bench(Store(bench.store.layout.database)).dump() == before


@pytest.mark.parametrize("spoil", [damage_tail, not_a_database, Path.unlink])
def test_a_database_that_cannot_be_read_is_replaced(
    bench: Bench, backup: Path, spoil: Callable[[Path], None]
) -> None:
    bench.store.close()
    spoil(bench.store.file)

    restored, aside = restore(bench, backup)

    assert restored.states() == {"a": "completed", "b": "running", "c": "waiting"}
    assert aside.exists() is (spoil is not Path.unlink)


@pytest.mark.parametrize("bench", [Mode.SHARED], indirect=True)
def test_a_link_that_is_gone_is_made_again(bench: Bench, backup: Path) -> None:
    bench.store.layout.database.unlink()

    restored, _ = restore(bench, backup)

    assert restored.states()["a"] == "completed"
    assert generations.present(bench.store.layout) == 2


@pytest.mark.parametrize("bench", [Mode.SHARED], indirect=True)
def test_a_store_that_is_open_goes_on_from_the_backup(bench: Bench, backup: Path) -> None:
    bench.cancel("c")

    restore(bench, backup)

    assert bench.state("c") == "waiting"


@pytest.mark.parametrize("bench", [Mode.LOCAL], indirect=True)
def test_a_database_that_a_process_has_open_is_not_replaced(bench: Bench, backup: Path) -> None:
    layout = bench.store.layout
    bench.cancel("c")
    other = Bench(Store(layout.database))
    other.cancel("b")  # it keeps its connection
    bench.store.close()

    with (
        prepared(backup, layout, {}, now=70.0) as (copy, _),
        pytest.raises(DatabaseFault, match="a process has it open"),
    ):
        put_in_place(copy, layout, Mode.LOCAL, aside=layout.backups / "x", lock_timeout=0.2)

    assert other.state("c") == "cancelled"
    other.store.close()


def test_a_backup_tells_how_far_it_is(backup: Path) -> None:
    assert progress(backup) == (1, 3)
    not_a_database(backup)
    with pytest.raises(BackupRefused):
        progress(backup)


def test_a_backup_of_an_older_schema_comes_back(tmp_path: Path) -> None:
    backup = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(backup)) as connection:
        connection.executescript(VERSION_1.read_text())
        connection.execute(f"PRAGMA application_id = {APPLICATION_IDS[Mode.LOCAL]}")
    store = Store(tmp_path / "slurmband.sqlite", mode="local", create=True)

    restored, _ = restore(Bench(store), backup)

    assert restored.one("PRAGMA user_version") == SCHEMA_VERSION
    assert restored.one("SELECT min(seq) FROM sqlite_sequence") >= GAP
