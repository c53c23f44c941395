"""Silence is measured by the observer's own clock, and only while it was looking."""

import os
from pathlib import Path

import pytest

from slurmband.liveness.beats import Beats, Watch, ages
from tests.fakes.clock import HandClock

pytestmark = pytest.mark.unit

GAP = 30.0


@pytest.fixture
def beats(tmp_path: Path) -> Beats:
    """Make a folder in which workers 1 and 2 have begun to beat."""
    made = Beats(tmp_path)
    for worker in (1, 2):
        made.start(worker)
    return made


@pytest.fixture
def clock() -> HandClock:
    """Make the observer's clock."""
    return HandClock()


def look_after(
    seconds: float, watch: Watch, clock: HandClock, workers: tuple[int, ...] = (1, 2)
) -> dict[int, float]:
    clock.forward(seconds)
    return watch.look(list(workers), longest_gap=GAP)


def beat(beats: Beats, worker: int, number: int) -> None:
    beats.file(worker).write_text(f"{number}\n")


def test_at_the_first_look_nobody_has_been_silent(beats: Beats, clock: HandClock) -> None:
    assert look_after(0, Watch(beats, clock), clock) == {1: 0.0, 2: 0.0}


def test_silence_grows_while_a_beat_stands_still(beats: Beats, clock: HandClock) -> None:
    watch = Watch(beats, clock)

    seen = [look_after(10, watch, clock)[1] for _ in range(4)]

    assert seen == [0.0, 10.0, 20.0, 30.0]


def test_a_beat_that_moves_ends_its_own_silence_and_no_others(
    beats: Beats, clock: HandClock
) -> None:
    watch = Watch(beats, clock)
    look_after(0, watch, clock)
    look_after(10, watch, clock)

    beat(beats, 1, 1)

    assert look_after(10, watch, clock) == {1: 0.0, 2: 20.0}
    assert look_after(10, watch, clock) == {1: 10.0, 2: 30.0}


def test_an_observer_that_was_itself_away_starts_anew(beats: Beats, clock: HandClock) -> None:
    watch = Watch(beats, clock)
    look_after(0, watch, clock)
    look_after(10, watch, clock)

    assert look_after(GAP + 0.1, watch, clock) == {1: 0.0, 2: 0.0}
    assert look_after(10, watch, clock) == {1: 10.0, 2: 10.0}


def test_an_observer_that_looks_just_in_time_goes_on(beats: Beats, clock: HandClock) -> None:
    watch = Watch(beats, clock)
    look_after(0, watch, clock)

    assert look_after(GAP, watch, clock) == {1: 30.0, 2: 30.0}


def test_a_worker_without_a_file_is_silent_from_when_that_was_seen(
    beats: Beats, clock: HandClock
) -> None:
    watch = Watch(beats, clock)
    look_after(0, watch, clock)
    beats.end(1)

    assert [look_after(10, watch, clock, (1,))[1] for _ in range(3)] == [0.0, 10.0, 20.0]
    beats.start(1)
    assert look_after(10, watch, clock, (1,)) == {1: 0.0}


def test_a_worker_that_was_not_looked_at_is_new_when_it_is(beats: Beats, clock: HandClock) -> None:
    watch = Watch(beats, clock)
    look_after(0, watch, clock)
    look_after(10, watch, clock, (2,))

    assert look_after(10, watch, clock) == {1: 0.0, 2: 20.0}


def test_a_beat_is_read_as_it_stands_and_is_none_once_ended(beats: Beats) -> None:
    beat(beats, 1, 7)
    assert beats.read(1) == "7\n"

    beats.end(1)
    beats.end(1)  # twice does no harm

    assert beats.read(1) is None


# --- ages, for a command that cannot watch --------------------------------------------------------


def stamp_in_the_past(beats: Beats, worker: int, seconds: float) -> None:
    stamp = beats.file(worker).stat().st_mtime - seconds
    os.utime(beats.file(worker), (stamp, stamp))


@pytest.mark.parametrize(
    ("file_system", "local"), [("nfs", False), ("nfs4", False), ("ext4", True), ("lustre", True)]
)
def test_where_one_clock_stamps_all_files_a_beat_is_as_old_as_its_file(
    beats: Beats, file_system: str, *, local: bool
) -> None:
    stamp_in_the_past(beats, 1, 5000.0)

    found = ages(beats, [1, 2, 3], file_system=file_system, local=local)

    assert set(found) == {1, 2}
    assert found[1] - found[2] == pytest.approx(5000.0, abs=1.0)


def test_looking_at_ages_leaves_nothing_behind(beats: Beats) -> None:
    ages(beats, [1], file_system="nfs4", local=False)

    assert sorted(file.name for file in beats.folder.iterdir()) == ["1", "2"]


@pytest.mark.parametrize("file_system", ["lustre", "gpfs", "cifs", "fuse.sshfs"])
def test_where_clients_stamp_the_files_nothing_is_told(beats: Beats, file_system: str) -> None:
    assert ages(beats, [1], file_system=file_system, local=False) == {}
