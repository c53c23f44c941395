"""A program with a Graphband loop of its own: what each way to leave the loop records."""

import os

import pytest

from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

HEAD = """
import sys, time
from slurmband import Graphband, Task
TASKS = [Task("a"), Task("b"), Task("c", dependencies={"a"})]
"""


def outcomes(band: Band) -> dict[str, str]:
    return {task: row["state"] for task, row in band.tasks().items()}


@pytest.mark.parametrize(
    ("body", "states", "reason"),
    [
        (
            "for task in Graphband(TASKS):\n    pass\n",
            {"a": "completed", "b": "completed", "c": "completed"},
            None,
        ),
        (
            "for task in Graphband(TASKS):\n    break\n",
            {"a": "failed", "b": "ready", "c": "blocked"},
            "the loop was left by break, or by an exception",
        ),
        (
            "band = Graphband(TASKS)\nfor task in band:\n    band.close()\n",
            {"a": "completed", "b": "ready", "c": "ready"},
            None,
        ),
        (
            "with Graphband(TASKS) as band:\n    for task in band:\n        1 / 0\n",
            {"a": "failed", "b": "ready", "c": "blocked"},
            "ZeroDivisionError: division by zero",
        ),
        (
            "with Graphband(TASKS) as band:\n    for task in band:\n        break\n",
            {"a": "failed", "b": "ready", "c": "blocked"},
            "the loop was left by break, or by an exception",
        ),
        (
            "band = Graphband(TASKS)\nfor task in band:\n    1 / 0\n",
            {"a": "failed", "b": "ready", "c": "blocked"},
            "ZeroDivisionError: division by zero",
        ),
        (
            "def fail(task):\n    if task.id == 'a': sys.exit('bye')\nGraphband(TASKS).run(fail)\n",
            {"a": "failed", "b": "completed", "c": "blocked"},
            "SystemExit: bye",
        ),
    ],
    ids=["to the end", "break", "close", "with, raise", "with, break", "bare, raise", "run, exit"],
)
def test_each_way_to_leave_the_loop_is_recorded(
    band: Band, body: str, states: dict[str, str], reason: str | None
) -> None:
    program = band.write("own.py", HEAD + body)

    band.start(program).wait()

    assert outcomes(band) == states
    assert band.tasks()["a"]["reason"] == reason
    assert {row["state"] for row in band.json("workers")} == {"left"}


def test_a_second_loop_over_the_band_goes_on_where_the_first_stopped(band: Band) -> None:
    program = band.write(
        "own.py",
        HEAD
        + "band = Graphband(TASKS, max_failed_retries=1)\n"
        + "for task in band:\n    break\n"
        + "print([(task.id, task.attempt) for task in band])\n",
    )

    band.start(program).wait()

    assert "[('a', 2), ('b', 1), ('c', 1)]" in band.log()
    assert set(outcomes(band).values()) == {"completed"}


def test_other_workers_stop_when_the_policy_says_so(band: Band) -> None:
    program = band.write(
        "own.py",
        HEAD + "def fail(task):\n    1 / 0\nGraphband(TASKS, failure_policy='stop').run(fail)\n",
    )

    band.start(program).wait()

    assert "task 'a' ended without completing and the failure policy is 'stop'" in band.log()
    assert outcomes(band) == {"a": "failed", "b": "ready", "c": "blocked"}


def test_another_graph_is_refused_until_it_is_submitted(band: Band) -> None:
    band.write("one.py", HEAD + "list(Graphband(TASKS))\n")
    other = HEAD + "list(Graphband([*TASKS, Task('d')]))\n"
    band.write("two.py", other)
    band.start("one.py").wait()

    band.start("two.py", log="two").wait()

    assert "GraphChanged" in band.log("two")
    assert "slurmband submit" in band.log("two")


def test_a_program_can_register_its_new_graph_itself(band: Band) -> None:
    band.write("one.py", HEAD + "list(Graphband(TASKS))\n")
    other = "band = Graphband([*TASKS, Task('d')])\nprint(band.register(), [t.id for t in band])\n"
    band.write("two.py", HEAD + other)
    band.start("one.py").wait()

    band.start("two.py", log="two").wait()

    assert band.log("two").strip() == "2 ['d']"


