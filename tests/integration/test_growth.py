"""Graphs that grow while real workers work: who produces, who takes over, and when it is finished."""

import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

from slurmband import Graphband, GraphError, Laufband, Task, UsageError
from slurmband.errors import GraphGrows, TaskNotYielded, UnknownDependency
from slurmband.store.entries import TaskEntry, session
from tests.integration.band import Band, wait_for

pytestmark = pytest.mark.integration

#: The dead are found soon, and nobody is taken for dead that merely waits for a busy machine.
QUICK = {"SLURMBAND_HEARTBEAT_INTERVAL": "0.2", "SLURMBAND_HEARTBEAT_TIMEOUT": "60"}
MODES = pytest.mark.parametrize("mode", ["local", "shared"])

#: Each generation of tasks is known only when the sum of the one before it was made.
GENERATIONS = """
import os, time
from pathlib import Path
from slurmband import Task

def tasks():
    before = ()
    for generation in range(4):
        while generation and not Path(f"sum-{generation - 1}").exists():
            time.sleep(0.02)
        names = [f"{generation}.{n}" for n in range(5)]
        yield from (Task(name, data=name, dependencies=before) for name in names)
        before = {f"sum-{generation}"}
        yield Task(f"sum-{generation}", data=f"sum-{generation}", dependencies=names)

def run(task):
    assert task.data == task.id
    with open("done", "a") as done:
        done.write(f"{task.id}\\n")
    Path(task.id).touch()
"""
ALL = {f"{g}.{n}" for g in range(4) for n in range(5)} | {f"sum-{g}" for g in range(4)}


def done(band: Band) -> Counter[str]:
    return Counter((band.folder / "done").read_text().split())


def growth(band: Band) -> tuple[bool, str | None]:
    found = band.json("status")
    return found["growing"], found["producer"]


def check_all_done(band: Band) -> None:
    """Check that each task was registered once, completed once, and after what it needs."""
    assert done(band) == dict.fromkeys(ALL, 1)
    assert {row["id"]: row["state"] for row in band.json("tasks")} == dict.fromkeys(
        ALL, "completed"
    )
    assert growth(band) == (False, None)
    order = list(done(band))
    assert all(
        order.index(f"{g}.{n}") < order.index(f"sum-{g}") for g in range(4) for n in range(5)
    )
    assert band.sql("PRAGMA integrity_check") == [("ok",)]


# --- several processes --------------------------------------------------------------------------


@MODES
def test_one_worker_runs_what_its_own_generator_waits_for(band: Band, mode: str) -> None:
    band.write("grow.py", GENERATIONS)

    band.cli("work", "--growing", "grow.py", SLURMBAND_MODE=mode)

    check_all_done(band)
    band.cli("wait")


@MODES
def test_several_workers_make_a_graph_grow(band: Band, mode: str) -> None:
    band.write("grow.py", GENERATIONS)
    options = ["--cluster", "local", "--array", 3, "--growing", "--mode", mode, "--wait"]

    said = band.cli("submit", *options, "grow.py").stdout

    band.wait_until_over()
    assert "The graph grows" in said
    check_all_done(band)
    assert {row["state"] for row in band.json("workers")} == {"left"}


def test_a_band_is_not_finished_while_it_grows(band: Band) -> None:
    band.write(
        "grow.py",
        "import time\nfrom pathlib import Path\nfrom slurmband import Task\n"
        "def tasks():\n"
        "    yield Task('a')\n"
        "    while not Path('go').exists(): time.sleep(0.02)\n"
        "def run(task): Path('began').touch()\n",
    )
    worker = band.worker("grow.py", SLURMBAND_GROWING="1", SLURMBAND_IDENTIFIER="alice")
    wait_for((band.folder / "began").exists, what="'a' runs")
    wait_for(lambda: growth(band) == (True, "alice"), what="alice goes on producing")

    assert "graph     growing, producer alice" in band.cli("status").stdout
    waiting = band.start("-m", "slurmband", "wait", log="wait")
    assert waiting.poll() is None
    assert worker.poll() is None
    (band.folder / "go").touch()

    assert worker.wait(timeout=120) == 0
    assert waiting.wait(timeout=120) == 0
    assert "all 1 task" in band.log("wait")
    assert growth(band) == (False, None)


