"""What a command writes to standard error as it goes."""

import logging
import time


def log_to_stderr() -> None:
    """Let slurmband's log go to standard error, warnings only, with the time in UTC."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger("slurmband")
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def log_more(*, verbose: bool) -> None:
    """Let the log show one line per transition."""
    logging.getLogger("slurmband").setLevel(logging.INFO if verbose else logging.WARNING)