def test_labels_decide_who_takes_what(band: Band) -> None:
    program = band.write(
        "own.py",
        "import sys\nfrom slurmband import Graphband, Task\n"
        "tasks = [Task('plain'), Task('fast', requirements={'gpu'})]\n"
        "print([task.id for task in Graphband(tasks)])\n",
    )

    band.start(program, log="plain").wait()
    band.start(program, log="gpu", SLURMBAND_LABELS="gpu,bigmem").wait()

    assert (band.log("plain").strip(), band.log("gpu").strip()) == ("['plain']", "['fast']")


def test_a_disabled_band_touches_nothing(band: Band) -> None:
    program = band.write("own.py", HEAD + "print([t.id for t in Graphband(TASKS)])\n")

    band.start(program, SLURMBAND_DISABLED="1").wait()

    assert band.log().strip() == "['a', 'b', 'c']"
    assert not (band.folder / "slurmband.sqlite").exists()


def test_plain_items_need_no_tasks(band: Band) -> None:
    program = band.write(
        "own.py",
        "from slurmband import Graphband\nprint(list(Graphband.over('xyz')))\n",
    )

    band.start(program).wait()

    assert band.log().strip() == "['x', 'y', 'z']"


def test_the_users_lock_is_one_lock_for_all(band: Band) -> None:
    program = band.write(
        "own.py",
        "import os, pathlib, time\nfrom slurmband import Graphband\n"
        "total = pathlib.Path('total')\n"
        "band = Graphband.over(range(20), wait=True)\n"
        "for item in band:\n"
        "    with band.lock:\n"
        "        before = int(total.read_text())\n"
        "        time.sleep(0.005)\n"
        "        total.write_text(str(before + item))\n",
    )
    (band.folder / "total").write_text("0")

    for process in [band.start(program) for _ in range(3)]:
        assert process.wait() == 0, band.log()

    assert (band.folder / "total").read_text() == str(sum(range(20)))


def test_user_code_can_ask_whether_the_task_is_still_its_own(band: Band) -> None:
    program = band.write(
        "own.py",
        HEAD + "band = Graphband([Task('a')])\n"
        "for task in band:\n"
        "    print(band.still_mine(task), task.attempt, band.attempt_dir(task).is_dir())\n"
        "    held = task\n"
        "print(band.still_mine(held))\n",
    )

    band.start(program).wait()

    assert band.log().split() == ["True", "1", "True", "False"]


def test_a_forked_child_does_not_speak_for_its_parent(band: Band) -> None:
    program = band.write(
        "own.py",
        HEAD + "import os\n"
        "for task in Graphband(TASKS):\n"
        "    child = os.fork()\n"
        "    if not child:\n        sys.exit(0)\n"
        "    os.waitpid(child, 0)\n",
    )

    assert band.start(program).wait() == 0, band.log()

    assert set(outcomes(band).values()) == {"completed"}
    assert os.path.exists(band.folder / "slurmband.sqlite")


def test_a_worker_of_an_older_graph_stops_and_leaves_the_new_tasks_alone(band: Band) -> None:
    band.write(
        "old.py",
        "import pathlib, time\nfrom slurmband import Task\n"
        "def tasks():\n    yield from (Task(name) for name in 'ab')\n"
        "def run(task):\n"
        "    pathlib.Path('began').touch()\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.02)\n",
    )
    new = (band.folder / "old.py").read_text().replace("'ab'", "'bcd'")
    band.write("new.py", new)
    old_worker = band.worker("old.py", log="old")
    wait_for((band.folder / "began").exists, what="the old worker is in 'a'")

    band.cli("submit", "--cluster", "local", "--array", 1, "new.py")
    (band.folder / "go").touch()

    assert old_worker.wait(timeout=120) == 65
    assert "Run `slurmband submit` again" in band.log("old")
    done = dict.fromkeys("abcd", "completed")
    wait_for(lambda: outcomes(band) == done, what="the new worker did the rest")


