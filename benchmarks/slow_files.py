"""Files on which each operation takes a while, by a library that is loaded before all others."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_suffix(".c")


class NoCompiler(Exception):
    """The library cannot be made here."""


def build(folder: Path) -> Path:
    """Compile the library into a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Path
        The library.

    Raises
    ------
    NoCompiler
        If there is no ``cc``, or it says no.
    """
    if shutil.which("cc") is None:
        raise NoCompiler("there is no cc")
    library = folder / "slow_files.so"
    options = ("-shared", "-fPIC", "-O2", "-U_FORTIFY_SOURCE")
    done = subprocess.run(
        ["cc", *options, "-o", library, SOURCE, "-ldl"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoCompiler(f"cc says: {done.stderr.strip()}")
    return library


def settings(library: Path, slow: Path, delay: float) -> dict[str, str]:
    """Return what a process is told by its environment so that files are slow for it.

    Parameters
    ----------
    library : Path
        As `build` made it.
    slow : Path
        What the absolute names of slow files begin with.
    delay : float
        Seconds that each operation takes.
    """
    return {
        "LD_PRELOAD": str(library),
        "SLURMBAND_BENCHMARK_SLOW": str(slow),
        "SLURMBAND_BENCHMARK_DELAY_US": str(round(1e6 * delay)),
    }
