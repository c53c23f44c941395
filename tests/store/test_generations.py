"""A process that sleeps through the end of a generation is neither believed nor in the way."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slurmband.errors import (
    CommitUnknown,
    DatabaseFault,
    DatabaseMissing,
    DatabaseRefused,
    LockLost,
)
from slurmband.locks import generations as lock_generations
from slurmband.locks import host
from slurmband.locks.generations import announce, marker
from slurmband.store import generations
from slurmband.store.database import Store
from slurmband.store.file import kept_mode, make_file
from slurmband.store.layout import Layout
from slurmband.store.modes import Mode
from tests.integration.band import ROOT
from tests.locks.holder import wait_for
from tests.store.builders import Bench, task
from tests.store.sleeper import BELIEVED, POINTS

pytestmark = pytest.mark.integration

MADE = ["1.made", "1.sqlite"]
#: Seconds; short, since nobody changes a lock that long here, but for the sleeper.
PATIENCE = 0.4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study" / "slurmband.sqlite"


@pytest.fixture
def store(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """Return the store of a node of its own: it shares no host lock with the sleeper."""
    (tmp_path / "node").mkdir()
    file.parent.mkdir()
    monkeypatch.setattr(host, "PLACES", (str(tmp_path / "node"),))
    made = Store(file, mode="shared", create=True, lock_patience=PATIENCE)
    Bench(made).write("CREATE TABLE notes (text)")
    return made


def note(store: Store, text: str) -> None:
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("INSERT INTO notes VALUES (?)", (text,))


def notes(store: Store) -> list[str]:
    return [str(row[0]) for row in Bench(store).rows("SELECT text FROM notes ORDER BY rowid")]


def through_the_link(file: Path) -> list[str]:
    """Read as any program would that knows the name only."""
    with closing(sqlite3.connect(file)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY rowid")]


# --- the sleeper --------------------------------------------------------------------------------


class Asleep:
    """A process on a node of its own that has fallen asleep at one point of its transaction."""

    def __init__(self, file: Path, point: str) -> None:
        self._place = file.parent.parent / "elsewhere"
        self._place.mkdir()
        words = [sys.executable, "-m", "tests.store.sleeper", str(file), str(self._place), point]
        self._process = subprocess.Popen(words, cwd=ROOT)
        wait_for((self._place / "asleep").exists)

    def wake_up(self) -> list[str]:
        """Return what it was told, and the file that it came to write to."""
        (self._place / "awake").touch()
        wait_for((self._place / "told").exists)
        return (self._place / "told").read_text().split()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def sleeper(store: Store, file: Path, request: pytest.FixtureRequest) -> Iterator[Asleep]:
    made = Asleep(file, request.param)
    yield made
    made.end()


@pytest.mark.parametrize("sleeper", POINTS, indirect=True)
def test_a_late_commit_is_neither_believed_nor_in_the_way(
    request: pytest.FixtureRequest, store: Store, file: Path, sleeper: Asleep
) -> None:
    point = request.node.callspec.params["sleeper"]

    note(store, "one")  # the sleeper's lock is given up
    known = "sleeper" in notes(store)
    told, its_file = sleeper.wake_up()
    note(store, "two")

    if point in BELIEVED:
        assert (told, known) == ("believed", True)  # it was in the file before the generation ended
    else:
        assert (told, its_file) == ("unknown", "2.sqlite")

    assert sorted(notes(store)) == ["one", "sleeper", "two"]
    assert through_the_link(file) == notes(store)
    assert Bench(store).one("PRAGMA integrity_check") == "ok"
    assert store.file.name == "2.sqlite"
    assert list(file.parent.rglob("*-shm")) == []


@pytest.mark.parametrize("sleeper", ["begun", "committed"], indirect=True)
def test_a_sleeper_that_never_wakes_up_costs_its_transaction_at_most(
    request: pytest.FixtureRequest, store: Store, sleeper: Asleep
) -> None:
    note(store, "one")
    sleeper.end()
    note(store, "two")

    committed = request.node.callspec.params["sleeper"] == "committed"
    assert notes(store) == (["sleeper"] if committed else []) + ["one", "two"]


@pytest.mark.parametrize("sleeper", ["begun"], indirect=True)
def test_a_sleeper_whose_generation_was_pruned_goes_on_in_the_newest(
    store: Store, file: Path, sleeper: Asleep
) -> None:
    note(store, "one")
    assert [old.name for old in store.remove_old_generations()] == ["1.sqlite"]

    assert sleeper.wake_up() == ["unknown", "2.sqlite"]
    assert sorted(notes(store)) == ["one", "sleeper"]


def test_a_file_that_somebody_unknown_keeps_locked_is_left_behind(store: Store) -> None:
    note(store, "one")
    phantom = sqlite3.connect(store.file, isolation_level=None)
    phantom.execute("BEGIN EXCLUSIVE")
    phantom.execute("INSERT INTO notes VALUES ('phantom')")

    with pytest.raises(DatabaseFault, match="locked"):
        note(store, "two")
    note(store, "three")
    phantom.execute("COMMIT")
    phantom.close()

    assert notes(store) == ["one", "three"]
    assert store.file.name == "2.sqlite"
    told = Path(marker(str(store.layout.database_locks), 2)).read_text()
    assert "1.sqlite: database is locked" in told


def test_what_a_sleeper_reads_of_an_old_generation_is_no_fault_of_the_database(
    store: Store,
) -> None:
    def sleep_and_read() -> None:
        with store.transaction() as tx:
            end_generation(store, 1)
            tx.connection.exec_driver_sql("SELECT * FROM what_is_not_there")

    with pytest.raises(CommitUnknown, match="taken away"):
        sleep_and_read()

    note(store, "one")
    assert notes(store) == ["one"]


# --- how a generation is made -------------------------------------------------------------------


def end_generation(store: Store, number: int) -> None:
    announce(str(store.layout.database_locks), number + 1, "for a test")


def test_the_name_that_people_know_leads_to_the_present_generation(
    store: Store, file: Path
) -> None:
    note(store, "one")
    end_generation(store, 1)
    note(store, "two")

    assert file.resolve() == store.layout.generation(2)
    assert through_the_link(file) == ["one", "two"]
    assert Bench(Store(file)).one("PRAGMA application_id") != 0


def test_a_study_that_was_moved_is_the_same_study(store: Store, file: Path) -> None:
    note(store, "one")

    moved = file.parent.rename(file.parent.with_name("moved"))

    assert notes(Store(moved / file.name)) == ["one"]


def test_a_maker_that_died_leaves_it_to_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(store, "one")
    end_generation(store, 1)

    def die(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", die)
        patch.setattr(lock_generations.GenerationLock, "_link", lambda _: True)
        with pytest.raises((DatabaseFault, CommitUnknown)):
            note(store, "two")
    note(store, "two")

    assert notes(store) == ["one", "two"]
    hidden = [each for each in store.layout.generations.iterdir() if each.name.startswith(".")]
    assert hidden == []


def test_generations_that_were_announced_and_never_made_are_passed_over(store: Store) -> None:
    note(store, "one")
    for number in (1, 2, 3):
        end_generation(store, number)

    note(store, "two")

    assert (store.file.name, notes(store)) == ("4.sqlite", ["one", "two"])


def test_a_copy_of_what_changes_meanwhile_is_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.file
    end_generation(store, 1)
    read, reads = generations._read, []

    def disturbed(source: Path, target: Path | None = None) -> str:
        reads.append(source.name)
        if len(reads) == 2:  # between the two looks of the first try
            with closing(sqlite3.connect(old)) as sleeper:
                sleeper.execute("INSERT INTO notes VALUES ('late')")
                sleeper.commit()
        return read(source, target)

    monkeypatch.setattr(generations, "_read", disturbed)
    note(store, "one")

    assert notes(store) == ["late", "one"]


def test_what_the_wal_of_the_old_generation_has_is_in_the_new_one(store: Store) -> None:
    left_open = sqlite3.connect(store.file, isolation_level=None)
    left_open.execute("PRAGMA locking_mode = EXCLUSIVE")
    left_open.execute("PRAGMA journal_mode = WAL")
    left_open.execute("INSERT INTO notes VALUES ('in the wal')")
    assert Path(f"{store.file}-wal").stat().st_size > 0
    end_generation(store, 1)

    note(store, "one")

    assert notes(store) == ["in the wal", "one"]
    left_open.close()


def test_a_damaged_generation_is_not_carried_on(store: Store) -> None:
    Bench(store).register(*[task(f"task-{number}") for number in range(200)])
    old = store.file
    end_generation(store, 1)
    content = bytearray(old.read_bytes())
    content[4096 * 4 : 4096 * 12] = b"\x00" * 4096 * 8
    old.write_bytes(content)
    generations_tries = generations._TRIES
    assert generations_tries > 1

    with pytest.raises(DatabaseFault, match="no whole copy"):
        note(store, "one")

    assert not store.layout.generation(2).exists()


# --- files that are not as we made them ---------------------------------------------------------


def test_a_plain_file_as_a_copied_study_has_it_is_taken_over(store: Store, file: Path) -> None:
    note(store, "one")
    elsewhere = file.parent.with_name("copied")
    shutil.copytree(file.parent, elsewhere)  # follows links, as `scp -r` does
    copied = elsewhere / file.name
    assert not copied.is_symlink()

    again = Store(copied)
    note(again, "two")

    assert copied.is_symlink()
    assert (notes(again), notes(store)) == (["one", "two"], ["one"])


def test_taking_over_leaves_no_wal_under_the_plain_name(store: Store, file: Path) -> None:
    copied = file.parent.with_name("copied") / file.name
    copied.parent.mkdir()
    shutil.copy(store.file, copied)
    wal = copied.with_name(f"{copied.name}-wal")
    wal.touch()

    Store(copied)

    assert copied.is_symlink()
    assert not wal.exists()  # SQLite would read it with whatever this name comes to mean


def test_who_slept_while_another_took_a_file_over_changes_nothing(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = file.parent.with_name("copied") / file.name
    shutil.copytree(file.parent, copied.parent)
    layout = Layout(copied)
    copy = generations._copy

    def sleep(source: Path, target: Path) -> None:
        monkeypatch.setattr(generations, "_copy", copy)
        generations.adopt(layout)  # somebody else meanwhile
        copy(source, target)

    monkeypatch.setattr(generations, "_copy", sleep)
    generations.adopt(layout)

    # What 1 is was copied; of 2 one of them made the file first, and only the other one trusts it.
    assert generations.present(layout) == 2
    assert sorted(f.name for f in layout.generations.iterdir()) == [*MADE, "2.made", "2.sqlite"]


def test_a_users_own_link_to_a_band_leads_to_that_band(store: Store, file: Path) -> None:
    note(store, "one")
    (file.parent.parent / "home").mkdir()
    link = file.parent.parent / "home" / "band.sqlite"
    link.symlink_to(Path("..") / file.parent.name / file.name)
    folder = file.parent.with_name("link")
    folder.symlink_to(file.parent)

    assert [notes(Store(path)) for path in (link, folder / file.name)] == [["one"], ["one"]]
    assert Store(link, create=True).layout == store.layout
    assert link.is_symlink()
    assert sorted(f.name for f in link.parent.iterdir()) == [link.name]


def test_links_in_a_circle_name_no_database(file: Path) -> None:
    file.parent.mkdir()
    file.symlink_to(file.name)

    with pytest.raises(DatabaseRefused, match="in a circle"):
        Store(file, create=True)


def test_a_band_whose_link_was_deleted_is_missing(store: Store, file: Path) -> None:
    file.unlink()

    with pytest.raises(DatabaseMissing):
        note(store, "one")


def test_a_new_band_in_the_place_of_a_deleted_one_begins_empty(store: Store, file: Path) -> None:
    note(store, "one")
    file.unlink()

    new = Store(file, mode="shared", create=True)

    assert Bench(new).rows("SELECT name FROM sqlite_master WHERE name = 'notes'") == []
    with pytest.raises(DatabaseRefused, match="another database"):
        note(store, "two")


def test_a_file_put_in_the_place_of_the_link_is_refused(store: Store, file: Path) -> None:
    file.unlink()
    shutil.copy(store.file, file)

    with pytest.raises(DatabaseRefused, match="doctor --restore"):
        note(store, "one")


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_of_many_makers_one_makes_it(file: Path, mode: str) -> None:
    file.parent.mkdir()
    made: list[Store] = []

    def make() -> None:
        made.append(Store(file, mode=mode, create=True))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    Bench(made[0]).write("CREATE TABLE notes (text)")
    for number, store in enumerate(made):
        note(store, str(number))
    assert notes(made[-1]) == ["0", "1", "2", "3"]
    folder = made[0].layout.generations
    assert (mode == "local" and not folder.exists()) or sorted(os.listdir(folder)) == MADE
    for store in made:
        store.close()


def test_which_mode_it_is_is_not_read_from_a_file_that_somebody_writes_to(
    store: Store, file: Path
) -> None:
    store.file.write_bytes(b"half of a page")  # as another node may see it for a moment

    assert kept_mode(file) == "shared"


# --- names that NFS does not show yet -----------------------------------------------------------


class StaleNames:
    """An NFS client that has looked for names in vain, and says so until their folder changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: Path) -> None:
        self._hidden = set(names)
        exists, touch = Path.exists, Path.touch
        monkeypatch.setattr(Path, "exists", lambda path: path not in self._hidden and exists(path))

        def changing(path: Path, *args: object, **more: object) -> None:
            touch(path)
            self._hidden = {name for name in self._hidden if name.parent != path.parent}

        monkeypatch.setattr(Path, "touch", changing)


