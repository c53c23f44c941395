"""The three locks of a band, as programs and people use them; and holders that are killed or frozen."""

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flufl.lock import Lock

from slurmband import Graphband, LockTimeout, Task, UsageError
from slurmband.errors import WorkerLost
from slurmband.store.database import Store
from tests.integration.band import Band, wait_for
from tests.locks.holder import Holder

pytestmark = pytest.mark.integration

#: A lifetime of 0.75 s.
QUICK = {"SLURMBAND_HEARTBEAT_INTERVAL": "0.5", "SLURMBAND_HEARTBEAT_TIMEOUT": "60"}
IDS = ["a", "a/b", "..", "x" * 500, "任务\n2"]


def tasks() -> list[Task[None]]:
    return [Task(name) for name in IDS]


def never() -> list[Task[None]]:
    raise AssertionError("the graph was built merely to take a lock")


@pytest.fixture(params=["local", "shared"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(tmp_path: Path, mode: str) -> Path:
    """Make a database with a registered graph."""
    path = tmp_path / "slurmband.sqlite"
    made = Graphband(tasks, db=path, mode=mode)
    made.register()
    made.store.close()
    return path


def locks(database: Path) -> list[str]:
    return sorted(os.listdir(f"{database}.d/locks"))


# --- which locks there are ----------------------------------------------------------------------


def test_the_old_name_of_the_global_lock_is_the_same_object(tmp_path: Path) -> None:
    band = Graphband(tasks, db=tmp_path / "a.sqlite")

    assert band.lock is band.global_lock
    assert band.db_lock is band.db_lock
    assert band.lock.lockfile == str(tmp_path / "a.sqlite.d/locks/global.lock")


def test_two_tasks_never_wait_for_each_other(tmp_path: Path) -> None:
    band, other = (Graphband(tasks, db=tmp_path / "a.sqlite") for _ in range(2))

    with band.global_lock, band.task_lock("a"):
        for name in IDS[1:]:
            with other.task_lock(name, timeout=0) as lock:
                assert lock.still_mine()
        assert band.task_lock("a").still_mine()

    assert locks(tmp_path / "a.sqlite") == []


def test_a_task_and_its_id_name_the_same_lock(tmp_path: Path) -> None:
    band = Graphband(tasks, db=tmp_path / "a.sqlite")

    with band.task_lock(Task("a")), pytest.raises(UsageError, match="already"):
        band.task_lock("a").lock()


def test_what_is_no_task_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes a task or its id, a str, and not 3"):
        Graphband(tasks, db=tmp_path / "a.sqlite").task_lock(3)  # type: ignore[arg-type]  # the point


def test_a_global_or_task_lock_makes_no_database_and_builds_no_graph(tmp_path: Path) -> None:
    band = Graphband(never, db=tmp_path / "a.sqlite")

    with band.global_lock, band.task_lock("whatever"):
        pass

    assert not (tmp_path / "a.sqlite").exists()


def test_an_unknown_id_is_told_by_the_database_where_the_graph_is_not_built(database: Path) -> None:
    band = Graphband(never, db=database)

    for name in IDS:
        with band.task_lock(name):
            pass
    for name in ("b", "\udcff"):
        with pytest.raises(UsageError, match=r"no task .* use band\.global_lock"):
            band.task_lock(name)
    band.store.close()


def test_an_unknown_id_is_told_by_the_graph_where_there_is_no_database(tmp_path: Path) -> None:
    band = Graphband(tasks, db=tmp_path / "a.sqlite")
    assert len(band) == len(IDS)

    with pytest.raises(UsageError, match="no task 'b'"):
        band.task_lock("b")

    assert not (tmp_path / "a.sqlite").exists()


def test_a_task_that_only_the_database_knows_has_a_lock(database: Path) -> None:
    band = Graphband[None]([Task("only mine")], db=database)
    assert len(band) == 1

    for name in ("a", "only mine"):
        with band.task_lock(name):
            pass
    band.store.close()


def test_a_timeout_names_the_holder(tmp_path: Path) -> None:
    band = Graphband(tasks, db=tmp_path / "a.sqlite")
    path = Path(band.task_lock("a").lockfile)
    path.parent.mkdir(parents=True)

    with Holder(path) as holder:
        told = f"by pid {holder.pid} on"
        with pytest.raises(LockTimeout, match=told), band.task_lock("a", timeout=0.1):
            pass
        with pytest.raises(LockTimeout, match=told):
            band.task_lock("a").lock(timeout=0)


def test_of_a_disabled_band_the_locks_do_nothing(tmp_path: Path) -> None:
    band = Graphband(tasks, db=tmp_path / "a.sqlite", lock=Lock(str(tmp_path / "l")), disabled=True)

    for task in band:
        with (
            band.lock,
            band.lock,
            band.db_lock,
            band.task_lock(task, timeout=0),
            band.task_lock("?"),
        ):
            pass

    assert list(tmp_path.iterdir()) == []


def test_locks_that_are_given_are_used(tmp_path: Path) -> None:
    mine, of_database = Lock(str(tmp_path / "mine")), Lock(str(tmp_path / "db"))
    band = Graphband(tasks, db=tmp_path / "a.sqlite", mode="shared", lock=mine, db_lock=of_database)

    with band.lock, band.db_lock:
        assert (mine.is_locked, of_database.is_locked) == (True, True)
        assert band.has_more_jobs  # which asks the database, under the lock that this thread holds

    assert (mine.is_locked, of_database.is_locked) == (False, False)


# --- the database's -----------------------------------------------------------------------------


def test_nobody_else_writes_while_the_database_lock_is_held(database: Path) -> None:
    band = Graphband(tasks, db=database)

    with band.db_lock as lock:
        assert lock.still_mine()
        child = os.fork()
        if child == 0:
            try:
                with Store(database, lock_timeout=0.2).transaction():
                    os._exit(2)
            except LockTimeout:
                os._exit(7)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

    with Store(database, lock_timeout=5).transaction():
        pass
    band.store.close()


def test_a_process_that_holds_the_database_lock_goes_on_using_the_band(database: Path) -> None:
    band = Graphband(tasks, db=database)

    with band.db_lock as lock:
        done = [task.id for task in band]
        assert not band.has_more_jobs
        assert lock.still_mine()

    assert sorted(done) == sorted(IDS)
    band.store.close()


def test_the_file_can_be_copied_under_the_database_lock(database: Path, tmp_path: Path) -> None:
    band, other = (Graphband(tasks, db=database) for _ in range(2))
    other.register()  # in local mode it keeps a connection, and with it the -wal
    list(band)

    with band.db_lock:
        assert band.store._kept is None  # to open and close the file drops SQLite's own locks
        shutil.copy(database, tmp_path / "copy")

    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        query = "SELECT count(*) FROM tasks WHERE state = 'completed'"
        assert copy.execute(query).fetchone() == (len(IDS),)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not band.has_more_jobs
    for one in (band, other):
        one.store.close()


def test_a_thread_that_takes_the_database_lock_twice_is_told(database: Path) -> None:
    band, other = (Graphband(tasks, db=database) for _ in range(2))
    other.store.close()

    with band.db_lock:
        with pytest.raises(UsageError, match="already"):
            band.db_lock.lock()
        with pytest.raises(UsageError, match="already"):
            other.db_lock.lock(timeout=5)
        with pytest.raises(UsageError, match="already"):
            other.register()
    other.register()


# --- real holders, and what becomes of them -----------------------------------------------------

#: Holds the lock of its task (or, out of a loop, of task "a") until a file called "go" exists.
HOLDING = """
import ctypes, time
from pathlib import Path
from slurmband import Graphband, Task

def hold(band):
    with band.task_lock("a") as lock:
        Path("held").touch()
        if Path("busy").exists():
            ctypes.PyDLL(None).sleep(600)   # a C call that does not let go of the interpreter
        while not Path("go").exists():
            time.sleep(0.02)
        print("still mine:", lock.still_mine())

def looping():
    with Graphband([Task("a")]) as band:
        for task in band:
            hold(band)

def plain():
    hold(Graphband([Task("a")]))
"""

#: Takes it within so many seconds, and holds it until a file called "enough" exists.
TAKING = """
import sys, time
from pathlib import Path
from slurmband import Graphband, Task
with Graphband([Task("a")]).task_lock("a", timeout=float(sys.argv[1])) as lock:
    Path("taken").touch()
    while not Path("enough").exists():
        time.sleep(0.02)
    print("mine to the end:", lock.still_mine())
"""


@pytest.fixture
def scene(band: Band) -> Iterator[Band]:
    band.write("holding.py", HOLDING)
    band.write("taking.py", TAKING)
    yield band
    (band.folder / "go").touch()
    (band.folder / "enough").touch()


def begin(scene: Band, how: str, **environ: str) -> int:
    process = scene.start(
        "-c", f"import holding; holding.{how}()", log="holder", **(QUICK | environ)
    )
    wait_for((scene.folder / "held").exists, what="the lock is held")
    return process.pid


def left(scene: Band) -> list[str]:
    return locks(scene.folder / "slurmband.sqlite")


@pytest.mark.parametrize("how", ["looping", "plain"])
def test_a_killed_holder_is_succeeded_and_leaves_nothing(scene: Band, how: str) -> None:
    begin(scene, how)
    (scene.folder / "enough").touch()

    scene.started[0].kill()
    scene.started[0].wait()
    taker = scene.start("taking.py", 100, log="taker", **QUICK)

    assert taker.wait(120) == 0
    assert "mine to the end: True" in scene.log("taker")
    assert left(scene) == []


def test_a_frozen_workers_lock_is_taken_and_its_late_unlock_harms_nobody(scene: Band) -> None:
    begin(scene, "looping")
    taker = scene.start("taking.py", 100, log="taker", **QUICK)
    assert not (scene.folder / "taken").exists()

    scene.started[0].send_signal(signal.SIGSTOP)
    wait_for((scene.folder / "taken").exists, what="the lock was taken from the frozen worker")
    (scene.folder / "go").touch()
    scene.started[0].send_signal(signal.SIGCONT)
    assert scene.started[0].wait(120) == 1

    assert "still mine: False" in scene.log("holder")
    assert "LockLost: the lock" in scene.log("holder")
    assert "it is frozen: no beat of worker 1" in scene.log("taker")
    (scene.folder / "enough").touch()
    assert taker.wait(120) == 0
    assert "mine to the end: True" in scene.log("taker")
    assert left(scene) == []


def test_a_worker_whose_code_holds_the_interpreter_keeps_its_lock(scene: Band) -> None:
    (scene.folder / "busy").touch()
    pid = begin(scene, "looping", SLURMBAND_HEARTBEAT_INTERVAL="2")  # late by a second at most

    taker = scene.start("taking.py", 10, log="taker", **QUICK)  # three lifetimes

    assert taker.wait(120) == 1
    assert f"LockTimeout: the lock {scene.folder}" in scene.log("taker")
    assert f"by pid {pid} on" in scene.log("taker")
    assert not (scene.folder / "taken").exists()


def test_a_frozen_holder_that_is_no_worker_keeps_its_lock(scene: Band) -> None:
    begin(scene, "plain")
    scene.started[0].send_signal(signal.SIGSTOP)

    taker = scene.start("taking.py", 3, log="taker", **QUICK)

    assert taker.wait(120) == 1
    assert "LockTimeout" in scene.log("taker")


LEFT = """
import time
from pathlib import Path
from slurmband import Graphband, Task
band = Graphband([Task("a")])
with band.task_lock("a") as lock:
    list(band)      # a worker inside, and none after
    Path("held").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    print("still mine:", lock.still_mine())
"""


def test_a_worker_that_left_its_loop_keeps_what_it_holds(scene: Band) -> None:
    scene.write("left.py", LEFT)
    holder = scene.start("left.py", log="holder", **QUICK)
    wait_for((scene.folder / "held").exists, what="the lock is held")

    taker = scene.start("taking.py", 3, log="taker", **QUICK)

    assert taker.wait(120) == 1
    (scene.folder / "go").touch()
    assert holder.wait(120) == 0
    assert "still mine: True" in scene.log("holder")


GIVEN = """
import os, time
from pathlib import Path
from flufl.lock import Lock
from slurmband import Graphband, Task
path = Path("mine.lock").absolute()
band = Graphband([Task("a")], lock=Lock(str(path), lifetime=2))
for task in band:
    with band.lock:
        for _ in range(2):
            os.utime(path, (1, 1))
            while path.stat().st_mtime < 1e6:
                time.sleep(0.02)
print("renewed", band.lock.is_locked, path.exists())
"""


def test_a_worker_that_was_judged_lost_and_goes_on_does_not_name_its_old_beats(
    tmp_path: Path,
) -> None:
    with Graphband(tasks, db=tmp_path / "a.sqlite") as band:
        held = band._locks.held
        for _ in band:
            first = band._loop.begun()
            assert held.worker() == first.worker.key
            band._loop._mourn(first, WorkerLost(first.worker.name, "silent"))
            assert held.worker() is None
            break

        assert band._loop.begun().worker.key == held.worker() != first.worker.key


def test_a_stock_lock_is_renewed_by_the_beats_while_it_is_held(scene: Band) -> None:
    scene.write("given.py", GIVEN)

    holder = scene.start("given.py", log="holder", **QUICK)

    assert holder.wait(120) == 0
    assert "renewed False False" in scene.log("holder")


FORKED = """
import os
from slurmband import Graphband, Task
band = Graphband([Task("a"), Task("b")])
for task in band:
    with band.lock:
        child = os.fork()
        if child == 0:
            with band.task_lock("a"):
                pass
            try:
                band.lock.lock(timeout=0.1)
            except Exception as error:
                print(type(error).__name__, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
"""


def test_a_forked_child_takes_locks_of_its_own_and_waits_for_its_parents(scene: Band) -> None:
    scene.write("forked.py", FORKED)

    holder = scene.start("forked.py", log="holder", **QUICK)

    assert holder.wait(120) == 0
    assert scene.log("holder").count("LockTimeout") == 2
    assert left(scene) == []


APPENDING = """
import json
from pathlib import Path
from slurmband import Graphband, Task
counts = Path("counts.json")
band = Graphband([Task(str(n)) for n in range(40)], wait=True)
for task in band:
    with band.lock:
        found = json.loads(counts.read_text()) if counts.exists() else []
        counts.write_text(json.dumps([*found, task.id]))
"""


def test_workers_append_to_one_file_in_turn(scene: Band) -> None:
    scene.write("appending.py", APPENDING)

    workers = [scene.start("appending.py", log=f"w{n}") for n in range(3)]

    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    done = json.loads((scene.folder / "counts.json").read_text())
    assert sorted(done, key=int) == [str(n) for n in range(40)]
