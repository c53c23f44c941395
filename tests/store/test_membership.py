"""Workers join, leave and are lost; and what becomes of what they held."""

from dataclasses import replace
from pathlib import Path

import pytest

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.processes import Fate, ProcessIdentity
from slurmband.domain.workers import Worker, WorkerStatus
from slurmband.errors import (
    ClaimLost,
    InvariantBroken,
    RaceLost,
    WorkerAlive,
    WorkerLost,
    WorkerMoved,
)
from slurmband.liveness.beats import Beats
from slurmband.liveness.journal import Journal
from slurmband.store import listings, membership, queries
from tests.store.builders import COMPLETED, ELSEWHERE, FAILED, Bench, element, never, task

pytestmark = pytest.mark.unit

STATUS = "SELECT name, status, reason, ended_at FROM workers ORDER BY key"
CHARGED = [Reason.PROCESS_GONE, Reason.OUT_OF_MEMORY, Reason.SILENT]
UNCHARGED = [Reason.PREEMPTED, Reason.NODE_FAILURE, Reason.CANCELLED, Reason.REQUEUED]
NOT_BEGUN = Ending(Outcome.RELEASED, Reason.NOT_BEGUN)


@pytest.fixture
def graph(bench: Bench) -> Bench:
    bench.register(*(task(name) for name in ("bake", "boil", "fry")), failed=0, killed=0)
    return bench


def test_who_joined_is_found_again_as_it_joined(graph: Bench) -> None:
    alice = graph.arrive(element(rank=3), now=4.0)

    with graph.store.read() as tx:
        assert queries.live_workers(tx) == [(alice, 60.0)]
        assert queries.worker_by_key(tx, alice.key) == alice
    assert alice.name == "36_1.3"
    assert graph.rows(STATUS) == [("36_1.3", "alive", None, None)]


def test_only_who_has_not_ended_is_a_live_worker(graph: Bench) -> None:
    left, lost, here = (graph.worker(name) for name in ("alice", "bob", "carol"))
    graph.leave(left)
    graph.lose(lost)

    with graph.store.read() as tx:
        assert [worker for worker, _ in queries.live_workers(tx)] == [here]
        assert queries.worker_by_key(tx, here.key) == here


def test_two_workers_of_one_name_do_not_live_together(graph: Bench) -> None:
    graph.worker("alice")

    with pytest.raises(WorkerAlive, match="pid 700 on node7"):
        graph.worker("alice")

    assert graph.one("SELECT count(*) FROM workers") == 1


@pytest.mark.parametrize("way", ["left", "lost"])
def test_a_name_is_free_again_when_its_worker_ended(graph: Bench, way: str) -> None:
    first = graph.worker("alice")
    if way == "left":
        graph.leave(first)
    else:
        graph.lose(first)

    assert graph.worker("alice").key > first.key


def test_the_key_of_a_worker_is_never_used_again(graph: Bench) -> None:
    first = graph.worker("alice")
    graph.write("DELETE FROM events")
    graph.write("DELETE FROM workers")

    assert graph.worker("bob").key > first.key


# --- leaving ------------------------------------------------------------------------------------


def test_who_leaves_hands_back_all_that_it_holds_and_nothing_else(graph: Bench) -> None:
    alice, bob = graph.worker("alice"), graph.worker("bob")
    graph.claims(alice, limit=2)
    graph.claim(bob)

    graph.leave(alice, now=9.0)

    assert graph.states() == {"bake": "ready", "boil": "ready", "fry": "running"}
    assert graph.rows(STATUS)[0] == ("alice", "left", "left", 9.0)
    assert graph.rows("SELECT failures, deaths FROM tasks") == [(0, 0)] * 3


@pytest.mark.parametrize("way", ["left", "lost"])
def test_who_ended_does_not_end_again(graph: Bench, way: str) -> None:
    alice = graph.worker("alice")
    if way == "left":
        graph.leave(alice)
    else:
        graph.lose(alice)
    before = graph.dump()

    with pytest.raises(WorkerLost):
        graph.leave(alice, now=99.0)
    with pytest.raises(WorkerMoved):
        graph.lose(alice, now=99.0)

    assert graph.dump() == before


