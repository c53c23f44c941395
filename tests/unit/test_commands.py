"""Whether a command failed, or only ended since its worker is to leave."""

from pathlib import Path
from signal import SIGINT, SIGTERM, SIGUSR1
from types import SimpleNamespace
from typing import Any

import pytest

from slurmband.graphband.commands import was_told_to_leave
from slurmband.graphband.shell import Exit, Shell

pytestmark = pytest.mark.unit


def shell(*numbers: int, after: float = 0.0) -> Any:
    """Return a shell whose worker hears these signals so many seconds after the command ended."""
    return SimpleNamespace(
        heard=lambda seconds: frozenset(numbers) if seconds >= after else frozenset[int]()
    )


@pytest.mark.parametrize(
    ("status", "heard", "told"),
    [
        (0, [], False),
        (3, [], False),
        (-SIGTERM, [], False),
        (None, [], False),
        # Nobody knows what a command did that was asked to end.
        (0, [SIGTERM], True),
        (3, [SIGTERM], True),
        (-SIGTERM, [SIGUSR1, SIGTERM], True),
        # After the warning, a command goes on as long as nothing ends it.
        (0, [SIGUSR1], False),
        (3, [SIGUSR1], False),
        (-SIGUSR1, [SIGUSR1], True),
        (128 + SIGUSR1, [SIGUSR1], True),
        (-SIGTERM, [SIGUSR1], True),
        (-SIGTERM, [SIGINT], False),
    ],
)
def test_a_signal_for_the_worker_is_no_failure_of_its_command(
    status: int | None, heard: list[int], told: bool
) -> None:
    assert was_told_to_leave(Exit(status), shell(*heard)) is told


def test_the_word_to_leave_may_come_a_little_after_the_end() -> None:
    assert was_told_to_leave(Exit(-SIGTERM), shell(SIGTERM, after=1.0))
    assert was_told_to_leave(Exit(1), shell(SIGTERM, after=0.05))


def test_a_shell_says_how_long_a_command_took(tmp_path: Path) -> None:
    shell = Shell(grace=1.0, monotonic=iter([10.0, 17.0]).__next__)

    assert shell.run("true", cwd=tmp_path, env={}) == Exit(0, took=7.0)
    shell.close()


def test_after_success_it_waits_for_a_fiftieth_of_the_time_that_the_command_took() -> None:
    assert was_told_to_leave(Exit(0, took=60.0), shell(SIGTERM, after=0.1))
    assert not was_told_to_leave(Exit(0, took=60.0), shell(SIGTERM, after=0.2))
    assert was_told_to_leave(Exit(0, took=1.0), shell(SIGTERM, after=0.02))
    assert not was_told_to_leave(Exit(0, took=1.0), shell(SIGTERM, after=0.05))
