"""What ps and top show of a worker's process."""

from pathlib import Path

import pytest

from slurmband.graphband.title import ProcessTitle
from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

HOLDING = """
import os, subprocess, time
from pathlib import Path
from slurmband import Task

def tasks():
    yield Task("bake")
    yield Task("serve", dependencies={"bake"})

def run(task):
    pid = os.fork()
    if not pid:
        Path(f"child-{task.id}").write_text(Path("/proc/self/comm").read_text())
        os._exit(0)
    os.waitpid(pid, 0)
    Path("variables").write_text(" ".join(os.environ))
    subprocess.run(["cp", "/proc/self/comm", f"program-{task.id}"])
    while not Path(f"go-{task.id}").exists():
        time.sleep(0.02)
"""


def proc(pid: object, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text().rstrip("\n\0")


def hold(band: Band) -> tuple[int, int]:
    """Start two workers; return the pid of the one in a task, and of the one that waits."""
    band.write("flow.py", HOLDING)
    band.cli("submit", "--cluster", "local", "--array", 2, "flow.py")
    rows = wait_for(
        lambda: (rows := band.json("workers"))[1:] and any(row["tasks"] for row in rows) and rows,
        what="both are there, and one has a task",
    )
    (busy,) = (row["pid"] for row in rows if row["tasks"])
    (idle,) = (row["pid"] for row in rows if not row["tasks"])
    return busy, idle


def test_the_short_name_says_which_task_it_is_in(band: Band) -> None:
    busy, idle = hold(band)

    wait_for(lambda: proc(busy, "comm") == "sb:bake", what="the task is shown")
    wait_for(lambda: proc(idle, "comm") == "sb waiting", what="the other one waits")
    (band.folder / "go-bake").touch()
    wait_for(
        lambda: "sb:serve" in (proc(busy, "comm"), proc(idle, "comm")), what="the next is shown"
    )
    (band.folder / "go-serve").touch()

    band.cli("wait")
    assert (band.folder / "child-bake").read_text() == "sb:bake\n"
    assert (band.folder / "program-bake").read_text() == "cp\n"


def test_the_command_line_says_it_with_the_worker_and_the_attempt(band: Band) -> None:
    pytest.importorskip("setproctitle")
    busy, idle = hold(band)

    names = {row["pid"]: row["worker"] for row in band.json("workers")}
    wait_for(
        lambda: proc(busy, "cmdline") == f"slurmband {names[busy]}: task bake, attempt 1",
        what="the task is shown",
    )
    wait_for(
        lambda: proc(idle, "cmdline") == f"slurmband {names[idle]}: waiting",
        what="the other one waits",
    )
    wait_for(lambda: proc(busy, "comm") == "sb:bake", what="its short name, which is set last")
    wait_for((band.folder / "program-bake").exists, what="it wrote what it sees")
    variables = dict(part.split("=", 1) for part in proc(busy, "environ").split("\0"))
    assert f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}" == names[busy]
    assert "SPT_NOENV" not in (band.folder / "variables").read_text().split()


def test_a_program_of_ones_own_keeps_its_name_unless_it_asks(band: Band) -> None:
    own = (
        "from pathlib import Path\nfrom slurmband import Graphband, Task\n"
        "band = Graphband([Task('bake')], db='{db}')\n{asks}"
        "for task in band:\n    Path('{db}.in').write_text(Path('/proc/self/comm').read_text())\n"
        "Path('{db}.after').write_text(Path('/proc/self/comm').read_text())\n"
    )
    band.write("plain.py", own.format(db="plain", asks=""))
    band.write("asks.py", own.format(db="asks", asks="band.show_title()\n"))

    for program in ("plain.py", "asks.py"):
        assert band.start(program).wait(120) == 0

    names = {file: (band.folder / file).read_text() for file in ("plain.in", "plain.after")}
    assert len(set(names.values())) == 1
    assert (band.folder / "asks.in").read_text() == "sb:bake\n"
    assert (band.folder / "asks.after").read_text() == names["plain.after"]


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("a task with a long name", "sb:a task with "),
        ("two\nlines\0", "sb:two?lines?"),
        ("half\udcff", "sb:half?"),
    ],
)
def test_any_task_can_be_shown(task: str, shown: str) -> None:
    before = proc("self", "comm")
    title = ProcessTitle()
    try:
        title.in_task("36_1", task, 1)
        assert Path("/proc/self/comm").read_text() == f"{shown}\n"
    finally:
        title.restore()

    assert proc("self", "comm") == before
