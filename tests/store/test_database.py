"""A transaction is whole or not at all, in both modes; and only our own files are opened."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flufl.lock import Lock
from sqlalchemy import URL

from slurmband.errors import (
    CommitUnknown,
    DatabaseFault,
    DatabaseMissing,
    DatabaseRefused,
    UsageError,
)
from slurmband.locks.link import LinkLock
from slurmband.store.database import Store
from slurmband.store.file import kept_mode, path_of
from slurmband.store.layout import Layout
from slurmband.store.modes import APPLICATION_IDS, Mode
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit


@pytest.fixture(params=["local", "shared"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "slurmband.sqlite"


@pytest.fixture
def bench(file: Path, mode: str) -> Iterator[Bench]:
    made = Bench(Store(file, mode=mode, create=True))
    made.write("CREATE TABLE notes (text)")
    yield made
    made.store.close()


def note(store: Store, text: str) -> None:
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("INSERT INTO notes VALUES (?)", (text,))


def note_often(store: Store, times: int) -> None:
    for _ in range(times):
        note(store, "x")


def notes(store: Store) -> list[str]:
    return [str(row[0]) for row in Bench(store).rows("SELECT text FROM notes ORDER BY rowid")]


def in_child(action: Callable[[], None]) -> int:
    """Run `action` in a fork of this process; return its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- commit, rollback, company ------------------------------------------------------------------


def test_what_was_committed_is_seen_by_another_store(bench: Bench, file: Path) -> None:
    note(bench.store, "one")

    other = Store(file)
    assert notes(other) == ["one"]
    other.close()


