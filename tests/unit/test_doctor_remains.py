"""What lies beside a database is told for what it is: a dead process's lock is not a living one's."""

from dataclasses import replace
from pathlib import Path

import pytest

from slurmband.doctor import remains
from slurmband.doctor.findings import Finding, Level
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.locks.link import LinkLock
from slurmband.locks.survey import LockFile, survey
from slurmband.store.layout import Layout
from tests.locks.test_link_lock import foreign, this_boot

pytestmark = pytest.mark.unit

SOMEBODY = ProcessIdentity("n7", "boot-7", "pid:[7]", 700, 7)
HELD = LockFile(Path("global.lock"), claim=False, owner=SOMEBODY, fate=Fate.ALIVE, age=7200.0)
DEAD = replace(HELD, fate=Fate.GONE)
STOPPED = replace(HELD, fate=Fate.STOPPED, age=3.0)
UNKNOWN = replace(HELD, fate=Fate.UNKNOWN)


@pytest.mark.parametrize(
    ("found", "level", "says"),
    [
        ([], Level.OK, "none is held now"),
        ([HELD], Level.OK, "1 held now"),
        ([replace(UNKNOWN, age=5.0)], Level.OK, "1 held now"),
        ([DEAD, DEAD], Level.NOTE, "2 files of processes that are dead"),
        ([STOPPED], Level.WARNING, "pid 700 on n7 since 0 minutes, and that process is stopped"),
        ([UNKNOWN], Level.WARNING, "pid 700 on n7 since 2 hours; whether that process lives"),
        ([replace(UNKNOWN, owner=None)], Level.WARNING, "held by nobody known"),
        ([replace(UNKNOWN, claim=True)], Level.OK, "none is held now"),
    ],
)
def test_locks_are_told_by_what_is_known_of_their_holders(
    found: list[LockFile], level: Level, says: str
) -> None:
    (told,) = remains.locks(found)

    assert (told.level, says in told.found) == (level, True), told


def test_many_stuck_locks_are_counted() -> None:
    told = list(remains.locks([UNKNOWN] * 8))

    assert len(told) == remains.SHOWN + 1
    assert told[-1].found == "3 more like these"


def test_the_dead_and_the_stuck_are_both_told() -> None:
    told = list(remains.locks([DEAD, STOPPED]))

    assert [each.level for each in told] == [Level.NOTE, Level.WARNING]


@pytest.mark.parametrize("successor", [True, False])
def test_the_lock_of_a_generation_that_is_over_is_no_cause_for_worry(
    tmp_path: Path, successor: bool
) -> None:
    if successor:
        (tmp_path / "db.3").touch()

    (told,) = remains.locks([replace(UNKNOWN, file=tmp_path / "db.2.lock")])

    assert told.level is (Level.NOTE if successor else Level.WARNING)


# --- looking at the folder ------------------------------------------------------------------------


def test_a_lock_is_found_with_its_claim_and_its_holder(tmp_path: Path) -> None:
    with LinkLock(str(tmp_path / "db.lock")):
        found = survey(tmp_path)

    assert sorted((each.claim, each.fate) for each in found if not each.claim) == [
        (False, Fate.ALIVE)
    ]
    assert [each.fate for each in found] == [Fate.ALIVE] * 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("boot", ["here", "another-boot"])
def test_the_dead_of_this_machine_are_proven_and_others_are_not(tmp_path: Path, boot: str) -> None:
    foreign(tmp_path / "db.lock", boot=this_boot() if boot == "here" else boot)

    fates = {each.fate for each in survey(tmp_path)}

    assert fates == {Fate.GONE if boot == "here" else Fate.UNKNOWN}


def test_what_is_no_lock_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder.lock").mkdir()

    assert survey(tmp_path) == []
    assert survey(tmp_path / "none") == []


def test_a_lock_that_names_nobody_is_of_nobody_known(tmp_path: Path) -> None:
    (tmp_path / "task.lock").write_text("what is this")

    (found,) = survey(tmp_path)

    assert (found.owner, found.fate, found.claim) == (None, Fate.UNKNOWN, False)


# --- shared memory ----------------------------------------------------------------------------------


def shared_memory(tmp_path: Path, mode: str) -> list[Finding]:
    return list(remains.shared_memory(Layout(tmp_path / "x.sqlite"), mode))


@pytest.mark.parametrize("name", ["x.sqlite-shm", "x.sqlite.d/generations/3.sqlite-shm"])
def test_shared_memory_in_mode_shared_is_another_programs(tmp_path: Path, name: str) -> None:
    (told,) = shared_memory(tmp_path, "shared")
    assert told.level is Level.OK

    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()

    (told,) = shared_memory(tmp_path, "shared")
    assert (told.level, Path(name).name in told.found) == (Level.WARNING, True)


def test_shared_memory_in_mode_local_is_as_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite-shm").touch()

    assert shared_memory(tmp_path, "local") == []
