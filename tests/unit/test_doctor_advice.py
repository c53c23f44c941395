"""What a machine says about a place becomes a finding, with what to do where something is to be done."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from slurmband.doctor import advice
from slurmband.doctor.findings import Finding, Level
from slurmband.doctor.place import Place, look, why_private
from slurmband.locks.host import HostLock

pytestmark = pytest.mark.unit

GOOD = Place(
    host="n1",
    boot="boot-1",
    there=True,
    writable=True,
    point="/home",
    file_system="nfs4",
    options=("rw", "vers=4.1", "hard", "local_lock=none"),
    exported=False,
    free_bytes=10**12,
    free_files=10**7,
    sqlite=(3, 51, 3),
    recovers_locks=False,
    lock_folder="/dev/shm/slurmband-7",
    private=None,
)


def minded(place: Place, mode: str | None = "shared") -> list[Finding]:
    return [found for found in advice.of(place, mode) if found.level is not Level.OK]


def test_a_good_place_is_told_so() -> None:
    assert minded(GOOD) == []
    assert minded(replace(GOOD, file_system="ext4"), "local") == []


@pytest.mark.parametrize(
    ("option", "level"),
    [
        ("ro", Level.ERROR),
        ("nocto", Level.ERROR),
        ("cache=loose", Level.ERROR),
        ("nolock", Level.WARNING),
        ("localflock", Level.WARNING),
        ("noflock", Level.WARNING),
        ("local_lock=all", Level.WARNING),
        ("local_lock=posix", Level.WARNING),
        ("nobrl", Level.WARNING),
        ("soft", Level.WARNING),
        ("softerr", Level.WARNING),
        ("noac", Level.NOTE),
        ("acdirmax=0", Level.NOTE),
        ("acdirmin=60", Level.NOTE),
        ("vers=3", Level.NOTE),
    ],
)
def test_an_option_is_minded_as_much_as_it_matters(option: str, level: Level) -> None:
    (found,) = minded(replace(GOOD, options=("rw", option)))

    assert (found.level, found.found.partition(":")[0]) == (level, option)
    assert bool(found.advice) is (level is not Level.NOTE)


@pytest.mark.parametrize("option", ["local_lock=flock", "vers=4.2", "cache=strict", "hard", "rw"])
def test_an_option_that_does_no_harm_is_not_minded(option: str) -> None:
    assert minded(replace(GOOD, options=(option,))) == []


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({"free_bytes": 50 * 2**20}, Level.WARNING, "only 50 MB left"),
        ({"free_bytes": 0}, Level.ERROR, "only 0 MB left"),
        ({"free_files": 20}, Level.WARNING, "only 20 files left"),
        ({"free_files": 0}, Level.ERROR, "only 0 files left"),
        ({"recovers_locks": True}, Level.WARNING, "recover_lost_locks"),
        ({"lock_folder": None}, Level.WARNING, "no directory of this node"),
        (
            {"private": "/tmp is a mount of its own of /x"},
            Level.WARNING,
            "/tmp is a mount of its own",
        ),
    ],
)
def test_what_is_amiss_is_found(changes: dict[str, object], level: Level, says: str) -> None:
    (found,) = minded(replace(GOOD, **changes))  # type: ignore[arg-type]  # as the case says

    assert (found.level, says in found.found, bool(found.advice)) == (level, True, True)


def test_what_the_file_system_does_not_say_is_not_minded() -> None:
    assert minded(replace(GOOD, free_bytes=None, free_files=None)) == []


def test_lost_locks_matter_on_nfs_only() -> None:
    assert minded(replace(GOOD, recovers_locks=True, file_system="lustre")) == []


@pytest.mark.parametrize(
    ("version", "mended"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 0), True),
    ],
)
def test_an_old_sqlite_matters_in_mode_local_only(version: tuple[int, ...], mended: bool) -> None:
    place = replace(GOOD, sqlite=version, file_system="ext4")

    assert [found.name for found in minded(place, "local")] == ["SQLite"] * (not mended)
    assert minded(place, "shared") == []


# --- what a machine says ---------------------------------------------------------------------------


def test_this_machine_is_looked_at(tmp_path: Path) -> None:
    parameter = tmp_path / "recover_lost_locks"
    parameter.write_text("Y\n")

    place = look(tmp_path, recover=parameter)

    assert (place.there, place.writable, place.recovers_locks) == (True, True, True)
    assert place.free_bytes is None or place.free_bytes > 0
    file = HostLock(tmp_path).file
    assert place.lock_folder == (str(file.parent) if file else None)
    assert look(tmp_path, recover=tmp_path / "none").recovers_locks is False


def test_a_directory_that_this_machine_exports_is_not_its_own(tmp_path: Path) -> None:
    place = replace(look(tmp_path), file_system="ext4")

    assert replace(place, exported=False).mount.local is True
    assert replace(place, exported=True).mount.local is False


def test_a_directory_that_is_not_there_is_told() -> None:
    assert look(Path("/nosuch/directory")).there is False


def test_a_place_survives_the_way_through_json(tmp_path: Path) -> None:
    import json

    place = look(tmp_path)

    assert Place.from_json(json.loads(json.dumps(asdict(place)))) == place


ROOT = "1 0 254:0 / / rw - ext4 /dev/vda rw\n"


@pytest.mark.parametrize(
    ("mounts", "why"),
    [
        (ROOT, None),
        (ROOT + "2 1 0:9 / /tmp rw - tmpfs tmpfs rw\n", None),
        (
            ROOT + "2 1 254:0 /job/17/.17 /tmp rw - ext4 /dev/vda rw\n",
            "/tmp is a mount of its own of /job/17/.17",
        ),
    ],
)
def test_a_private_temporary_directory_is_seen_in_the_mount_table(
    tmp_path: Path, mounts: str, why: str | None
) -> None:
    (tmp_path / "mountinfo").write_text(mounts)

    assert why_private(mountinfo=tmp_path / "mountinfo", proc=tmp_path) == why


@pytest.mark.parametrize(("of_all", "private"), [("mnt:[1]", False), ("mnt:[2]", True)])
def test_a_mount_namespace_is_seen_by_root(tmp_path: Path, of_all: str, private: bool) -> None:
    (tmp_path / "mountinfo").write_text(ROOT)
    for pid, namespace in (("self", "mnt:[1]"), ("1", of_all)):
        (tmp_path / pid / "ns").mkdir(parents=True)
        (tmp_path / pid / "ns" / "mnt").symlink_to(namespace)

    why = why_private(mountinfo=tmp_path / "mountinfo", proc=tmp_path)

    assert bool(why) is private
