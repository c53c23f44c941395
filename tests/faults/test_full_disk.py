"""A disk that is full for a while: what is known is kept, and told once, when there is room again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending, Outcome
from slurmband.liveness import journal
from tests.faults.facts import facts
from tests.faults.heir import inherit
from tests.faults.strace import attached
from tests.faults.warm import Warm

pytestmark = pytest.mark.integration

#: Bytes of the disk: room for a band, and not much more.
SIZE = 2 << 20
TASKS = 8


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk; needs root."""
    made = tmp_path / "disk"
    made.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "slurmband-test", str(made)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield made
    subprocess.run(["umount", "--lazy", str(made)], check=True)


@pytest.fixture
def worker() -> Iterator[Warm]:
    """Start the writer's program; nothing but a full disk is needed."""
    warm = Warm()
    yield warm
    warm.end()


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    waste = disk / "waste"
    with waste.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"\0" * 4096)
            except OSError:
                return waste


def pauses(worker: Warm, times: int) -> list[str]:
    """Let the worker try so often; return what it logged."""
    logged: list[str] = []
    for _ in range(times):
        logged += worker.go()["warnings"]
        assert "pause" in worker.words, worker.words
    return logged


def test_a_result_is_kept_while_there_is_no_room_and_told_once(worker: Warm, disk: Path) -> None:
    database = disk / "slurmband.sqlite"
    worker.begin(database, TASKS)
    held = worker.words
    waste = fill(disk)

    logged = pauses(worker, 4)
    assert any("full" in line and "quota" in line for line in logged), logged
    assert facts(database).ends_of(held["task"]) == [None]
    waste.unlink()
    worker.go()

    assert worker.in_task
    assert facts(database).ends_of(held["task"]) == ["completed"]
    ended = journal.read(disk / "slurmband.sqlite.d" / "journals", worker=1)[held["attempt"]]
    assert ended is not None
    assert ended.outcome is Outcome.COMPLETED


def test_the_pauses_grow_to_ten_seconds(worker: Warm, disk: Path) -> None:
    """Or a thousand workers would keep a full file server busy."""
    worker.begin(disk / "slurmband.sqlite", TASKS)
    fill(disk)

    pauses(worker, 9)

    assert worker.words["pause"] == 10.0


def no_room_for(file: Path) -> tuple[str, ...]:
    """Write the arguments by which strace lets every write to one file fail."""
    return ("-P", str(file), "-e", "trace=write", "-e", "inject=write:error=ENOSPC")


def test_nothing_begins_that_cannot_be_written_down(traced: Warm, folder: Path) -> None:
    database = folder / "slurmband.sqlite"
    traced.begin(database, TASKS, rounds=0)
    held, journals = traced.words, folder / "slurmband.sqlite.d" / "journals"

    with attached(traced.pid, *no_room_for(journals / "1.jsonl")):
        logged = pauses(traced, 3)

        assert "journal" in logged[-1]
        assert "quota" in logged[-1]
        assert facts(database).ends_of(held["task"]) == ["completed"]
        assert facts(database).ends_of("t0001") == [None]  # held, and not begun
        assert journal.read(journals, worker=1) == {held["attempt"]: None}
    traced.go()

    assert traced.in_task
    assert journal.read(journals, worker=1) == {
        held["attempt"]: Ending(Outcome.COMPLETED),
        traced.words["attempt"]: None,
    }


def test_what_cannot_begin_is_handed_back_by_who_leaves(traced: Warm, folder: Path) -> None:
    database = folder / "slurmband.sqlite"
    traced.begin(database, TASKS, rounds=0)

    with attached(traced.pid, *no_room_for(folder / "slurmband.sqlite.d/journals/1.jsonl")):
        pauses(traced, 2)
        os.kill(traced.pid, signal.SIGTERM)
        traced.go()

    assert traced.ended
    assert facts(database).ends_of("t0000") == ["completed"]
    assert facts(database).ends_of("t0001") == ["released"]


def test_who_dies_before_the_journal_could_be_written_is_charged_for_nothing_unknown(
    traced: Warm, folder: Path
) -> None:
    """What was claimed and never begun is given back unharmed."""
    database = folder / "slurmband.sqlite"
    traced.begin(database, TASKS, rounds=0)
    with attached(traced.pid, *no_room_for(folder / "slurmband.sqlite.d/journals/1.jsonl")):
        pauses(traced, 2)
        os.kill(traced.pid, signal.SIGKILL)
        traced.go()

    found = inherit(database, TASKS)

    assert [end for _, (task, end) in found["after"] if task == "t0001"] == [
        "released",
        "completed",
    ]


def test_what_ended_is_written_down_as_soon_as_that_can_be(traced: Warm, disk: Path) -> None:
    """Before it can be reported: whoever finds this worker dead must not do it again."""
    database, journals = disk / "slurmband.sqlite", disk / "slurmband.sqlite.d" / "journals"
    traced.begin(database, TASKS)
    held = traced.words
    fill(disk)
    with attached(traced.pid, *no_room_for(journals / "1.jsonl")):
        pauses(traced, 1)
    assert journal.read(journals, worker=1)[held["attempt"]] is None

    pauses(traced, 1)  # there is room on the page that the journal has, and on no other

    assert journal.read(journals, worker=1)[held["attempt"]] == Ending(Outcome.COMPLETED)
    assert facts(database).ends_of(held["task"]) == [None]