@MODES
def test_another_goes_on_when_the_producer_is_killed(band: Band, mode: str) -> None:
    band.write("grow.py", GENERATIONS.replace("range(4)", "range(3)"))
    held = GENERATIONS.replace('Path(f"sum-{generation - 1}").exists()', 'Path("never").exists()')
    band.write("held.py", held.replace("range(4)", "range(3)"))
    environ = QUICK | {"SLURMBAND_MODE": mode, "SLURMBAND_GROWING": "1"}
    first = band.worker("held.py", SLURMBAND_IDENTIFIER="first", **environ)
    sums = (band.folder / "sum-0").exists
    wait_for(lambda: sums() and growth(band) == (True, "first"), what="it waits, as the producer")

    second = band.worker("grow.py", log="second", SLURMBAND_IDENTIFIER="second", **environ)
    wait_for(lambda: len(band.json("workers")) == 2, what="the second is there")
    os.kill(first.pid, signal.SIGKILL)

    assert second.wait(timeout=120) == 0, band.log("second")
    wanted = {name for name in ALL if not name.startswith("3.")} - {"sum-3"}
    assert done(band) == dict.fromkeys(wanted, 1)
    assert {row["id"] for row in band.json("tasks")} == wanted
    assert growth(band) == (False, None)


def test_who_is_idle_produces_while_the_others_are_busy(band: Band) -> None:
    band.write(
        "grow.py",
        "import time\nfrom pathlib import Path\nfrom slurmband import Task\n"
        "def wait_for(name):\n"
        "    while not Path(name).exists(): time.sleep(0.02)\n"
        "def tasks():\n"
        "    yield Task('long')\n"
        "    wait_for('began')\n"
        "    yield Task('short')\n"
        "def run(task):\n"
        "    Path('began' if task.id == 'long' else 'go').touch()\n"
        "    wait_for('go')\n",  # so that whoever is in the long one needs another's help
    )

    workers = [band.worker("grow.py", log=name, SLURMBAND_GROWING="1") for name in ("one", "two")]

    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert {row["state"] for row in band.json("tasks")} == {"completed"}
    assert len(band.sql("SELECT DISTINCT worker FROM attempts")) == 2


def test_a_producer_leaves_when_it_is_asked_to_while_its_source_waits(band: Band) -> None:
    band.write(
        "grow.py",
        "import time\nfrom pathlib import Path\nfrom slurmband import Task\n"
        "def tasks():\n"
        "    Path('began').touch()\n"
        "    while not Path('never').exists(): time.sleep(0.02)\n"
        "    yield Task('a')\n"
        "def run(task): pass\n",
    )
    worker = band.worker("grow.py", SLURMBAND_GROWING="1", SLURMBAND_IDENTIFIER="alice")
    wait_for((band.folder / "began").exists, what="it reads its source")

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(timeout=120) == 0
    assert growth(band) == (True, None)
    assert [row["reason"] for row in band.json("workers")] == ["drained"]


def test_a_program_that_is_run_again_finds_what_is_new(band: Band) -> None:
    band.write(
        "grow.py",
        "from pathlib import Path\nfrom slurmband import Task\n"
        "def tasks():\n"
        "    yield from (Task(path.name) for path in sorted(Path().glob('input-*')))\n"
        "def run(task): print('ran', task.id)\n",
    )
    (band.folder / "input-1").touch()
    band.cli("work", "--growing", "grow.py")
    (band.folder / "input-2").touch()

    again = band.cli("work", "--growing", "grow.py").stdout

    assert "ran input-2" in again
    assert "ran input-1" not in again
    assert growth(band) == (False, None)


def test_what_was_opened_again_is_read_again_by_those_who_live(band: Band) -> None:
    band.write(
        "grow.py",
        "import time\nfrom pathlib import Path\nfrom slurmband import Task\n"
        "def tasks():\n"
        "    yield from (Task(path.name) for path in sorted(Path().glob('input-*')))\n"
        "def run(task):\n"
        "    Path('began').touch()\n"
        "    while not Path('go').exists(): time.sleep(0.02)\n",
    )
    (band.folder / "input-1").touch()
    worker = band.worker("grow.py", SLURMBAND_GROWING="1")
    wait_for((band.folder / "began").exists, what="it runs")
    wait_for(lambda: growth(band) == (False, None), what="the end is recorded")
    (band.folder / "input-2").touch()

    band.start("-c", "from slurmband import Graphband as G; G([], growing=True).register()").wait()
    assert growth(band) == (True, None)
    (band.folder / "go").touch()

    assert worker.wait(timeout=120) == 0
    assert {k: row["state"] for k, row in band.tasks().items()} == {
        "input-1": "completed",
        "input-2": "completed",
    }


def test_a_generator_that_raises_is_told_and_harms_no_other(band: Band) -> None:
    band.write(
        "bad.py",
        "from slurmband import Task\n"
        "def tasks():\n    yield Task('a')\n    raise OSError('no such disk')\n"
        "def run(task): pass\n",
    )
    good = (
        (band.folder / "bad.py")
        .read_text()
        .replace("raise OSError('no such disk')", "yield Task('b')")
    )
    band.write("good.py", good)

    failed = band.cli("work", "--growing", "bad.py", code=72)

    assert "tasks() in" in failed.stderr
    assert "OSError: no such disk" in failed.stderr
    assert growth(band) == (True, None)
    band.cli("work", "--growing", "good.py")
    assert {k: row["state"] for k, row in band.tasks().items()} == {
        "a": "completed",
        "b": "completed",
    }


