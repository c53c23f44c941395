"""A list of commands on a real array: done once, logged where the map says, ended by scancel."""

import json
from pathlib import Path

import pytest

from tests.integration.band import Band, busy_workers, wait_for
from tests.slurm.conftest import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(300)]


def test_an_array_runs_a_list_and_scancel_hands_back_what_it_holds(cluster: Band) -> None:
    lines = [f"echo {{id}} runs in $SLURM_ARRAY_TASK_ID; echo x >> did-{n}" for n in range(20)]
    cluster.write("list.txt", "\n".join(lines))
    cluster.cli("submit", "--array", 4, "--wait", "--commands", "list.txt")

    tasks = cluster.json("tasks")
    assert {row["state"] for row in tasks} == {"completed"}
    assert [file.read_text() for file in cluster.folder.glob("did-*")] == ["x\n"] * 20
    (where,) = cluster.json("where", tasks[0]["id"])
    index = where["element"].rpartition("_")[2]
    assert f"\n{tasks[0]['id']} runs in {index}\n" in Path(where["log"]).read_text()

    endless = {"id": "endless", "command": "echo $$ > shell; sleep 600 & wait $!"}
    cluster.write("list.txt", "\n".join([*lines, json.dumps(endless)]))
    cluster.cli("submit", "--array", 1, "--commands", "list.txt")
    (row,) = wait_for(lambda: busy_workers(cluster, 1), what="the endless command is held")
    shell = cluster.folder / "shell"
    wait_for(lambda: shell.exists() and shell.read_text(), what="it runs")
    slurm(cluster, "scancel", row["element"])

    wait_for(lambda: cluster.json("status")["workers"]["alive"] == 0, what="its worker left")
    assert not Path(f"/proc/{shell.read_text().strip()}").exists()
    endings = cluster.sql(
        "SELECT outcome, attempts.reason, failures, deaths FROM attempts "
        "JOIN tasks ON tasks.key = task WHERE tasks.id = 'endless'"
    )
    assert endings == [("released", "drained", 0, 0)]
    assert [file.read_text() for file in cluster.folder.glob("did-*")] == ["x\n"] * 20
