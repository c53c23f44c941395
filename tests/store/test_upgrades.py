"""A database of an older slurmband is upgraded after a copy was kept, and goes on from where it was."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slurmband.store import upgrades
from slurmband.store.database import Store
from slurmband.store.modes import APPLICATION_IDS, Mode
from slurmband.store.schema import SCHEMA_VERSION
from tests.store.builders import Bench, finish

pytestmark = pytest.mark.unit

#: As version 1 left it: bake completed, serve failed once of twice, wash waits.
VERSION_1 = Path(__file__).parents[1] / "data" / "schema-1.sql"


@pytest.fixture(params=list(Mode))
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture
def old(tmp_path: Path, mode: Mode) -> Path:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
        connection.execute(f"PRAGMA application_id = {APPLICATION_IDS[mode]}")
    return path


@pytest.fixture
def upgraded(old: Path) -> Iterator[Bench]:
    store = Store(old)
    yield Bench(store)
    store.close()


def test_an_upgraded_database_has_the_shape_of_a_new_one(upgraded: Bench, tmp_path: Path) -> None:
    new = Store(tmp_path / "new.sqlite", mode="local", create=True)

    assert shape(upgraded) == shape(Bench(new))
    new.close()


def test_an_upgraded_band_goes_on_from_where_it_was(upgraded: Bench) -> None:
    assert upgraded.states() == {"bake": "completed", "serve": "ready", "wash": "waiting"}

    finish(upgraded, upgraded.worker("bob"), "serve", "wash")

    assert upgraded.states() == dict.fromkeys(["bake", "serve", "wash"], "completed")
    assert upgraded.one("SELECT count(*) FROM events WHERE event = 'complete'") == 2


def test_the_database_as_it_was_is_kept(upgraded: Bench) -> None:
    kept = upgraded.store.layout.backups / "old.sqlite.schema-1"

    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM task_statuses").fetchall() == [(8,)]


def test_who_comes_second_to_the_upgrade_leaves_all_as_it_is(upgraded: Bench) -> None:
    kept = upgraded.store.layout.backups / "old.sqlite.schema-1"
    before = (upgraded.dump(), kept.read_bytes())

    upgraded.store._upgrade()  # as it was about to when it saw the older version

    assert (upgraded.dump(), kept.read_bytes()) == before
    assert list(upgraded.store.layout.backups.iterdir()) == [kept]


def test_tasks_that_a_revision_had_dropped_are_known_as_not_in_the_graph(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("UPDATE tasks SET state = 'cancelled' WHERE id = 'wash'")
        connection.commit()

    found = Bench(Store(old)).rows("SELECT id, in_graph FROM tasks")

    assert dict(found) == {"bake": 1, "serve": 1, "wash": 0}


def test_an_upgrade_that_fails_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {1: (*upgrades.STEPS[1], "this is no SQL")}
    monkeypatch.setattr(upgrades, "STEPS", broken)

    with pytest.raises(Exception, match="syntax error"):
        Store(old)

    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(1,)]
        assert columns(connection, "workflows") == {
            *("id", "revision", "max_failed_retries", "max_killed_retries"),
        }


def test_there_is_a_step_from_every_older_version() -> None:
    assert set(upgrades.STEPS) == set(range(1, SCHEMA_VERSION))


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def shape(bench: Bench) -> dict[str, Any]:
    """Describe all that a table, an index or a trigger is, but for the order of columns."""
    names = [row[0] for row in bench.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found: dict[str, Any] = {
        name: (
            {row[1:] for row in bench.rows(f"PRAGMA table_info({name})")},
            {row[2:5] for row in bench.rows(f"PRAGMA foreign_key_list({name})")},
        )
        for name in names
    }
    for kind in ("index", "trigger"):
        made = bench.rows("SELECT name, sql FROM sqlite_master WHERE type = ?", kind)
        found |= {name: " ".join((sql or "").split()) for name, sql in made}
    return found
