"""A copy of the database is whole, comes every so often, and the newest few are kept."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slurmband.errors import DatabaseFault
from slurmband.store.backups import KEPT, back_up, back_up_if_due, backups, due
from slurmband.store.database import Store
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit

NOW = 1_750_000_000.0


@pytest.fixture(params=["local", "shared"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made = Bench(Store(tmp_path / "slurmband.sqlite", mode=request.param, create=True))
    made.register(task("bake"), task("serve", "bake"))
    return made


def age(copy: Path, seconds: float) -> None:
    stamp = copy.stat().st_mtime - seconds
    os.utime(copy, (stamp, stamp))


def test_a_backup_has_all_that_was_committed(bench: Bench) -> None:
    made = back_up(bench.store, now=NOW)

    with closing(sqlite3.connect(made)) as copy:
        assert copy.execute("SELECT count(*) FROM tasks").fetchone() == (2,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert made.name == "2025-06-15T150640Z.sqlite"


def test_what_is_committed_later_is_not_in_it(bench: Bench) -> None:
    made = back_up(bench.store, now=NOW)
    bench.write("CREATE TABLE notes (text)")

    with closing(sqlite3.connect(made)) as copy:
        found = copy.execute("SELECT name FROM sqlite_master WHERE name = 'notes'").fetchall()
    assert found == []


def test_the_newest_few_are_kept_and_other_files_left_alone(bench: Bench) -> None:
    folder = bench.store.layout.backups
    folder.mkdir()
    (folder / "slurmband.sqlite.schema-1").touch()

    made = [back_up(bench.store, now=NOW + 60 * number) for number in range(KEPT + 2)]

    assert backups(bench.store.layout) == made[-KEPT:]
    assert (folder / "slurmband.sqlite.schema-1").exists()


def test_a_disk_that_is_full_is_a_named_fault_and_leaves_no_half_of_a_copy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def full(file: Path) -> sqlite3.Connection:
        connection = connect(file)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr("slurmband.store.file.sqlite3.connect", full)

    with pytest.raises(DatabaseFault, match="full"):
        back_up(bench.store, now=NOW)
    assert list(bench.store.layout.backups.iterdir()) == []


def test_it_is_time_for_one_when_the_newest_is_too_old(bench: Bench) -> None:
    layout = bench.store.layout
    assert due(layout, 60.0)

    first = back_up(bench.store, now=NOW)
    assert not due(layout, 60.0)
    age(first, 61.0)

    assert due(layout, 60.0)
    assert [file.name for file in layout.backups.iterdir()] == [first.name]


def test_none_is_taken_before_its_time(bench: Bench) -> None:
    assert back_up_if_due(bench.store, 60.0, now=NOW) is not None
    assert back_up_if_due(bench.store, 60.0, now=NOW + 1) is None


def test_the_worker_on_duty_backs_up_a_shared_database(tmp_path: Path) -> None:
    from slurmband.clock import SystemClock
    from slurmband.graphband.waiting import Lookout

    class Later(SystemClock):
        def monotonic(self) -> float:
            return super().monotonic() + passed[0]

    store = Store(tmp_path / "slurmband.sqlite", mode="shared", create=True)
    passed = [0.0]
    lookout = Lookout(
        store,
        interval=1.0,
        timeout=4.0,
        backup_interval=60.0,
        ask_slurm=lambda _: {},
        clock=Later(),
    )
    passed[0] = 5.0  # nobody else was on duty for so long
    lookout.reap_if_due()

    assert len(backups(store.layout)) == 1
    passed[0] = 10.0
    lookout.reap_if_due()
    assert len(backups(store.layout)) == 1
