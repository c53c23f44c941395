"""Two that want to end one attempt: either order leaves one end and one history."""

import pytest

from slurmband.domain.attempts import Claim, Ending, Outcome, Reason
from slurmband.domain.workers import Worker
from slurmband.errors import ClaimLost, WorkerLost, WorkerMoved
from slurmband.liveness.beats import Beats
from slurmband.liveness.journal import Journal
from slurmband.store import membership, queries, transitions
from tests.store.builders import COMPLETED, FAILED, KILLED, RELEASED, Bench, element, task

pytestmark = pytest.mark.unit


@pytest.fixture
def alice(bench: Bench) -> Worker:
    bench.register(task("bake"), task("serve", "bake"), killed=2)
    return bench.arrive(element())


@pytest.fixture
def held(bench: Bench, alice: Worker) -> Claim:
    return bench.claim(alice)


def ends(bench: Bench) -> list[str | None]:
    return [row[0] for row in bench.rows("SELECT outcome FROM attempts ORDER BY id")]


# --- report against revoke ----------------------------------------------------------------------


def test_a_report_before_the_revocation_stands(bench: Bench, alice: Worker, held: Claim) -> None:
    bench.close(held)

    assert bench.lose(alice, journal={held.attempt: None}) == []

    assert bench.states() == {"bake": "completed", "serve": "ready"}


@pytest.mark.parametrize("report", [COMPLETED, FAILED, RELEASED], ids=lambda e: str(e.outcome))
def test_a_report_after_the_revocation_changes_nothing(
    bench: Bench, alice: Worker, held: Claim, report: Ending
) -> None:
    bench.lose(alice, journal={held.attempt: None})
    before = bench.dump()

    with pytest.raises(ClaimLost):
        bench.close(held, report)

    assert bench.dump() == before
    assert ends(bench) == ["killed"]


@pytest.mark.parametrize("successor", ["bob", "alice"])
def test_a_revoked_claim_stays_dead_while_another_runs(
    bench: Bench, alice: Worker, held: Claim, successor: str
) -> None:
    bench.lose(alice, Reason.PREEMPTED)
    second = bench.claim(bench.worker(successor))
    before = bench.dump()

    with pytest.raises(ClaimLost) as lost:
        bench.close(held)

    assert (lost.value.task, lost.value.attempt) == ("bake", 1)
    assert bench.dump() == before
    assert bench.close(second) == {"serve"}


def test_a_completion_that_the_journal_told_is_not_reported_twice(
    bench: Bench, alice: Worker, held: Claim
) -> None:
    bench.lose(alice, journal={held.attempt: COMPLETED})

    with pytest.raises(ClaimLost):
        bench.close(held)

    assert ends(bench) == ["completed"]
    assert bench.state("serve") == "ready"


# --- report against a requeue that takes the worker's place -------------------------------------


def test_a_report_before_the_next_life_stands(bench: Bench, alice: Worker, held: Claim) -> None:
    bench.close(held)

    bench.arrive(element(restarts=1))

    assert ends(bench) == ["completed"]
    assert bench.states() == {"bake": "completed", "serve": "ready"}


def test_a_report_after_the_next_life_began_changes_nothing(
    bench: Bench, alice: Worker, held: Claim
) -> None:
    second = bench.claim(bench.arrive(element(restarts=1)))
    before = bench.dump()

    with pytest.raises(ClaimLost):
        bench.close(held)

    assert bench.dump() == before
    assert (second.number, ends(bench)) == (2, ["released", None])


def test_what_the_earlier_life_journalled_is_not_done_again_by_the_next(
    bench: Bench, alice: Worker, held: Claim
) -> None:
    book = Journal(bench.store.layout.journals, alice.key, durable=False)
    book.begun(held.attempt)
    book.ended(held.attempt, COMPLETED)
    book.close()

    assert bench.claim(bench.arrive(element(restarts=1))).task == "serve"


# --- two reports of one claim -------------------------------------------------------------------


@pytest.mark.parametrize("late", [COMPLETED, FAILED, KILLED, RELEASED], ids=lambda e: e.outcome)
@pytest.mark.parametrize("early", [COMPLETED, FAILED, KILLED, RELEASED], ids=lambda e: e.outcome)
def test_of_two_reports_the_first_stands(
    bench: Bench, held: Claim, early: Ending, late: Ending
) -> None:
    bench.close(held, early)
    before = bench.dump()

    with pytest.raises(ClaimLost):
        bench.close(held, late)

    assert bench.dump() == before
    assert ends(bench) == [early.outcome]


def test_two_reports_in_one_transaction_are_one(bench: Bench, held: Claim) -> None:
    with bench.store.transaction() as tx:
        transitions.close(tx, held, COMPLETED, now=3.0)
        with pytest.raises(ClaimLost):
            transitions.close(tx, held, FAILED, now=3.0)

    assert bench.states() == {"bake": "completed", "serve": "ready"}


# --- revoke against a beat ----------------------------------------------------------------------


def test_a_worker_that_beat_in_between_keeps_its_claims(
    bench: Bench, alice: Worker, held: Claim
) -> None:
    beats = Beats(bench.store.layout.beats)
    observed = beats.read(alice.key)
    beats.file(alice.key).write_text("1\n")
    before = bench.dump()

    with pytest.raises(WorkerMoved):
        bench.lose(alice, unmoved=lambda: beats.read(alice.key) == observed)

    assert bench.dump() == before
    assert bench.close(held) == {"serve"}


def test_a_worker_that_beats_after_it_was_lost_has_lost(
    bench: Bench, alice: Worker, held: Claim
) -> None:
    beats = Beats(bench.store.layout.beats)
    observed = beats.read(alice.key)

    bench.lose(alice, unmoved=lambda: beats.read(alice.key) == observed)
    beats.file(alice.key).write_text("1\n")

    with bench.store.read() as tx, pytest.raises(WorkerLost):
        membership.check_alive(tx, alice)
    with pytest.raises(ClaimLost):
        bench.close(held)


# --- leave against lose -------------------------------------------------------------------------


def test_who_left_first_is_not_lost(bench: Bench, alice: Worker, held: Claim) -> None:
    bench.leave(alice)
    before = bench.dump()

    with pytest.raises(WorkerMoved):
        bench.lose(alice, journal={held.attempt: None})

    assert bench.dump() == before
    assert ends(bench) == [Outcome.RELEASED]


def test_who_was_lost_first_does_not_leave(bench: Bench, alice: Worker, held: Claim) -> None:
    bench.lose(alice, journal={held.attempt: None})
    before = bench.dump()

    with pytest.raises(WorkerLost):
        bench.leave(alice)

    assert bench.dump() == before
    assert ends(bench) == [Outcome.KILLED]


def test_of_two_reapers_one_ends_the_worker(bench: Bench, alice: Worker, held: Claim) -> None:
    bench.lose(alice, Reason.NODE_FAILURE)
    before = bench.dump()

    with pytest.raises(WorkerMoved):
        bench.lose(alice, Reason.SILENT, journal={held.attempt: None})

    assert bench.dump() == before
    with bench.store.read() as tx:
        assert queries.open_claims(tx, alice.key) == []
