"""What a guardian releases for a worker that cannot listen: each attempt as the journal tells of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from slurmband.domain.workers import Worker
from slurmband.liveness.release import release
from slurmband.store.database import Store, Transaction
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit

ENDED = {"outcome": "completed", "reason": None, "error": None}
ENDINGS = """
    SELECT tasks.id, outcome, reason FROM attempts JOIN tasks ON tasks.key = attempts.task
    ORDER BY attempts.id
"""


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """One that has three tasks: it did the first, is in the second, and has not begun the third."""
    bench.register(task("done"), task("begun"), task("ahead"))
    alice = bench.worker()
    done, begun, _ = bench.claims(alice)
    lines = [{"begun": done.attempt}, {"ended": done.attempt, **ENDED}, {"begun": begun.attempt}]
    journal = bench.store.layout.journals / f"{alice.key}.jsonl"
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (bench.store.layout.beats / str(alice.key)).touch()
    return alice


def test_what_had_ended_is_recorded_and_the_rest_is_released(bench: Bench, worker: Worker) -> None:
    release(str(bench.store.layout.database), worker.key)

    assert bench.rows(ENDINGS) == [
        ("done", "completed", None),
        ("begun", "released", "drained"),
        ("ahead", "released", "not begun"),
    ]


def test_what_ends_while_the_database_is_waited_for_is_recorded_too(
    bench: Bench, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(Store):
        @contextmanager
        def transaction(self) -> Iterator[Transaction]:
            with (self.layout.journals / f"{worker.key}.jsonl").open("a") as journal:
                journal.write(json.dumps({"ended": 2, **ENDED}) + "\n")
            with super().transaction() as tx:
                yield tx

    monkeypatch.setattr("slurmband.liveness.release.Store", Busy)

    release(str(bench.store.layout.database), worker.key)

    assert bench.rows(ENDINGS)[1] == ("begun", "completed", None)


def test_at_the_end_of_its_job_only_what_was_begun_came_to_the_wall(
    bench: Bench, worker: Worker
) -> None:
    bench.write("UPDATE workers SET ends_at = 1.0")

    release(str(bench.store.layout.database), worker.key)

    assert [row[1:] for row in bench.rows(ENDINGS)[1:]] == [
        ("released", "time limit"),
        ("released", "not begun"),
    ]
    assert bench.rows("SELECT walls FROM tasks ORDER BY key") == [(0,), (1,), (0,)]


@pytest.mark.parametrize(("overdue", "ending"), [(2, ("killed",)), (1, ("released",))])
def test_an_overdue_attempt_is_charged_unless_it_ended_at_last(
    bench: Bench, worker: Worker, overdue: int, ending: tuple[str]
) -> None:
    release(str(bench.store.layout.database), worker.key, overdue)

    assert bench.rows(ENDINGS)[0] == ("done", "completed", None)
    assert bench.rows("SELECT outcome FROM attempts WHERE id = 2") == [ending]
