"""The cluster itself: its nodes share files, jobs and an array's database, and its faults are real."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import slurmband
from tests.cluster.lab import NO_NODE, Cluster
from tests.integration.band import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

GRAPH = """
import time
from slurmband import Task

def tasks():
    first = [Task(f"first-{n}") for n in range(12)]
    yield from first
    yield from (Task(f"then-{n}", dependencies={task.id for task in first}) for n in range(6))

def run(task):
    time.sleep(0.5)
"""


def test_a_node_sees_what_another_one_wrote(cluster: Cluster) -> None:
    folder = cluster.make_folder("seen")

    cluster.exec(1, "sh", "-c", "uname -n >name", folder=folder)

    assert cluster.exec(2, "cat", folder / "name").stdout == "node1\n"
    assert cluster.exec(2, "uname", "-n").stdout == "node2\n"
    kind = cluster.exec(2, "stat", "-f", "-c", "%T", folder).stdout.strip()
    assert kind == "nfs"


def test_a_command_in_a_node_is_like_one_here(cluster: Cluster) -> None:
    script = "cat; pwd; echo problem >&2; exit 7"
    done = cluster.exec(1, "sh", "-c", script, folder=cluster.share, text="given\n", code=7)

    assert done.stdout == f"given\n{cluster.share}\n"
    assert done.stderr == "problem\n"


def test_an_array_runs_on_several_nodes_with_its_database_on_nfs(cluster: Cluster) -> None:
    folder = cluster.make_folder("array")
    cluster.write(folder / "graph.py", GRAPH)
    names: set[str] = set()

    cluster.slurmband(1, "submit", "--array", "6", "graph.py", folder=folder)
    wait_for(lambda: all_over(cluster, folder, names), what="the array is over", seconds=240)

    status = json.loads(cluster.slurmband(2, "status", "--json", folder=folder))
    assert status["mode"] == "shared"
    assert status["tasks"]["completed"] == 18
    workers = json.loads(cluster.slurmband(2, "workers", "--json", folder=folder))
    assert len(workers) == 6
    assert len({row["node"] for row in workers}) >= 2
    assert any(name.endswith("-wal") for name in names)
    assert not [name for name in names if name.endswith("-shm")]


def all_over(cluster: Cluster, folder: Path, names: set[str]) -> bool:
    """Add to the names of all files ever seen; say whether no job is left."""
    names.update(file.name for file in folder.rglob("*"))
    return not cluster.slurm("squeue", "-h")


def test_a_killed_node_is_gone_and_boots_again(cluster: Cluster) -> None:
    asleep = cluster.start(2, "sleep", "600")
    wait_for(lambda: "sleep 600" in processes(cluster, 2), what="the command runs in the node")

    cluster.do("kill", 2)

    assert asleep.wait(30) == NO_NODE
    assert not cluster.answers(2)
    cluster.do("boot", 2)
    assert "sleep 600" not in processes(cluster, 2)


def processes(cluster: Cluster, node: int) -> str:
    return cluster.exec(node, "ps", "ax", "-o", "s,args").stdout


def test_a_frozen_node_stands_still_and_goes_on(cluster: Cluster) -> None:
    counted = cluster.disk_of(2) / "count"
    count = "i=0; while sleep 0.1; do i=$((i + 1)); echo $i >>$0; sync $0; done"
    counting = cluster.start(2, "sh", "-c", count, cluster.disk / "count")
    wait_for(lambda: counted.exists() and counted.read_text(), what="the node counts")

    cluster.do("freeze", 2)

    frozen = counted.read_text()
    assert not cluster.answers(2)
    assert counted.read_text() == frozen
    cluster.do("thaw", 2)
    wait_for(lambda: counted.read_text() > frozen, what="the node counts on")
    assert counting.poll() is None


def test_a_cut_node_comes_back_with_its_mount(cluster: Cluster) -> None:
    folder = cluster.make_folder("cut")

    cluster.do("cut", 2)

    assert not cluster.answers(2)
    assert cluster.answers(3)
    cluster.do("join", 2)
    wait_for(lambda: cluster.answers(2), what="the node answers again")
    # Its lease may have run out meanwhile, and then the first call may end with EIO.
    touch = ("touch", folder / "file")
    wait_for(lambda: cluster.exec(2, *touch, code=None).returncode == 0, what="the node writes")
    assert (folder / "file").exists()


def test_clients_wait_for_a_restarted_server(cluster: Cluster) -> None:
    folder = cluster.make_folder("restart")
    cluster.do("nfs-stop")
    writing = cluster.start(2, "sh", "-c", 'echo late >"$0"', folder / "file")
    wait_for(
        lambda: re.search("^D .*echo late", processes(cluster, 2), re.M),
        what="the writer waits in the kernel for the server",
    )

    cluster.do("nfs-start")

    assert writing.wait(60) == 0
    assert cluster.exec(1, "cat", folder / "file").stdout == "late\n"


def test_a_node_has_a_clock_of_its_own(cluster: Cluster) -> None:
    cluster.do("clock", 2, 300)

    now, ahead = (int(cluster.exec(node, "date", "+%s").stdout) for node in (1, 2))

    assert 270 < ahead - now < 330


def test_the_projects_python_works_in_a_node(cluster: Cluster) -> None:
    done = cluster.exec(1, sys.executable, "-c", "import slurmband; print(slurmband.__file__)")

    assert done.stdout == f"{slurmband.__file__}\n"


def test_a_cluster_of_which_nothing_runs_is_in_nobodys_way(cluster: Cluster) -> None:
    """As after a machine's power cut, or the end of a container: the network's name is left."""
    other = Cluster(Path(tempfile.mkdtemp(prefix="slurmband-other-", dir="/tmp")), nodes=(1,))
    refused = other.up("--no-slurm")
    assert refused.returncode == 75
    assert f"another cluster runs: cluster -d {cluster.folder} down" in refused.stderr

    wait_for(lambda: not _killed(), what="the end of all that runs in the cluster")

    up = other.up("--no-slurm")
    assert up.returncode == 0, up.stderr
    assert other.exec(1, "uname", "-n").stdout == "node1\n"
    other.down()
    shutil.rmtree(other.folder)


def _killed() -> list[str]:
    """Kill what runs in the cluster's network; return what did."""
    pids = subprocess.check_output(["ip", "netns", "pids", "slurmband"], text=True).split()
    subprocess.run(["kill", "-KILL", *pids], check=False, stderr=subprocess.DEVNULL)
    return pids
