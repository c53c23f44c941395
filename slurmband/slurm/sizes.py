"""Amounts of memory as sbatch's ``--mem`` takes them."""

import re


def in_megabytes(text: str) -> str:
    """Write the unit that is meant where none is said: sbatch(1) takes a bare number for megabytes."""
    return f"{text}M" if re.fullmatch(r"\d+", text.strip()) else text.strip()
