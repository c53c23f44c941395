"""What tests of lists of commands share: submit one, begin an endless one, see how they ended."""

import json
from pathlib import Path
from typing import Any

from tests.integration.band import Band, wait_for

SUBMIT = ("submit", "--cluster", "local", "--wait", "--commands", "list.txt")
#: Says which process it is, and runs until it is ended; so does a child of its own.
ENDLESS = "echo $$ > shell; sleep 600 & echo $! > child; wait"


def line(name: str, command: str, **more: object) -> str:
    return json.dumps({"id": name, "command": command, **more}) + "\n"


def run(band: Band, text: str, *options: object, code: int = 0) -> str:
    """Submit a list, wait for its end, and return what the workers printed."""
    band.write("list.txt", text)
    band.cli(*SUBMIT, *options, code=code)
    band.wait_until_over()
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
