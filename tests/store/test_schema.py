"""What the schema itself makes impossible, and which indexes the hot questions rest on."""

import pytest
from sqlalchemy.exc import IntegrityError

from slurmband.store.database import Store
from slurmband.store.schema import SCHEMA_VERSION
from tests.store.builders import Bench, task

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def graph(bench: Bench) -> None:
    """Two tasks, the first of them running as attempt 1 of worker 1."""
    bench.register(task("bake"), task("serve", "bake"))
    bench.claim(bench.worker("alice"))


@pytest.mark.parametrize(
    ("index", "columns"),
    [
        ("idx_workflow_status", ["workflow_id", "status"]),
        ("idx_task_status", ["task_id", "status"]),
        ("idx_worker_status", ["worker_id", "status"]),
        ("idx_timestamp", ["timestamp"]),
        ("idx_requirements", ["requirements"]),
    ],
)
def test_the_promised_indexes_are_there(bench: Bench, index: str, columns: list[str]) -> None:
    assert [row[2] for row in bench.rows(f"PRAGMA index_info({index})")] == columns


ATTEMPT = "INSERT INTO attempts (task, slot, number, worker, claimed_at, ended_at, outcome) VALUES "
WORKER = (
    "INSERT INTO workers (workflow_id, name, status, labels, node, host, boot_id, pid_namespace, "
    "pid, start_ticks, heartbeat_timeout, started_at, ended_at) VALUES "
)
SUBMISSION = (
    "INSERT INTO submissions (token, status, cluster, array, array_job_id, command, directory, "
    "script, created_at) VALUES "
)


@pytest.mark.parametrize(
    ("statement", "guard"),
    [
        ("UPDATE tasks SET state = 'burnt'", "known_state"),
        ("UPDATE tasks SET unmet = -1 WHERE key = 2", "unmet_not_negative"),
        ("UPDATE tasks SET free_slots = 2 WHERE key = 1", "free_slots_only_where_claimable"),
        ("UPDATE tasks SET free_slots = -1 WHERE key = 1", "free_slots_only_where_claimable"),
        ("UPDATE tasks SET free_slots = 1 WHERE key = 2", "free_slots_only_where_claimable"),
        ("UPDATE tasks SET state = 'ready' WHERE key = 2", "ready_means_all_met"),
        ("UPDATE tasks SET state = 'running' WHERE key = 2", "ready_means_all_met"),
        ("UPDATE tasks SET id = 'bake' WHERE key = 2", "tasks.id"),
        ("INSERT INTO edges VALUES (1, 1, 0)", "no_task_waits_for_itself"),
        ("INSERT INTO edges VALUES (1, 2, 0)", "edges.upstream, edges.downstream"),
        ("INSERT INTO edges VALUES (1, 9, 0)", "FOREIGN KEY"),
        (ATTEMPT + "(1, 0, 2, 1, 0, NULL, NULL)", "attempts.task, attempts.slot"),
        (ATTEMPT + "(1, 1, 1, 1, 0, NULL, NULL)", "attempts.task, attempts.number"),
        (ATTEMPT + "(1, 1, 2, 1, 0, 1, 'eaten')", "known_outcome"),
        (ATTEMPT + "(1, 1, 2, 1, 0, NULL, 'failed')", "ended_with_an_outcome"),
        (ATTEMPT + "(1, 1, 2, 1, 0, 1, NULL)", "ended_with_an_outcome"),
        (ATTEMPT + "(9, 0, 1, 1, 0, NULL, NULL)", "FOREIGN KEY"),
        (ATTEMPT + "(1, 1, 2, 9, 0, NULL, NULL)", "FOREIGN KEY"),
        (WORKER + "('main', 'alice', 'alive', '', '', '', '', '', 1, 1, 1, 0, NULL)", "name"),
        (WORKER + "('main', 'bob', 'asleep', '', '', '', '', '', 1, 1, 1, 0, 1)", "known_status"),
        (WORKER + "('main', 'bob', 'alive', '', '', '', '', '', 1, 1, 1, 0, 1)", "ended_when"),
        (WORKER + "('main', 'bob', 'left', '', '', '', '', '', 1, 1, 1, 0, NULL)", "ended_when"),
        (WORKER + "('other', 'bob', 'alive', '', '', '', '', '', 1, 1, 1, 0, NULL)", "FOREIGN KEY"),
        (
            "INSERT INTO task_statuses (task_id, status, event, timestamp) VALUES (1, 'x', 'x', 0)",
            "known_status",
        ),
        (
            "INSERT INTO task_statuses (task_id, status, event, timestamp) VALUES (9, 'ready', 'x', 0)",
            "FOREIGN KEY",
        ),
        ("UPDATE task_counts SET n = -1", "counts_not_negative"),
        (SUBMISSION + "('t', 'lost', 'c', '1', NULL, '[]', '/', '', 0)", "known_status"),
        (SUBMISSION + "('t', 'queued', 'c', '1', NULL, '[]', '/', '', 0)", "queued_has_an_id"),
    ],
)
def test_a_bad_row_is_refused(bench: Bench, statement: str, guard: str) -> None:
    before = bench.dump()

    with pytest.raises(IntegrityError, match=guard):
        bench.write(statement)

    assert bench.dump() == before


