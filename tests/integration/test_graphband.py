"""A Graphband in this very process: what a program of the user's own sees."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slurmband import BandStopped, Graphband, Task
from slurmband.clock import SystemClock
from slurmband.errors import FingerprintsChanged
from slurmband.graphband import dues, loop
from slurmband.liveness.beats import Beats
from slurmband.processes import identify
from slurmband.store import listings, membership
from slurmband.store.database import Store
from slurmband.store.entries import TaskEntry, session
from tests.integration.band import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "slurmband.sqlite"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def make(
    graph: Iterable[Task[Any]], db: Path, name: str = "alice", **options: Any
) -> Graphband[Any]:
    options = {"tqdm_kwargs": {"disable": True}} | options
    return Graphband(graph, db=db, identifier=name, **options)


def ids(tasks: Iterable[Task[Any]]) -> list[str]:
    return [task.id for task in tasks]


def states(db: Path) -> dict[str, str]:
    with session(db) as asked:
        return {task.id: task.state for task in asked.query(TaskEntry)}


# --- fingerprints -------------------------------------------------------------------------------


def bread(flour: str, *, topping: str = "salt") -> list[Task[None]]:
    """Bake depends on mill, and takes its fingerprint into its own."""
    return [
        Task("mill", fingerprint=flour),
        Task("bake", dependencies={"mill"}, fingerprint=f"{flour}+{topping}"),
        Task("wash"),
    ]


def test_a_program_that_is_run_again_does_what_is_outdated(db: Path) -> None:
    assert ids(make(bread("1"), db, enable_fingerprints=True)) == ["mill", "bake", "wash"]

    assert ids(make(bread("1"), db, enable_fingerprints=True)) == []
    assert ids(make(bread("1", topping="seeds"), db, enable_fingerprints=True)) == ["bake"]
    assert ids(make(bread("2"), db, enable_fingerprints=True)) == ["mill", "bake"]


def test_without_being_enabled_fingerprints_change_nothing(db: Path) -> None:
    list(make(bread("1"), db))

    assert ids(make(bread("2"), db)) == []


def test_the_environment_is_read_when_the_band_is_made(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(make(bread("1"), db))
    before = make(bread("2"), db)
    monkeypatch.setenv("SLURMBAND_ENABLE_FINGERPRINTS", "1")
    after = make(bread("2"), db)
    monkeypatch.delenv("SLURMBAND_ENABLE_FINGERPRINTS")

    assert ids(before) == []
    assert ids(after) == ["mill", "bake"]


def test_what_is_outdated_is_no_failure_under_the_policy_stop(db: Path) -> None:
    list(make(bread("1"), db))

    outdated = make(bread("2"), db, enable_fingerprints=True, failure_policy="stop")

    assert ids(outdated) == ["mill", "bake"]


def test_a_worker_that_comes_while_others_work_compares_nothing(
    db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    list(make(bread("1"), db))
    with make(bread("1"), db, "alice", enable_fingerprints=True) as alice:
        list(alice)

        with make(bread("2"), db, "bob", enable_fingerprints=True) as bob:
            assert ids(bob) == []

    assert "other workers are there" in caplog.text


def test_a_worker_whose_process_is_gone_is_nobody(db: Path) -> None:
    first = make(bread("1"), db)
    list(first)
    killed = replace(identify(), start_ticks=1)  # another process had this number before
    with first.store.transaction() as tx:
        membership.join(
            *(tx, "killed", killed, None, frozenset()), heartbeat_timeout=60, log=None, now=0.0
        )

    assert ids(make(bread("2"), db, enable_fingerprints=True)) == ["mill", "bake"]


def test_a_worker_of_older_fingerprints_stops_when_newer_are_registered(db: Path) -> None:
    with make(bread("1"), db, "alice") as alice:
        loop = iter(alice)
        next(loop)
        make(bread("2"), db, "bob", enable_fingerprints=True).register()

        with pytest.raises(FingerprintsChanged):
            next(loop)

    assert states(db) == {"mill": "invalidated", "bake": "waiting", "wash": "ready"}


# --- has_more_jobs ------------------------------------------------------------------------------


class HandClock(SystemClock):
    """The machine's clock, set forward by hand."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def test_an_answer_is_good_for_a_while_and_until_a_new_loop(db: Path) -> None:
    graph: list[Task[Any]] = [Task("a"), Task("b")]
    clock = HandClock()
    asking = make(graph, db, "asking", has_more_jobs_ttl=60.0)
    asking._clock = clock
    make(graph, db).register()
    assert asking.has_more_jobs

    list(make(graph, db, "bob"))
    assert asking.has_more_jobs  # it was asked a moment ago
    clock.ahead = 61.0
    assert not asking.has_more_jobs


def test_a_new_loop_forgets_the_answer(db: Path) -> None:
    band = make([Task("a")], db, has_more_jobs_ttl=3600.0)
    band.register()
    assert band.has_more_jobs

    assert ids(band) == ["a"]

    assert not band.has_more_jobs


def test_with_no_time_to_live_each_question_is_asked(db: Path) -> None:
    graph: list[Task[Any]] = [Task("a")]
    asking = make(graph, db, "asking", has_more_jobs_ttl=0.0)
    asking.register()
    assert asking.has_more_jobs
    list(make(graph, db, "bob"))

    assert not asking.has_more_jobs


