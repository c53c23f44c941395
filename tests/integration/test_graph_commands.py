"""Giving up, trying again, following, pruning and comparing fingerprints, at the command line."""

import json
from pathlib import Path

import pytest

from tests.integration.band import Band, wait_for, whole_lines

pytestmark = pytest.mark.integration

FLOW = """
from slurmband import Task

def tasks():
    flour = open("flour.txt").read()
    yield Task("mill", fingerprint=flour)
    yield Task("bake", dependencies={"mill"}, fingerprint="bake" + flour)
    yield Task("wash")

def run(task):
    with open("ran.txt", "a") as ran:
        ran.write(task.id + "\\n")
"""


@pytest.fixture
def flow(band: Band) -> Band:
    band.write("flow.py", FLOW)
    band.write("flour.txt", "wheat")
    return band


def submit(band: Band, *words: object) -> str:
    done = band.cli("submit", "--cluster", "local", "--wait", *words, "flow.py")
    band.wait_until_over()
    return done.stdout


def states(band: Band) -> dict[str, str]:
    return {row["id"]: row["state"] for row in band.json("tasks")}


def ran(band: Band) -> list[str]:
    return (band.folder / "ran.txt").read_text().split()


def test_a_submission_runs_again_what_is_outdated(flow: Band) -> None:
    submit(flow, "--enable-fingerprints")
    flow.write("flour.txt", "rye")

    said = submit(flow, "--enable-fingerprints")

    assert "2 to run again for their fingerprints" in said
    assert sorted(ran(flow)) == ["bake", "bake", "mill", "mill", "wash"]
    assert states(flow) == dict.fromkeys(["mill", "bake", "wash"], "completed")


def test_the_environment_asks_for_it_as_well(flow: Band) -> None:
    flow.environ["SLURMBAND_ENABLE_FINGERPRINTS"] = "1"
    submit(flow)
    assert "to run again" not in submit(flow)
    flow.write("flour.txt", "rye")

    assert "2 to run again" in submit(flow)


def test_a_worker_that_starts_late_does_not_compare_again(flow: Band) -> None:
    submit(flow, "--enable-fingerprints")
    script = next((flow.folder / "slurmband.sqlite.d" / "submissions").glob("*.sh")).read_text()
    assert "SLURMBAND_ENABLE_FINGERPRINTS=0" in script
    flow.write("flour.txt", "rye")

    flow.cli("work", "flow.py", SLURMBAND_ENABLE_FINGERPRINTS="0")
    assert sorted(ran(flow)) == ["bake", "mill", "wash"]

    flow.cli("work", "flow.py", SLURMBAND_ENABLE_FINGERPRINTS="1")
    assert sorted(ran(flow)) == ["bake", "bake", "mill", "mill", "wash"]


def test_new_dependencies_of_what_has_completed_are_pointed_out(flow: Band) -> None:
    submit(flow)
    flow.write("flow.py", FLOW.replace('Task("wash")', 'Task("wash", dependencies={"mill"})'))

    assert "note: new dependencies of 'wash' come too late" in submit(flow)
    assert sorted(ran(flow)) == ["bake", "mill", "wash"]


def test_a_task_is_given_up_and_taken_back(flow: Band) -> None:
    flow.cli("submit", "--cluster", "debug", "flow.py")
    flow.write("flow.py", FLOW.replace('"wash"', '"sweep"'))
    flow.cli("submit", "--cluster", "local", "--dry-run", "flow.py")
    flow.write(
        "more.py",
        FLOW + "\n_tasks = tasks\ndef tasks():\n    yield from _tasks()\n"
        "    yield Task('eat', dependencies={'bake'})\n    yield Task('nap', dependencies={'eat'})\n"
        "run = lambda task: 1 / 0\n",
    )
    flow.cli("submit", "--cluster", "local", "--wait", "more.py", code=69)
    assert states(flow)["eat"] == "failed"

    assert flow.json("cancel", "eat") == {"cancelled": ["eat"]}
    assert (states(flow)["eat"], states(flow)["nap"]) == ("cancelled", "blocked")
    assert "'mill': no such task, or it has completed" in flow.cli("cancel", "mill", code=64).stderr
    assert "Nothing was cancelled" in flow.cli("cancel", "nap", "none", code=64).stderr
    assert states(flow)["nap"] == "blocked"

    assert "0 tasks to be tried again" in flow.cli("retry").stdout
    assert "1 task to be tried again" in flow.cli("retry", "eat").stdout
    assert (states(flow)["eat"], states(flow)["nap"]) == ("ready", "waiting")


def test_events_are_listed_and_followed(flow: Band) -> None:
    submit(flow)

    listed = flow.json("events", "--last", 99)
    assert listed[0]["event"] == "register"
    assert {row["task"] for row in listed if row["task"]} == {"mill", "bake", "wash"}
    assert [row["event"] for row in flow.json("events", "bake")] == ["free", "claim", "complete"]
    first = listed[0]["sequence"]
    assert flow.json("events", "--since", first) == listed[1:]
    assert "no task 'zz' here" in flow.cli("events", "zz", code=64).stderr

    flow.start(
        "-m", "slurmband", "events", "--follow", "--json", "--last", 1, "--every", 0.1, log="events"
    )
    log = flow.folder / "events.log"
    wait_for(lambda: log.read_text().count("\n") == 1, what="the newest event")
    flow.write(
        "flow.py",
        FLOW + "\n_tasks = tasks\ndef tasks():\n    yield from _tasks()\n    yield Task('eat')\n",
    )
    submit(flow)
    wait_for(lambda: followed(log, "eat", "complete"), what="what happened meanwhile")

    numbers = [json.loads(line)["sequence"] for line in whole_lines(log)]
    assert numbers == sorted(set(numbers))


def followed(log: Path, task: str, event: str) -> bool:
    rows = [json.loads(line) for line in whole_lines(log)]
    return any((row["task"], row["event"]) == (task, event) for row in rows)


def test_history_is_pruned_when_asked_for(flow: Band) -> None:
    submit(flow)

    nothing = {"statuses": 0, "events": 0, "attempts": 0, "locks": [], "generations": []}
    assert flow.json("prune") == nothing
    pruned = flow.json("prune", "--keep-latest", 1, "--keep-events", 0)

    assert pruned["statuses"] == 7
    assert flow.json("events") == []
    assert flow.cli("prune").stdout == "0 history rows, 0 events and 0 attempts pruned.\n"
    assert states(flow) == dict.fromkeys(["mill", "bake", "wash"], "completed")
