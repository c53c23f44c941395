"""The command line: ``python -m benchmarks``, and ``python -m benchmarks plots results.json``."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.crew import CrewBroken
from benchmarks.figures import skipped
from benchmarks.how import How
from benchmarks.machine import commit, describe
from benchmarks.measures import MEASURES
from benchmarks.plots import NoMatplotlib, draw
from benchmarks.report import Results


def main(words: Sequence[str]) -> int:
    """Do what the command line says.

    Parameters
    ----------
    words : sequence of str
        Without the program's name.

    Returns
    -------
    int
        The status to exit with: 1 where something could not be measured that should have been.
    """
    return _plots(words[1:]) if words[:1] == ["plots"] else _measure(words)


def _measure(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; all by default"
    )
    parser.add_argument("--quick", action="store_true", help="see that everything runs")
    parser.add_argument("--repeat", type=int, default=5, help="how often, at most (5)")
    parser.add_argument("--out", type=Path, default=Path(), help="where the results go")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="on the file system to measure",
    )
    parser.add_argument("--mode", choices=["local", "shared"], help="of slurmband's databases")
    parser.add_argument(
        "--batch", type=int, default=10, help="tasks per transaction of the bare program (10)"
    )
    parser.add_argument(
        "--peers", type=Path, default=peers.FOLDER, help="environment of the peers; made if absent"
    )
    parser.add_argument("--no-peers", action="store_true", help="measure beside bare SQLite only")
    parser.add_argument(
        "--recorded", type=Path, nargs="+", default=[], help="recorded workflows, in WfFormat"
    )
    parser.add_argument("--scale", type=float, default=0.01, help="seconds per second of those")
    given = parser.parse_args(words)
    if unknown := set(given.names) - set(MEASURES):
        parser.error(f"no measure {', '.join(sorted(unknown))}: choose of {', '.join(MEASURES)}.")
    if not given.quick and not given.no_peers:
        peers.install(given.peers)
    missing = peers.missing(given.peers)
    how = How(
        folder=given.folder.resolve(),
        quick=given.quick,
        repeat=given.repeat,
        mode=given.mode,
        batch=given.batch,
        peers=given.peers.absolute(),
        recorded=[file.resolve() for file in given.recorded],
        scale=given.scale,
        missing=dict.fromkeys(peers.names(), "not asked for") if given.no_peers else missing,
    )
    return _run(given.names or list(MEASURES), how, given.out)


def _run(names: Sequence[str], how: How, out: Path) -> int:
    """Run measures; what is done is written after each."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    results = Results(date, commit(), how.quick, describe(how.folder))
    broken = False
    told: set[str] = set()
    for name in names:
        begun = time.monotonic()
        try:
            results.measures[name] = MEASURES[name](how)
        except (CrewBroken, RuntimeError) as error:
            results.measures[name] = [skipped(name, str(error))]
            broken = True
        for peer in set(how.broken) - told:
            results.measures[name].append(skipped(name, how.broken[peer], of=peer))
            told.add(peer)
        results.runs = [run.as_dict() for run in how.runs]
        print(f"{name}: {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
        results.write(out)
    print((out / "results.md").read_text())
    return 1 if broken else 0


def _plots(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks plots", description=draw.__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, default=Path(), help="where the pictures go")
    given = parser.parse_args(words)
    try:
        drawn = draw(Results.read(given.results), given.out)
    except NoMatplotlib as error:
        print(f"no plots: {error}", file=sys.stderr)
        return 69
    print(*drawn, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
