"""Workers of a node read each other's requests, and nobody else's."""

import os
import pickle
import time
from pathlib import Path

import pytest

from slurmband.domain.attempts import Claim, Ending, Outcome
from slurmband.domain.pace import Wish
from slurmband.domain.workers import Worker
from slurmband.graphband.publications import Publications, RoundErrand
from slurmband.graphband.rounds import Request, Round
from slurmband.processes import identify

pytestmark = pytest.mark.unit

HELD = Claim(7, "bake", 3, 1, 0, awaited=True)
FOUND = Round(claims=[HELD], completed=4, total=9, left=5)


def request(worker: int, number: int = 1) -> Request:
    who = Worker(worker, f"w{worker}", identify(), None, frozenset({"gpu"}))
    ended = (HELD, Ending(Outcome.FAILED, "ValueError", "Traceback\n"))
    return Request(who, number, number - 1, [ended], Wish(4, 2, 1), {5, 6})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ours"
    made.mkdir(mode=0o700)
    return made / "band.d"


def of(folder: Path | None, worker: int, *alike: object) -> Publications:
    return Publications(folder, worker, alike or ("digest",))


def test_another_worker_reads_a_request_as_it_was_made(folder: Path) -> None:
    asked = request(1)
    of(folder, 1).publish(asked)

    assert list(of(folder, 2).of_others()) == [asked]


def test_nobody_reads_its_own_request(folder: Path) -> None:
    publications = of(folder, 1)
    publications.publish(request(1))

    assert list(publications.of_others()) == []


def test_an_answer_comes_back_once(folder: Path) -> None:
    asking, doing, asked = of(folder, 1), of(folder, 2), request(1)
    errand = RoundErrand(asking, asked)
    errand.leave()
    assert not errand.is_done()

    doing.answer(asked, FOUND)

    assert errand.is_done()
    assert list(doing.of_others()) == []
    assert asking.withdraw(asked) == FOUND
    assert not errand.is_done()
    assert list(folder.iterdir()) == []


def test_a_request_that_was_withdrawn_is_not_read(folder: Path) -> None:
    asking, asked = of(folder, 1), request(1)
    asking.publish(asked)

    assert asking.withdraw(asked) is None
    assert list(of(folder, 2).of_others()) == []


def test_the_answer_to_another_round_is_none_to_this_one(folder: Path) -> None:
    asking = of(folder, 1)
    asking.publish(request(1, number=2))
    of(folder, 2).answer(request(1, number=1), FOUND)

    assert not asking.is_answered(request(1, number=2))
    assert asking.withdraw(request(1, number=2)) is None


def test_who_does_rounds_in_another_way_does_not_do_this_one(folder: Path) -> None:
    of(folder, 1, "digest", "stop").publish(request(1))

    assert list(of(folder, 2, "digest", "continue").of_others()) == []


@pytest.mark.parametrize(
    "words", [b"", b"rubbish", pickle.dumps("a word"), pickle.dumps(FOUND)[:9]]
)
def test_what_cannot_be_read_says_nothing(folder: Path, words: bytes) -> None:
    asking, asked = of(folder, 1), request(1)
    asking.publish(asked)
    of(folder, 2).answer(asked, FOUND)
    (told,) = folder.iterdir()
    told.write_bytes(words)
    told.with_suffix(".asked").write_bytes(words)

    assert list(of(folder, 2).of_others()) == []
    assert asking.withdraw(asked) is None


@pytest.mark.parametrize("spoilt", ["folder", "parent"])
def test_nothing_is_published_where_somebody_else_could_write(folder: Path, spoilt: str) -> None:
    folder.mkdir()
    (folder if spoilt == "folder" else folder.parent).chmod(0o777)
    asking, asked = of(folder, 1), request(1)

    asking.publish(asked)

    assert list(folder.iterdir()) == []
    assert not asking.is_answered(asked)
    assert asking.withdraw(asked) is None


def test_a_folder_that_is_a_link_is_not_ours(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")

    of(folder, 1).publish(request(1))

    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("place", [None, "/proc/nowhere/band.d"])
def test_where_there_is_no_place_it_goes_on_without(place: str | None) -> None:
    nowhere, asked = of(Path(place) if place else None, 1), request(1)

    nowhere.publish(asked)

    assert list(nowhere.of_others()) == []
    assert nowhere.withdraw(asked) is None
    nowhere.answer(request(2), FOUND)


def test_what_the_dead_left_behind_is_removed_and_nothing_else(folder: Path) -> None:
    of(folder, 1).publish(request(1))
    of(folder, 2).answer(request(3), FOUND)
    old, new = sorted(folder.iterdir())
    os.utime(old, (0, 0))

    of(folder, 4).tidy(now=time.time())

    assert list(folder.iterdir()) == [new]


def test_a_folder_that_vanished_is_an_answer_less(folder: Path) -> None:
    asking, asked = of(folder, 1), request(1)
    folder.rmdir()

    asking.publish(asked)

    assert list(of(folder, 2).of_others()) == []
    assert asking.withdraw(asked) is None
