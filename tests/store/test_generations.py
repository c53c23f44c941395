"""A process that sleeps through the end of a generation is neither believed nor in the way."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slurmband.errors import CommitUnknown, DatabaseFault, DatabaseMissing, DatabaseRefused
from slurmband.locks import generations as lock_generations
from slurmband.locks import host
from slurmband.locks.generations import announce
from slurmband.store import generations
from slurmband.store.database import Store
from tests.store.builders import Bench, task

pytestmark = pytest.mark.integration

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

_SLEEPER = """
import sys
from slurmband.errors import CommitUnknown
from slurmband.locks import host
from slurmband.locks.generations import GenerationLock
from slurmband.store import database
from slurmband.store.database import Store

file, place, point = sys.argv[1:]
host.PLACES = (place,)
slept = False

def sleep_at(here):
    global slept
    if here == point and not slept:
        slept = True
        print("asleep", flush=True)
        sys.stdin.readline()

def before(owner, name, here):
    real = getattr(owner, name)
    def wrapped(*args, **kwargs):
        sleep_at(here)
        return real(*args, **kwargs)
    setattr(owner, name, wrapped)

store = Store(file)
looks = 0
look = GenerationLock.still_mine
def still_mine(lock):
    global looks
    looks += 1
    sleep_at({1: "written", 2: "closed", 3: "believed"}.get(looks, ""))
    mine = look(lock)
    sleep_at({1: "looked", 2: "looked again"}.get(looks, ""))
    return mine
GenerationLock.still_mine = still_mine
before(Store, "_find_generation", "locked")
before(Store, "_connect", "generation known")
before(Store, "_begin", "opened")
before(Store, "_disconnect", "committed")

def note():
    with store.transaction() as tx:
        sleep_at("begun")
        found = tx.connection.exec_driver_sql("SELECT count(*) FROM notes WHERE text = 'sleeper'")
        if not found.scalar_one():  # as a worker looks for its claim when a commit is unknown
            tx.connection.exec_driver_sql("INSERT INTO notes VALUES ('sleeper')")
try:
    note()
    print("believed", flush=True)
except CommitUnknown as unknown:
    print("unknown", flush=True)
    note()
print("done", store.file.name, flush=True)
"""

POINTS = (
    "locked",
    "generation known",
    "opened",
    "begun",
    "written",
    "looked",
    "committed",
    "closed",
    "looked again",
    "believed",
)


class Sleeper:
    """A process on a node of its own that falls asleep at one point of its transaction."""

    def __init__(self, file: Path, point: str) -> None:
        place = file.parent.parent / "elsewhere"
        place.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SLEEPER, str(file), str(place), point],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.says() == "asleep"

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def wake_up(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def sleeper(store: Store, file: Path, request: pytest.FixtureRequest) -> Iterator[Sleeper]:
    made = Sleeper(file, request.param)
    yield made
    made.end()


@pytest.mark.parametrize("sleeper", POINTS, indirect=True)
def test_a_late_commit_is_neither_believed_nor_in_the_way(
    request: pytest.FixtureRequest, store: Store, file: Path, sleeper: Sleeper
) -> None:
    point = request.node.callspec.params["sleeper"]

    note(store, "one")  # the sleeper's lock is given up
    known = "sleeper" in notes(store)
    sleeper.wake_up()
    told = sleeper.says()
    assert told == ("believed" if point in ("looked again", "believed") else "unknown")
    if told == "believed":
        assert known  # it was in the file before the generation ended
    else:
        assert sleeper.says() == "done 2.sqlite"
    note(store, "two")

    assert sorted(notes(store)) == ["one", "sleeper", "two"]
    assert through_the_link(file) == notes(store)
    assert Bench(store).one("PRAGMA integrity_check") == "ok"
    assert store.file.name == "2.sqlite"
    assert list(file.parent.rglob("*-shm")) == []


@pytest.mark.parametrize("sleeper", ["begun", "committed"], indirect=True)
def test_a_sleeper_that_never_wakes_up_costs_its_transaction_at_most(
    request: pytest.FixtureRequest, store: Store, sleeper: Sleeper
) -> None:
    note(store, "one")
    sleeper.end()
    note(store, "two")

    committed = request.node.callspec.params["sleeper"] == "committed"
    assert notes(store) == (["sleeper"] if committed else []) + ["one", "two"]


@pytest.mark.parametrize("sleeper", ["begun"], indirect=True)
def test_a_sleeper_whose_generation_was_pruned_goes_on_in_the_newest(
    store: Store, file: Path, sleeper: Sleeper
) -> None:
    note(store, "one")
    assert [old.name for old in store.remove_old_generations()] == ["1.sqlite"]

    sleeper.wake_up()

    assert [sleeper.says(), sleeper.says()] == ["unknown", "done 2.sqlite"]
    assert sorted(notes(store)) == ["one", "sleeper"]


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


def test_of_two_makers_one_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.parent.mkdir()
    symlink = os.symlink

    def slow(source: str, target: str) -> None:
        monkeypatch.setattr(os, "symlink", symlink)
        Bench(Store(file, mode="shared", create=True)).write("CREATE TABLE notes (text)")
        symlink(source, target)

    monkeypatch.setattr(os, "symlink", slow)
    late = Store(file, mode="shared", create=True)

    assert notes(late) == []


# --- going on from a copy -----------------------------------------------------------------------


@pytest.fixture(params=["local", "shared"])
def band(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    made = Store(tmp_path / "slurmband.sqlite", mode=request.param, create=True)
    Bench(made).write("CREATE TABLE notes (text)")
    return made


def test_a_copy_takes_the_place_of_the_database(band: Store, tmp_path: Path) -> None:
    note(band, "one")
    band.close()
    copy = Path(shutil.copy(band.file, tmp_path / "copy"))
    note(band, "two")

    band.install(copy)

    assert notes(band) == ["one"]
    assert notes(Store(band.layout.database)) == ["one"]


def test_whoever_is_at_work_in_shared_mode_goes_on_from_the_copy(
    store: Store, file: Path, tmp_path: Path
) -> None:
    other = Store(file)
    note(store, "one")
    copy = Path(shutil.copy(store.file, tmp_path / "copy"))

    note(other, "taken back")
    store.install(copy)
    note(other, "two")

    assert notes(store) == ["one", "two"]
    assert store.file == other.file
