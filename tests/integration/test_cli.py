"""Wrong use at the command line: each says what, where, and what to do, with a code of its own."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.integration.band import Band

pytestmark = pytest.mark.integration

GOOD = "from slurmband import Task\ndef tasks():\n    yield Task('a')\ndef run(task):\n    pass\n"


def graph(*lines: str) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"from slurmband import Task\ndef tasks():\n{body}def run(task):\n    pass\n"


@pytest.mark.parametrize(
    ("program", "code", "says"),
    [
        (graph("yield Task('a')", "yield Task('a', 7)"), 65, "two tasks have the id 'a'"),
        (
            graph("yield Task('a', dependencies={'b'})"),
            65,
            "task 'a' depends on 'b', not in the graph",
        ),
        (graph("yield Task('a', dependencies={'a'})"), 65, "task 'a' depends on itself"),
        (
            graph("yield Task('a', dependencies={'b'})", "yield Task('b', dependencies={'a'})"),
            65,
            "the graph has a cycle: ",
        ),
        (graph("yield Task(7)"), 65, "the id 7 is no string"),
        (graph("yield 'a'"), 65, "gave 'a', which is no Task"),
        (graph("yield Task('a', dependencies='bc')"), 65, "is the string 'bc'"),
        (graph("return []"), 65, "tasks() in flow.py gave no task"),
        (graph("raise KeyError('x')"), 72, "tasks() in"),
        ("def tasks(): pass\n", 72, "does not define run()"),
        ("import nothing_of_that_name\n", 72, "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_a_bad_graph_queues_nothing(band: Band, program: str, code: int, says: str) -> None:
    band.write("flow.py", program)

    done = band.cli("submit", "--cluster", "local", "--array", 2, "flow.py", code=code)

    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (band.folder / "slurmband.sqlite").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("submit", "--array", "0", "flow.py"), 64, "would queue no element"),
        (("submit", "--array", "4-2", "flow.py"), 64, "cannot read '4-2'"),
        (("submit", "--array", "1%0", "flow.py"), 64, "after % comes"),
        (("submit", "--array", "2"), 64, "nothing to run"),
        (("submit", "--array"), 64, "--array needs a value"),
        (("submit", "--wrap", "hostname"), 64, "write the command after --"),
        (("submit", "missing.py"), 72, "no file missing.py"),
        (("submit", "--template", "nope", "flow.py"), 64, "no template 'nope'"),
        (("submit", "--cluster", "moon", "flow.py"), 64, "moon"),
        (("submit", "flow.py"), 68, "sbatch was not found on PATH"),
        (("work", "flow.py", "--help-me"), 0, ""),
        (("status",), 66, "no slurmband database at"),
        (("tasks", "--db", "elsewhere.sqlite"), 66, "elsewhere.sqlite"),
        (("tasks", "--db", "postgresql://host/band"), 64, "SQLite file"),
        (("nonsense",), 64, "No such command 'nonsense'"),
        (("templates", "show", "nope"), 64, "one of cpu, gpu, preemptible"),
    ],
)
def test_wrong_use_is_told(band: Band, words: tuple[str, ...], code: int, says: str) -> None:
    band.write("flow.py", GOOD)
    python_only = str(Path("/usr/bin/env").parent / "nowhere")

    done = band.cli(*words, code=code, PATH=python_only)

    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_names_are_told(band: Band) -> None:
    band.write("flow.py", GOOD)
    band.cli("submit", "--cluster", "local", "--wait", "flow.py")

    assert "no state 'gone'" in band.cli("tasks", "--state", "gone", code=64).stderr
    assert "nothing is called 'zz'" in band.cli("tasks", "zz", code=64).stderr
    assert "nothing is called '99_1'" in band.cli("where", "99_1", code=64).stderr
    assert "'zz': no such task" in band.cli("retry", "zz", code=64).stderr
    assert (
        "no format 'pretty-please'" in band.cli("jobs", "--format", "pretty-please", code=64).stderr
    )


def test_a_file_that_is_no_database_of_ours_is_left_alone(band: Band) -> None:
    band.write("text.sqlite", "not a database at all, but long enough to look like a file")
    with sqlite3.connect(band.folder / "other.sqlite") as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()

    for name, says in (("text", "is no SQLite database"), ("other", "not one of slurmband's")):
        assert says in band.cli("status", "--db", f"{name}.sqlite", code=67).stderr


def test_a_heartbeat_that_cannot_be_heard_is_refused(band: Band) -> None:
    band.write("flow.py", GOOD)

    done = band.cli(
        *("submit", "--cluster", "local", "flow.py"), code=64, SLURMBAND_HEARTBEAT_TIMEOUT="5"
    )

    assert "heartbeat_timeout (5 s) must be above heartbeat_interval (15 s)" in done.stderr


def test_listings_have_the_promised_fields(band: Band) -> None:
    band.write("flow.py", GOOD)
    band.cli("submit", "--cluster", "local", "--array", 2, "--wait", "flow.py")

    status, (task,), jobs = band.json("status"), band.json("tasks"), band.json("jobs")

    assert status["tasks"]["total"] == status["tasks"]["completed"] == 1
    assert set(status["workers"]) == {"total", "alive", "left", "lost"}
    wanted = "id state attempts worker job element node started ended reason"
    assert set(task) >= set(wanted.split())
    wanted = "array_job_id array_task_id job_id restarts worker node state task log"
    assert [set(row) >= set(wanted.split()) for row in jobs] == [True, True]
    assert [row["worker"] for row in band.json("where", "a")] == [task["worker"]]
    assert [row["array_task_id"] for row in band.json("where", "1_1")] == [1]
    assert band.cli("tasks", "--format", "github").stdout.startswith("| id")


def test_another_study_in_the_same_place_is_not_replaced_by_accident(band: Band) -> None:
    band.write("flow.py", GOOD)
    band.write("other.py", GOOD.replace("'a'", "'z'"))
    band.cli("submit", "--cluster", "local", "--wait", "flow.py")

    refused = band.cli("submit", "--cluster", "local", "--wait", "other.py", code=65)
    band.cli("submit", "--cluster", "local", "--wait", "--replace", "other.py")

    assert "none of its 1 tasks is in this graph" in refused.stderr
    assert {row["id"]: row["state"] for row in band.json("tasks")} == {
        "a": "completed",
        "z": "completed",
    }


def test_what_looks_like_ours_and_is_not_is_pointed_out(band: Band) -> None:
    band.write("flow.py", GOOD)

    typo = band.cli("submit", "--aray", "3", "flow.py", code=64)
    late = band.cli("submit", "--cluster", "local", "--wait", "flow.py", "--db", "x")
    vain = band.cli("submit", "--cluster", "local", "--mem=4G", "--wait", "flow.py")

    assert "no option --aray: is it --array?" in typo.stderr
    assert "--db stands after flow.py and goes to it" in late.stderr
    assert "these have no effect" in vain.stderr


def test_a_dry_run_shows_the_script_and_queues_nothing(band: Band) -> None:
    band.write("flow.py", GOOD)

    done = band.cli(
        "submit", "--dry-run", "--array", "10%2", "--time", "2:00:00", "flow.py", "--n", "3"
    )

    assert "--time=2:00:00 --array=0-9%2 --comment=slurmband-" in done.stdout
    assert "-m slurmband work flow.py --n 3" in done.stdout
    assert not list(band.folder.glob("slurmband.sqlite*"))


def test_debug_runs_one_worker_in_this_process(band: Band) -> None:
    band.write("flow.py", GOOD.replace("pass", "print('here', task.id)"))

    done = band.cli("submit", "--cluster", "debug", "--array", 3, "flow.py")

    assert "here a" in done.stdout
    assert "1 of 1 tasks completed" in done.stdout


def test_templates_are_listed_and_printed(band: Band) -> None:
    listed = band.json("templates")

    shown = band.cli("templates", "show", "gpu").stdout

    assert [row["name"] for row in listed] == ["cpu", "gpu", "preemptible"]
    assert shown.startswith("#!/bin/bash\n")
    assert "--gpus-per-task=1" in shown


def test_a_program_gets_its_own_arguments(band: Band) -> None:
    band.write(
        "flow.py",
        "import sys\nfrom slurmband import Task\n"
        "def tasks():\n    yield from (Task(word) for word in sys.argv[1:])\n"
        "def run(task):\n    pass\n",
    )

    band.cli("submit", "--cluster", "local", "--wait", "flow.py", "--array", "x y", "-z")

    assert [row["id"] for row in band.json("tasks")] == ["--array", "x y", "-z"]


def test_json_is_json_even_when_empty(band: Band) -> None:
    band.write("flow.py", GOOD)
    band.cli("submit", "--cluster", "local", "--wait", "flow.py")

    assert json.loads(band.cli("tasks", "--state", "failed", "--json").stdout) == []
    assert band.cli("tasks", "--state", "failed").returncode == 0
