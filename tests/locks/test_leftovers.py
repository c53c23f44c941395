"""What dead processes left is removed; what may be somebody's stays."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from flufl.lock import Lock

from slurmband.locks.generations import announce
from slurmband.locks.leftovers import remove_leftovers
from slurmband.locks.link import LinkLock
from slurmband.locks.watched import Signs, WatchedLock
from tests.locks.holder import Holder
from tests.locks.test_link_lock import foreign, this_boot
from tests.locks.test_user_locks import in_child

pytestmark = pytest.mark.integration

SIGNS = Signs(lambda: 7, lambda _: None, 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "task.lock"


def left(path: Path) -> list[Path]:
    return sorted(path.parent.iterdir())


def die_after(action: Callable[[], object]) -> None:
    def child() -> None:
        action()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(child) == -signal.SIGKILL


def test_a_dead_holders_lock_and_claim_are_removed(path: Path) -> None:
    die_after(WatchedLock(str(path), SIGNS).lock)
    before = left(path)

    removed = remove_leftovers(path.parent)

    assert (len(before), removed, left(path)) == (2, before, [])


@pytest.mark.parametrize("ending", ["", ".p", ".caught"])
def test_the_claim_of_who_died_waiting_is_removed(path: Path, ending: str) -> None:
    with LinkLock(str(path)) as held:
        die_after(lambda: Path(f"{claim_of_this_process(path)}{ending}").touch())

        (removed,) = remove_leftovers(path.parent)

        assert removed.name.endswith(ending)
        assert held.still_mine()


def claim_of_this_process(path: Path) -> str:
    return LinkLock(str(path)).claimfile


def test_what_living_processes_hold_stays(path: Path) -> None:
    with Holder(path) as holder:
        holder.stop()
        before = left(path)

        assert remove_leftovers(path.parent) == []

        assert left(path) == before


def test_the_lock_of_a_silent_worker_stays(path: Path) -> None:
    lock = WatchedLock(str(path), SIGNS)
    with lock:
        assert remove_leftovers(path.parent) == []
        assert lock.still_mine()


def test_what_lies_there_of_other_nodes_stays(path: Path) -> None:
    foreign(path, boot="another-boot")

    assert remove_leftovers(path.parent) == []

    assert len(left(path)) == 2


def test_the_claim_of_this_nodes_dead_is_removed_by_its_name(path: Path) -> None:
    foreign(path, boot=this_boot())

    assert len(remove_leftovers(path.parent)) == 2


def test_what_is_no_lock_of_ours_stays(path: Path) -> None:
    with Holder(path, "stock") as holder:
        holder.kill()
    path.with_name("notes.txt").write_text("mine")
    path.with_name("bytes").write_bytes(b"\xff\xfe")
    path.with_name("folder").mkdir()
    before = left(path)

    assert remove_leftovers(path.parent) == []

    assert left(path) == before
    assert Lock(str(path)).details[1] == holder.pid


def test_where_there_is_no_folder_nothing_is_left(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "none") == []


def test_what_says_that_a_generation_is_over_stays_whoever_died(tmp_path: Path) -> None:
    with Holder(tmp_path / "db", kind="generation") as holder:
        claim = next(path for path in tmp_path.iterdir() if "|" in path.name)
        holder.kill()
    announce(str(tmp_path / "db"), 2, f"generation 1 ended: {claim} held its lock unchanged")

    remove_leftovers(tmp_path)

    assert (tmp_path / "db.2").exists()