@pytest.mark.parametrize(("first", "then"), [([], ["--growing"]), (["--growing"], [])])
def test_whole_and_growing_are_not_mixed(band: Band, first: list[str], then: list[str]) -> None:
    band.write("grow.py", GENERATIONS)
    whole = "from slurmband import Task\ndef tasks(): yield Task('a')\ndef run(task): pass\n"
    band.write("grow.py", whole)
    band.cli("work", *first, "grow.py")

    for command in (["work"], ["submit", "--cluster", "local"]):
        refused = band.cli(*command, *then, "grow.py", code=65)
        assert "another --db" in refused.stderr


# --- one process --------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(source: Any, **options: Any) -> Graphband[Any]:
    return Graphband(source, growing=True, tqdm_kwargs={"disable": True}, **options)


def endless(read: list[int]) -> Iterator[Task[int]]:
    while True:
        read.append(len(read))
        yield Task(str(read[-1]), data=read[-1], dependencies={str(read[-2])} if read[1:] else ())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("disabled", [False, True])
def test_an_endless_generator_is_read_as_the_loop_goes_on(*, disabled: bool) -> None:
    ran = []
    with make(endless([]), disabled=disabled) as band:
        for task in band:
            ran.append(task.data)
            if task.data == 4:
                break

        assert len(band) >= 5

    assert ran == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("here")
def test_a_band_that_grows_has_more_jobs_until_its_end() -> None:
    band = make(lambda: [Task("a"), Task("b")], has_more_jobs_ttl=0)
    band.register()

    assert (len(band), band.has_more_jobs) == (0, True)
    assert [task.id for task in band] == ["a", "b"]
    assert (len(band), band.has_more_jobs) == (2, False)
    with pytest.raises(UsageError, match="never whole"):
        _ = band.graph


@pytest.mark.usefixtures("here")
def test_plain_items_may_grow() -> None:
    assert list(Laufband("xyz", growing=True, tqdm_kwargs={"disable": True})) == ["x", "y", "z"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("entered", [False, True])
def test_what_a_generator_raises_reaches_the_loop(*, entered: bool) -> None:
    def tasks() -> Iterable[Task[Any]]:
        yield Task("a")
        raise ZeroDivisionError("oops")

    band = make(tasks)
    ran = []

    def loop() -> None:
        for task in band:
            ran.append(task.id)  # noqa: PERF401  # what came before the error is wanted

    with pytest.raises(ZeroDivisionError, match="oops"), band if entered else nullcontext():
        loop()

    assert ran == ["a"]
    with make([Task("a"), Task("b")]) as other:  # nobody holds the producer's claim
        assert [task.id for task in other] == ["b"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("disabled", [False, True])
def test_a_task_that_comes_before_what_it_depends_on_is_told(*, disabled: bool) -> None:
    band = make([Task("a"), Task("b", dependencies={"c"}), Task("c")], disabled=disabled)

    with pytest.raises(UnknownDependency, match="yield a task after all that it depends on"):
        band.run(print)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("entered", [False, True])
def test_a_task_that_the_own_source_has_not_is_told_and_handed_back(*, entered: bool) -> None:
    with make([Task("a"), Task("b")]) as first:
        for _ in first:
            first.close()

    other = make([Task("a")])
    with ExitStack() as stack:
        if entered:
            stack.enter_context(other)
        with pytest.raises(TaskNotYielded, match="'b' is registered"):
            list(other)

    assert [(task.id, task.attempt) for task in make([Task("a"), Task("b")])] == [("b", 2)]
    with session("slurmband.sqlite") as asked:
        assert (asked.query(TaskEntry).filter_by(id="b").one().failures) == 0


@pytest.mark.usefixtures("here")
def test_whole_and_growing_are_told_in_a_program_too() -> None:
    list(make([Task("a")]))

    with pytest.raises(GraphGrows):
        list(Graphband([Task("a")]))
    with pytest.raises(GraphError):
        Graphband([Task("a")]).register()


@pytest.mark.usefixtures("here")
def test_a_wide_fan_in_is_registered_in_several_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurmband.graphband.growth.DEPENDENCIES", 10)
    above = [f"above-{n}" for n in range(6)]
    graph: list[Task[Any]] = [
        *map(Task, above),
        *(Task(f"below-{n}", dependencies=above) for n in range(3)),
    ]
    band = make([*graph, Task("last", dependencies=[task.id for task in graph] * 2)])

    ran = [task.id for task in band]

    assert ran == [*(task.id for task in graph), "last"]
