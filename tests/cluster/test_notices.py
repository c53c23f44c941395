"""Many processes of a node look at one small file on NFS, and none of them is held up for ever."""

import sys

import pytest

from tests.cluster.lab import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

PROCESSES = 6
LOOKS = 5000
#: Each process looks, and now and then rings, until all have looked so often: one that is held up in an
#: open for as long as others look is never done.
PROGRAM = f"""
import multiprocessing, pathlib, random, sys
from slurmband.liveness.notice import Notice

def look(file, done, me):
    notice = Notice(file)
    while min(done) < {LOOKS}:
        notice.ring(done[me]) if random.random() < 0.1 else notice.look()
        done[me] += 1

file = pathlib.Path(sys.argv[1])
file.touch()
done = multiprocessing.RawArray("i", {PROCESSES})
processes = [
    multiprocessing.Process(target=look, args=(file, done, me)) for me in range({PROCESSES})
]
for process in processes:
    process.start()
for process in processes:
    process.join()
print(min(done))
"""


def test_nobody_is_held_up_for_as_long_as_others_look(cluster: Cluster) -> None:
    folder = cluster.make_folder("notices")
    cluster.write(folder / "look.py", PROGRAM)

    done = cluster.exec(1, sys.executable, folder / "look.py", folder / "notice")

    assert int(done.stdout) >= LOOKS
