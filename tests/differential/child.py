"""The program of a worker in a process of its own: takes a task whenever it is told to.

``python -m tests.differential.child LIBRARY FOLDER JSON``
"""

import json
import sys
from pathlib import Path

from tests.differential.library import LIBRARIES, Node
from tests.differential.stage import Player, Stage


def main(library: str, folder: str, told: str) -> None:
    """Obey standard input, and answer on standard output."""
    script = json.loads(told)
    graph = [
        Node(name, tuple(needs), tuple(requires), slots)
        for name, needs, requires, slots in script["graph"]
    ]
    options = script["options"]
    player = Player(
        Stage(LIBRARIES[library], Path(folder), graph), options.pop("identifier"), options
    )
    for _ in sys.stdin:
        word, _ = player.advance()
        print(word, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