def test_a_task_that_left_the_graph_while_it_ran_and_failed_is_cancelled(band: Band) -> None:
    band.write(
        "old.py",
        "import pathlib, time\nfrom slurmband import Task\n"
        "def tasks():\n    yield Task('gone'); yield Task('both', dependencies={'gone'})\n"
        "def run(task):\n"
        "    pathlib.Path('began').touch()\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.02)\n"
        "    raise ValueError\n",
    )
    new = (band.folder / "old.py").read_text().replace("'gone'", "'kept'")
    band.write("new.py", new.replace("raise ValueError", "pass"))
    old_worker = band.worker("old.py", log="old", SLURMBAND_MAX_FAILED_RETRIES="5")
    wait_for((band.folder / "began").exists, what="the old worker is in its task")

    band.cli("submit", "--cluster", "local", "--array", 1, "new.py")
    (band.folder / "go").touch()

    assert old_worker.wait(timeout=120) == 65
    wanted = {"gone": "cancelled", "both": "completed", "kept": "completed"}
    wait_for(lambda: outcomes(band) == wanted, what="the new worker sorted it out")


def test_a_database_that_is_deleted_is_missed_and_not_made_anew(band: Band) -> None:
    program = band.write(
        "own.py",
        HEAD + "import os\nfrom slurmband.errors import DatabaseMissing\n"
        "from slurmband.store.database import Store\n"
        "store = Store('x.sqlite', create=True, mode='shared')\n"
        "os.unlink('x.sqlite')\n"
        "try:\n    with store.transaction():\n        pass\n"
        "except DatabaseMissing as missing:\n    print('missing:', missing)\n",
    )

    band.start(program).wait()

    assert "missing: no slurmband database at" in band.log()
    assert not (band.folder / "x.sqlite").exists()


def test_a_band_may_be_worked_on_in_a_thread(band: Band) -> None:
    program = band.write(
        "own.py",
        HEAD + "import threading\n"
        "worker = threading.Thread(target=lambda: Graphband(TASKS).run(print))\n"
        "worker.start()\nworker.join()\n",
    )

    assert band.start(program).wait() == 0, band.log()

    assert set(outcomes(band).values()) == {"completed"}


@pytest.mark.parametrize(
    "body",
    [
        "for task in Graphband([Task('a')]):\n    work()\n",
        "Graphband([Task('a')]).run(work)\n",
        "with Graphband([Task('a')]) as band:\n    for task in band:\n        work()\n",
    ],
    ids=["bare", "run", "with"],
)
@pytest.mark.parametrize("leave", ["sys.exit(0)", "return", "1 / 0"])
def test_a_forked_child_writes_nothing_into_its_parents_journal(
    band: Band, body: str, leave: str
) -> None:
    program = band.write(
        "own.py",
        HEAD + "import os, signal\n"
        "def work(task=None):\n"
        "    child = os.fork()\n"
        f"    if not child:\n        {leave}\n"
        "    os.waitpid(child, 0)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n" + body,
    )

    band.start(program).wait()
    band.cli("reap-dead")

    (row,) = band.json("where", "a")
    assert (row["outcome"], row["reason"]) == ("killed", "killed"), band.log()


@pytest.mark.parametrize(
    ("handler", "code"),
    [("signal.SIG_DFL", "-15"), ("lambda *_: sys.exit(7)", "7")],
    ids=["by default", "by a handler of its own"],
)
def test_a_child_of_the_user_can_be_ended_by_sigterm(band: Band, handler: str, code: str) -> None:
    program = band.write(
        "own.py",
        HEAD + "import multiprocessing, signal\n"
        "context = multiprocessing.get_context('fork')\n"
        "def idle(ready):\n"
        f"    if {handler} is not signal.SIG_DFL: signal.signal(signal.SIGTERM, {handler})\n"
        "    ready.set()\n"
        "    time.sleep(60)\n"
        "for task in Graphband(TASKS):\n"
        "    ready = context.Event()\n"
        "    child = context.Process(target=idle, args=[ready])\n"
        "    child.start()\n"
        "    ready.wait(120)\n"
        "    child.terminate()\n"
        "    child.join(60)\n"
        "    print('ended by', child.exitcode, flush=True)\n"
        "    child.kill()\n"
        "    time.sleep(1.0)\n",
    )

    process = band.start(program, SLURMBAND_RELEASE_AFTER="0.3")

    assert process.wait() == 0, band.log()
    assert band.log().count(f"ended by {code}") == 3
    assert outcomes(band) == dict.fromkeys("abc", "completed")
