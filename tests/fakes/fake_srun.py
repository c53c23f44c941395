"""Stands in for srun: starts a program twice on this machine, and merges what the two say."""

import os
import subprocess
import sys
import threading

words = sys.argv[1:]
behaviour = os.environ.get("FAKE_SRUN", "run")
if behaviour == "refuse":
    sys.exit(
        "srun: error: Unable to allocate resources: Requested node configuration is not available"
    )
if behaviour == "wait":
    sys.stderr.write("srun: job 7 queued and waiting for resources\n")
    sys.stderr.flush()
    threading.Event().wait()
program = words[next(n for n, word in enumerate(words) if not word.startswith("-")) :]
ranks = [
    subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        text=True,
        env=os.environ | {"SLURM_PROCID": str(rank), "SLURMD_NODENAME": f"n{rank + 1}"},
    )
    for rank in (0, 1)
]
sys.stdout.write("a prolog that greets\n")
sys.stdout.flush()
for line in sys.stdin:
    for process in ranks:
        assert process.stdin is not None
        process.stdin.write(line)
        process.stdin.flush()
for process in ranks:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
