"""The history checker sees each kind of wrong history, and has nothing to say of a right one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from slurmband.domain.attempts import Claim
from slurmband.domain.processes import ProcessIdentity
from slurmband.domain.workers import Worker
from slurmband.liveness import journal
from slurmband.liveness.journal import Journal
from slurmband.store.database import Store
from tests.cluster.history import Anomaly, Kind, check
from tests.cluster.records import History, copied, read_database, read_journals, read_witnesses
from tests.store.builders import COMPLETED, Bench, task

pytestmark = pytest.mark.unit

GRAPH: Final = {"bake": frozenset[str](), "serve": frozenset({"bake"})}
#: Attempts of the story, by id.
BAKED, UNSERVED, SERVED = 1, 2, 3


class Story:
    """A run that is told step by step, in all three witnesses at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "slurmband.sqlite", mode="local", create=True)
        self.bench = Bench(self.store)
        self.time = 0.0
        self.journals: dict[int, Journal] = {}
        self.bench.register(task("bake"), task("serve", "bake"))
        self.alice, self.bob = self.join("alice", "boot-1"), self.join("bob", "boot-2")

    def join(self, name: str, boot: str) -> Worker:
        process = ProcessIdentity(name, boot, "pid:[1]", 100 + len(self.journals), 1)
        worker = self.bench.worker(name, process=process)
        self.journals[worker.key] = Journal(self.store.layout.journals, worker.key, durable=False)
        self.say(worker, "process", host=name, boot=boot, pid=process.pid)
        return worker

    def say(self, by: Worker, what: str, **of: object) -> None:
        self.time += 1.0
        line = {"what": what, "at": self.time, **of}
        with (self.folder / f"{by.name}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def told(self, by: Worker, **of: object) -> None:
        nothing = {"beat": -1000.0, "recorded": {}, "refused": [], "claimed": []}
        self.say(by, "told", worker=by.key, **(nothing | of))

    def claim(self, worker: Worker) -> Claim:
        held = self.bench.claim(worker)
        claimed = {"attempt": held.attempt, "task": held.task, "number": held.number}
        self.told(worker, claimed=[claimed])
        return held

    def begin(self, worker: Worker, held: Claim) -> None:
        self.journals[worker.key].begun(held.attempt)
        self.say(worker, "began", attempt=held.attempt, task=held.task)

    def end(self, worker: Worker, held: Claim) -> None:
        self.say(worker, "ended", attempt=held.attempt, task=held.task)
        self.journals[worker.key].ended(held.attempt, COMPLETED)
        self.say(worker, "reports", worker=worker.key, attempts=[held.attempt])

    def report(self, worker: Worker, held: Claim) -> None:
        self.bench.close(held)
        self.told(worker, recorded={held.attempt: "completed"})

    def lines(self, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Change each line of the workers' own files, or leave it out."""
        for file in self.folder.glob("*.jsonl"):
            entries = [change(json.loads(line)) for line in file.read_text().splitlines()]
            file.write_text("".join(json.dumps(entry) + "\n" for entry in entries if entry))

    def history(self) -> History:
        with copied(self.store.layout.database) as connection:
            database = read_database(connection)
        journals = read_journals(self.store.layout.journals)
        return History(GRAPH, read_witnesses(self.folder), journals, database)

    def found(self) -> list[Anomaly]:
        return check(self.history())


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Alice bakes; Bob freezes while he serves, is lost, and reports too late; Alice serves."""
    told = Story(tmp_path)
    alice, bob = told.alice, told.bob
    baking = told.claim(alice)
    told.begin(alice, baking)
    told.end(alice, baking)
    told.report(alice, baking)
    late = told.claim(bob)
    told.begin(bob, late)
    told.bench.lose(bob, journal=journal.read(told.store.layout.journals, bob.key))
    told.end(bob, late)
    told.say(bob, "lost", worker=bob.key, refused=[late.attempt])
    serving = told.claim(alice)
    told.begin(alice, serving)
    told.end(alice, serving)
    told.report(alice, serving)
    yield told
    told.store.close()


def gives(line: dict[str, Any], attempt: int) -> bool:
    """Whether a worker's line says that it was given this attempt."""
    return attempt in [claimed["attempt"] for claimed in line.get("claimed", ())]


def kinds(found: list[Anomaly]) -> list[Kind]:
    return [anomaly.kind for anomaly in found]


def test_a_right_history_is_not_complained_of(story: Story) -> None:
    assert story.found() == []


def test_an_end_that_the_reaper_found_in_the_journal_is_right(story: Story) -> None:
    story.bench.write("UPDATE attempts SET outcome = 'completed' WHERE id = ?", UNSERVED)
    story.bench.write(
        "UPDATE attempts SET outcome = 'released', reason = 'left' WHERE id = ?", SERVED
    )
    story.lines(lambda line: None if line.get("recorded") == {str(SERVED): "completed"} else line)

    assert story.found() == []


# --- lost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ready", "blocked"])
def test_a_task_that_ended_nowhere_is_lost(story: Story, state: str) -> None:
    story.bench.write("UPDATE tasks SET state = ? WHERE id = 'serve'", state)

    assert kinds(story.found()) == [Kind.LOST]


def test_a_task_that_the_database_never_heard_of_is_lost(story: Story) -> None:
    history = story.history()
    graph = {**GRAPH, "wash": frozenset[str]()}

    found = check(History(graph, history.lines, history.journals, history.database))

    assert kinds(found) == [Kind.LOST]
    assert "task wash is None" in found[0].evidence


def test_a_dependency_that_the_database_never_heard_of_is_lost(story: Story) -> None:
    story.bench.write("DELETE FROM edges")

    (found,) = story.found()

    assert (found.kind, found.evidence[:21]) == (Kind.LOST, "serve depends on bake")


def test_a_claim_that_was_acknowledged_and_is_not_there_is_lost(story: Story) -> None:
    story.told(story.alice, claimed=[{"attempt": 99, "task": "serve", "number": 9}])

    (found,) = story.found()

    assert found.kind is Kind.LOST
    assert "'attempt': 99" in found.evidence


def test_a_claim_whose_number_was_given_out_again_is_lost(story: Story) -> None:
    story.bench.write("UPDATE attempts SET worker = 2 WHERE id = ?", BAKED)

    found = story.found()

    assert {Kind.LOST} == set(kinds(found))
    assert any("alice was given" in anomaly.evidence for anomaly in found)


def test_an_attempt_that_only_a_journal_knows_is_lost(story: Story) -> None:
    story.journals[1].begun(77)

    (found,) = story.found()

    assert (found.kind, found.evidence[:31]) == (Kind.LOST, "worker 1 journaled attempt 77; ")


def test_a_join_that_is_not_there_is_lost(story: Story) -> None:
    story.bench.write("UPDATE workers SET pid = 5 WHERE key = 1")

    (found,) = story.found()

    assert (found.kind, found.evidence[:24]) == (Kind.LOST, "alice joined as worker 1")


@pytest.mark.parametrize("outcome", ["failed", None])
def test_a_completion_that_was_acknowledged_and_is_not_there_is_lost(
    story: Story, outcome: str | None
) -> None:
    end = "NULL" if outcome is None else "7.0"
    story.bench.write(
        f"UPDATE attempts SET outcome = ?, ended_at = {end} WHERE id = ?", outcome, BAKED
    )

    found = story.found()

    assert found[0].kind is Kind.LOST
    assert f"alice was told that attempt {BAKED} is recorded" in found[0].evidence
    assert kinds(found[1:]) == ([Kind.OPEN] if outcome is None else [])


def test_a_completion_whose_work_never_ended_is_lost(story: Story) -> None:
    story.lines(lambda x: None if (x["what"], x.get("attempt")) == ("ended", BAKED) else x)

    (found,) = story.found()

    assert found.kind is Kind.LOST
    assert "no worker's file has its end" in found.evidence


def test_a_completion_that_was_not_journaled_is_lost(story: Story) -> None:
    file = story.store.layout.journals / "1.jsonl"
    file.write_text("".join(f"{line}\n" for line in file.read_text().splitlines()[:-1]))

    (found,) = story.found()

    assert found.kind is Kind.LOST
    assert "no journal has its end" in found.evidence


# --- doubled --------------------------------------------------------------------------------------


def test_two_completions_of_one_slot_are_doubled(story: Story) -> None:
    story.bench.write("UPDATE attempts SET outcome = 'completed' WHERE id = ?", UNSERVED)

    (found,) = story.found()

    assert found.kind is Kind.DOUBLED
    assert f"attempts [{UNSERVED}, {SERVED}] of serve" in found.evidence


def test_two_completions_of_two_slots_are_right(story: Story) -> None:
    story.bench.write("UPDATE attempts SET outcome = 'completed', slot = 1 WHERE id = ?", UNSERVED)

    assert story.found() == []


def late_report_is_accepted(line: dict[str, Any]) -> dict[str, Any]:
    if line["what"] != "lost":
        return line
    told = {"beat": 0.0, "recorded": {UNSERVED: "completed"}, "refused": [], "claimed": []}
    return {"what": "told", "at": line["at"], "worker": line["worker"], **told}


def test_two_acknowledged_completions_are_doubled(story: Story) -> None:
    story.lines(late_report_is_accepted)

    doubled, late = story.found()

    assert doubled.kind is Kind.DOUBLED
    assert f"completions by attempts [{SERVED}, {UNSERVED}]" in doubled.evidence
    assert late.kind is Kind.LATE


def test_an_attempt_that_was_begun_twice_is_doubled(story: Story) -> None:
    story.say(story.alice, "began", attempt=BAKED, task="bake")

    (found,) = story.found()

    assert found == Anomaly(Kind.DOUBLED, f"attempt {BAKED} was begun by ['alice', 'alice']")


def test_an_attempt_that_was_closed_twice_is_doubled(story: Story) -> None:
    story.bench.write(
        "INSERT INTO task_statuses (task_id, status, event, timestamp, attempt) "
        "VALUES (1, 'ready', 'retry', 9.0, ?)",
        BAKED,
    )

    (found,) = story.found()

    assert found == Anomaly(Kind.DOUBLED, f"attempt {BAKED} ended by ['complete', 'retry']")


def test_work_of_a_dead_worker_that_had_ended_and_is_done_again_is_doubled(story: Story) -> None:
    story.bench.write("UPDATE attempts SET reason = 'killed' WHERE id = ?", UNSERVED)

    (found,) = story.found()

    assert found.kind is Kind.DOUBLED
    assert "revoked all the same" in found.evidence


@pytest.mark.parametrize(("after", "doubled"), [(59.0, True), (61.0, False)])
def test_work_is_doubled_if_its_end_was_there_before_its_worker_can_have_been_silent(
    story: Story, after: float, doubled: bool
) -> None:
    """The story's workers are suspect after 60 s; what counts is the last beat before the claim."""
    (ended,) = [
        x.at
        for x in story.history().lines
        if x.what == "reports" and x.of["attempts"] == [UNSERVED]
    ]

    def told(line: dict[str, Any]) -> dict[str, Any]:
        return line | {"beat": ended - after} if gives(line, UNSERVED) else line

    story.lines(told)

    assert kinds(story.found()) == [Kind.DOUBLED] * doubled


# --- order ----------------------------------------------------------------------------------------


def test_a_claim_before_a_dependency_completed_is_out_of_order(story: Story) -> None:
    story.bench.write(
        "UPDATE events SET sequence = 99 WHERE status_id = "
        "(SELECT id FROM task_statuses WHERE task_id = 1 AND event = 'complete')"
    )

    found = story.found()

    assert kinds(found) == [Kind.DISORDER] * 2
    assert found[0].evidence == f"attempt {UNSERVED} of serve was claimed before bake completed"


def test_a_beginning_before_a_dependency_ended_is_out_of_order(story: Story) -> None:
    """Only on one boot of one node: Bob's, who served on another, means nothing."""
    story.lines(
        lambda x: x | {"at": 999.0} if (x["what"], x.get("attempt")) == ("ended", BAKED) else x
    )

    (found,) = story.found()

    assert found == Anomaly(Kind.DISORDER, "alice began serve before bake ended in alice")


def test_a_beginning_without_a_claim_is_out_of_order(story: Story) -> None:
    story.lines(lambda x: None if gives(x, BAKED) else x)

    (found,) = story.found()

    assert found.kind is Kind.DISORDER
    assert found.evidence.startswith("alice: began too early")


def test_an_end_without_a_beginning_is_out_of_order(story: Story) -> None:
    story.lines(lambda x: None if (x["what"], x.get("attempt")) == ("began", BAKED) else x)

    (found,) = story.found()

    assert found.kind is Kind.DISORDER
    assert found.evidence.startswith("alice: ended too early")


# --- reports and claims ---------------------------------------------------------------------------


def test_a_report_that_was_accepted_after_its_claim_was_revoked_is_late(story: Story) -> None:
    story.lines(late_report_is_accepted)

    (late,) = [anomaly for anomaly in story.found() if anomaly.kind is Kind.LATE]

    assert f"bob was told that attempt {UNSERVED} is recorded as completed" in late.evidence


def test_a_report_that_was_recorded_for_a_lost_worker_is_late(story: Story) -> None:
    story.bench.write(
        "UPDATE workers SET status = 'lost', reason = 'silent', ended_at = 9 WHERE key = 1"
    )
    assert story.found() == []  # lost after all it had reported: right

    lost = "(SELECT max(sequence) FROM events WHERE event = 'lost')"
    story.bench.write(f"UPDATE events SET sequence = 0 WHERE sequence = {lost}")

    assert kinds(story.found()) == [Kind.LATE] * 2


def test_a_refusal_of_what_is_recorded_is_told_wrongly(story: Story) -> None:
    story.told(story.alice, refused=[BAKED])

    assert kinds(story.found()) == [Kind.MISTOLD]


def test_a_claim_of_one_who_is_over_is_left_open(story: Story) -> None:
    story.bench.write("UPDATE attempts SET outcome = NULL, ended_at = NULL WHERE id = ?", UNSERVED)

    assert kinds(story.found()) == [Kind.OPEN]


# --- reading --------------------------------------------------------------------------------------


def test_a_line_that_a_crash_cut_off_says_nothing(story: Story) -> None:
    for file in (story.folder / "alice.jsonl", story.store.layout.journals / "1.jsonl"):
        with file.open("a") as cut:
            cut.write('{"what": "told", "at": 7')

    assert story.found() == []


def test_to_look_changes_nothing(story: Story) -> None:
    def files() -> dict[str, bytes]:
        beside = story.folder.glob("slurmband.sqlite*")
        return {file.name: file.read_bytes() for file in beside if file.is_file()}

    before = files()
    assert "slurmband.sqlite-wal" in before  # the newest rows are only there

    story.history()

    assert files() == before
