PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA application_id = 1936482924;
BEGIN TRANSACTION;
CREATE TABLE attempts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	task INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	worker INTEGER NOT NULL, 
	claimed_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	outcome VARCHAR, 
	reason VARCHAR, 
	error TEXT, 
	CONSTRAINT known_outcome CHECK (outcome IS NULL OR outcome IN ('completed', 'failed', 'released', 'killed')), 
	CONSTRAINT ended_with_an_outcome CHECK ((ended_at IS NULL) = (outcome IS NULL)), 
	FOREIGN KEY(task) REFERENCES tasks ("key"), 
	FOREIGN KEY(worker) REFERENCES workers ("key")
);
INSERT INTO "attempts" VALUES(1,1,0,1,1,2.0,3.0,'completed',NULL,NULL);
INSERT INTO "attempts" VALUES(2,2,0,1,1,2.0,3.0,'failed','ValueError: burnt',NULL);
CREATE TABLE edges (
	upstream INTEGER NOT NULL, 
	downstream INTEGER NOT NULL, 
	satisfied INTEGER NOT NULL, 
	PRIMARY KEY (upstream, downstream), 
	CONSTRAINT no_task_waits_for_itself CHECK (upstream <> downstream), 
	FOREIGN KEY(upstream) REFERENCES tasks ("key"), 
	FOREIGN KEY(downstream) REFERENCES tasks ("key")
)
 WITHOUT ROWID

;
INSERT INTO "edges" VALUES(1,2,1);
INSERT INTO "edges" VALUES(2,3,0);
CREATE TABLE elements (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	submission INTEGER NOT NULL, 
	array_task_id INTEGER NOT NULL, 
	job_id INTEGER, 
	FOREIGN KEY(submission) REFERENCES submissions (id)
);
CREATE TABLE revisions (
	number INTEGER NOT NULL, 
	workflow_id VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	total_tasks INTEGER NOT NULL, 
	registered_at FLOAT NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(workflow_id) REFERENCES workflows (id)
);
INSERT INTO "revisions" VALUES(1,'main','76d179f6f2f8421e3780e56e628296cf7a1b2092fff91b111b8c65c9805835b2',3,0.0);
CREATE TABLE submissions (
	id INTEGER NOT NULL, 
	token VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	cluster VARCHAR NOT NULL, 
	array VARCHAR NOT NULL, 
	array_job_id INTEGER, 
	command TEXT NOT NULL, 
	directory VARCHAR NOT NULL, 
	script TEXT NOT NULL, 
	log VARCHAR, 
	created_at FLOAT NOT NULL, 
	error TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT known_status CHECK (status IN ('intended', 'queued', 'refused', 'unknown')), 
	CONSTRAINT queued_has_an_id CHECK (status <> 'queued' OR array_job_id IS NOT NULL), 
	UNIQUE (token)
);
CREATE TABLE task_counts (
	requirements VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	n INTEGER NOT NULL, 
	PRIMARY KEY (requirements, state), 
	CONSTRAINT counts_not_negative CHECK (n >= 0)
)
 WITHOUT ROWID

