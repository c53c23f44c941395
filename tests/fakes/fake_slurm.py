#!/usr/bin/env python3
"""One executable for sbatch, squeue, scontrol and sacct, backed by one JSON file; copied to those names.

The file ($FAKE_SLURM) holds `jobs` (id -> comment, array, state) and `next`; and how to behave: `sbatch`
is "accept", "refuse", "lose" (accept, and say that the reply was lost) or "drop" (do not accept, and say
the same), `max_array_size`; `queue` and `accounts` are what squeue -O and sacct print, where there is
accounting; `queued` are lines that squeue prints of elements. Every call is appended to `calls`.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    file = Path(os.environ["FAKE_SLURM"])
    state = json.loads(file.read_text())
    name = Path(sys.argv[0]).name
    state["calls"].append([name, *sys.argv[1:]])
    commands = {"sbatch": sbatch, "squeue": squeue, "scontrol": scontrol, "sacct": sacct}
    code = commands[name](state)
    file.write_text(json.dumps(state))
    return code


def sbatch(state: dict[str, Any]) -> int:
    behaviour = state["sbatch"]
    if behaviour == "refuse":
        sys.stderr.write("sbatch: error: invalid partition specified: nowhere\n")
        return 1
    if behaviour != "drop":
        job = str(state["next"])
        state["next"] += 1
        script = Path(sys.argv[-1]).read_text()
        options = dict(re.findall(r"--([a-z-]+)=(.*)", "\n".join(sys.argv[1:-1])))
        state["jobs"][job] = {**options, "script": script, "state": "PENDING"}
    if behaviour != "accept":
        sys.stderr.write(
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv\n"
        )
        return 1
    sys.stdout.write(f"{job}\n")
    return 0


def squeue(state: dict[str, Any]) -> int:
    if state.get("squeue") == "down":
        sys.stderr.write("slurm_load_jobs error: Unable to contact slurm controller\n")
        return 1
    if "-O" in sys.argv:
        sys.stdout.write(state.get("queue", ""))
    for line in state.get("queued", ()) if "-r" in sys.argv else ():
        sys.stdout.write(f"{line}\n")
    if "--me" in sys.argv:
        for job, options in state["jobs"].items():
            sys.stdout.write(f"{job}|{options['comment']}\n")
    return 0


def scontrol(state: dict[str, Any]) -> int:
    sys.stdout.write(f"MaxArraySize            = {state['max_array_size']}\n")
    return 0


def sacct(state: dict[str, Any]) -> int:
    if "accounts" not in state:
        sys.stderr.write("Slurm accounting storage is disabled\n")
        return 1
    sys.stdout.write(state["accounts"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
