"""What is left that no worker can do: which submissions it needs, printed and done."""

import pytest

from tests.integration.band import Band

pytestmark = pytest.mark.integration

FLOW = """
from slurmband import Task

def tasks():
    yield Task("small")
    yield Task("large", requirements={"mem>=96G", "gpu"})
    yield Task("larger", requirements={"mem>=96G", "gpu"}, dependencies={"large"})

def run(task):
    pass
"""


def test_what_is_left_says_what_it_needs_and_gets_it(band: Band) -> None:
    band.write("flow.py", FLOW)
    band.cli("submit", "--cluster", "local", "--mem", "64G", "--wait", "flow.py", code=69)
    assert band.tasks()["large"]["state"] == "ready"

    (need,) = band.json("recover")
    assert (need["requirements"], need["tasks"]) == (["gpu", "mem>=96G"], 2)
    assert need["words"] == [
        *("--array", "1", "--labels", "gpu", "--cluster", "local", "--mem=98304M", "flow.py"),
    ]
    printed = band.cli("recover").stdout
    assert (
        "# 2 tasks for gpu, mem>=96G\nslurmband submit --db slurmband.sqlite --array 1" in printed
    )
    assert len(band.sql("SELECT id FROM submissions")) == 1

    band.cli("recover", "--submit")
    band.cli("wait")

    assert {row["state"] for row in band.json("tasks")} == {"completed"}
    assert "Nothing is left" in band.cli("recover").stdout


def test_without_a_submission_there_is_nothing_to_repeat(band: Band) -> None:
    band.write("flow.py", FLOW)
    band.cli("work", "flow.py", "--no-wait")

    assert "slurmband submit" in band.cli("recover", code=64).stderr
