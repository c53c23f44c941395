"""A stretch of a log is read exactly: neither what stands before it, nor what came after it."""

from dataclasses import replace
from pathlib import Path

import pytest

from slurmband.errors import LogFault
from slurmband.observe import tail as reading
from slurmband.observe.stretches import Stretch
from slurmband.observe.tail import Tail
from tests.fakes.output import write

pytestmark = pytest.mark.unit


def tail_of(log: Path, begin: int = 0, end: int | None = None) -> Tail:
    return Tail(
        Stretch("36_1", "n7", str(log), begin, end, grows=end is None, task="bake", attempt=1)
    )


def all_of(tail: Tail) -> bytes:
    tail.look()
    return b"".join(tail.read())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write(tmp_path / "log", "before\none\ntwo\nthree\nafter\n")
    return tmp_path / "log"


def test_a_stretch_is_read_from_its_begin_to_its_end(log: Path) -> None:
    assert all_of(tail_of(log, 7, 21)) == b"one\ntwo\nthree\n"
    assert all_of(tail_of(log, 7)) == b"one\ntwo\nthree\nafter\n"
    assert all_of(tail_of(log, 7, 7)) == b""


@pytest.mark.parametrize("block", [1, 2, 5, 1 << 16])
@pytest.mark.parametrize(
    ("end", "lines", "found"),
    [
        (21, 0, b""),
        (21, 1, b"three\n"),
        (21, 2, b"two\nthree\n"),
        (21, 3, b"one\ntwo\nthree\n"),
        (21, 9, b"one\ntwo\nthree\n"),
        (19, 1, b"thre"),
        (19, 2, b"two\nthre"),
        (7, 1, b""),
    ],
)
def test_the_last_lines_are_those_of_the_stretch(
    log: Path, end: int, lines: int, found: bytes, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", block)
    tail = tail_of(log, 7, end)
    tail.look()
    tail.skip_to_last(lines)

    assert b"".join(tail.read()) == found


def test_what_is_added_is_read_at_the_next_look(log: Path) -> None:
    tail = tail_of(log, 21)
    assert all_of(tail) == b"after\n"

    write(log, "more\n")

    assert all_of(tail) == b"more\n"
    assert all_of(tail) == b""


def test_what_came_after_an_end_that_is_learnt_late_is_not_read(log: Path) -> None:
    tail = tail_of(log, 7)
    tail.look()
    write(log, "of another task\n")
    tail.stretch = replace(tail.stretch, grows=False)  # it ended, and nobody knows where

    assert b"".join(tail.read()) == b"one\ntwo\nthree\nafter\n"


def test_what_is_still_under_way_is_counted(log: Path) -> None:
    tail = tail_of(log, 21, 40)

    assert all_of(tail) == b"after\n"
    assert tail.missing == 13


def test_a_log_that_was_cut_off_is_no_place_to_read_from(log: Path) -> None:
    tail = tail_of(log, 21, 27)
    log.write_text("new\n")

    with pytest.raises(LogFault, match=r"has 4 bytes, and attempt 1 of 'bake' begins after 21"):
        tail.look()


def test_a_log_that_is_not_here_is_told_with_its_node(log: Path) -> None:
    log.unlink()

    with pytest.raises(LogFault, match=r"No such file or directory.* node n7 "):
        tail_of(log).look()


def test_why_a_stretch_cannot_be_shown_is_said(log: Path) -> None:
    tail = tail_of(log)
    tail.stretch = replace(tail.stretch, fault="worker 36_1 wrote to a pipe")

    with pytest.raises(LogFault, match="wrote to a pipe"):
        tail.look()
