"""The steps from each older schema to the next one.

A step only adds, so that workers of the older slurmband that are still at work can go on. It is written
out as the SQL of its day: the schema goes on changing, a step never does.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from slurmband.store.schema import SCHEMA_VERSION

_FROM_1: Final = (
    "ALTER TABLE workflows ADD COLUMN growing INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE revisions ADD COLUMN fingerprints VARCHAR",
    "ALTER TABLE tasks ADD COLUMN fingerprint VARCHAR",
    "ALTER TABLE tasks ADD COLUMN last_fingerprint VARCHAR",
    "ALTER TABLE tasks ADD COLUMN max_failed_retries INTEGER",
    "ALTER TABLE tasks ADD COLUMN max_killed_retries INTEGER",
    "ALTER TABLE tasks ADD COLUMN in_graph INTEGER DEFAULT 1 NOT NULL",
    "UPDATE tasks SET in_graph = 0 WHERE state = 'cancelled'",  # nothing else cancelled tasks then
    "ALTER TABLE attempts ADD COLUMN fingerprint VARCHAR",
    "ALTER TABLE task_statuses ADD COLUMN fingerprint VARCHAR",
    """CREATE TABLE events (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        timestamp FLOAT NOT NULL,
        event VARCHAR NOT NULL,
        status_id INTEGER,
        worker_id INTEGER,
        detail VARCHAR,
        FOREIGN KEY(status_id) REFERENCES task_statuses (id),
        FOREIGN KEY(worker_id) REFERENCES workers ("key")
    )""",
    "CREATE INDEX idx_event_status ON events (status_id)",
    """CREATE TABLE producers (
        workflow_id VARCHAR NOT NULL,
        worker INTEGER NOT NULL,
        since FLOAT NOT NULL,
        PRIMARY KEY (workflow_id),
        FOREIGN KEY(workflow_id) REFERENCES workflows (id),
        FOREIGN KEY(worker) REFERENCES workers ("key")
    )""",
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
_FROM_2: Final = ("ALTER TABLE workers ADD COLUMN rounds INTEGER DEFAULT 0 NOT NULL",)
_FROM_3: Final = (
    "ALTER TABLE workflows ADD COLUMN max_oom_retries INTEGER DEFAULT 1 NOT NULL",
    "ALTER TABLE workflows ADD COLUMN max_time_limit_retries INTEGER DEFAULT 1 NOT NULL",
    "ALTER TABLE workflows ADD COLUMN stop VARCHAR",
    "ALTER TABLE tasks ADD COLUMN kind VARCHAR DEFAULT '' NOT NULL",
    "ALTER TABLE tasks ADD COLUMN time_limit FLOAT",
    "CREATE INDEX idx_time_limit ON tasks (time_limit) WHERE time_limit IS NOT NULL",
    "ALTER TABLE tasks ADD COLUMN on_oom VARCHAR",
    "ALTER TABLE tasks ADD COLUMN on_time_limit VARCHAR",
    "ALTER TABLE tasks ADD COLUMN ooms INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE tasks ADD COLUMN overruns INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE tasks ADD COLUMN walls INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE tasks ADD COLUMN max_oom_retries INTEGER",
    "ALTER TABLE tasks ADD COLUMN max_time_limit_retries INTEGER",
    "ALTER TABLE workers ADD COLUMN ends_at FLOAT",
    "ALTER TABLE workers ADD COLUMN stop VARCHAR",
    "ALTER TABLE workers ADD COLUMN unexplained INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE submissions ADD COLUMN options TEXT",
    "ALTER TABLE submissions ADD COLUMN time_limit FLOAT",
    "ALTER TABLE submissions ADD COLUMN max_submissions INTEGER",
    "ALTER TABLE submissions ADD COLUMN follows INTEGER REFERENCES submissions (id)",
    "CREATE UNIQUE INDEX one_successor ON submissions (follows)",
    """CREATE TABLE durations (
        kind VARCHAR NOT NULL,
        n INTEGER NOT NULL,
        mean FLOAT NOT NULL,
        spread FLOAT NOT NULL,
        foreseen FLOAT NOT NULL,
        PRIMARY KEY (kind)
    ) WITHOUT ROWID""",
    """CREATE TABLE questions (
        command VARCHAR NOT NULL,
        n INTEGER NOT NULL,
        asked_at FLOAT NOT NULL,
        PRIMARY KEY (command)
    ) WITHOUT ROWID""",
)
_FROM_4: Final = (
    """CREATE TABLE error_texts (
        id INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (id)
    )""",
    "ALTER TABLE attempts ADD COLUMN error_text INTEGER REFERENCES error_texts (id)",
)
#: Schema version -> the statements that lead to the next one.
STEPS: Final[Mapping[int, tuple[str, ...]]] = {
    1: _FROM_1,
    2: _FROM_2,
    3: _FROM_3,
    4: _FROM_4,
}


def upgrade(connection: Connection, version: int) -> None:
    """Bring tables of an older schema to the present one, within the transaction that is open.

    Parameters
    ----------
    connection : Connection
    version : int
        What the database says of itself; at least 1.
    """
    for step in range(version, SCHEMA_VERSION):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