def test_who_was_lost_is_told_why_and_who_lives_is_not(graph: Bench) -> None:
    alice, bob = graph.worker("alice"), graph.worker("bob")
    graph.lose(alice, Reason.TIME_LIMIT)

    with graph.store.read() as tx:
        membership.check_alive(tx, bob)
        with pytest.raises(WorkerLost, match="time limit"):
            membership.check_alive(tx, alice)


# --- being lost ---------------------------------------------------------------------------------


def test_who_is_lost_loses_its_claims_and_nobody_elses(graph: Bench) -> None:
    alice, bob = graph.worker("alice"), graph.worker("bob")
    held = graph.claims(alice, limit=2)
    kept = graph.claim(bob)

    graph.lose(alice, now=9.0)

    assert graph.rows(STATUS)[0] == ("alice", "lost", "silent", 9.0)
    for claim in held:
        with pytest.raises(ClaimLost):
            graph.close(claim)
    graph.close(kept)


def test_who_moved_is_not_lost(graph: Bench) -> None:
    alice = graph.worker("alice")
    held = graph.claim(alice)
    before = graph.dump()

    with pytest.raises(WorkerMoved):
        graph.lose(alice, unmoved=never)

    assert graph.dump() == before
    graph.close(held)


@pytest.mark.parametrize("reason", [*CHARGED, *UNCHARGED])
def test_what_was_not_begun_is_charged_to_nobody(graph: Bench, reason: Reason) -> None:
    alice = graph.worker("alice")
    held = graph.claim(alice)

    assert graph.lose(alice, reason) == [(held, NOT_BEGUN)]

    assert graph.state("bake") == "ready"


def test_what_was_never_begun_does_not_come_to_the_wall(graph: Bench) -> None:
    for _ in range(2):
        alice = graph.worker("alice")
        graph.claims(alice)
        graph.lose(alice, Reason.TIME_LIMIT)

    assert graph.rows("SELECT state, walls, overruns FROM tasks") == [("ready", 0, 0)] * 3


@pytest.mark.parametrize(
    ("cluster", "reason", "settled", "asked"),
    [
        ("thunder", Reason.PROCESS_GONE, False, True),
        ("thunder", Reason.SILENT, False, True),
        ("thunder", Reason.JOB_OVER, False, True),
        ("thunder", Reason.REQUEUED, False, True),
        ("thunder", Reason.OUT_OF_MEMORY, False, False),
        ("thunder", Reason.PROCESS_GONE, True, False),
        ("local", Reason.PROCESS_GONE, False, False),
        (None, Reason.PROCESS_GONE, False, False),
    ],
)
def test_slurm_is_to_be_asked_why_where_it_may_know_better(
    graph: Bench, cluster: str | None, reason: Reason, *, settled: bool, asked: bool
) -> None:
    alice = graph.arrive(element(cluster=cluster) if cluster else None)

    graph.lose(alice, reason, settled=settled)

    with graph.store.read() as tx:
        unexplained = queries.unexplained_workers(tx)
    assert unexplained == ([(alice, reason, 20.0)] if asked else [])


@pytest.mark.parametrize("reason", CHARGED)
def test_what_was_begun_is_charged_if_the_reason_is(graph: Bench, reason: Reason) -> None:
    alice = graph.worker("alice")
    held = graph.claim(alice)

    graph.lose(alice, reason, journal={held.attempt: None})

    assert graph.state("bake") == "killed"


def test_a_job_that_was_too_short_for_a_task_is_charged_the_second_time(graph: Bench) -> None:
    for name, state in (("alice", "ready"), ("bob", "killed")):
        worker = graph.worker(name)
        held = graph.claim(worker)
        graph.lose(worker, Reason.TIME_LIMIT, journal={held.attempt: None})
        assert graph.state("bake") == state

    counted = graph.rows("SELECT walls, overruns, deaths FROM tasks WHERE id = 'bake'")
    outcomes = graph.rows("SELECT outcome, reason FROM attempts ORDER BY id")
    assert counted == [(2, 1, 0)]
    assert outcomes == [("released", "time limit"), ("killed", "time limit")]


