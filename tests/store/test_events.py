"""The event log tells what happened, in order, by numbers that the database makes."""

import pytest

from slurmband.domain.attempts import Reason
from slurmband.observe import events as log
from slurmband.store import queries
from tests.store.builders import FAILED, Bench, finish, task

pytestmark = pytest.mark.unit


def told(bench: Bench) -> list[tuple[object, ...]]:
    rows = log.newest(bench.store, 99)
    return [(row["event"], row["task"], row["worker"], row["detail"]) for row in rows]


def test_every_step_of_a_task_is_told(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    finish(bench, bench.worker("alice"), "bake")

    assert told(bench) == [
        ("register", None, None, "revision 1, 2 tasks"),
        ("join", None, "alice", None),
        ("claim", "bake", "alice", None),
        ("complete", "bake", "alice", None),
        ("free", "serve", None, None),
    ]


def test_workers_come_and_go(bench: Bench) -> None:
    bench.register(task("bake"))
    bench.leave(bench.worker("alice"))
    bench.lose(bench.worker("bob"), Reason.PREEMPTED)

    assert told(bench)[1:] == [
        ("join", None, "alice", None),
        ("left", None, "alice", "left"),
        ("join", None, "bob", None),
        ("lost", None, "bob", "preempted"),
    ]


def test_an_event_says_when_in_which_attempt_and_what_became_of_the_task(bench: Bench) -> None:
    bench.register(task("bake"), failed=1)
    worker = bench.worker("alice")
    bench.close(bench.claim(worker), FAILED)
    bench.close(bench.claim(worker, now=7.0), FAILED, now=8.0)

    (failed,) = log.newest(bench.store, 1)

    assert failed == {
        "sequence": failed["sequence"],
        "time": "1970-01-01T00:00:08Z",
        "event": "fail",
        "task": "bake",
        "state": "failed",
        "worker": "alice",
        "attempt": 2,
        "detail": None,
    }


def test_the_numbers_only_grow_and_none_is_given_twice(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    finish(bench, bench.worker(), "bake", "serve")

    numbers = [row["sequence"] for row in log.newest(bench.store, 99)]

    assert numbers == sorted(set(numbers))
    with bench.store.read() as tx:
        assert queries.newest_event(tx) == numbers[-1]


def test_what_came_after_a_number_is_told_once(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    worker = bench.worker()
    finish(bench, worker, "bake")
    (newest,) = log.newest(bench.store, 1)
    finish(bench, worker, "serve")

    later = list(log.since(bench.store, newest["sequence"]))

    assert [(row["event"], row["task"]) for row in later] == [
        ("claim", "serve"),
        ("complete", "serve"),
    ]
    assert list(log.since(bench.store, later[-1]["sequence"])) == []


def test_catching_up_reads_in_parts_and_misses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_AT_A_TIME", 2)
    bench.register(task("bake"), task("serve", "bake"))
    finish(bench, bench.worker(), "bake", "serve")

    assert list(log.since(bench.store, 0)) == log.newest(bench.store, 99)


def test_the_events_of_some_tasks_only(bench: Bench) -> None:
    bench.register(task("bake"), task("serve", "bake"))
    finish(bench, bench.worker(), "bake", "serve")

    found = log.newest(bench.store, 2, tasks=["bake"])

    assert [(row["event"], row["task"]) for row in found] == [
        ("claim", "bake"),
        ("complete", "bake"),
    ]


def test_before_anything_happened_there_is_no_event(bench: Bench) -> None:
    assert log.newest(bench.store, 5) == []
    with bench.store.read() as tx:
        assert queries.newest_event(tx) == 0
