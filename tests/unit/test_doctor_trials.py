"""A file system that keeps what slurmband rests on passes every trial; one that lies is found out."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from slurmband.doctor import trials
from slurmband.doctor.findings import Finding, Level
from slurmband.doctor.moves import WHOLE, Moves
from slurmband.doctor.trials import LOOKS, TRIALS
from slurmband.errors import MoveFailed

pytestmark = pytest.mark.unit

#: A move as a bad file system makes it: takes what it would have answered, the side, and the words.
Lie = Callable[[Any, int, dict[str, Any]], Any]
BY_NAME = dict(TRIALS)


class Sides:
    """Two sides in this process, on a folder that may lie."""

    def __init__(
        self, folder: Path, lies: Mapping[str, Lie] | None = None, *, apart: bool = False
    ) -> None:
        self._moves = [Moves(folder, side) for side in (0, 1)]
        self._lies = lies or {}
        self._locked: set[str] = set()
        self.apart = apart
        self.between = "n1 and n2"

    def ask(self, side: int, move: str, **words: Any) -> Any:
        honest = self._make(side, move, words)
        return self._lies[move](honest, side, words) if move in self._lies else honest

    def both(self, first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]) -> Any:
        answers: list[Any] = [None, None]

        def go(side: int, move: str, words: dict[str, Any]) -> None:
            answers[side] = self.ask(side, move, **words)

        threads = [
            threading.Thread(target=go, args=(side, *wish))
            for side, wish in enumerate((first, second))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def _make(self, side: int, move: str, words: dict[str, Any]) -> Any:
        """Make a move; POSIX locks do not part the sides of one process, so these are kept here."""
        if move == "lock":
            free = words["name"] not in self._locked
            self._locked.add(words["name"])
            return free
        if move == "unlock":
            return self._locked.discard(words["name"])
        return self._moves[side].make(move, words)


def run(name: str, sides: Sides, mode: str = "shared") -> Finding:
    return trials.run(sides, name, BY_NAME[name], mode)


@pytest.mark.parametrize("name", BY_NAME)
def test_an_honest_file_system_passes(tmp_path: Path, name: str) -> None:
    found = run(name, Sides(tmp_path))

    assert (found.name, found.level, found.advice) == (name, Level.OK, "")
    assert "n1 and n2" in found.found


def stale(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return "what was before"


def second_side_is_stale(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return "what was before" if side == 1 else honest


def all_won(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return [True] * len(honest)


def none_won(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return [False] * len(honest)


def torn(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return ["a part", "no file"]


def granted(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return True


def never(honest: Any, side: int, words: dict[str, Any]) -> Any:
    return False


@pytest.mark.parametrize(
    ("name", "lies", "says"),
    [
        ("hard links", {"link_all": all_won}, "200 were had by both"),
        ("hard links", {"link_all": none_won}, "200 by neither"),
        ("exclusive names", {"create_all": all_won}, "200 were had by both"),
        ("rename", {"read_often": torn}, "seen as a part and no file (2 of 200 times)"),
        ("rename", {"read_freshly": stale}, "20 of 20 times what was no more was seen"),
        ("symbolic links", {"read_freshly": second_side_is_stale}, "10 of 20 times"),
        ("open after write", {"read": stale}, "20 of 20 times"),
        ("open after write", {"read": second_side_is_stale}, "10 of 20 times"),
        ("append", {"read": stale}, "20 of 20 times"),
        ("new names", {"read_freshly": stale}, "20 of 20 times"),
        ("fcntl locks", {"lock": granted}, "both sides held one lock at once"),
        ("fcntl locks", {"lock": never}, "was not to be had"),
    ],
)
def test_a_file_system_that_lies_is_found_out(
    tmp_path: Path, name: str, lies: dict[str, Lie], says: str
) -> None:
    found = run(name, Sides(tmp_path, lies))

    assert (found.name, found.level, bool(found.advice)) == (name, Level.ERROR, True)
    assert says in found.found


@pytest.mark.parametrize("name", ["rename", "new names"])
def test_what_is_seen_late_and_fresh_when_asked_is_no_fault(tmp_path: Path, name: str) -> None:
    found = run(name, Sides(tmp_path, {"read": stale}))

    assert found.level is Level.OK
    assert f"{LOOKS} of {LOOKS} seen late" in found.found


def test_a_lock_that_does_not_come_back_is_found(tmp_path: Path) -> None:
    sides = Sides(tmp_path, {"unlock": lambda _honest, _side, words: sides.ask(0, "lock", **words)})

    assert "was not to be had" in run("fcntl locks", sides).found


def test_locks_that_do_not_reach_the_other_machine_are_a_warning(tmp_path: Path) -> None:
    found = run("fcntl locks", Sides(tmp_path, {"lock": granted}, apart=True))

    assert found.level is Level.WARNING


def refused(honest: Any, side: int, words: dict[str, Any]) -> Any:
    raise MoveFailed("Operation not supported (EOPNOTSUPP)")


@pytest.mark.parametrize(
    ("name", "lies", "mode", "level"),
    [
        ("append", {"append": refused}, "local", Level.ERROR),
        ("fcntl locks", {"lock": refused}, "shared", Level.ERROR),
        ("symbolic links", {"point": refused}, "shared", Level.ERROR),
        ("symbolic links", {"point": refused}, "local", Level.WARNING),
    ],
)
def test_what_the_file_system_refuses_is_told(
    tmp_path: Path, name: str, lies: dict[str, Lie], mode: str, level: Level
) -> None:
    found = run(name, Sides(tmp_path, lies), mode)

    assert found.level is level
    assert "refused" in found.found
    assert "EOPNOTSUPP" in found.found


# --- the moves themselves ---------------------------------------------------------------------------


def test_a_link_whose_reply_was_lost_is_won(tmp_path: Path) -> None:
    moves = Moves(tmp_path, 0)

    assert moves.link_all(["a"]) == [True]
    assert moves.link_all(["a"]) == [True]
    assert Moves(tmp_path, 1).link_all(["a", "b"]) == [False, True]


def test_only_the_first_makes_a_name(tmp_path: Path) -> None:
    assert Moves(tmp_path, 0).create_all(["a"]) == [True]
    assert Moves(tmp_path, 1).create_all(["a", "b"]) == [False, True]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("a" * WHOLE, []),
        ("a" * (WHOLE - 1), ["a part"]),
        ("a" * (WHOLE - 1) + "b", ["a part"]),
        (None, ["no file"]),
    ],
)
def test_what_is_not_one_whole_file_is_seen(
    tmp_path: Path, text: str | None, faults: list[str]
) -> None:
    if text is not None:
        (tmp_path / "x").write_text(text)

    assert Moves(tmp_path, 0).read_often("x", 1) == faults


def test_a_rewritten_file_is_not_made_anew(tmp_path: Path) -> None:
    moves = Moves(tmp_path, 0)
    moves.write("x", "one")
    before = (tmp_path / "x").stat().st_ino

    moves.rewrite("x", "two")

    assert (moves.read("x"), (tmp_path / "x").stat().st_ino) == ("two", before)
    with pytest.raises(FileNotFoundError):
        moves.rewrite("y", "two")
