"""A process is gone only where that is proven; a tree of files stands in for /proc."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.processes import fate_of, identify

pytestmark = pytest.mark.unit

PID, STARTED = 4321, 987654
ME = ProcessIdentity("node1", "boot-1", "pid:[4026531836]", PID, STARTED)


def stat(name: bytes = b"python3", state: str = "S", started: int = STARTED) -> bytes:
    """Write a line as proc_pid_stat(5) has it: state is field 3, starttime field 22."""
    rest = [state, *(str(n) for n in range(4, 22)), str(started), *(str(n) for n in range(23, 53))]
    return b"%d (%s) %s\n" % (PID, name, " ".join(rest).encode())


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Make the tree of a machine on which the process of `ME` sleeps."""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot-1\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(ME.pid_namespace)
    (tmp_path / str(PID)).mkdir()
    (tmp_path / str(PID) / "stat").write_bytes(stat())
    return tmp_path


def set_stat(proc: Path, content: bytes) -> None:
    (proc / str(PID) / "stat").write_bytes(content)


@pytest.mark.parametrize(
    ("state", "fate"),
    [
        ("R", Fate.ALIVE),
        ("S", Fate.ALIVE),
        ("D", Fate.ALIVE),
        ("I", Fate.ALIVE),
        ("T", Fate.STOPPED),
        ("t", Fate.STOPPED),
        ("Z", Fate.GONE),
        ("X", Fate.GONE),
    ],
)
def test_the_kernels_state_letter_decides(proc: Path, state: str, fate: Fate) -> None:
    set_stat(proc, stat(state=state))

    assert fate_of(ME, proc=proc) is fate


@pytest.mark.parametrize("state", ["S", "T", "Z"])
def test_a_pid_that_was_given_to_another_process_proves_the_first_one_gone(
    proc: Path, state: str
) -> None:
    set_stat(proc, stat(state=state, started=STARTED + 1))

    assert fate_of(ME, proc=proc) is Fate.GONE


def test_a_process_without_an_entry_is_gone(proc: Path) -> None:
    (proc / str(PID) / "stat").unlink()

    assert fate_of(ME, proc=proc) is Fate.GONE


@pytest.mark.parametrize(
    "name",
    [b"a b", b"(sd-pam)", b") Z 1 (", b"a) Z", b"", "\N{SNOWMAN}".encode()[:2], b"\xff"],
    ids=repr,
)
def test_no_process_name_confuses(proc: Path, name: bytes) -> None:
    set_stat(proc, stat(name))

    assert fate_of(ME, proc=proc) is Fate.ALIVE


@pytest.mark.parametrize(
    "other",
    [
        replace(ME, boot_id="boot-2"),
        replace(ME, boot_id=""),
        replace(ME, pid_namespace="pid:[1]"),
        replace(ME, pid_namespace=""),
        replace(ME, start_ticks=0),
    ],
    ids=["another boot", "no boot", "another namespace", "no namespace", "no start time"],
)
@pytest.mark.parametrize("present", [True, False])
def test_nothing_is_known_of_a_process_of_elsewhere(
    proc: Path, other: ProcessIdentity, *, present: bool
) -> None:
    if not present:
        (proc / str(PID) / "stat").unlink()

    assert fate_of(other, proc=proc) is Fate.UNKNOWN


@pytest.mark.parametrize(
    ("file", "as_nameless"),
    [
        ("sys/kernel/random/boot_id", replace(ME, boot_id="")),
        ("self/ns/pid", replace(ME, pid_namespace="")),
    ],
)
@pytest.mark.parametrize("present", [True, False])
def test_two_places_without_a_name_are_not_taken_for_the_same(
    proc: Path, file: str, as_nameless: ProcessIdentity, *, present: bool
) -> None:
    (proc / file).unlink()
    if not present:
        (proc / str(PID) / "stat").unlink()

    assert fate_of(as_nameless, proc=proc) is Fate.UNKNOWN
    assert fate_of(ME, proc=proc) is Fate.UNKNOWN


@pytest.mark.parametrize(
    ("state", "fate"),
    [("D", Fate.UNKNOWN), ("S", Fate.UNKNOWN), ("Z", Fate.GONE), ("X", Fate.GONE)],
)
def test_a_process_whose_main_thread_ended_may_go_on_in_another(
    proc: Path, state: str, fate: Fate
) -> None:
    set_stat(proc, stat(state="Z"))
    for thread, letter in ((PID, "Z"), (PID + 1, state)):
        (proc / str(PID) / "task" / str(thread)).mkdir(parents=True)
        (proc / str(PID) / "task" / str(thread) / "stat").write_bytes(stat(state=letter))

    assert fate_of(ME, proc=proc) is fate


def test_an_entry_that_cannot_be_read_proves_nothing(proc: Path) -> None:
    (proc / str(PID) / "stat").unlink()
    (proc / str(PID) / "stat").mkdir()  # an OSError, even for root

    assert fate_of(ME, proc=proc) is Fate.UNKNOWN


def test_a_process_is_named_by_what_proc_says_of_it(proc: Path) -> None:
    assert replace(identify(PID, proc=proc), host=ME.host) == ME


def test_a_process_without_an_entry_gets_a_name_of_which_nothing_can_be_proven(proc: Path) -> None:
    identity = identify(PID + 1, proc=proc)

    assert fate_of(identity, proc=proc) is Fate.UNKNOWN


def test_this_very_process_is_alive() -> None:
    me = identify()

    assert me.pid == os.getpid()
    assert fate_of(me) is Fate.ALIVE


def test_this_pid_with_another_start_time_is_somebody_who_is_gone() -> None:
    me = identify()

    assert fate_of(replace(me, start_ticks=me.start_ticks - 1)) is Fate.GONE