;
INSERT INTO "task_counts" VALUES('[]','completed',1);
INSERT INTO "task_counts" VALUES('[]','ready',1);
INSERT INTO "task_counts" VALUES('[]','running',0);
INSERT INTO "task_counts" VALUES('[]','waiting',1);
CREATE TABLE task_statuses (
	id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	event VARCHAR NOT NULL, 
	timestamp FLOAT NOT NULL, 
	worker_id INTEGER, 
	attempt INTEGER, 
	PRIMARY KEY (id), 
	CONSTRAINT known_status CHECK (status IN ('waiting', 'ready', 'running', 'completed', 'invalidated', 'failed', 'killed', 'blocked', 'cancelled')), 
	FOREIGN KEY(task_id) REFERENCES tasks ("key"), 
	FOREIGN KEY(worker_id) REFERENCES workers ("key"), 
	FOREIGN KEY(attempt) REFERENCES attempts (id)
);
INSERT INTO "task_statuses" VALUES(1,1,'ready','register',0.0,NULL,NULL);
INSERT INTO "task_statuses" VALUES(2,2,'waiting','register',0.0,NULL,NULL);
INSERT INTO "task_statuses" VALUES(3,3,'waiting','register',0.0,NULL,NULL);
INSERT INTO "task_statuses" VALUES(4,1,'running','claim',2.0,1,1);
INSERT INTO "task_statuses" VALUES(5,1,'completed','complete',3.0,1,1);
INSERT INTO "task_statuses" VALUES(6,2,'ready','free',3.0,NULL,NULL);
INSERT INTO "task_statuses" VALUES(7,2,'running','claim',2.0,1,2);
INSERT INTO "task_statuses" VALUES(8,2,'ready','retry',3.0,1,2);
CREATE TABLE tasks (
	"key" INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	workflow_id VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	requirements VARCHAR NOT NULL, 
	priority INTEGER NOT NULL, 
	max_parallel_workers INTEGER NOT NULL, 
	free_slots INTEGER NOT NULL, 
	unmet INTEGER NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	failures INTEGER DEFAULT 0 NOT NULL, 
	deaths INTEGER DEFAULT 0 NOT NULL, 
	completions INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY ("key"), 
	CONSTRAINT known_state CHECK (state IN ('waiting', 'ready', 'running', 'completed', 'invalidated', 'failed', 'killed', 'blocked', 'cancelled')), 
	CONSTRAINT unmet_not_negative CHECK (unmet >= 0), 
	CONSTRAINT free_slots_only_where_claimable CHECK (free_slots BETWEEN 0 AND max_parallel_workers AND (free_slots = 0 OR state IN ('ready', 'invalidated', 'running'))), 
	CONSTRAINT ready_means_all_met CHECK (state NOT IN ('ready', 'running') OR unmet = 0), 
	UNIQUE (id), 
	FOREIGN KEY(workflow_id) REFERENCES workflows (id)
);
INSERT INTO "tasks" VALUES(1,'bake','main','completed','[]',0,1,0,0,1,0,0,1);
INSERT INTO "tasks" VALUES(2,'serve','main','ready','[]',0,2,2,0,1,1,0,0);
INSERT INTO "tasks" VALUES(3,'wash','main','waiting','[]',0,1,0,1,0,0,0,0);
CREATE TABLE workers (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	workflow_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	reason VARCHAR, 
	labels VARCHAR NOT NULL, 
	node VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	boot_id VARCHAR NOT NULL, 
	pid_namespace VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	start_ticks INTEGER NOT NULL, 
	cluster VARCHAR, 
	array_job_id INTEGER, 
	array_task_id INTEGER, 
	job_id INTEGER, 
	restarts INTEGER DEFAULT 0 NOT NULL, 
	step INTEGER, 
	rank INTEGER, 
	heartbeat_timeout FLOAT NOT NULL, 
	log VARCHAR, 
	started_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	CONSTRAINT known_status CHECK (status IN ('alive', 'left', 'lost')), 
	CONSTRAINT ended_when_not_alive CHECK ((ended_at IS NULL) = (status = 'alive')), 
	FOREIGN KEY(workflow_id) REFERENCES workflows (id)
);
INSERT INTO "workers" VALUES(1,'main','alice','left','left','[]','node7','node7','boot-7','pid:[7]',700,7,NULL,NULL,NULL,NULL,0,NULL,NULL,60.0,NULL,1.0,30.0);
CREATE TABLE workflows (
	id VARCHAR NOT NULL, 
	revision INTEGER DEFAULT 0 NOT NULL, 
	max_failed_retries INTEGER NOT NULL, 
	max_killed_retries INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "workflows" VALUES('main',1,1,3);
CREATE INDEX idx_task_state ON tasks (state);
CREATE INDEX idx_claim ON tasks (requirements, priority DESC, "key") WHERE free_slots > 0;
CREATE INDEX idx_requirements ON tasks (requirements);
CREATE UNIQUE INDEX one_live_worker_per_name ON workers (name) WHERE status = 'alive';
CREATE INDEX idx_workflow_status ON workers (workflow_id, status);
CREATE INDEX idx_worker_element ON workers (array_job_id, array_task_id);
CREATE UNIQUE INDEX one_row_per_element ON elements (submission, array_task_id);
CREATE INDEX idx_edge_downstream ON edges (downstream);
CREATE UNIQUE INDEX one_claim_per_slot ON attempts (task, slot) WHERE outcome IS NULL;
CREATE INDEX idx_open_attempts ON attempts (worker) WHERE outcome IS NULL;
CREATE UNIQUE INDEX one_attempt_per_number ON attempts (task, number);
CREATE INDEX idx_task_status ON task_statuses (task_id, status);
CREATE INDEX idx_timestamp ON task_statuses (timestamp);
CREATE INDEX idx_worker_status ON task_statuses (worker_id, status);
CREATE TRIGGER count_new_task AFTER INSERT ON tasks BEGIN INSERT INTO task_counts (requirements, state, n) VALUES (NEW.requirements, NEW.state, 1) ON CONFLICT (requirements, state) DO UPDATE SET n = n + 1; END;
CREATE TRIGGER count_moved_task AFTER UPDATE OF state, requirements ON tasks BEGIN UPDATE task_counts SET n = n - 1 WHERE requirements = OLD.requirements AND state = OLD.state; INSERT INTO task_counts (requirements, state, n) VALUES (NEW.requirements, NEW.state, 1) ON CONFLICT (requirements, state) DO UPDATE SET n = n + 1; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('workers',1);
INSERT INTO "sqlite_sequence" VALUES('attempts',2);
COMMIT;
PRAGMA user_version = 1;
