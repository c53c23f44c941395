"""A folder to run a band in: starts commands and workers there, and waits for conditions."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SMALL_TRACE = ROOT / "tests" / "data" / "small.wfformat.json"
REPLAY = ROOT / "examples" / "wfformat.py"


def wait_for(condition: Callable[[], Any], *, what: str, seconds: float = 120.0) -> Any:
    """Poll a condition until it holds; fail with `what` after a generous deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


@dataclass
class Band:
    """A working directory, the environment for what runs in it, and the processes it started."""

    folder: Path
    environ: dict[str, str]
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def cli(
        self, *words: object, code: int = 0, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end and check its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "slurmband", *map(str, words)],
            cwd=self.folder,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: object) -> Any:
        """Run a command with --json and return what it printed."""
        return json.loads(self.cli(*words, "--json").stdout)

    def write(self, name: str, text: str) -> Path:
        """Write a program into the folder."""
        file = self.folder / name
        file.write_text(text)
        return file

    def start(self, *words: object, log: str = "out", **environ: str) -> "subprocess.Popen[bytes]":
        """Start ``python WORDS`` in the background."""
        with (self.folder / f"{log}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *map(str, words)],
                cwd=self.folder,
                env=self.environ | environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def worker(self, file: str, *, log: str = "out", **environ: str) -> "subprocess.Popen[bytes]":
        """Start a worker in the background."""
        return self.start("-m", "slurmband", "work", file, log=log, **environ)

    def log(self, name: str = "out") -> str:
        """Return what a process printed."""
        return (self.folder / f"{name}.log").read_text()

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the listed tasks by id."""
        return {row["id"]: row for row in self.json("tasks")}

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself, when nobody works on it."""
        with contextlib.closing(sqlite3.connect(self.folder / "slurmband.sqlite")) as connection:
            return connection.execute(query).fetchall()

    def wait_until_over(self) -> None:
        """Wait for the end of all arrays and their workers: `submit --wait` waits for the tasks only."""
        wait_for(lambda: not self._running(), what=f"the end of the arrays in {self.folder}")

    def stop_all(self) -> None:
        """Leave no process behind, also none that is about to begin."""
        for process in self.started:
            process.kill()
            process.wait()
        wait_for(self._none_is_left, what=f"the end of all that runs in {self.folder}")

    def _none_is_left(self) -> bool:
        """Kill what runs in the folder, such as arrays and their elements; whether nothing did."""
        found = self._running()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    def _running(self) -> list[int]:
        """Return the processes whose working directory lies in the folder, but for what we started."""
        ours = {os.getpid(), *(process.pid for process in self.started)}
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                if (process / "cwd").readlink().is_relative_to(self.folder):
                    found.append(int(process.name))
        return [pid for pid in found if pid not in ours]


def busy_workers(band: Band, count: int) -> list[dict[str, Any]]:
    """Return the first `count` live workers that hold a task; nothing while they are fewer."""
    rows = [row for row in band.json("workers") if row["state"] == "alive" and row["tasks"]]
    return rows[:count] if len(rows) >= count else []


def whole_lines(file: Path) -> list[str]:
    """Return the lines of a file that somebody may be writing to, without one that is not whole yet."""
    return file.read_text().rpartition("\n")[0].splitlines()


def busy_pids(log: Path) -> set[int]:
    """Return the processes that are in a task now, as the logs of a replay say."""
    last = {file: whole_lines(file)[-1:] for file in log.glob("*.jsonl")}
    began = {
        file for file, lines in last.items() if lines and json.loads(lines[0])["what"] == "began"
    }
    return {int(file.stem.rpartition("-")[2]) for file in began}


def marks(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Read what tasks wrote for themselves, in the order of time."""
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    yield from sorted((json.loads(line) for line in lines), key=lambda mark: mark["at"])


def check_history(band: Band, trace: Path, log: Path) -> None:
    """Check a finished replay: by the tasks' own log for the order, by the database for the count.

    Every task completed in exactly one attempt, and none began before its parents had ended.
    """
    parents = {
        task["id"]: set(task["parents"])
        for task in json.loads(trace.read_text())["workflow"]["specification"]["tasks"]
    }
    ended: Counter[str] = Counter()
    for mark in marks(log):
        if mark["what"] == "ended":
            ended[mark["task"]] += 1
        else:
            early = {parent for parent in parents[mark["task"]] if not ended[parent]}
            assert not early, f"{mark['task']} began before {early} had ended"
    assert set(ended) == set(parents)

    states = {task: row["state"] for task, row in band.tasks().items()}
    assert states == dict.fromkeys(parents, "completed")
    completed = band.sql(
        "SELECT task, count(*) FROM attempts WHERE outcome = 'completed' GROUP BY task"
    )
    assert [n for _, n in completed] == [1] * len(parents)
    assert band.sql("PRAGMA integrity_check") == [("ok",)]