def test_a_submission_has_a_token_and_an_element_a_row_of_its_own(bench: Bench) -> None:
    bench.write(SUBMISSION + "('t', 'intended', 'c', '1', NULL, '[]', '/', '', 0)")
    bench.write("INSERT INTO elements (submission, array_task_id) VALUES (1, 0)")

    with pytest.raises(IntegrityError, match=r"submissions\.token"):
        bench.write(SUBMISSION + "('t', 'intended', 'c', '1', NULL, '[]', '/', '', 0)")
    with pytest.raises(IntegrityError, match=r"elements\.submission"):
        bench.write("INSERT INTO elements (submission, array_task_id) VALUES (1, 0)")


def test_a_slot_can_be_claimed_again_when_its_attempt_ended(bench: Bench) -> None:
    bench.write("UPDATE attempts SET outcome = 'released', ended_at = 1")

    bench.write(ATTEMPT + "(1, 0, 2, 1, 0, NULL, NULL)")


def test_a_name_can_be_used_again_when_its_worker_ended(bench: Bench) -> None:
    bench.write("UPDATE workers SET status = 'left', ended_at = 1")

    bench.write(WORKER + "('main', 'alice', 'alive', '', '', '', '', '', 1, 1, 1, 0, NULL)")


def listen(store: Store) -> list[str]:
    """Return a list that fills with all that this process asks the database, values included."""
    asked: list[str] = []
    with store.transaction() as tx:
        tx.driver.set_trace_callback(asked.append)
    return asked


def plan(store: Store, sql: str) -> list[str]:
    with store.read() as tx:
        return [row[3] for row in tx.driver.execute(f"EXPLAIN QUERY PLAN {sql}")]


def test_a_claim_is_one_question_to_one_index(bench: Bench, store: Store) -> None:
    asked = listen(store)
    bench.claims(bench.worker("bob"))

    (claim,) = [sql for sql in asked if "free_slots > 0" in sql and "LIMIT" in sql]
    first, *others = plan(store, claim)
    assert first == "SEARCH tasks USING INDEX idx_claim (requirements=?)"
    # Of a task that several may run at once it is asked whether this worker is in it; and of each
    # whether others depend on it, and how long its kind takes.
    on_attempts, on_durations, on_edges = sorted(s for s in others if "SUBQUERY" not in s)
    assert on_attempts.startswith("SEARCH attempts USING INDEX")
    assert on_durations.startswith("SEARCH durations USING PRIMARY KEY")
    assert on_edges.startswith("SEARCH edges USING PRIMARY KEY")


def test_no_question_of_a_round_reads_a_table_from_end_to_end(bench: Bench, store: Store) -> None:
    bench.register(task("bake"), task("boil"), task("serve", "bake", "boil"), new_revision=True)
    bob = bench.worker("bob")
    asked = listen(store)
    (held,) = bench.claims(bob)
    bench.close(held)
    bench.claims(bob)
    bench.lose(bob)

    questions = {sql for sql in asked if sql.startswith(("SELECT", "UPDATE"))}
    small = ("task_counts", "workers", "revisions", "sqlite_sequence")
    scans = {
        sql: [step for step in plan(store, sql) if step.startswith("SCAN")] for sql in questions
    }
    assert len(questions) > 9
    assert [found for found in scans.items() if not all(s.endswith(small) for s in found[1])] == []


@pytest.mark.parametrize("mode", ["local", "shared"])
def test_the_file_is_made_as_promised(bench: Bench, tmp_path: object, mode: str) -> None:
    store = Store(f"{tmp_path}/{mode}.sqlite", mode=mode, create=True)

    with store.transaction() as tx:
        asked = ("foreign_keys", "auto_vacuum", "journal_mode", "user_version", "synchronous")
        found = [tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in asked]
    store.close()

    assert found == [1, 2, "wal", SCHEMA_VERSION, {"local": 1, "shared": 2}[mode]]
