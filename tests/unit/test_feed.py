"""A feed reads its source as far as it is asked, and tells its end and its errors in their place."""

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from slurmband.domain.task import Task
from slurmband.errors import DuplicateTask, TaskNotYielded
from slurmband.graphband.feed import Feed

pytestmark = pytest.mark.unit

LONG = 60.0


def names(tasks: list[Task[Any]]) -> list[str]:
    return [task.id for task in tasks]


def letters(word: str, then: Callable[[], object] = lambda: None) -> Iterator[Task[Any]]:
    yield from map(Task, word)
    then()


def never() -> bool:
    return False


def test_an_endless_source_is_read_as_far_as_it_is_asked_for() -> None:
    read: list[int] = []

    def endless() -> Iterator[Task[Any]]:
        for n in itertools.count():
            read.append(n)
            yield Task(str(n))

    feed = Feed(endless)

    assert names(feed.new((), limit=3, seconds=LONG)[0]) == ["0", "1", "2"]
    assert names(feed.new({"0", "1"}, limit=2, seconds=LONG)[0]) == ["2", "3"]
    assert read == [0, 1, 2, 3]


def test_the_same_tasks_come_again_until_they_are_known() -> None:
    feed = Feed(lambda: letters("abc"))

    assert names(feed.new((), limit=2, seconds=LONG)[0]) == ["a", "b"]
    assert names(feed.new((), limit=2, seconds=LONG)[0]) == ["a", "b"]


def test_the_end_is_told_with_the_last_of_its_tasks() -> None:
    feed = Feed(lambda: letters("abc"))

    assert feed.new((), limit=3, seconds=LONG)[1] is False  # nobody asked for more, so who knows
    tasks, ends = feed.new("ab", limit=3, seconds=LONG)

    assert (names(tasks), ends) == (["c"], True)
    assert feed.new("abc", limit=3, seconds=LONG) == ([], True)


def test_what_is_known_is_passed_over() -> None:
    feed = Feed(lambda: letters("abcdefgh"))

    assert names(feed.new("abcdefg", limit=1, seconds=LONG)[0]) == ["h"]


def test_a_source_that_waits_keeps_nobody_waiting_for_what_it_gave_before() -> None:
    go = threading.Event()

    def waiting() -> Iterator[Task[Any]]:
        yield Task("a")
        go.wait(LONG)
        yield Task("b")

    feed = Feed(waiting)
    assert names(feed.new((), limit=9, seconds=0.01)[0] or feed.new((), limit=1, seconds=LONG)[0])
    assert feed.new("a", limit=9, seconds=0.01) == ([], False)

    go.set()

    assert names(feed.new("a", limit=1, seconds=LONG)[0]) == ["b"]


def test_an_error_comes_after_what_was_yielded_before_it() -> None:
    feed = Feed(lambda: letters("ab", then=lambda: 1 / 0))

    assert feed.new((), limit=9, seconds=LONG) == ([Task("a"), Task("b")], False)
    with pytest.raises(ZeroDivisionError):
        feed.new("ab", limit=9, seconds=LONG)


def test_tasks_are_checked_as_they_come() -> None:
    feed: Feed[Any] = Feed(lambda: [Task("a"), Task("a"), Task("a", priority=1)])

    assert names(feed.new((), limit=9, seconds=LONG)[0]) == ["a"]
    with pytest.raises(DuplicateTask):
        feed.new("a", limit=9, seconds=LONG)


def test_a_task_is_found_by_reading_on() -> None:
    feed: Feed[Any] = Feed(lambda: letters("abc"))

    assert feed.find("b", never) == Task("b")
    assert names(feed.new((), limit=9, seconds=LONG)[0]) == ["a", "b", "c"]
    assert feed.find("a", never) == Task("a")


def test_a_task_that_the_source_does_not_have_is_told() -> None:
    with pytest.raises(TaskNotYielded, match="'x' is registered"):
        Feed(lambda: letters("abc")).find("x", never)


def test_an_error_on_the_way_to_a_task_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        Feed(lambda: letters("abc", then=lambda: 1 / 0)).find("x", never)


def test_the_search_is_given_up_when_the_worker_is_to_leave() -> None:
    go = threading.Event()
    feed: Feed[Any] = Feed(lambda: letters("a", then=lambda: go.wait(LONG)))

    assert feed.find("x", lambda: True) is None

    go.set()


def test_all_of_a_source_is_read_by_one_thread_which_ends_with_the_feed() -> None:
    threads: set[threading.Thread] = set()

    def noting() -> Iterator[Task[Any]]:
        try:
            for name in itertools.count():
                threads.add(threading.current_thread())
                yield Task(str(name))
        finally:
            threads.add(threading.current_thread())

    feed = Feed(noting)
    feed.new((), limit=1, seconds=LONG)
    feed.find("5", never)
    feed.close()

    (thread,) = threads
    thread.join(LONG)
    assert not thread.is_alive()
    assert len(threads) == 1


def test_the_thread_takes_no_signal_from_the_worker() -> None:
    def masked() -> Iterator[Task[Any]]:
        yield from (
            Task(signal.Signals(number).name)
            for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        )

    tasks, _ = Feed(masked).new((), limit=9, seconds=LONG)

    assert {"SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"} <= set(names(tasks))
