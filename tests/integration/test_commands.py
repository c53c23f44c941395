"""A list of commands on this machine: how each ends, what a second submission runs, who ends what."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.band import Band, busy_workers, wait_for

pytestmark = pytest.mark.integration

SUBMIT = ("submit", "--cluster", "local", "--wait", "--commands", "list.txt")
#: Says which process it is, and runs until it is ended; so does a child of its own.
ENDLESS = "echo $$ > shell; sleep 600 & echo $! > child; wait"


def line(name: str, command: str, **more: object) -> str:
    return json.dumps({"id": name, "command": command, **more}) + "\n"


def run(band: Band, text: str, *options: object, code: int = 0) -> str:
    """Submit a list, wait for its end, and return what the workers printed."""
    band.write("list.txt", text)
    band.cli(*SUBMIT, *options, code=code)
    logs = sorted((band.folder / "slurmband.sqlite.d" / "logs").iterdir())
    return "".join(log.read_text() for log in logs)


def outcomes(band: Band) -> list[tuple[Any, ...]]:
    return band.sql(
        "SELECT tasks.id, outcome, attempts.reason FROM attempts JOIN tasks ON tasks.key = task "
        "ORDER BY attempts.id"
    )


def pid_in(file: Path) -> int:
    """Wait until a command has written a process id."""

    def read() -> int:
        text = file.read_text() if file.exists() else ""
        return int(text) if text.endswith("\n") else 0

    return int(wait_for(read, what=f"{file.name} is there"))


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def begin(band: Band, text: str, *options: object, **environ: str) -> int:
    """Start a worker on a list by hand, wait until its command runs, and return its pid."""
    band.write("list.txt", text)
    process = band.start(
        "-m", "slurmband", "work", "--commands", "list.txt", *options, log="worker", **environ
    )
    for name in ("shell", "child"):
        pid_in(band.folder / name)
    return process.pid


def wait_until_ended(pid: int) -> None:
    wait_for(lambda: not lives(pid), what=f"{pid} ended")


def assert_ended(band: Band) -> None:
    """Wait until nothing of the endless command is left."""
    for name in ("shell", "child"):
        wait_until_ended(pid_in(band.folder / name))


def test_the_exit_status_decides_and_says_why(band: Band) -> None:
    run(
        band,
        line("good", "true")
        + line("three", "exit 3")
        + line("signal", "kill -SEGV $$")
        + line("inner", "bash -c 'kill -KILL $$'; exit $?")
        + line("nowhere", "true", cwd="nowhere")
        + line("after", "true", dependencies=["three"]),
        code=69,
    )

    found = {name: (row["state"], row["reason"]) for name, row in band.tasks().items()}
    assert found.pop("nowhere") == (
        "failed",
        f"it could not be started: [Errno 2] No such file or directory: '{band.folder}/nowhere'",
    )
    assert found == {
        "good": ("completed", None),
        "three": ("failed", "exit status 3"),
        "signal": ("failed", "killed by SIGSEGV"),
        "inner": ("failed", "exit status 137 (SIGKILL)"),
        "after": ("blocked", "needs 'three', which is failed"),
    }
    assert band.tasks()["three"]["error"] == "exit status 3: exit 3"


def test_a_command_fails_within_its_own_budget(band: Band) -> None:
    run(band, line("third", '[ "$SLURMBAND_ATTEMPT" = 3 ]', max_failed_retries=2))

    assert [row["outcome"] for row in band.json("where", "third")] == [
        "failed",
        "failed",
        "completed",
    ]


def test_a_command_knows_what_it_is(band: Band) -> None:
    (band.folder / "runs").mkdir()
    said = (
        '"$SLURMBAND_TASK_ID $SLURMBAND_ATTEMPT $SLURMBAND_WORKER $SLURMBAND_DB $X {id} {attempt}"'
    )

    log = run(band, line("a", f"echo $PWD {said}", cwd="runs", env={"X": "x"}))

    database = band.folder / "slurmband.sqlite"
    assert f"\n{band.folder}/runs a 1 1_0 {database} x a 1\n" in log


def test_what_commands_print_stands_in_the_log_in_order(band: Band) -> None:
    log = run(band, "echo one; echo two >&2; echo three\n", "--array", 1)

    _, before, after = log.partition(" runs: echo one; echo two >&2; echo three\none\ntwo\nthree\n")
    assert before
    assert "completed after" in after.splitlines()[0]


def test_a_line_at_the_top_is_all_that_is_run_when_it_is_added(band: Band) -> None:
    lines = "echo a >> ran\necho b >> ran\necho b >> ran\n"
    run(band, lines)

    band.write("list.txt", f"# more\necho new >> ran\n{lines}")
    second = band.cli(*SUBMIT).stdout

    assert "4 tasks registered, 1 of them new." in second
    assert sorted((band.folder / "ran").read_text().split()) == ["a", "b", "b", "new"]


def test_a_changed_command_of_the_same_id_is_run_again(band: Band) -> None:
    same = line("same", "echo same >> ran")
    run(
        band,
        same + line("other", "echo old >> ran") + line("env", 'echo "$X" >> ran', env={"X": 1}),
    )

    band.write(
        "list.txt",
        line("other", "echo new >> ran") + line("env", 'echo "$X" >> ran', env={"X": 2}) + same,
    )
    second = band.cli(*SUBMIT).stdout
    third = band.cli(*SUBMIT).stdout

    assert "3 tasks registered, 0 of them new, 2 to run again for their fingerprints." in second
    assert "3 tasks registered, 0 of them new.\n" in third
    ran = (band.folder / "ran").read_text().split()
    assert sorted(ran) == sorted(["same", "old", "1", "new", "2"])


def test_a_failed_command_is_tried_again_once_it_was_mended(band: Band) -> None:
    text = (
        line("bad", "exit {}")
        + line("worse", "exit 2")
        + line("next", "true", dependencies=["bad"])
    )
    run(band, text.replace("{}", "1"), code=69)

    band.write("list.txt", text.replace("exit {}", "true"))
    done = band.cli(*SUBMIT, code=69)

    assert (
        "3 tasks registered, 0 of them new, 1 to be tried again, since they changed." in done.stdout
    )
    states = {name: (row["state"], row["attempts"]) for name, row in band.tasks().items()}
    assert states == {"bad": ("completed", 2), "worse": ("failed", 1), "next": ("completed", 1)}


def test_the_file_may_go_once_it_was_submitted(band: Band) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "slurmband", *SUBMIT[:-1], "-"],
        input="echo from a pipe > out\n",
        cwd=band.folder,
        env=band.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (band.folder / "out").read_text() == "from a pipe\n"
    (kept,) = (band.folder / "slurmband.sqlite.d" / "commands").iterdir()
    assert kept.read_text() == "echo from a pipe > out\n"


def test_a_worker_with_an_older_list_runs_nothing(band: Band) -> None:
    run(band, line("a", "echo old >> ran"))
    (older,) = (band.folder / "slurmband.sqlite.d" / "commands").iterdir()
    band.write("list.txt", line("a", "echo new >> ran"))
    band.cli("submit", "--cluster", "local", "--commands", "list.txt", "--array", "1", "--wait")

    late = band.cli("work", "--commands", older, code=65)

    assert "builds another graph" in late.stderr
    assert (band.folder / "ran").read_text() == "old\nnew\n"


def test_a_bad_list_queues_nothing(band: Band) -> None:
    band.write("list.txt", "true\n" + '{"id": "a", "dependencies": ["b"]}\n')

    done = band.cli("submit", "--cluster", "local", "--commands", "list.txt", code=65)

    assert 'list.txt:2: it has no "command"' in done.stderr
    assert [file.name for file in band.folder.iterdir()] == ["list.txt"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--commands", "list.txt", "--growing"), 64, "has no meaning with --commands"),
        (("--commands", "list.txt", "flow.py"), 64, "both --commands and flow.py"),
        (("--commands", "list.txt", "--", "true"), 64, "both --commands and true"),
        (("--commands", "nowhere.txt"), 72, "nowhere.txt cannot be read: No such file"),
        ((), 64, "nothing to run"),
    ],
)
def test_what_makes_no_sense_is_refused(
    band: Band, words: tuple[str, ...], code: int, said: str
) -> None:
    band.write("list.txt", "true\n")

    done = band.cli("submit", "--cluster", "local", *words, code=code)

    assert said in done.stderr


def test_a_dry_run_shows_what_workers_run_and_leaves_nothing(band: Band) -> None:
    band.write("list.txt", "true\n")

    done = band.cli("submit", "--dry-run", "--commands", "list.txt")

    assert f"work --commands {band.folder}/slurmband.sqlite.d/commands/" in done.stdout
    assert [file.name for file in band.folder.iterdir()] == ["list.txt"]


def test_one_worker_can_be_debugged_here(band: Band) -> None:
    band.write("list.txt", "echo one\nexit 1\n")

    done = band.cli("submit", "--cluster", "debug", "--commands", "list.txt")

    assert "1 of 2 tasks completed." in done.stdout


def test_a_worker_may_be_strict(band: Band) -> None:
    band.write("list.txt", "true\nexit 1\n")

    done = band.cli("work", "--strict", "--commands", "list.txt", code=69)

    assert "1 of 2 tasks have not completed" in done.stderr


# --- the ends of commands -------------------------------------------------------------------------


def test_what_a_command_leaves_behind_ends_with_it(band: Band) -> None:
    log = run(band, line("a", "sleep 600 & echo $! > child") + line("b", "echo b > >(cat)"))

    assert not lives(pid_in(band.folder / "child"))
    assert outcomes(band) == [("a", "completed", None), ("b", "completed", None)]
    assert "task=a left processes behind, which were killed" in log
    assert "task=b left" not in log


def test_a_killed_workers_command_does_not_live_on(band: Band) -> None:
    pid = begin(band, line("a", ENDLESS))

    os.kill(pid, signal.SIGKILL)

    assert_ended(band)


def test_a_command_whose_launcher_is_killed_is_ended_and_failed(band: Band) -> None:
    begin(band, line("a", ENDLESS) + line("b", "true", priority=-1))
    shell = pid_in(band.folder / "shell")
    launcher = int(Path(f"/proc/{shell}/stat").read_text().rpartition(")")[2].split()[1])
    assert b"launcher.py" in Path(f"/proc/{launcher}/cmdline").read_bytes()

    os.kill(launcher, signal.SIGKILL)

    assert band.started[0].wait(60) == 0
    assert_ended(band)
    assert outcomes(band) == [
        ("a", "failed", "the process that starts commands (launcher.py) was killed"),
        ("b", "completed", None),
    ]


def test_sigterm_is_handed_on_and_the_task_is_released(band: Band) -> None:
    save = f"trap 'echo saved > saved; exit 0' TERM; {ENDLESS}"
    pid = begin(band, line("a", save))

    os.kill(pid, signal.SIGTERM)
    assert band.started[0].wait(60) == 0

    assert_ended(band)
    assert (band.folder / "saved").exists()
    assert outcomes(band) == [("a", "released", "drained")]
    assert band.sql("SELECT failures, deaths FROM tasks") == [(0, 0)]
    assert band.tasks()["a"]["state"] == "ready"


def test_what_a_shell_runs_has_time_to_end_after_the_shell(band: Band) -> None:
    save = "trap 'sleep 3; echo saved > saved; exit' TERM; sleep 600 & echo $! > child; wait"
    pid = begin(band, line("a", f"echo $$ > shell; bash -c {shlex.quote(save)}; true"))

    os.kill(pid, signal.SIGTERM)
    assert band.started[0].wait(60) == 0

    assert (band.folder / "saved").exists()
    assert outcomes(band) == [("a", "released", "drained")]


def test_a_command_that_does_not_hear_sigterm_is_killed_before_the_worker_is(band: Band) -> None:
    pid = begin(band, line("a", f"trap '' TERM; {ENDLESS}"), SLURMBAND_RELEASE_AFTER="8")

    os.kill(pid, signal.SIGTERM)

    assert band.started[0].wait(60) == 0  # the guardian would have killed it
    assert_ended(band)
    assert outcomes(band) == [("a", "released", "drained")]


def test_the_warning_lets_a_command_finish(band: Band) -> None:
    text = line(
        "a", f"{ENDLESS.replace('; wait', '')}; until [ -e go ]; do sleep 0.05; done; kill $!"
    )
    pid = begin(band, text + line("b", "true", priority=-1))

    os.kill(pid, signal.SIGUSR1)
    (band.folder / "go").touch()

    assert band.started[0].wait(60) == 0
    assert outcomes(band) == [("a", "completed", None)]


def test_a_signal_for_all_processes_of_a_job_is_no_failure(band: Band) -> None:
    pid = begin(band, line("a", ENDLESS))

    # As SLURM may do it: the command first.
    os.killpg(pid_in(band.folder / "shell"), signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)

    assert band.started[0].wait(60) == 0
    assert outcomes(band) == [("a", "released", "drained")]


def test_a_signal_for_the_command_alone_is_a_failure(band: Band) -> None:
    begin(band, line("a", ENDLESS))

    os.killpg(pid_in(band.folder / "shell"), signal.SIGTERM)

    assert band.started[0].wait(60) == 0
    assert outcomes(band) == [("a", "failed", "killed by SIGTERM")]


def test_ctrl_c_twice_ends_the_command(band: Band) -> None:
    pid = begin(band, line("a", ENDLESS))

    os.kill(pid, signal.SIGINT)
    wait_for(lambda: "SIGINT: leaving after" in band.log("worker"), what="the first was heard")
    os.kill(pid, signal.SIGINT)

    assert band.started[0].wait(60) == 130
    assert_ended(band)
    assert outcomes(band) == [("a", "released", "drained")]


def test_cancelling_an_array_ends_its_commands(band: Band) -> None:
    band.write("list.txt", line("a", ENDLESS))
    band.cli("submit", "--cluster", "local", "--commands", "list.txt")
    (row,) = wait_for(lambda: busy_workers(band, 1), what="the worker is busy")
    pid_in(band.folder / "child")

    controller = int(Path(f"/proc/{row['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(controller, signal.SIGTERM)

    assert_ended(band)
    wait_for(lambda: band.json("status")["workers"]["alive"] == 0, what="the worker left")
    assert outcomes(band) == [("a", "released", "drained")]