def test_each_charge_is_counted_where_it_belongs(bench: Bench) -> None:
    bench.register(task("bake"))
    for name, reason in (("alice", Reason.OUT_OF_MEMORY), ("bob", Reason.SILENT)):
        worker = bench.worker(name)
        bench.lose(worker, reason, journal={bench.claim(worker).attempt: None})

    counted = "SELECT state, failures, deaths, ooms, overruns, walls FROM tasks"
    assert bench.rows(counted) == [("ready", 0, 1, 1, 0, 0)]

    carol = bench.worker("carol")
    bench.lose(carol, Reason.SILENT, journal={bench.claim(carol).attempt: None})
    assert bench.rows(counted) == [("killed", 0, 2, 1, 0, 0)]  # the third: poisoned

    bench.reset(now=9.0)
    assert bench.rows(counted) == [("ready", 0, 0, 0, 0, 0)]


@pytest.mark.parametrize("reason", UNCHARGED)
def test_what_was_begun_is_not_charged_if_the_reason_is_not(graph: Bench, reason: Reason) -> None:
    alice = graph.worker("alice")
    held = graph.claim(alice)

    graph.lose(alice, reason, journal={held.attempt: None})

    assert graph.state("bake") == "ready"


def test_what_ended_unreported_counts_as_it_ended(graph: Bench) -> None:
    alice = graph.worker("alice")
    bake, boil, fry = graph.claims(alice)

    revoked = graph.lose(alice, journal={bake.attempt: COMPLETED, boil.attempt: FAILED})

    assert revoked == [
        (bake, COMPLETED),
        (boil, FAILED),
        (fry, NOT_BEGUN),
    ]
    assert graph.states() == {"bake": "completed", "boil": "failed", "fry": "ready"}


def test_the_journal_cannot_end_what_was_reported(graph: Bench) -> None:
    alice = graph.worker("alice")
    held = graph.claim(alice)
    graph.close(held, FAILED)

    assert graph.lose(alice, journal={held.attempt: COMPLETED}) == []

    assert graph.state("bake") == "failed"


# --- taking somebody's place --------------------------------------------------------------------


def begin(bench: Bench, key: int, held: Claim, ending: Ending | None) -> None:
    """Write a worker's journal as it would."""
    book = Journal(bench.store.layout.journals, key, durable=False)
    book.begun(held.attempt)
    if ending is not None:
        book.ended(held.attempt, ending)
    book.close()


@pytest.mark.parametrize(("ending", "state"), [(None, "ready"), (COMPLETED, "completed")])
def test_a_requeued_element_takes_the_place_of_its_earlier_life(
    graph: Bench, ending: Ending | None, state: str
) -> None:
    first = graph.arrive(element())
    begin(graph, first.key, graph.claim(first), ending)

    second = graph.arrive(element(restarts=2))

    assert [row[:3] for row in graph.rows(STATUS)] == [
        ("36_1", "lost", "requeued"),
        ("36_1r2", "alive", None),
    ]
    assert graph.state("bake") == state
    beats = Beats(graph.store.layout.beats)
    assert (beats.read(first.key), beats.read(second.key)) == (None, "0\n")


@pytest.mark.parametrize(
    "other",
    [
        element(array_task_id=2),
        element(job_id=38),
        element(cluster="lightning"),
        element(rank=1),
        element(restarts=1),
        element(restarts=3),
    ],
    ids=["element", "job", "cluster", "rank", "this life", "later life"],
)
def test_a_requeued_element_takes_nobody_elses_place(graph: Bench, other: object) -> None:
    graph.arrive(other)  # type: ignore[arg-type]  # an Element

    graph.arrive(element(restarts=1))

    assert [row[1] for row in graph.rows(STATUS)] == ["alive", "alive"]


def test_an_earlier_life_that_ended_by_itself_is_left_alone(graph: Bench) -> None:
    graph.leave(graph.arrive(element()))

    graph.arrive(element(restarts=1))

    assert [row[1] for row in graph.rows(STATUS)] == ["left", "alive"]


