"""Who ends a command, and what becomes of its task: signals, deaths, and what is left behind."""

import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.integration.commands import (
    ENDLESS,
    assert_ended,
    begin,
    line,
    lives,
    outcomes,
    pid_in,
    run,
)

pytestmark = pytest.mark.integration


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

    assert band.started[0].wait(120) == 0
    assert_ended(band)
    assert outcomes(band) == [
        ("a", "failed", "the process that starts commands (launcher.py) was killed"),
        ("b", "completed", None),
    ]


def test_sigterm_is_handed_on_and_the_task_is_released(band: Band) -> None:
    save = f"trap 'echo saved > saved; exit 0' TERM; {ENDLESS}"
    pid = begin(band, line("a", save))

    os.kill(pid, signal.SIGTERM)
    assert band.started[0].wait(120) == 0

    assert_ended(band)
    assert (band.folder / "saved").exists()
    assert outcomes(band) == [("a", "released", "drained")]
    assert band.sql("SELECT failures, deaths FROM tasks") == [(0, 0)]
    assert band.tasks()["a"]["state"] == "ready"


def test_a_command_that_its_jobs_end_cuts_short_is_free_once_and_charged_after_that(
    band: Band,
) -> None:
    for ending in ("released", "killed"):
        until = {"SLURM_JOB_END_TIME": str(time.time() + 40.0)}
        pid = begin(band, line("a", ENDLESS, max_time_limit_retries=0), **until)

        os.kill(pid, signal.SIGTERM)
        assert band.started[-1].wait(60) == 0

        assert_ended(band)
        assert outcomes(band)[-1] == ("a", ending, "time limit")
        for name in ("shell", "child"):
            (band.folder / name).unlink()
    assert band.tasks()["a"]["state"] == "killed"


def test_what_a_shell_runs_has_time_to_end_after_the_shell(band: Band) -> None:
    save = "trap 'sleep 3; echo saved > saved; exit' TERM; sleep 600 & echo $! > child; wait"
    pid = begin(band, line("a", f"echo $$ > shell; bash -c {shlex.quote(save)}; true"))

    os.kill(pid, signal.SIGTERM)
    assert band.started[0].wait(120) == 0

    assert (band.folder / "saved").exists()
    assert outcomes(band) == [("a", "released", "drained")]


def test_a_command_that_does_not_hear_sigterm_is_killed_before_the_worker_is(band: Band) -> None:
    pid = begin(band, line("a", f"trap '' TERM; {ENDLESS}"), SLURMBAND_RELEASE_AFTER="16")

    os.kill(pid, signal.SIGTERM)

    assert band.started[0].wait(120) == 0  # the guardian would have killed it
    assert_ended(band)
    assert outcomes(band) == [("a", "released", "drained")]


def test_the_warning_lets_a_command_finish(band: Band) -> None:
    text = line(
        "a", f"{ENDLESS.replace('; wait', '')}; until [ -e go ]; do sleep 0.05; done; kill $!"
    )
    pid = begin(band, text + line("b", "true", priority=-1))

    os.kill(pid, signal.SIGUSR1)
    (band.folder / "go").touch()

    assert band.started[0].wait(120) == 0
    assert outcomes(band) == [("a", "completed", None)]


def test_a_signal_for_all_processes_of_a_job_is_no_failure(band: Band) -> None:
    pid = begin(band, line("a", ENDLESS))

    # As SLURM may do it: the command first.
    os.killpg(pid_in(band.folder / "shell"), signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)

    assert band.started[0].wait(120) == 0
    assert outcomes(band) == [("a", "released", "drained")]


def test_a_signal_for_the_command_alone_is_a_failure(band: Band) -> None:
    begin(band, line("a", ENDLESS))

    os.killpg(pid_in(band.folder / "shell"), signal.SIGTERM)

    assert band.started[0].wait(120) == 0
    assert outcomes(band) == [("a", "failed", "killed by SIGTERM")]


def test_ctrl_c_twice_ends_the_command(band: Band) -> None:
    pid = begin(band, line("a", ENDLESS))

    os.kill(pid, signal.SIGINT)
    wait_for(lambda: "SIGINT: leaving after" in band.log("worker"), what="the first was heard")
    os.kill(pid, signal.SIGINT)

    assert band.started[0].wait(120) == 130
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
