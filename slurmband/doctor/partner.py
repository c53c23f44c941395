"""One side of a trial, as a process of its own: it makes the moves that it is told to.

Usage: ``python -m slurmband.doctor.partner FOLDER [SIDE]``. The side is srun's rank where it is not
given. On standard input comes one JSON object per line, ``{"to": SIDE, "move": NAME, "with": {...}}``;
what is for the other side is passed over, since srun gives everything to everybody. The process ends
with its input.
"""

import errno
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from slurmband.doctor.moves import Moves
from slurmband.doctor.place import look


def main(arguments: list[str], environ: Mapping[str, str]) -> None:
    """Make moves until the input ends."""
    folder = Path(arguments[0])
    side = int(arguments[1] if len(arguments) > 1 else environ["SLURM_PROCID"])
    place = look(folder.parent)
    place = replace(place, host=environ.get("SLURMD_NODENAME", place.host))
    say({"from": side, "said": asdict(place)})
    for reply in replies(sys.stdin, Moves(folder, side), side):
        say(reply)


def say(reply: Mapping[str, Any]) -> None:
    """Write one line, at once."""
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def replies(requests: TextIO, moves: Moves, side: int) -> Iterator[dict[str, Any]]:
    """Answer each request that is for this side."""
    for line in requests:
        request = json.loads(line)
        if request["to"] == side:
            yield {"from": side} | _answer(moves, request)


def _answer(moves: Moves, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"said": moves.make(request["move"], request["with"])}
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "an error")
        return {"failed": f"{request['move']}: {error.strerror} ({name})"}


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
