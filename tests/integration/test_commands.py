"""A list of commands on this machine: how each ends, and what a second submission runs."""

import subprocess
import sys

import pytest

from tests.integration.band import Band
from tests.integration.commands import SUBMIT, line, run

pytestmark = pytest.mark.integration


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