def test_a_database_that_this_node_has_looked_for_in_vain_is_not_made_again(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(store, "one")
    StaleNames(monkeypatch, file)

    late = Store(file, mode="shared", create=True)

    assert notes(late) == ["one"]
    assert [path.name for path in store.layout.generations.glob("*.sqlite")] == ["1.sqlite"]


def test_a_database_that_this_node_has_looked_for_in_vain_is_found(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(store, "one")
    StaleNames(monkeypatch, file)

    assert notes(Store(file)) == ["one"]


def test_folders_that_this_node_has_looked_for_in_vain_are_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_dir, folder = Path.is_dir, store.layout.folder
    unseen = (folder, *folder.iterdir())
    monkeypatch.setattr(Path, "is_dir", lambda path: path not in unseen and is_dir(path))

    store.layout.make()


def test_a_generation_that_was_made_is_found_although_its_name_is_not_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_generation(store, 1)
    note(store, "one")
    folder = store.layout.generations
    store.layout.database.unlink()
    store.layout.database.symlink_to(store.layout.link_to(1))  # as a sleeper may have done
    StaleNames(monkeypatch, folder / "2.made", folder / "2.sqlite")

    note(store, "two")

    assert notes(store) == ["one", "two"]


def test_an_empty_file_that_a_maker_left_is_no_generation(store: Store, file: Path) -> None:
    note(store, "one")
    make_file(store.layout.generation(2), Mode.SHARED)
    end_generation(store, 1)

    note(store, "two")

    assert (store.file.name, notes(store)) == ("2.sqlite", ["one", "two"])
    assert through_the_link(file) == ["one", "two"]


# --- sleepers that made something ---------------------------------------------------------------


def test_a_link_that_a_sleeper_put_back_to_what_was_pruned_leads_to_the_newest_again(
    store: Store, file: Path
) -> None:
    note(store, "one")
    for number in (1, 2):
        end_generation(store, number)
        note(store, str(number))
    store.remove_old_generations()
    file.unlink()
    file.symlink_to(store.layout.link_to(2))

    again = Store(file, mode="shared", create=True)

    assert (notes(again), again.file.name) == (["one", "1", "2"], "3.sqlite")
    assert file.resolve() == store.layout.generation(3)


def test_a_maker_that_slept_takes_what_was_made_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "slurmband.sqlite")
    layout.make()

    def slow(path: Path, mode: Mode) -> None:
        monkeypatch.setattr(generations, "make_file", make_file)
        make_file(path, mode)
        generations.make_first(layout)  # another, after its patience

    monkeypatch.setattr(generations, "make_file", slow)
    generations.make_first(layout)

    assert layout.linked_generation() == 2
    assert sorted(path.name for path in layout.generations.glob("*.made")) == ["2.made"]


def test_under_the_guard_what_a_dead_one_left_in_the_wal_is_in_the_file(
    store: Store, tmp_path: Path
) -> None:
    left_open = sqlite3.connect(store.file, isolation_level=None)
    left_open.execute("PRAGMA locking_mode = EXCLUSIVE")
    left_open.execute("PRAGMA journal_mode = WAL")
    left_open.execute("INSERT INTO notes VALUES ('in the wal')")
    for end in ("", "-wal"):
        shutil.copy(f"{store.file}{end}", f"{tmp_path}/left{end}")
    left_open.close()
    for end in ("", "-wal"):
        shutil.copy(f"{tmp_path}/left{end}", f"{store.file}{end}")

    with store.guard():
        shutil.copy(store.layout.database, tmp_path / "copy")

    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT text FROM notes").fetchall() == [("in the wal",)]


def test_under_a_guard_that_was_lost_nothing_is_written(store: Store) -> None:
    with store.guard():
        end_generation(store, 1)
        with pytest.raises(LockLost):
            note(store, "one")

    assert notes(store) == []
