"""The site's limit on arrays is read from scontrol, and is unknown where scontrol does not say it."""

import pytest

from slurmband.slurm.command import Reply
from slurmband.slurm.limits import max_array_size
from tests.fakes.commands import FakeRun, says

pytestmark = pytest.mark.unit

CONFIG = """Configuration data as of 2026-01-31T08:00:00
MaxArrayTasks           = 7
MaxArraySize            = 1001
MaxJobCount             = 10000
"""


@pytest.mark.parametrize(
    ("replies", "size"),
    [
        ([says(CONFIG)], 1001),
        ([says("MaxArraySize = 0\n")], 0),
        ([says("# MaxArraySize = 5\n")], None),
        ([says("", stderr="Unable to contact slurm controller", returncode=1)], None),
        ([says("", returncode=None)], None),
        ([], None),
    ],
    ids=["said", "no arrays", "a comment", "no controller", "no answer in time", "no scontrol"],
)
def test_the_largest_array_is_what_scontrol_says(replies: list[Reply], size: int | None) -> None:
    run = FakeRun(*replies)

    assert max_array_size(run) == size
    assert run.asked == [["scontrol", "show", "config"]]