def test_a_namesake_that_is_provably_gone_makes_place(graph: Bench) -> None:
    first = graph.arrive(identifier="cook")
    held = graph.claim(first)
    begin(graph, first.key, held, None)

    graph.arrive(identifier="cook", fate=Fate.GONE)

    assert [row[:3] for row in graph.rows(STATUS)] == [
        ("cook", "lost", "killed"),
        ("cook", "alive", None),
    ]
    assert graph.state("bake") == "killed"


@pytest.mark.parametrize("fate", [Fate.ALIVE, Fate.STOPPED, Fate.UNKNOWN])
def test_a_namesake_that_may_be_alive_keeps_a_chosen_name(graph: Bench, fate: Fate) -> None:
    graph.arrive(identifier="cook")

    with pytest.raises(WorkerAlive):
        graph.arrive(identifier="cook", fate=fate)


def test_a_second_process_in_an_element_gets_a_name_of_its_own(graph: Bench) -> None:
    graph.arrive(element())

    second = graph.arrive(element(), process=ProcessIdentity("node7", "boot-7", "pid:[7]", 701, 8))

    assert second.name == "36_1:701"


def test_outside_slurm_a_worker_is_called_by_host_and_pid(graph: Bench, tmp_path: Path) -> None:
    assert graph.arrive().name == f"{ELSEWHERE.host}:{ELSEWHERE.pid}"


def test_workers_are_counted_by_how_they_are(graph: Bench) -> None:
    graph.leave(graph.worker("alice"))
    graph.lose(graph.worker("bob"))
    graph.worker("carol")

    with graph.store.read() as tx:
        assert queries.worker_counts(tx) == {
            WorkerStatus.ALIVE: 1,
            WorkerStatus.LEFT: 1,
            WorkerStatus.LOST: 1,
        }


def test_a_listing_shows_what_each_worker_holds_and_completed(graph: Bench) -> None:
    alice, bob = graph.worker("alice"), graph.worker("bob", labels="oven")
    graph.close(graph.claim(alice))
    graph.claim(alice)
    graph.close(graph.claim(bob), FAILED)

    with graph.store.read() as tx:
        listed = listings.worker_rows(tx)

    shown = [(row["worker"], row["tasks"], row["completed"], row["labels"]) for row in listed]
    assert shown == [("alice", ["boil"], 1, []), ("bob", [], 0, ["oven"])]


def test_a_worker_that_a_backup_does_not_know_is_lost(graph: Bench) -> None:
    alice = graph.worker()
    graph.write("DELETE FROM events")
    graph.write("DELETE FROM workers")

    with (
        pytest.raises(WorkerLost, match="a backup was brought back"),
        graph.store.transaction() as tx,
    ):
        membership.check_alive(tx, alice)


# --- rounds ---------------------------------------------------------------------------------------


def count_round(bench: Bench, worker: Worker, number: int) -> int:
    with bench.store.transaction() as tx:
        return membership.count_round(tx, worker, number)


def test_rounds_are_counted_and_never_backwards(graph: Bench) -> None:
    alice = graph.worker("alice")

    assert [count_round(graph, alice, number) for number in (1, 2, 2, 1, 5, 3)] == [
        0,
        1,
        2,
        2,
        2,
        5,
    ]


def test_a_round_that_somebody_counted_meanwhile_is_not_counted_again(
    graph: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = graph.worker("alice")
    monkeypatch.setattr(membership, "last_round", lambda *_: 1)

    with pytest.raises(RaceLost):
        count_round(graph, alice, 2)

    assert graph.one("SELECT rounds FROM workers") == 0


@pytest.mark.parametrize("way", ["leave", "lose"])
def test_who_ended_does_no_more_rounds(graph: Bench, way: str) -> None:
    alice = graph.worker("alice")
    getattr(graph, way)(alice)

    with pytest.raises(WorkerLost):
        count_round(graph, alice, 1)
    with graph.store.read() as tx:
        assert membership.last_round(tx, alice) is None


def test_the_rounds_of_another_process_are_not_counted(graph: Bench) -> None:
    alice = graph.worker("alice")
    stranger = replace(alice, process=replace(alice.process, pid=alice.process.pid + 1))

    with pytest.raises(InvariantBroken, match="another process"):
        count_round(graph, stranger, 1)
    assert count_round(graph, alice, 1) == 0