def test_nothing_more_is_to_be_had_behind_a_failure(db: Path) -> None:
    band = make([Task("a"), Task("b", dependencies={"a"})], db)
    with contextlib.suppress(KeyError), band:
        for _ in band:
            raise KeyError

    assert states(db) == {"a": "failed", "b": "blocked"}
    assert not make([Task("a"), Task("b", dependencies={"a"})], db, "bob").has_more_jobs


def test_a_program_that_pauses_between_its_loops_is_not_held_up(
    db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    band = make([Task("a"), Task("b")], db, heartbeat_interval=0.02, heartbeat_timeout=0.05)
    with contextlib.closing(band):
        for _ in band:
            band.close()
        time.sleep(dues.PATIENCE * 0.05 + 0.1)

        beats = Beats(band.store.layout.beats)
        key = band._loop.begun().worker.key
        first = beats.read(key)
        wait_for(lambda: beats.read(key) != first, what="a beat")
        second = beats.read(key)
        wait_for(lambda: beats.read(key) != second, what="another beat")

    assert "held up" not in caplog.text


def test_a_failure_is_kept_whose_words_are_no_utf_8(db: Path) -> None:
    def run(task: Task[Any]) -> None:
        raise ValueError("caf\udce9.txt is empty")  # as a file's name may be

    make([Task("a")], db).run(run)

    with contextlib.closing(Store(db)) as store, store.read() as tx:
        (attempt,) = listings.attempt_rows(tx, "a")
    assert attempt["reason"] == "ValueError: caf\\udce9.txt is empty"
    assert "caf\\udce9.txt" in attempt["error"]


# --- several workers in one task ----------------------------------------------------------------


@pytest.fixture
def three(db: Path) -> Iterator[list[Iterator[Task[Any]]]]:
    """Three workers' loops over one task for two workers, and one that waits for it."""
    graph: list[Task[Any]] = [
        Task("shared", max_parallel_workers=2),
        Task("after", dependencies={"shared"}),
    ]
    with contextlib.ExitStack() as stack:
        bands = [stack.enter_context(make(graph, db, name)) for name in ("alice", "bob", "carol")]
        yield [iter(band) for band in bands]


def test_two_workers_are_in_one_task_and_a_third_is_not(
    three: list[Iterator[Task[Any]]], db: Path
) -> None:
    alice, bob, carol = three

    assert (next(alice).id, next(bob).id) == ("shared", "shared")
    assert next(carol, None) is None
    assert next(alice, None) is None  # alice completed; nobody joins any more
    assert states(db) == {"shared": "running", "after": "waiting"}

    assert next(bob).id == "after"
    assert states(db) == {"shared": "completed", "after": "running"}


# --- failures -----------------------------------------------------------------------------------


def test_the_policy_stop_names_the_task_that_failed(db: Path) -> None:
    graph: list[Task[Any]] = [Task("a"), Task("b"), Task("c")]
    with make(graph, db, "bob", failure_policy="stop") as bob:
        loop = iter(bob)
        next(loop)
        with contextlib.suppress(KeyError), make(graph, db, "alice") as alice:
            for _ in alice:
                raise KeyError

        with pytest.raises(BandStopped, match="task 'b' ended without completing"):
            next(loop)

    assert states(db) == {"a": "completed", "b": "failed", "c": "ready"}


def test_a_budget_of_the_task_s_own_wins(db: Path) -> None:
    graph: list[Task[Any]] = [Task("a", max_failed_retries=2), Task("b")]
    band = make(graph, db, max_failed_retries=0)
    seen: list[str] = []

    def fail(task: Task[Any]) -> None:
        seen.append(task.id)
        raise ValueError(task.id)

    band.run(fail)

    assert sorted(seen) == ["a", "a", "a", "b"]


# --- the end of a workflow ----------------------------------------------------------------------


def test_old_history_is_forgotten_when_nothing_is_left_to_do(db: Path) -> None:
    def fail_often(task: Task[Any]) -> None:
        assert task.attempt is not None
        if task.attempt <= 8:
            raise ValueError

    make([Task("a", max_failed_retries=9)], db).run(fail_often)

    def history() -> int:
        with session(db) as asked:
            return len(asked.query(TaskEntry).one().statuses)

    assert wait_for(lambda: history() == 10, what="the history is pruned")
    assert states(db) == {"a": "completed"}


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("killed_before", "killed_meanwhile", "how"),
    [
        (0, 1, ("killed", "out of memory")),
        (7, 0, ("failed", "ValueError: exit status 137")),
        (7, 1, ("killed", "out of memory")),
    ],
)
def test_a_failure_counts_as_one_of_memory_if_the_kernel_killed_something_meanwhile(
    db: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_before: int,
    killed_meanwhile: int,
    how: tuple[str, str],
) -> None:
    kills = [killed_before]
    monkeypatch.setattr(loop, "oom_kills", lambda: sum(kills))

    def run(_task: Task[None]) -> None:
        kills.append(killed_meanwhile)
        raise ValueError("exit status 137")

    with make([Task("bake", max_oom_retries=0)], db) as band:
        band.run(run)

    with contextlib.closing(sqlite3.connect(db)) as connection:
        assert connection.execute("SELECT outcome, reason FROM attempts").fetchall() == [how]
