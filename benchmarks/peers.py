"""The peers that slurmband is measured beside, in an environment of their own."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.places import ROOT

FOLDER: Final = ROOT / ".benchmarks" / "peers"
WANTED: Final = Path(__file__).with_name("peers.txt")


def python_of(folder: Path) -> Path:
    """Return the Python of the peers' environment, whether it is there or not."""
    return folder / "bin" / "python"


def install(folder: Path) -> None:
    """Make the environment where it is not there, and install what can be.

    Each peer is installed by itself, so that one that cannot be had does not keep the others away.

    Parameters
    ----------
    folder : Path
    """
    if not python_of(folder).exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    for line in WANTED.read_text().split():
        pip = [str(python_of(folder)), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", line], check=False, capture_output=True)


def missing(folder: Path) -> Mapping[str, str]:
    """Say of each peer that cannot be run why not.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    mapping of str to str
        Name of the package, and a word.
    """
    if not python_of(folder).exists():
        return dict.fromkeys(names(), "not installed")
    return {name: word for name in names() if (word := _why_not(python_of(folder), name))}


def names() -> list[str]:
    """Return the peers' packages."""
    return [re.split("[=<>~]", line)[0] for line in WANTED.read_text().split()]


def _why_not(python: Path, name: str) -> str:
    tried = subprocess.run(
        [python, "-c", f"import {name}"], cwd="/", check=False, capture_output=True, text=True
    )
    return (tried.stderr.strip().splitlines() or [""])[-1] if tried.returncode else ""
