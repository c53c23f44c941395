"""An attempt's part of a log is read from the journal as it was written there."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending, Outcome
from slurmband.errors import JournalFault
from slurmband.liveness import journal as journals
from slurmband.liveness import parts
from slurmband.liveness.journal import Journal
from slurmband.liveness.parts import Part
from tests.fakes.output import Files, write

pytestmark = pytest.mark.unit

WORKER = 7
COMPLETED = Ending(Outcome.COMPLETED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "journals").mkdir()
    return tmp_path / "journals"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    write(tmp_path / "log", "joined\n")
    return tmp_path / "log"


@pytest.fixture
def journal(folder: Path, log: Path) -> Iterator[Journal]:
    opened = Journal(folder, WORKER, durable=False, output=Files(out=log))
    yield opened
    opened.close()


def test_a_part_is_what_was_written_between_begin_and_end(
    journal: Journal, folder: Path, log: Path
) -> None:
    for attempt in (1, 2):
        journal.begun(attempt)
        write(log, "12345")
        journal.ended(attempt, COMPLETED)
        write(log, "slurmband's own\n")

    found = parts.read(folder, WORKER)

    assert [found[n].parts for n in (1, 2)] == [
        [Part("out", str(log), 7, 12)],
        [Part("out", str(log), 28, 33)],
    ]
    assert journals.read(folder, WORKER) == {1: COMPLETED, 2: COMPLETED}
    assert parts.logs_of(folder, WORKER) == [str(log)]


def test_an_attempt_that_did_not_end_has_a_part_without_end(
    journal: Journal, folder: Path, log: Path
) -> None:
    journal.begun(1)

    told = parts.read(folder, WORKER)[1]

    assert (told.parts, told.ended) == ([Part("out", str(log), 7)], False)


def test_the_name_of_a_log_is_told_once(journal: Journal, folder: Path, log: Path) -> None:
    for attempt in range(5):
        journal.begun(attempt)
        journal.ended(attempt, COMPLETED)

    assert (folder / f"{WORKER}.jsonl").read_text().count(str(log)) == 1


def test_two_files_make_two_parts(folder: Path, log: Path, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    errors.touch()
    journal = Journal(folder, WORKER, durable=False, output=Files(out=log, err=errors))
    journal.begun(1)
    write(errors, "123")
    journal.ended(1, COMPLETED)
    journal.close()

    assert parts.read(folder, WORKER)[1].parts == [
        Part("out", str(log), 7, 7),
        Part("err", str(errors), 0, 3),
    ]


def test_where_output_moves_meanwhile_the_end_is_not_known(
    folder: Path, log: Path, tmp_path: Path
) -> None:
    output = Files(out=log)
    journal = Journal(folder, WORKER, durable=False, output=output)
    journal.begun(1)
    write(tmp_path / "mine", "1")
    output.go_to(out=tmp_path / "mine")
    journal.ended(1, COMPLETED)
    journal.begun(2)
    journal.close()

    first, second = parts.read(folder, WORKER).values()

    assert (first.parts, first.ended) == ([Part("out", str(log), 7)], True)
    assert second.parts == [Part("out", str(tmp_path / "mine"), 1)]


def test_a_journal_without_marks_tells_of_attempts_and_no_parts(folder: Path) -> None:
    journal = Journal(folder, WORKER, durable=False)
    journal.begun(1)
    journal.ended(1, COMPLETED)
    journal.begun(2)
    journal.close()

    found = parts.read(folder, WORKER)

    assert {n: (told.parts, told.ended) for n, told in found.items()} == {
        1: ([], True),
        2: ([], False),
    }


def test_of_lines_that_are_there_twice_the_first_counts(
    journal: Journal, folder: Path, log: Path
) -> None:
    journal.begun(1)
    write(log, "12345")
    journal.ended(1, COMPLETED)
    write(log, "more")
    journal.begun(1)
    journal.ended(1, COMPLETED)

    assert parts.read(folder, WORKER)[1].parts == [Part("out", str(log), 7, 12)]


def test_a_name_that_could_not_be_written_is_told_again(
    journal: Journal, folder: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _text: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(JournalFault):
            journal.begun(1)
    journal.begun(1)

    assert parts.read(folder, WORKER)[1].parts == [Part("out", str(log), 7)]