def test_an_exception_leaves_nothing(bench: Bench) -> None:
    note(bench.store, "one")

    def burn() -> None:
        with bench.store.transaction() as tx:
            tx.connection.exec_driver_sql("INSERT INTO notes VALUES ('two')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        burn()

    assert notes(bench.store) == ["one"]
    note(bench.store, "three")
    assert notes(bench.store) == ["one", "three"]


def test_two_stores_of_one_process_take_turns(bench: Bench, file: Path) -> None:
    other = Store(file)

    for text in ("one", "three"):
        note(bench.store, text)
        note(other, text + " and a half")

    assert notes(bench.store) == ["one", "one and a half", "three", "three and a half"]
    other.close()


def test_threads_of_one_process_take_turns(bench: Bench) -> None:
    threads = [threading.Thread(target=note_often, args=(bench.store, 10)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(notes(bench.store)) == 40


def test_a_fork_writes_and_its_parent_goes_on(bench: Bench) -> None:
    note(bench.store, "parent")

    code = in_child(lambda: note_often(bench.store, 3))
    note(bench.store, "parent")

    assert code == 0
    assert notes(bench.store) == ["parent", "x", "x", "x", "parent"]
    assert bench.one("PRAGMA integrity_check") == "ok"


def test_a_fork_that_only_ends_disturbs_nobody(bench: Bench) -> None:
    note(bench.store, "parent")

    assert in_child(bench.store.close) == 0
    note(bench.store, "parent")

    assert notes(bench.store) == ["parent", "parent"]


def test_a_fork_with_a_lock_of_the_users_makes_it_anew(tmp_path: Path) -> None:
    lock = Lock(str(tmp_path / "mine.lock"))
    store = Store(tmp_path / "a.sqlite", mode="shared", create=True, db_lock=lock)
    named: list[int] = []

    def child() -> None:
        with store.transaction():
            named.append(int(Path(lock.lockfile).read_text().split("|")[2]))
        assert named == [os.getpid()]

    assert in_child(child) == 0


def test_a_reader_sees_one_state_to_its_end(file: Path) -> None:
    store = Store(file, mode="local", create=True)
    Bench(store).write("CREATE TABLE notes (text)")
    other = Store(file)

    with store.read() as tx:
        before = tx.connection.exec_driver_sql("SELECT count(*) FROM notes").scalar_one()
        note(other, "one")
        after = tx.connection.exec_driver_sql("SELECT count(*) FROM notes").scalar_one()

    assert (before, after) == (0, 0)
    assert notes(store) == ["one"]
    store.close()
    other.close()


def test_a_local_reader_waits_for_no_writer(file: Path) -> None:
    store = Store(file, mode="local", create=True)
    Bench(store).write("CREATE TABLE notes (text)")

    with store.transaction() as tx:
        tx.connection.exec_driver_sql("INSERT INTO notes VALUES ('one')")
        assert notes(store) == []

    assert notes(store) == ["one"]
    store.close()


def test_a_closed_store_opens_again_when_asked(bench: Bench) -> None:
    bench.store.close()
    bench.store.close()

    note(bench.store, "one")

    assert notes(bench.store) == ["one"]


# --- shared mode --------------------------------------------------------------------------------


def test_shared_mode_never_makes_shared_memory(file: Path) -> None:
    store = Store(file, mode="shared", create=True)
    Bench(store).write("CREATE TABLE notes (text)")
    shm, wal = Path(f"{store.file}-shm"), Path(f"{store.file}-wal")

    with store.transaction() as tx:
        tx.connection.exec_driver_sql("INSERT INTO notes VALUES ('one')")
        inside = (shm.exists(), wal.exists())
    after = (shm.exists(), wal.exists())
    with store.read():
        reading = shm.exists()

    assert inside == (False, True)
    assert after == (False, False)
    assert not reading


class Fading:
    """A lock that somebody takes away after `looks` looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


class FadingLock(LinkLock):
    """A link lock whose holder finds it gone after some looks."""

    fading = Fading(99)

    def still_mine(self) -> bool:
        return self.fading()


@pytest.fixture
def fading(tmp_path: Path) -> tuple[Bench, FadingLock]:
    lock = FadingLock(str(tmp_path / "fading.lock"))
    lock.fading = Fading(9999)
    made = Bench(Store(tmp_path / "f.sqlite", mode="shared", create=True, db_lock=lock))
    made.write("CREATE TABLE notes (text)")
    return made, lock


def take_away(lock: FadingLock, looks: int) -> None:
    lock.fading = Fading(looks)


def give_back(lock: FadingLock) -> None:
    Path(lock.lockfile).unlink(missing_ok=True)
    lock.fading = Fading(9999)


def test_a_lock_taken_away_before_the_commit_writes_nothing(
    fading: tuple[Bench, FadingLock],
) -> None:
    bench, lock = fading

    take_away(lock, 0)
    with pytest.raises(CommitUnknown, match="before"):
        note(bench.store, "one")

    give_back(lock)
    assert notes(bench.store) == []


def test_a_lock_taken_away_during_the_commit_is_told(fading: tuple[Bench, FadingLock]) -> None:
    bench, lock = fading

    take_away(lock, 1)
    with pytest.raises(CommitUnknown, match="during"):
        note(bench.store, "one")

    give_back(lock)
    assert notes(bench.store) == ["one"]  # nobody else was there: this time it arrived


def test_the_last_look_at_the_lock_comes_after_the_close(
    fading: tuple[Bench, FadingLock],
) -> None:
    bench, lock = fading
    wal = Path(f"{bench.store.file}-wal")
    seen: list[bool] = []

    class Watching(Fading):
        def __call__(self) -> bool:
            seen.append(wal.exists())
            return super().__call__()

    lock.fading = Watching(9999)
    note(bench.store, "one")

    assert seen[:2] == [True, False]


@pytest.mark.parametrize("stock", [False, True], ids=["ours", "stock flufl"])
def test_a_lock_that_really_was_taken_away_is_noticed(tmp_path: Path, *, stock: bool) -> None:
    path = str(tmp_path / "some.lock")
    lock = Lock(path) if stock else LinkLock(path)
    bench = Bench(Store(tmp_path / "f.sqlite", mode="shared", create=True, db_lock=lock))

    thief = LinkLock(path)

    def be_robbed() -> None:
        with bench.store.transaction() as tx:
            tx.connection.exec_driver_sql("CREATE TABLE notes (text)")
            Path(path).unlink()
            thief.lock()

    with pytest.raises(CommitUnknown):
        be_robbed()

    assert thief.still_mine()
    thief.unlock()
    assert bench.rows("SELECT name FROM sqlite_master WHERE name = 'notes'") == []


def test_an_error_at_the_commit_leaves_the_outcome_unknown(bench: Bench) -> None:
    bench.write("CREATE TABLE late (task REFERENCES tasks(key) DEFERRABLE INITIALLY DEFERRED)")

    with pytest.raises(CommitUnknown, match="FOREIGN KEY"):
        bench.write("INSERT INTO late VALUES (99)")

    assert bench.rows("SELECT * FROM late") == []
    note(bench.store, "one")
    assert notes(bench.store) == ["one"]


# --- what is refused ----------------------------------------------------------------------------


def test_a_missing_file_is_not_made_unless_asked(file: Path) -> None:
    with pytest.raises(DatabaseMissing):
        Store(file)

    assert list(file.parent.iterdir()) == []


def test_what_is_no_database_is_refused_and_left_alone(file: Path, mode: str) -> None:
    file.write_text("Dear diary, this is a text of some length." * 50)
    before = file.read_bytes()

    with pytest.raises(DatabaseRefused, match="no SQLite database"):
        Store(file, mode=mode, create=True)

    assert file.read_bytes() == before


def test_somebody_elses_database_is_refused_and_left_alone(file: Path, mode: str) -> None:
    theirs = sqlite3.connect(file)
    theirs.execute("CREATE TABLE diary (text)")
    theirs.close()
    before = file.read_bytes()

    with pytest.raises(DatabaseRefused, match="not one of slurmband's"):
        Store(file, mode=mode, create=True)

    assert file.read_bytes() == before


def test_a_newer_schema_is_refused(bench: Bench, file: Path) -> None:
    bench.write("PRAGMA user_version = 99")

    with pytest.raises(DatabaseRefused, match="schema version 99"):
        Store(file)


def test_the_mode_is_kept_with_the_file(bench: Bench, file: Path, mode: str) -> None:
    assert bench.one("PRAGMA application_id") == APPLICATION_IDS[Mode(mode)]
    again = Store(file)
    assert again.mode == mode
    again.close()


def test_a_weaker_mode_than_the_kept_one_is_refused(file: Path) -> None:
    Store(file, mode="shared", create=True)

    with pytest.raises(DatabaseRefused, match="mode local would corrupt"):
        Store(file, mode="local")


def test_a_local_file_is_not_opened_as_shared(file: Path) -> None:
    Store(file, mode="local", create=True).close()

    with pytest.raises(DatabaseRefused, match="made for one machine"):
        Store(file, mode="shared")


def test_a_mode_that_there_is_not_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="no mode 'fast'"):
        Store(file, mode="fast", create=True)


def test_an_empty_file_is_nobodys_database(file: Path, mode: str) -> None:
    file.touch()

    with pytest.raises(DatabaseRefused, match="not one of slurmband's"):
        Store(file, mode=mode, create=True)

    assert file.read_bytes() == b""


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(DatabaseRefused, match="cannot write beside"):
        Store(tmp_path / "a.sqlite", create=True)


@pytest.mark.parametrize(
    ("number", "error", "told"),
    [
        (errno.EACCES, DatabaseRefused, "cannot write beside"),
        (errno.EBADF, DatabaseFault, "cannot be used now"),
        (errno.EIO, DatabaseFault, "cannot be used now"),
    ],
)
def test_only_what_will_stay_so_is_a_refusal(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], told: str
) -> None:
    def fail(_layout: Layout) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Layout, "make", fail)

    with pytest.raises(error, match=told):
        Store(file, create=True)


def test_a_header_that_cannot_be_read_now_is_not_another_program_s_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(file, create=True).close()

    def fail(_path: Path) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("slurmband.store.file._read_application_id", fail)

    with pytest.raises(DatabaseFault, match="disk I/O error"):
        Store(file)


@pytest.mark.parametrize("mine", ["shared", "local"])
def test_who_is_overtaken_in_making_the_file_goes_by_what_is_there(
    file: Path, monkeypatch: pytest.MonkeyPatch, mine: str
) -> None:

    def slow(layout: Layout) -> None:
        monkeypatch.setattr(Layout, "make", make)
        Store(file, mode="shared", create=True)
        make(layout)

    make = Layout.make
    monkeypatch.setattr(Layout, "make", slow)

    if mine == "local":
        with pytest.raises(DatabaseRefused, match="mode local would corrupt"):
            Store(file, mode=mine, create=True)
    else:
        Store(file, mode=mine, create=True)

    assert Store(file).mode == "shared"


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a b", "run#3", "100%25", "what?", "é", "a'b"])
def test_any_folder_will_do(tmp_path: Path, mode: str, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    url = URL.create("sqlite", database=str(folder / "a.sqlite"))
    Store(url.render_as_string(), mode=mode, create=True).close()

    again = Bench(Store(folder / "a.sqlite"))

    again.register(task("bake"))
    assert again.states() == {"bake": "ready"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    again.store.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.sqlite", "{cwd}/a.sqlite"),
        ("sub/a.sqlite", "{cwd}/sub/a.sqlite"),
        ("/x/a.sqlite", "/x/a.sqlite"),
        ("~/a.sqlite", "{home}/a.sqlite"),
        ("sqlite:///a.sqlite", "{cwd}/a.sqlite"),
        ("sqlite:////x/a.sqlite", "/x/a.sqlite"),
        ("sqlite+pysqlite:////x/a.sqlite", "/x/a.sqlite"),
    ],
)
def test_a_path_or_a_url_names_a_file(given: str, expected: str) -> None:
    wanted = expected.format(cwd=os.getcwd(), home=os.path.expanduser("~"))

    assert path_of(given) == Path(wanted)


@pytest.mark.parametrize(
    "given", ["postgresql://host/db", "sqlite://", "sqlite:///:memory:", "://", "nonsense://"]
)
def test_a_url_that_names_no_file_is_refused(given: str) -> None:
    with pytest.raises(UsageError):
        path_of(given)


def test_the_folder_beside_the_database_holds_the_rest(file: Path) -> None:
    store = Store(file, mode="local", create=True)
    store.close()

    assert store.layout.folder == file.with_name("slurmband.sqlite.d")
    found = {path.name for path in store.layout.folder.iterdir()}
    assert found >= {"locks", "beats", "journals", "logs", "submissions", "notice", "duty"}


def test_a_header_that_cannot_be_read_for_a_moment_is_read_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(file, mode="local", create=True).close()
    whole = file.read_bytes()
    file.write_bytes(b"half of a page" * 300)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        file.write_bytes(whole)

    monkeypatch.setattr(time, "sleep", sleep)

    assert kept_mode(file) is Mode.LOCAL
    assert slept
