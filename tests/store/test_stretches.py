"""What one attempt printed is found in the log, or it is said why it cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slurmband.domain.attempts import Ending, Reason
from slurmband.domain.workers import Element, Worker
from slurmband.errors import UsageError
from slurmband.liveness.journal import Journal
from slurmband.observe import logs
from slurmband.observe.stretches import renewed
from tests.fakes.output import Files, write
from tests.store.builders import COMPLETED, FAILED, Bench, element, task

pytestmark = pytest.mark.unit

#: Writes as a worker's task does: begins an attempt, prints, and ends it, if an ending is given.
Do = Callable[..., None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "36_1.out").touch()
    return tmp_path / "36_1.out"


@pytest.fixture(autouse=True)
def graph(bench: Bench) -> None:
    bench.register(task("bake", failed=3), task("ice"))


@pytest.fixture
def do(bench: Bench, log: Path) -> Do:
    bench.store.layout.make()

    def do(
        worker: Worker,
        *,
        printing: str = "",
        ending: Ending | None = COMPLETED,
        now: float = 2.0,
        reported: bool = True,
    ) -> None:
        held = bench.claim(worker, now=now)
        output = Files(out=log)
        journal = Journal(bench.store.layout.journals, worker.key, durable=False, output=output)
        journal.begun(held.attempt)
        write(log, printing)
        if ending is not None:
            journal.ended(held.attempt, ending)
            if reported:
                bench.close(held, ending, now=now + 1)
        journal.close()

    return do


def arrive(bench: Bench, log: Path, restarts: int = 0, *, now: float = 1.0) -> Worker:
    return bench.arrive(element(restarts), log=str(log), now=now)


def test_the_newest_attempt_is_shown_and_the_others_by_their_numbers(
    bench: Bench, do: Do, log: Path
) -> None:
    worker = arrive(bench, log)
    do(worker, printing="first\n", ending=FAILED)
    do(worker, printing="the second\n", now=5.0)

    (newest,) = logs.find(bench.store, ["bake"])
    (first,) = logs.find(bench.store, ["bake"], attempt=1)

    assert logs.find(bench.store, ["bake"], known={"bake": 1}) == [first]
    assert (newest.attempt, newest.begin, newest.end, newest.grows) == (2, 6, 17, False)
    assert (first.attempt, first.begin, first.end) == (1, 0, 6)
    assert first.row() == {
        "task": "bake",
        "attempt": 1,
        "worker": "36_1",
        "node": "node7",
        "stream": "out",
        "log": str(log),
        "begin": 0,
        "end": 6,
        "note": None,
    }


def test_what_runs_has_no_end_until_its_end_is_written_down(
    bench: Bench, do: Do, log: Path
) -> None:
    worker = arrive(bench, log)
    do(worker, printing="so far\n", ending=None)
    (before,) = logs.find(bench.store, ["bake"])
    journals = bench.store.layout.journals
    assert renewed(before, journals) is before

    journal = Journal(journals, worker.key, durable=False, output=Files(out=log))
    journal.ended(1, COMPLETED)
    write(log, "of another task\n")
    after = renewed(before, journals)

    assert (before.end, before.grows) == (None, True)
    assert (after.end, after.grows) == (7, False)
    assert logs.find(bench.store, ["bake"]) == [after]


def test_of_an_attempt_that_died_all_up_to_the_next_begin_is_shown(
    bench: Bench, do: Do, log: Path
) -> None:
    do(arrive(bench, log), printing="cut o", ending=None)
    (alone,) = logs.find(bench.store, ["bake"])
    again = arrive(bench, log, 1, now=10.0)  # ends the one before
    write(log, "joined\n")
    do(again, printing="whole\n", now=11.0)

    (died,) = logs.find(bench.store, ["bake"], attempt=1)

    assert alone.grows
    assert (died.begin, died.end, died.grows, died.fault) == (0, 12, False, None)


def test_a_log_that_a_later_worker_overwrote_is_not_shown(bench: Bench, do: Do, log: Path) -> None:
    write(log, "joined with many words\n")
    do(arrive(bench, log), printing="first\n")
    log.write_text("again\n")
    do(arrive(bench, log, 1, now=10.0), printing="of ice, which is longer\n" * 9, now=11.0)

    (lost,) = logs.find(bench.store, ["bake"])
    (kept,) = logs.find(bench.store, ["ice"])

    assert lost.fault is not None
    assert "was overwritten by a later worker" in lost.fault
    assert kept.fault is None


@pytest.mark.parametrize(("left", "noted"), [(None, True), (1.5, False), (30.0, True)])
def test_lines_that_may_be_of_others_are_pointed_out(
    bench: Bench, do: Do, log: Path, left: float | None, *, noted: bool
) -> None:
    other = bench.arrive(element(rank=1), log=str(log), now=1.0)
    if left is not None:
        bench.leave(other, now=left)
    do(bench.arrive(element(rank=0), log=str(log), now=1.0))

    (found,) = logs.find(bench.store, ["bake"])

    assert (found.note is not None) is noted
    assert found.note is None or "36_1.1 wrote to the same log" in found.note


@pytest.mark.parametrize("beside", [element(array_task_id=2, job_id=38), element(rank=1)])
def test_a_worker_of_another_log_is_not_pointed_out(
    bench: Bench, do: Do, log: Path, beside: Element
) -> None:
    bench.arrive(beside, log=f"{log}2", now=1.0)
    do(arrive(bench, log))

    (found,) = logs.find(bench.store, ["bake"])

    assert found.note is None


def test_what_another_rank_began_before_is_no_end(bench: Bench, do: Do, log: Path) -> None:
    first = bench.arrive(element(rank=0), log=str(log), now=1.0)
    do(bench.arrive(element(rank=1), log=str(log), now=1.0), printing="of rank 1\n")
    do(first, printing="of rank 0\n", ending=None, now=4.0)
    bench.lose(first, journal={2: None})

    (died,) = logs.find(bench.store, ["ice"])

    assert (died.begin, died.end, died.fault) == (10, None, None)


def test_what_is_not_begun_has_printed_nothing(bench: Bench, do: Do, log: Path) -> None:
    with pytest.raises(UsageError, match="'bake' is ready and has not begun yet"):
        logs.find(bench.store, ["bake"])
    bench.claim(arrive(bench, log))

    with pytest.raises(UsageError, match="'bake' is running and has not begun yet"):
        logs.find(bench.store, ["bake"])
    with pytest.raises(UsageError, match="attempt 1 of 'bake' was claimed and not begun"):
        logs.find(bench.store, ["bake"], attempt=1)
    for number in (None, 2):
        (awaited,) = logs.find(bench.store, ["bake"], attempt=number, patient=True)
        assert (awaited.task, awaited.grows, awaited.begin) == ("bake", True, None)


def test_an_attempt_that_cannot_come_any_more_is_not_waited_for(
    bench: Bench, do: Do, log: Path
) -> None:
    worker = arrive(bench, log)
    held = bench.claim(worker)
    bench.lose(worker, Reason.PREEMPTED)
    assert bench.state("bake") == "ready"

    with pytest.raises(UsageError, match="was claimed and not begun"):
        logs.find(bench.store, ["bake"], attempt=held.number, patient=True)
    bench.cancel("bake")
    with pytest.raises(UsageError, match="'bake' is cancelled and has not begun"):
        logs.find(bench.store, ["bake"], patient=True)


def test_an_attempt_that_is_not_there_is_told_with_those_that_are(
    bench: Bench, do: Do, log: Path
) -> None:
    do(arrive(bench, log))

    with pytest.raises(UsageError, match=r"has no attempt 2 \(there are: 1;"):
        logs.find(bench.store, ["bake"], attempt=2)


def test_pruning_leaves_what_is_listed_to_be_read(bench: Bench, do: Do, log: Path) -> None:
    worker = arrive(bench, log)
    do(worker, printing="first\n", ending=FAILED)
    do(worker, printing="second\n", now=5.0)
    bench.prune(keep_latest=1, keep_events=0, keep_attempts=1)

    (kept,) = logs.find(bench.store, ["bake"])

    assert (kept.begin, kept.end) == (6, 13)
    with pytest.raises(UsageError, match=r"no attempt 1 \(there are: 2; `slurmband prune` may"):
        logs.find(bench.store, ["bake"], attempt=1)


def test_where_a_journal_is_gone_that_is_said(bench: Bench, do: Do, log: Path) -> None:
    worker = arrive(bench, log)
    do(worker)
    (bench.store.layout.journals / f"{worker.key}.jsonl").unlink()

    (found,) = logs.find(bench.store, ["bake"])

    assert (found.log, found.begin) == (str(log), None)
    assert found.fault is not None
    assert "the journal of worker 36_1 does not tell of it" in found.fault


def test_where_output_went_to_no_file_that_is_said(bench: Bench) -> None:
    bench.store.layout.make()
    worker = bench.arrive(element())
    held = bench.claim(worker)
    Journal(bench.store.layout.journals, worker.key, durable=False, output=Files()).begun(
        held.attempt
    )

    (found,) = logs.find(bench.store, ["bake"])
    (whole,) = logs.find(bench.store, ["36_1"])

    assert found.fault is not None
    assert "worker 36_1 wrote to a pipe (as under srun) or a terminal" in found.fault
    assert whole.fault == "worker 36_1 printed to a terminal or a pipe, and to no log."


def test_both_files_of_a_worker_are_found(bench: Bench, log: Path, tmp_path: Path) -> None:
    bench.store.layout.make()
    write(tmp_path / "errors", "warned\n")
    worker = arrive(bench, log)
    held = bench.claim(worker)
    output = Files(out=log, err=tmp_path / "errors")
    Journal(bench.store.layout.journals, worker.key, durable=False, output=output).begun(
        held.attempt
    )

    found = logs.find(bench.store, ["bake"])
    whole = logs.find(bench.store, ["36_1"])

    assert [(s.stream, s.begin) for s in found] == [("out", 0), ("err", 7)]
    assert [s.log for s in found] == [s.log for s in whole] == [str(log), str(tmp_path / "errors")]


def test_an_attempt_is_of_a_task_only(bench: Bench, log: Path) -> None:
    arrive(bench, log)

    with pytest.raises(UsageError, match="--attempt 1 is of a task"):
        logs.find(bench.store, ["36_1"], attempt=1)
