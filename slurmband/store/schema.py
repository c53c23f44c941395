"""The tables: the present of every task, the claims, the history, and who works on them.

The claim is the open attempt (``outcome IS NULL``), and a unique partial index forbids a second one
in the same slot. Triggers keep ``task_counts``, so that how many tasks are where is one small read at
any size, and ``events``, whose sequence the database makes. Times are seconds since the Unix epoch,
UTC, for people; nothing decides by them.
"""

from typing import Final

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    text,
)

from slurmband.domain.attempts import Outcome
from slurmband.domain.states import TaskState
from slurmband.domain.workers import WorkerStatus

SCHEMA_VERSION: Final = 5
#: The one workflow of a band.
WORKFLOW: Final = "main"

metadata = MetaData()


def _one_of(column: str, values: type[TaskState] | type[Outcome] | type[WorkerStatus]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


workflows = Table(
    "workflows",
    metadata,
    Column("id", String, primary_key=True),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("max_failed_retries", Integer, nullable=False),
    Column("max_killed_retries", Integer, nullable=False),
    Column("max_oom_retries", Integer, nullable=False, server_default=text("1")),
    Column("max_time_limit_retries", Integer, nullable=False, server_default=text("1")),
    Column("stop", String, comment="workers are to leave: 'drain' or 'now'; NULL: they are not"),
    Column(
        "growing",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="1: more tasks are to come; 0: their end is recorded",
    ),
    comment="the band itself, and the budgets of its tasks",
)

revisions = Table(
    "revisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("workflow_id", ForeignKey("workflows.id"), nullable=False),
    Column("digest", String, nullable=False),
    Column("total_tasks", Integer, nullable=False),
    Column("registered_at", Float, nullable=False),
    Column("fingerprints", String, comment="digest of the fingerprints; NULL: not compared"),
    comment="each registered form of the user's graph",
)

tasks = Table(
    "tasks",
    metadata,
    Column("key", Integer, primary_key=True, comment="row number; the order of the graph"),
    Column("id", String, nullable=False, unique=True, comment="the user's Task.id"),
    Column("workflow_id", ForeignKey("workflows.id"), nullable=False),
    Column("state", String, nullable=False),
    Column("requirements", String, nullable=False, comment="sorted labels, as a JSON list"),
    Column("priority", Integer, nullable=False),
    Column("max_parallel_workers", Integer, nullable=False),
    Column(
        "kind",
        String,
        nullable=False,
        server_default=text("''"),
        comment="tasks of a kind take about as long",
    ),
    Column("time_limit", Float, comment="seconds that an attempt may take; NULL: no limit"),
    Column("on_oom", String, comment="what to require after running out of memory: mem:+50%"),
    Column("on_time_limit", String, comment="what to require after too long: time:x2"),
    Column("free_slots", Integer, nullable=False, comment="how many workers could join now"),
    Column("unmet", Integer, nullable=False, comment="dependencies that have not completed"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    Column("ooms", Integer, nullable=False, server_default=text("0")),
    Column("overruns", Integer, nullable=False, server_default=text("0")),
    Column(
        "walls",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="how often its job's time was over first; one is not charged",
    ),
    Column(
        "completions",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="attempts that completed in the present round",
    ),
    Column("fingerprint", String, comment="as registered: what a completion is to be of"),
    Column("last_fingerprint", String, comment="of the last completion"),
    Column("max_failed_retries", Integer, comment="NULL: as the band has it"),
    Column("max_killed_retries", Integer, comment="NULL: as the band has it"),
    Column("max_oom_retries", Integer, comment="NULL: as the band has it"),
    Column("max_time_limit_retries", Integer, comment="NULL: as the band has it"),
    Column(
        "in_graph",
        Integer,
        nullable=False,
        server_default=text("1"),
        comment="0: the current revision does not have it",
    ),
    CheckConstraint(_one_of("state", TaskState), name="known_state"),
    CheckConstraint("unmet >= 0", name="unmet_not_negative"),
    CheckConstraint(
        "free_slots BETWEEN 0 AND max_parallel_workers AND "
        "(free_slots = 0 OR state IN ('ready', 'invalidated', 'running'))",
        name="free_slots_only_where_claimable",
    ),
    CheckConstraint("state NOT IN ('ready', 'running') OR unmet = 0", name="ready_means_all_met"),
)
# The claim asks by equality on requirements and takes the first rows of this index.
Index(
    "idx_claim",
    tasks.c.requirements,
    tasks.c.priority.desc(),
    tasks.c.key,
    sqlite_where=text("free_slots > 0"),
)
Index("idx_requirements", tasks.c.requirements)
Index("idx_task_state", tasks.c.state)
Index("idx_time_limit", tasks.c.time_limit, sqlite_where=text("time_limit IS NOT NULL"))

edges = Table(
    "edges",
    metadata,
    Column("upstream", ForeignKey("tasks.key"), primary_key=True),
    Column("downstream", ForeignKey("tasks.key"), primary_key=True),
    Column("satisfied", Integer, nullable=False, comment="1: counted down already"),
    CheckConstraint("upstream <> downstream", name="no_task_waits_for_itself"),
    sqlite_with_rowid=False,
)
Index("idx_edge_downstream", edges.c.downstream)

workers = Table(
    "workers",
    metadata,
    Column("key", Integer, primary_key=True, comment="one incarnation"),
    Column("workflow_id", ForeignKey("workflows.id"), nullable=False),
    Column("name", String, nullable=False, comment="36_1, 36_1.3, 36_1r2, host:pid"),
    Column("status", String, nullable=False),
    Column("reason", String, comment="why it is no longer alive"),
    Column("labels", String, nullable=False, comment="sorted, as a JSON list"),
    Column("node", String, nullable=False, comment="as SLURM names it; outside SLURM the host"),
    Column("host", String, nullable=False),
    Column("boot_id", String, nullable=False),
    Column("pid_namespace", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("start_ticks", Integer, nullable=False),
    Column("cluster", String),
    Column("array_job_id", Integer),
    Column("array_task_id", Integer),
    Column("job_id", Integer),
    Column("restarts", Integer, nullable=False, server_default=text("0")),
    Column("step", Integer),
    Column("rank", Integer),
    Column("heartbeat_timeout", Float, nullable=False),
    Column(
        "rounds",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="the last round that was done; no round is done twice",
    ),
    Column("log", String, comment="the file its standard output goes to"),
    Column("ends_at", Float, comment="when its job's time is over; NULL: not known, or never"),
    Column("stop", String, comment="it is to leave: 'drain' or 'now'"),
    Column(
        "unexplained",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="1: it is lost, and SLURM is still to be asked why",
    ),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    CheckConstraint(_one_of("status", WorkerStatus), name="known_status"),
    CheckConstraint("(ended_at IS NULL) = (status = 'alive')", name="ended_when_not_alive"),
    sqlite_autoincrement=True,
)
Index("idx_workflow_status", workers.c.workflow_id, workers.c.status)
Index("idx_worker_element", workers.c.array_job_id, workers.c.array_task_id)
Index(
    "one_live_worker_per_name",
    workers.c.name,
    unique=True,
    sqlite_where=text("status = 'alive'"),
)

error_texts = Table(
    "error_texts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="a digest of the text"),
    Column("text", Text, nullable=False),
    comment="what went wrong in attempts; of many that fail alike, once",
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True, comment="the fence: never reused"),
    Column("task", ForeignKey("tasks.key"), nullable=False),
    Column("slot", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker", ForeignKey("workers.key"), nullable=False),
    Column("claimed_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("outcome", String, comment="NULL: open, and so a claim"),
    Column("reason", String),
    Column("error", Text, comment="as slurmband wrote it before it had error_texts"),
    Column("fingerprint", String, comment="the one registered when it was claimed"),
    Column("error_text", ForeignKey("error_texts.id"), comment="what went wrong, in full"),
    CheckConstraint(f"outcome IS NULL OR {_one_of('outcome', Outcome)}", name="known_outcome"),
    CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended_with_an_outcome"),
    sqlite_autoincrement=True,
)
Index(
    "one_claim_per_slot",
    attempts.c.task,
    attempts.c.slot,
    unique=True,
    sqlite_where=text("outcome IS NULL"),
)
Index("one_attempt_per_number", attempts.c.task, attempts.c.number, unique=True)
Index("idx_open_attempts", attempts.c.worker, sqlite_where=text("outcome IS NULL"))

task_statuses = Table(
    "task_statuses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", ForeignKey("tasks.key"), nullable=False),
    Column("status", String, nullable=False),
    Column("event", String, nullable=False),
    Column("timestamp", Float, nullable=False),
    Column("worker_id", ForeignKey("workers.key")),
    Column("attempt", ForeignKey("attempts.id")),
    Column("fingerprint", String, comment="the task's, at that moment"),
    CheckConstraint(_one_of("status", TaskState), name="known_status"),
    comment="the history: one row per transition, written with it",
)
Index("idx_task_status", task_statuses.c.task_id, task_statuses.c.status)
Index("idx_worker_status", task_statuses.c.worker_id, task_statuses.c.status)
Index("idx_timestamp", task_statuses.c.timestamp)

events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True, comment="made by the database; never reused"),
    Column("timestamp", Float, nullable=False),
    Column("event", String, nullable=False),
    Column("status_id", ForeignKey("task_statuses.id"), comment="the step of a task that it tells"),
    Column("worker_id", ForeignKey("workers.key")),
    Column("detail", String),
    comment="what happened, in order, as people and waiting workers follow it; kept by triggers",
    sqlite_autoincrement=True,
)
Index("idx_event_status", events.c.status_id)

producers = Table(
    "producers",
    metadata,
    Column("workflow_id", ForeignKey("workflows.id"), primary_key=True),
    Column("worker", ForeignKey("workers.key"), nullable=False),
    Column("since", Float, nullable=False),
    comment="the claim of the one worker that makes a growing graph grow",
)

task_counts = Table(
    "task_counts",
    metadata,
    Column("requirements", String, primary_key=True),
    Column("state", String, primary_key=True),
    Column("n", Integer, nullable=False),
    CheckConstraint("n >= 0", name="counts_not_negative"),
    comment="how many tasks are where; kept by triggers",
    sqlite_with_rowid=False,
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", String, nullable=False, unique=True, comment="also the job's comment"),
    Column("status", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("array", String, nullable=False, comment="as given to sbatch --array"),
    Column("array_job_id", Integer),
    Column("command", Text, nullable=False, comment="the command line, as a JSON list"),
    Column("directory", String, nullable=False),
    Column("script", Text, nullable=False),
    Column("log", String, comment="file name pattern of the elements' logs"),
    Column("created_at", Float, nullable=False),
    Column("error", Text),
    Column("options", Text, comment="sbatch's options, as a JSON list"),
    Column(
        "time_limit",
        Float,
        comment="seconds that an element has; NULL: not known yet, below 0: SLURM was asked",
    ),
    Column("max_submissions", Integer, comment="--until-done: so many in a row; NULL: it is not"),
    Column(
        "follows",
        ForeignKey("submissions.id"),
        comment="the one that this continues; each is continued once",
    ),
    CheckConstraint("status IN ('intended', 'queued', 'refused', 'unknown')", name="known_status"),
    CheckConstraint("status <> 'queued' OR array_job_id IS NOT NULL", name="queued_has_an_id"),
    comment="an intent first, then sbatch, then the id",
)

Index("one_successor", submissions.c.follows, unique=True)

elements = Table(
    "elements",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("submission", ForeignKey("submissions.id"), nullable=False),
    Column("array_task_id", Integer, nullable=False),
    Column("job_id", Integer, comment="the raw id, once a worker told it"),
    sqlite_autoincrement=True,
    comment="one row per element of a queued array",
)
Index("one_row_per_element", elements.c.submission, elements.c.array_task_id, unique=True)

durations = Table(
    "durations",
    metadata,
    Column("kind", String, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("mean", Float, nullable=False, comment="seconds"),
    Column("spread", Float, nullable=False, comment="sum of squared distances from the mean"),
    Column("foreseen", Float, nullable=False, comment="seconds that another hardly exceeds"),
    comment="how long tasks of a kind took that completed",
    sqlite_with_rowid=False,
)

questions = Table(
    "questions",
    metadata,
    Column("command", String, primary_key=True),
    Column("n", Integer, nullable=False, comment="how often it was called"),
    Column("asked_at", Float, nullable=False, comment="when it was called last"),
    comment="what the workers asked SLURM, all of them together",
    sqlite_with_rowid=False,
)

_COUNT_ONE = (
    "INSERT INTO task_counts (requirements, state, n) VALUES (NEW.requirements, NEW.state, 1) "
    "ON CONFLICT (requirements, state) DO UPDATE SET n = n + 1;"
)
_UNCOUNT_ONE = (
    "UPDATE task_counts SET n = n - 1 WHERE requirements = OLD.requirements AND state = OLD.state;"
)
_MOVED = "AFTER UPDATE OF state, requirements ON tasks"
_TRIGGERS = (
    f"CREATE TRIGGER count_new_task AFTER INSERT ON tasks BEGIN {_COUNT_ONE} END",
    f"CREATE TRIGGER count_moved_task {_MOVED} BEGIN {_UNCOUNT_ONE} {_COUNT_ONE} END",
)
#: A graph's first registration is one event, not one per task.
EVENT_TRIGGERS: Final = (
    (
        "CREATE TRIGGER log_transition AFTER INSERT ON task_statuses WHEN NEW.event <> 'register' BEGIN "
        "INSERT INTO events (timestamp, event, status_id, worker_id) "
        "VALUES (NEW.timestamp, NEW.event, NEW.id, NEW.worker_id); END"
    ),
    (
        "CREATE TRIGGER log_join AFTER INSERT ON workers BEGIN "
        "INSERT INTO events (timestamp, event, worker_id) VALUES (NEW.started_at, 'join', NEW.key); END"
    ),
    (
        "CREATE TRIGGER log_leave AFTER UPDATE OF status ON workers BEGIN "
        "INSERT INTO events (timestamp, event, worker_id, detail) "
        "VALUES (NEW.ended_at, NEW.status, NEW.key, NEW.reason); END"
    ),
    (
        "CREATE TRIGGER log_revision AFTER INSERT ON revisions BEGIN "
        "INSERT INTO events (timestamp, event, detail) VALUES (NEW.registered_at, 'register', "
        "'revision ' || NEW.number || ', ' || NEW.total_tasks || ' tasks'); END"
    ),
)
for _trigger in (*_TRIGGERS, *EVENT_TRIGGERS):
    statement = DDL(_trigger)  # type: ignore[no-untyped-call]  # SQLAlchemy's
    event.listen(metadata, "after_create", statement)
